"""How MiniMax's OpenAI-compatible endpoint behaves.

`minimax-m2` always thinks. `minimax-m3` has `thinking: {"type": "adaptive" | "disabled"}`, adaptive by
default, which here means that it thinks. With `reasoning_split: true` the reasoning comes in
`reasoning_details[].text`, else as `<think>…</think>` inside the content. The first delta has `role: ""`.
The chunk with the finish reason has `delta: null`, a `message` instead, and the usage.
"""

from collections.abc import Iterator
from typing import ClassVar

from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError, Thinking
from llmgw.simulator.native.api import NativeApi
from llmgw.simulator.native.minimax import MiniMaxMessages
from llmgw.simulator.provider import Provider, tool_call
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.turn import CallArguments, CallStart, Content, Piece, Reasoning, Turn

_TYPES = {
    Refusal.INVALID_KEY: ("authorized_error", "1004"),
    Refusal.INVALID_REQUEST: ("bad_request_error", "2013"),
    Refusal.MODEL_NOT_FOUND: ("bad_request_error", "2013"),
    Refusal.RATE_LIMITED: ("rate_limit_error", "1002"),
    Refusal.SERVER_ERROR: ("server_error", "1000"),
}
_NAME = "MiniMax AI"
_OPEN = "<think>\n"
_CLOSE = "\n</think>\n\n"


class MiniMax(Provider):
    """See the module."""

    name: ClassVar[str] = "minimax"
    owner: ClassVar[str] = "minimax"
    models: ClassVar[tuple[Model, ...]] = (
        Model("minimax-m3", "minimax", Thinking.ON, images=True, context_window=1_000_000),
        Model("minimax-m2", "minimax", Thinking.ALWAYS, context_window=204_800),
    )
    native: ClassVar[tuple[NativeApi, ...]] = (MiniMaxMessages(),)

    def check_messages(self, request: ChatRequest) -> None:
        """MiniMax does not know `developer`."""
        if request.role_at("developer") is not None:
            raise RefusalError(Refusal.INVALID_REQUEST, "invalid params, invalid role: developer")

    def thinking(self, request: ChatRequest, model: Model) -> bool:
        """M2: always. M3: the object, else on."""
        if model.thinking is Thinking.ALWAYS:
            return True
        kind = request.thinking_type()
        if kind not in (None, "adaptive", "disabled"):
            raise RefusalError(
                Refusal.INVALID_REQUEST, "invalid params, thinking.type must be adaptive or disabled"
            )
        return kind != "disabled"

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """The body repeats the status as a string; the message ends with the code in brackets."""
        kind, code = _TYPES[refusal.kind]
        return {
            "type": "error",
            "error": {
                "type": kind,
                "message": f"{refusal.message} ({refusal.code or code})",
                "http_code": str(refusal.status),
            },
            "request_id": token,
        }

    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """An empty role first, a null delta last."""
        for choice in range(len(turn.answers)):
            opening = {"role": "", "content": "", "name": _NAME, "audio_content": ""}
            idle = {"total_tokens": 0, "total_characters": 0}
            yield _chunk(turn, {"index": choice, "delta": opening}, idle)
        open_choices = len(turn.answers)
        inside_think: set[int] = set()
        for choice, piece in turn.pieces():
            if not _split(turn):
                for text in _tags(choice, piece, inside_think):
                    yield _said(turn, choice, {"content": text})
            delta = _delta(turn, choice, piece)
            if delta is not None:
                yield _said(turn, choice, delta)
                continue
            open_choices -= 1
            message = {"role": "assistant", "content": "", "name": _NAME, "audio_content": ""}
            reason = turn.answers[choice].finish_reason
            last = {"finish_reason": reason, "index": choice, "delta": None, "message": message}
            yield _chunk(turn, last, None if open_choices else _usage(turn))

    def completion(self, turn: Turn) -> JsonObject:
        """The reasoning in `reasoning_details`, or inside the content."""
        choices = []
        for index, answer in enumerate(turn.answers):
            inline = f"{_OPEN}{answer.reasoning}{_CLOSE}" if answer.reasoning and not _split(turn) else ""
            said: JsonObject = {
                "content": inline + answer.content,
                "role": "assistant",
                "name": _NAME,
                "audio_content": "",
            }
            if answer.reasoning and not inline:
                said["reasoning_details"] = [_detail(answer.reasoning)]
            if answer.tool_calls:
                calls = enumerate(answer.tool_calls)
                said["tool_calls"] = [tool_call(i, _call_id(turn, index, i), call) for i, call in calls]
            choices.append({"finish_reason": answer.finish_reason, "index": index, "message": said})
        return {
            "id": turn.token,
            "choices": choices,
            "created": turn.created_s,
            "model": turn.model.id,
            "object": "chat.completion",
            "usage": _usage(turn),
            "input_sensitive": False,
            "output_sensitive": False,
            "base_resp": {"status_code": 0, "status_msg": ""},
        }


def _split(turn: Turn) -> bool:
    split = turn.request.body.get("reasoning_split")
    return isinstance(split, bool) and split


def _tags(choice: int, piece: Piece, inside_think: set[int]) -> Iterator[str]:
    """The tag to send before this piece. A choice that is cut while it thinks gets no closing tag."""
    if isinstance(piece, Reasoning) and choice not in inside_think:
        inside_think.add(choice)
        yield _OPEN
    elif isinstance(piece, Content | CallStart) and choice in inside_think:
        inside_think.remove(choice)
        yield _CLOSE


def _delta(turn: Turn, choice: int, piece: Piece) -> JsonObject | None:
    """None: the choice is complete."""
    match piece:
        case Reasoning(text):
            return (
                {"content": "", "reasoning_details": [_detail(text)]} if _split(turn) else {"content": text}
            )
        case Content(text):
            return {"content": text}
        case CallStart(index, call):
            whole = tool_call(index, _call_id(turn, choice, index), call)
            whole["function"]["arguments"] = ""
            return {"content": "", "tool_calls": [whole]}
        case CallArguments(index, text):
            return {"content": "", "tool_calls": [{"index": index, "function": {"arguments": text}}]}
    return None


def _detail(text: str) -> JsonObject:
    return {
        "type": "reasoning.text",
        "id": "reasoning-text-1",
        "format": "MiniMax-response-v1",
        "index": 0,
        "text": text,
    }


def _call_id(turn: Turn, choice: int, index: int) -> str:
    return f"call_function_{turn.token[:12]}{choice}_{index + 1}"


def _said(turn: Turn, choice: int, delta: JsonObject) -> JsonObject:
    said = {"role": "assistant", "name": _NAME, "audio_content": "", **delta}
    return _chunk(turn, {"index": choice, "delta": said}, None)


def _chunk(turn: Turn, choice: JsonObject, usage: JsonObject | None) -> JsonObject:
    return {
        "id": turn.token,
        "choices": [choice],
        "created": turn.created_s,
        "model": turn.model.id,
        "object": "chat.completion.chunk",
        "usage": usage,
        "input_sensitive": False,
        "output_sensitive": False,
    }


def _usage(turn: Turn) -> JsonObject:
    return {
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
        "total_characters": 0,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
        "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
    }
