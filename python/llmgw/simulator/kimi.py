"""How Kimi on Moonshot AI behaves.

Switch: `thinking: {"type": "enabled" | "disabled"}`, on by default; `kimi-k2-thinking` always thinks. A
`thinking` that is not an object is refused. While it is on, an assistant message with tool calls must
include its reasoning. The choice of the last chunk has the usage, with `cached_tokens` at its top level.
"""

from collections.abc import Iterator
from typing import ClassVar

from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError, Thinking
from llmgw.simulator.native.api import NativeApi
from llmgw.simulator.native.others import KimiMessages
from llmgw.simulator.provider import Provider, message, tool_call
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.turn import CallArguments, CallStart, Content, Piece, Reasoning, Turn

_FINGERPRINT = "fpv0_simulated"
_TYPES = {
    Refusal.INVALID_KEY: "invalid_authentication_error",
    Refusal.INVALID_REQUEST: "invalid_request_error",
    Refusal.MODEL_NOT_FOUND: "resource_not_found_error",
    Refusal.RATE_LIMITED: "rate_limit_reached_error",
    Refusal.SERVER_ERROR: "server_error",
}


class Kimi(Provider):
    """See the module."""

    name: ClassVar[str] = "kimi"
    owner: ClassVar[str] = "moonshot"
    models: ClassVar[tuple[Model, ...]] = (
        Model("kimi-k2.6", "kimi", Thinking.ON, images=True, context_window=262_144),
        Model("kimi-k2-thinking", "kimi", Thinking.ALWAYS, context_window=262_144),
    )
    native: ClassVar[tuple[NativeApi, ...]] = (KimiMessages(),)

    def check_messages(self, request: ChatRequest) -> None:
        """Kimi does not know `developer`."""
        if request.role_at("developer") is not None:
            raise RefusalError(Refusal.INVALID_REQUEST, "role 'developer' is not allowed")

    def thinking(self, request: ChatRequest, model: Model) -> bool:
        """The object, else on."""
        given = request.body.get("thinking")
        if given is not None and not isinstance(given, dict):
            raise RefusalError(Refusal.INVALID_REQUEST, "invalid thinking: must be an object with a type")
        kind = request.thinking_type()
        if kind not in (None, "enabled", "disabled"):
            raise RefusalError(
                Refusal.INVALID_REQUEST, "invalid thinking type: only enabled or disabled is allowed"
            )
        thinking = kind != "disabled" or model.thinking is Thinking.ALWAYS
        index = request.tool_call_without_reasoning()
        if thinking and index is not None:
            raise RefusalError(
                Refusal.INVALID_REQUEST,
                "thinking is enabled but reasoning_content is missing "
                f"in assistant tool call message at index {index}",
            )
        return thinking

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """A message and a type."""
        del token
        return {"error": {"message": refusal.message, "type": refusal.code or _TYPES[refusal.kind]}}

    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """Role in the first delta; the usage at the last choice that finishes."""
        for choice in range(len(turn.answers)):
            yield _chunk(
                turn, {"index": choice, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
            )
        open_choices = len(turn.answers)
        for choice, piece in turn.pieces():
            delta = _delta(turn, choice, piece)
            if delta is not None:
                yield _chunk(turn, {"index": choice, "delta": delta, "finish_reason": None})
                continue
            open_choices -= 1
            last: JsonObject = {
                "index": choice,
                "delta": {},
                "finish_reason": turn.answers[choice].finish_reason,
            }
            yield _chunk(turn, last if open_choices else {**last, "usage": _usage(turn)})

    def completion(self, turn: Turn) -> JsonObject:
        """The message has the reasoning in `reasoning_content`."""
        choices = []
        for index, answer in enumerate(turn.answers):
            reasoning = {"reasoning_content": answer.reasoning} if turn.thinking else {}
            calls = [tool_call(i, _call_id(turn, index, i), c) for i, c in enumerate(answer.tool_calls)]
            said = message(answer.content, reasoning, calls)
            choices.append({"index": index, "message": said, "finish_reason": answer.finish_reason})
        return {
            "id": _id(turn),
            "object": "chat.completion",
            "created": turn.created_s,
            "model": turn.model.id,
            "choices": choices,
            "usage": _usage(turn),
        }


def _delta(turn: Turn, choice: int, piece: Piece) -> JsonObject | None:
    """None: the choice is complete."""
    match piece:
        case Reasoning(text):
            return {"reasoning_content": text}
        case Content(text):
            return {"content": text}
        case CallStart(index, call):
            function = {"name": call.name, "arguments": ""}
            call_id = _call_id(turn, choice, index)
            return {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}
        case CallArguments(index, text):
            return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
    return None


def _id(turn: Turn) -> str:
    return f"chatcmpl-{turn.token[:24]}"


def _call_id(turn: Turn, choice: int, index: int) -> str:
    """Kimi counts the calls of a conversation, so an id is unique in it and in no other."""
    name = turn.answers[choice].tool_calls[index].name
    return f"functions.{name}:{turn.request.earlier_calls + index}"


def _chunk(turn: Turn, choice: JsonObject) -> JsonObject:
    return {
        "id": _id(turn),
        "object": "chat.completion.chunk",
        "created": turn.created_s,
        "model": turn.model.id,
        "choices": [choice],
        "system_fingerprint": _FINGERPRINT,
    }


def _usage(turn: Turn) -> JsonObject:
    return {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
        "cached_tokens": turn.cached_tokens,
        "completion_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
    }
