"""What bodies of the clients' APIs say, as the conventions for generative AI write messages.

A message is `{"role": …, "parts": […]}`; a part is a `text`, `reasoning`, a `tool_call` or a
`tool_call_response`. Of pictures, sounds and files only the kind is told. Whatever is not as its API has it
is passed over: this is read after the request, and nobody is there to be told.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

Json: TypeAlias = Any
Message: TypeAlias = Mapping[str, Json]
Part: TypeAlias = dict[str, Json]

_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_NOTHING: Final[Mapping[str, Json]] = {}


class Asked(NamedTuple):
    """What a request says."""

    messages: list[Message]
    instructions: list[Part]
    """The system's, where an API has a place of its own for them: parts without a role."""
    tools: list[Json]


def input_of(api: str, body: bytes) -> Asked:
    """Of a request's body."""
    request = _object(_parsed(body))
    tools = _list(request.get("tools"))
    match api:
        case "chat":
            return Asked([_message(each) for each in _list(request.get("messages"))], [], tools)
        case "messages":
            messages = [_message(each) for each in _list(request.get("messages"))]
            return Asked(messages, _parts(request.get("system")), tools)
        case "responses":
            return Asked(_items(request.get("input")), _parts(request.get("instructions")), tools)
        case "completions":
            prompt = request.get("prompt")
            prompts = prompt if isinstance(prompt, list) else [prompt]
            return Asked([_said("user", _parts(each)) for each in prompts if isinstance(each, str)], [], [])
    return Asked([], [], [])


def output_of(api: str, body: bytes) -> list[Message]:
    """Of an answer's body: one that is whole, or a stream's events."""
    whole = _parsed(body)
    events = [] if isinstance(whole, dict) else list(_events(body))
    answer = _object(whole)
    match api:
        case "chat" | "completions":
            return _choices(answer) if answer else _streamed_choices(events)
        case "messages":
            return _of_message(answer) if answer else _streamed_message(events)
        case "responses":
            last = [each["response"] for each in events if isinstance(each.get("response"), dict)]
            return _of_response(answer or (last[-1] if last else {}))
    return []


def _parsed(body: bytes) -> Json:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _events(body: bytes) -> Iterator[dict[str, Json]]:
    for line in body.split(b"\n"):
        if line.startswith(b"data:") and isinstance(event := _parsed(line[5:]), dict):
            yield event


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else _NOTHING


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _said(role: Json, parts: list[Part], finish_reason: Json = None) -> Message:
    message = {"role": role if isinstance(role, str) else "assistant", "parts": parts}
    return message if finish_reason is None else {**message, "finish_reason": finish_reason}


def _message(value: Json) -> Message:
    """Of chat, and of Messages."""
    message = _object(value)
    parts = _parts(message.get("reasoning_content"), "reasoning")
    if message.get("role") == "tool":
        return _said("tool", [*parts, _result(message.get("tool_call_id"), message.get("content"))])
    parts += _parts(message.get("content"))
    parts += [_call(each) for each in _list(message.get("tool_calls"))]
    return _said(message.get("role"), parts)


def _parts(content: Json, kind: str = "text") -> list[Part]:
    if isinstance(content, str):
        return [{"type": kind, "content": content}] if content else []
    return [_part(each) for each in _list(content)]


def _part(value: Json) -> Part:
    part = _object(value)
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "content": part.get("text")}
    match kind:
        case "thinking":
            return {"type": "reasoning", "content": part.get("thinking")}
        case "tool_use":
            return _called(part.get("id"), part.get("name"), part.get("input"))
        case "tool_result":
            return _result(part.get("tool_use_id"), part.get("content"))
    return {"type": kind if isinstance(kind, str) else "unknown"}


def _call(value: Json) -> Part:
    call = _object(value)
    function = _object(call.get("function"))
    return _called(call.get("id"), function.get("name"), function.get("arguments"))


def _called(call_id: Json, name: Json, arguments: Json) -> Part:
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def _result(call_id: Json, result: Json) -> Part:
    return {"type": "tool_call_response", "id": call_id, "result": result}


def _items(value: Json) -> list[Message]:
    """Of Responses: a text, or items."""
    if isinstance(value, str):
        return [_said("user", _parts(value))]
    return [_item(_object(each)) for each in _list(value)]


