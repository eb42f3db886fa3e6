"""Anthropic's Messages in chat's words, a second time: plain Python over parsed JSON, for differential tests.

It follows docs/contract.md and shares nothing with the Rust conversion. What is left out is not named here,
and it is asked for no body that is refused.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

BILLING = "x-anthropic-billing-header:"
NO_RESULT = "(no result)"
DROPPED = {
    "anthropic_beta", "anthropic_version", "betas", "cache_control", "container", "context_management",
    "inference_geo", "mcp_servers", "service_tier", "speed", "user_profile_id",
}  # fmt: skip
CONVERTED = {
    "model", "messages", "system", "tools", "tool_choice", "stop_sequences", "metadata", "thinking",
    "output_config", "output_format",
}  # fmt: skip


def chat_body(body: Json) -> Json:
    """The body of a chat completion that a Messages body becomes."""
    chat: Json = {
        "model": body["model"],
        "messages": [*_system(body.get("system")), *_messages(body["messages"])],
    }
    chat |= {
        name: value for name, value in body.items() if name not in DROPPED | CONVERTED and value is not None
    }
    for name, value in _renamed(body).items():
        chat.setdefault(name, value)
    return chat


def _renamed(body: Json) -> Json:
    chat: Json = {}
    tools = [_function(tool) for tool in body.get("tools") or () if tool.get("type") in (None, "custom")]
    if tools:
        chat["tools"] = tools
        chat |= _choice(body.get("tool_choice") or {})
    if body.get("stop_sequences"):
        chat["stop"] = body["stop_sequences"]
    if (user := (body.get("metadata") or {}).get("user_id")) is not None:
        chat["user"] = user
    if thinking := body.get("thinking"):
        chat["llmgw_thinking"] = thinking["type"] != "disabled"
    config = body.get("output_config") or {}
    if config.get("effort") is not None:
        chat["reasoning_effort"] = config["effort"]
    formats = [form for form in (config.get("format"), body.get("output_format")) if form is not None]
    for form in formats[::-1]:
        if form["type"] == "json_schema":
            schema = {"name": "answer", "strict": True, "schema": form["schema"]}
            chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    return chat


def _function(tool: Json) -> Json:
    names = {"name": "name", "description": "description", "input_schema": "parameters", "strict": "strict"}
    function = {ours: tool[theirs] for theirs, ours in names.items() if tool.get(theirs) is not None}
    return {"type": "function", "function": function}


def _choice(choice: Json) -> Json:
    chat: Json = {}
    match choice:
        case {"type": "tool", "name": name}:
            chat["tool_choice"] = {"type": "function", "function": {"name": name}}
        case {"type": "auto" | "any" | "none" as kind}:
            chat["tool_choice"] = {"auto": "auto", "any": "required", "none": "none"}[kind]
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False
    return chat


def _blocks(content: str | list[Json] | None) -> list[Json]:
    """A content as blocks of text, image and file, or of what only a message may have."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [plain for block in content or () for plain in _plain(block)]


def _plain(block: Json) -> Iterator[Json]:
    match block:
        case {"type": "document", "source": {"type": "base64"} as source}:
            yield from _texts(block.get("context"))
            yield {"type": "file", "name": block.get("title") or "document", "url": _data_url(source)}
        case {"type": "document", "source": {"type": "text" | "content"} as source}:
            # One of another source is left out whole: a title without its document would mislead.
            yield from _texts(block.get("title"), block.get("context"))
            match source["type"]:
                case "text":
                    yield from _texts(source["data"])
                case "content":
                    yield from _blocks(source.get("content"))
        case {"type": "search_result"}:
            yield from _texts(block.get("title"), block.get("source"))
            yield from _blocks(block.get("content"))
        case {"type": "image", "source": {"type": "base64"} as source}:
            yield {"type": "image", "url": _data_url(source)}
        case {"type": "image", "source": {"type": "url", "url": url}}:
            yield {"type": "image", "url": url}
        case {"type": "tool_result"}:
            yield {**block, "content": _result(block)}
        case {"type": "text" | "tool_use" | "thinking"}:
            yield block


def _texts(*texts: str | None) -> Iterator[Json]:
    return ({"type": "text", "text": text} for text in texts if text)


def _data_url(source: Json) -> str:
    return f"data:{source['media_type']};base64,{source['data']}"


