"""Anthropic's Messages, as the providers have it: blocks in, blocks out.

The order of events is Anthropic's: `message_start`, `ping`, each block with its start, deltas and stop,
`message_delta` with the usage, `message_stop`. A thinking block ends with a signature of the provider's own.
"""

import json
from abc import abstractmethod
from collections.abc import Iterator

from llmgw.simulator.model import JsonObject, Refusal, RefusalError
from llmgw.simulator.native.api import NativeApi, event, objects
from llmgw.simulator.turn import CallArguments, CallStart, Content, Finish, Reasoning, Turn

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_TYPES = {
    Refusal.INVALID_KEY: "authentication_error",
    Refusal.INVALID_REQUEST: "invalid_request_error",
    Refusal.MODEL_NOT_FOUND: "not_found_error",
    Refusal.RATE_LIMITED: "rate_limit_error",
    Refusal.SERVER_ERROR: "api_error",
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class Messages(NativeApi):
    """What the providers' Messages have in common."""

    @abstractmethod
    def signature(self, turn: Turn) -> str:
        """What the provider signs a thinking block with."""

    def unknown_role(self, index: int, role: str) -> RefusalError:
        """How a role that is neither user, assistant nor system is refused."""
        return RefusalError(Refusal.INVALID_REQUEST, f'messages.{index}: Unexpected role "{role}"')

    def message_id(self, turn: Turn) -> str:
        """The answer's id."""
        return f"msg_{turn.token}"

    def read(self, body: JsonObject, chat: JsonObject) -> list[JsonObject]:
        """`max_tokens` is required, as at Anthropic."""
        if not isinstance(body.get("max_tokens"), int):
            raise RefusalError(Refusal.INVALID_REQUEST, "max_tokens: Field required")
        said = body.get("messages")
        if not isinstance(said, list) or not said or not all(isinstance(m, dict) for m in said):
            raise RefusalError(Refusal.INVALID_REQUEST, "messages: at least one message is required")
        _settings(body, chat)
        messages: list[JsonObject] = []
        if text := _text(body.get("system")):
            messages.append({"role": "system", "content": text})
        for index, message in enumerate(said):
            role = message.get("role")
            if role not in ("user", "assistant", "system"):
                raise self.unknown_role(index, str(role))
            messages.extend(_assistant(message) if role == "assistant" else _others(message, role))
        return messages

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """Anthropic's shape."""
        kind = "overloaded_error" if refusal.status == 529 else _TYPES[refusal.kind]  # noqa: PLR2004 - its own
        said = {"type": refusal.code or kind, "message": refusal.message}
        return {"type": "error", "error": said, "request_id": f"req_{token}"}

    def broken(self, turn: Turn, refusal: RefusalError, sent: int) -> bytes:
        """`event: error`, and no `message_stop`."""
        del sent
        said = {"type": "overloaded_error", "message": refusal.message}
        return event({"type": "error", "error": said, "request_id": f"req_{turn.token}"})

    def events(self, turn: Turn) -> Iterator[bytes]:
        """One block open at a time."""
        yield event({"type": "message_start", "message": self._message(turn, [], None, 0)})
        yield event({"type": "ping"})
        index, kind = -1, ""
        for _, piece in turn.pieces():
            if kind and (_kind(piece) != kind or isinstance(piece, CallStart | Finish)):
                if kind == "thinking":
                    yield _delta(index, {"type": "signature_delta", "signature": self.signature(turn)})
                yield event({"type": "content_block_stop", "index": index})
                kind = ""
            if isinstance(piece, Finish):
                yield from self._end(turn, piece.reason)
                return
            if not kind:
                index, kind = index + 1, _kind(piece)
                block = self._opening(turn, piece)
                yield event({"type": "content_block_start", "index": index, "content_block": block})
            if not isinstance(piece, CallStart):
                yield _delta(index, _said(piece))

    def whole(self, turn: Turn) -> JsonObject:
        """One `message`."""
        answer = turn.answers[0]
        blocks: list[JsonObject] = []
        if answer.reasoning:
            signed = {"thinking": answer.reasoning, "signature": self.signature(turn)}
            blocks.append({"type": "thinking", **signed})
        if answer.content:
            blocks.append({"type": "text", "text": answer.content})
        for index, call in enumerate(answer.tool_calls):
            blocks.append({**_tool_use(turn, index, call.name), "input": json.loads(call.arguments)})
        return self._message(turn, blocks, answer.finish_reason, turn.completion_tokens)

    def _opening(self, turn: Turn, piece: object) -> JsonObject:
        match piece:
            case Reasoning():
                return {"type": "thinking", "thinking": "", "signature": ""}
            case CallStart(index, call):
                return {**_tool_use(turn, index, call.name), "input": {}}
        return {"type": "text", "text": ""}

    def _end(self, turn: Turn, reason: str) -> Iterator[bytes]:
        said = {"stop_reason": _STOP_REASONS[reason], "stop_sequence": None}
        usage = _usage(turn, turn.completion_tokens)
        yield event({"type": "message_delta", "delta": said, "usage": usage})
        yield event({"type": "message_stop"})

    def _message(self, turn: Turn, content: list[JsonObject], finish: str | None, output: int) -> JsonObject:
        return {
            "id": self.message_id(turn),
            "type": "message",
            "role": "assistant",
            "model": turn.model.id,
            "content": content,
            "stop_reason": _STOP_REASONS[finish] if finish else None,
            "stop_sequence": None,
            "usage": _usage(turn, output),
        }


def thinking_type(body: JsonObject) -> object:
    """`thinking.type`; None if there is no `thinking` object."""
    thinking = body.get("thinking")
    return thinking.get("type") if isinstance(thinking, dict) else None


def answers_without_thinking(body: JsonObject, *, calls_only: bool) -> list[int]:
    """Indices of assistant messages without a thinking block that has a signature, however empty that is."""
    found = []
    for index, message in enumerate(objects(body.get("messages"))):
        blocks = objects(message.get("content"))
        if message.get("role") != "assistant":
            continue
        if calls_only and not any(block.get("type") == "tool_use" for block in blocks):
            continue
        if not any(block.get("type") == "thinking" and "signature" in block for block in blocks):
            found.append(index)
    return found


def _settings(body: JsonObject, chat: JsonObject) -> None:
    chat["max_tokens"] = body["max_tokens"]
    if isinstance(body.get("stop_sequences"), list):
        chat["stop"] = body["stop_sequences"]
    config = body.get("output_config")
    if isinstance(config, dict) and "effort" in config:
        chat["reasoning_effort"] = config["effort"]
    # Tools with a `type` of their own run at the provider.
    tools = [tool for tool in objects(body.get("tools")) if tool.get("type") in (None, "custom")]
    chat["tools"] = [{"function": {**tool, "parameters": tool.get("input_schema")}} for tool in tools]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        named = {"function": {"name": choice.get("name")}}
        chat["tool_choice"] = _CHOICES.get(str(choice.get("type")), named)
        chat["parallel_tool_calls"] = choice.get("disable_parallel_tool_use") is not True


def _assistant(message: JsonObject) -> list[JsonObject]:
    blocks = objects(message.get("content"))
    thought = "".join(str(block.get("thinking", "")) for block in blocks if block.get("type") == "thinking")
    calls = [{"id": b.get("id"), "type": "function"} for b in blocks if b.get("type") == "tool_use"]
    said: JsonObject = {"role": "assistant", "content": _text(message.get("content"))}
    return [{**said, "reasoning_content": thought, **({"tool_calls": calls} if calls else {})}]


def _others(message: JsonObject, role: str) -> Iterator[JsonObject]:
    """Results of tools as messages of their own, before the rest."""
    content = message.get("content")
    rest: list[JsonObject] = []
    for block in objects(content):
        if block.get("type") == "tool_result":
            result = _text(block.get("content"))
            yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": result}
        elif block.get("type") == "image":
            rest.append({"type": "image_url", "image_url": {"url": _image(block)}})
        elif block.get("type") == "text":
            rest.append(block)
    if isinstance(content, str):
        yield {"role": role, "content": content}
    elif rest:
        yield {"role": role, "content": rest}


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    return " ".join(str(block.get("text", "")) for block in objects(content) if block.get("type") == "text")


def _image(block: JsonObject) -> str:
    source = block.get("source")
    return str(source.get("url") or source.get("media_type")) if isinstance(source, dict) else ""


def _kind(piece: object) -> str:
    match piece:
        case Reasoning():
            return "thinking"
        case CallStart() | CallArguments():
            return "tool_use"
    return "text"


def _said(piece: object) -> JsonObject:
    match piece:
        case Reasoning(text):
            return {"type": "thinking_delta", "thinking": text}
        case CallArguments(_, text):
            return {"type": "input_json_delta", "partial_json": text}
        case Content(text):
            return {"type": "text_delta", "text": text}
    return {}


def _delta(index: int, delta: JsonObject) -> bytes:
    return event({"type": "content_block_delta", "index": index, "delta": delta})


def _tool_use(turn: Turn, index: int, name: str) -> JsonObject:
    return {"type": "tool_use", "id": f"call_{index:02}_{turn.token[:24]}", "name": name}


def _usage(turn: Turn, output: int) -> JsonObject:
    """`input_tokens` are those that no cache had."""
    return {
        "input_tokens": turn.prompt_tokens - turn.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": turn.cached_tokens,
        "output_tokens": output,
    }