def _item(item: Mapping[str, Json]) -> Message:
    match item.get("type"):
        case "function_call" | "custom_tool_call":
            arguments = item.get("arguments", item.get("input"))
            return _said("assistant", [_called(item.get("call_id"), item.get("name"), arguments)])
        case "function_call_output" | "custom_tool_call_output":
            return _said("tool", [_result(item.get("call_id"), item.get("output"))])
        case "reasoning":
            texts = [*_list(item.get("summary")), *_list(item.get("content"))]
            return _said(
                "assistant", [{"type": "reasoning", "content": _object(e).get("text")} for e in texts]
            )
    return _said(item.get("role"), _parts(item.get("content")))


def _choices(answer: Mapping[str, Json]) -> list[Message]:
    choices = [_object(each) for each in _list(answer.get("choices"))]
    return [
        {
            **_message(each.get("message", {"role": "assistant", "content": each.get("text")})),
            "finish_reason": each.get("finish_reason"),
        }
        for each in choices
    ]


class _Choice:
    """One choice of a stream, put together from its deltas."""

    def __init__(self) -> None:
        self.texts = {"reasoning": "", "text": ""}
        self.calls: dict[Json, dict[str, str]] = {}
        self.finish_reason: Json = None

    def add(self, choice: Mapping[str, Json]) -> None:
        delta = _object(choice.get("delta"))
        said = {"text": delta.get("content", choice.get("text")), "reasoning": delta.get("reasoning_content")}
        for kind, text in said.items():
            self.texts[kind] += text if isinstance(text, str) else ""
        for value in _list(delta.get("tool_calls")):
            call, function = _object(value), _object(_object(value).get("function"))
            known = self.calls.setdefault(str(call.get("index")), {"id": "", "name": "", "arguments": ""})
            for name, text in {"id": call.get("id"), **function}.items():
                if name in known and isinstance(text, str):
                    known[name] += text
        self.finish_reason = choice.get("finish_reason") or self.finish_reason

    def message(self) -> Message:
        parts = [part for kind, text in self.texts.items() for part in _parts(text, kind)]
        calls = [_called(each["id"], each["name"], each["arguments"]) for each in self.calls.values()]
        return _said("assistant", [*parts, *calls], self.finish_reason)


def _streamed_choices(events: list[dict[str, Json]]) -> list[Message]:
    choices: dict[str, _Choice] = {}
    for event in events:
        for value in _list(event.get("choices")):
            choice = _object(value)
            choices.setdefault(str(choice.get("index")), _Choice()).add(choice)
    return [choice.message() for choice in choices.values()]


def _of_message(answer: Mapping[str, Json]) -> list[Message]:
    if answer.get("type") != "message":
        return []
    return [_said("assistant", _parts(answer.get("content")), answer.get("stop_reason"))]


_DELTAS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_MEMBERS: Final = {"text": "text", "thinking": "thinking", "tool_use": "input"}


def _streamed_message(events: list[dict[str, Json]]) -> list[Message]:
    blocks: dict[str, dict[str, Json]] = {}
    reason: Json = None
    for event in events:
        delta = _object(event.get("delta"))
        match event.get("type"):
            case "content_block_start":
                block = dict(_object(event.get("content_block")))
                member = _MEMBERS.get(str(block.get("type")))
                if member is not None:
                    block[member] = text if isinstance(text := block.get(member), str) else ""
                blocks[str(event.get("index"))] = block
            case "content_block_delta":
                block = blocks.get(str(event.get("index")), {})
                member = _MEMBERS.get(str(block.get("type")))
                text = delta.get(_DELTAS.get(str(delta.get("type")), ""))
                if member is not None and isinstance(text, str):
                    block[member] += text
            case "message_delta":
                reason = delta.get("stop_reason") or reason
    return [_said("assistant", _parts(list(blocks.values())), reason)] if blocks else []


def _of_response(answer: Mapping[str, Json]) -> list[Message]:
    messages = [_item(_object(each)) for each in _list(answer.get("output"))]
    parts = [part for message in messages for part in message["parts"]]
    return [_said("assistant", parts, answer.get("status"))] if parts else []