def _result(block: Json) -> list[Json]:
    """What a result says, and that it is an error if it is one."""
    blocks = [dict(inner) for inner in _blocks(block.get("content"))]
    if block.get("is_error"):
        said = next((inner for inner in blocks if inner["type"] == "text" and inner["text"]), None)
        if said is None:
            blocks.append({"type": "text", "text": "Error"})
        elif "error" not in said["text"][:64].lower():
            said["text"] = f"Error: {said['text']}"
    return blocks


def _parts(blocks: Iterable[Json]) -> str | list[Json]:
    parts: list[Json] = []
    for block in blocks:
        match block:
            case {"type": "text", "text": text} if text:
                parts.append({"type": "text", "text": text})
            case {"type": "image", "url": url}:
                parts.append({"type": "image_url", "image_url": {"url": url}})
            case {"type": "file", "name": name, "url": url}:
                parts.append({"type": "file", "file": {"filename": name, "file_data": url}})
    match parts:
        case []:
            return ""
        case [{"type": "text", "text": str(text)}]:
            return text
    return parts


def _system(content: str | list[Json] | None) -> Iterator[Json]:
    texts = _without_billing(content)
    if texts:
        yield {"role": "system", "content": _parts(texts)}


def _without_billing(content: str | list[Json] | None) -> list[Json]:
    texts = [block["text"] for block in _blocks(content) if block["type"] == "text"]
    left = (text.partition("\n")[2] if text.startswith(BILLING) else text for text in texts)
    return list(_texts(*left))


def _messages(messages: list[Json]) -> Iterator[Json]:
    """Turns: assistant messages in a row, and all up to the next."""
    turn: list[Json] = []
    for message in messages:
        if message["role"] == "assistant" and turn and turn[-1]["role"] != "assistant":
            yield from _turn(turn)
            turn = []
        turn.append(message)
    yield from _turn(turn)


def _turn(turn: list[Json]) -> Iterator[Json]:
    answers = [message for message in turn if message["role"] == "assistant"]
    others = [(message, _blocks(message["content"])) for message in turn if message["role"] != "assistant"]
    calls: list[Json] = []
    if answers:
        blocks = [block for message in answers for block in _blocks(message["content"])]
        calls = [block for block in blocks if block["type"] == "tool_use"]
        yield _answer(blocks, calls)
    waiting = [block for message, blocks in others if message["role"] == "user" for block in blocks]
    taken: list[Json] = []
    for call in calls:
        result = next(
            (block for block in waiting if _answers(block, call) and not _is_in(block, taken)), None
        )
        said = NO_RESULT
        if result is not None:
            taken.append(result)
            said = "\n".join(block["text"] for block in result["content"] if block.get("text"))
        yield {"role": "tool", "tool_call_id": call["id"], "content": said}
    yield from _said(others, taken)


def _answers(block: Json, call: Json) -> bool:
    return bool(block["type"] == "tool_result" and block["tool_use_id"] == call["id"])


def _is_in(block: Json, blocks: list[Json]) -> bool:
    return any(block is other for other in blocks)


def _said(others: list[tuple[Json, list[Json]]], taken: list[Json]) -> Iterator[Json]:
    """What is said beside results: first what those show, with the first that a user says."""
    media = [block for result in taken for block in result["content"] if block["type"] != "text"]
    for message, blocks in others:
        if message["role"] != "user":
            texts = _without_billing(message["content"])
            if texts or not any(block.get("text", "").startswith(BILLING) for block in blocks):
                yield {"role": message["role"], "content": _parts(texts)}
            continue
        own: list[Json] = []
        for block in blocks:
            if not _is_in(block, taken):
                own += block["content"] if block["type"] == "tool_result" else [block]
        content = _parts([*media, *own])
        if content or not any(_is_in(block, taken) for block in blocks):
            yield {"role": "user", "content": content}
            media = []


def _answer(blocks: list[Json], calls: list[Json]) -> Json:
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    answer: Json = {"role": "assistant", "content": "".join(texts)}
    thoughts = [
        block["thinking"] for block in blocks if block["type"] == "thinking" and block.get("thinking")
    ]
    if thoughts:
        answer["reasoning_content"] = "\n\n".join(thoughts)
    if calls:
        answer["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call.get("input", {})},
            }
            for call in calls
        ]
    return answer
