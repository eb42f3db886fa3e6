"""How GLM on Z.AI behaves.

Switch: `thinking: {"type": "enabled" | "disabled"}`, on by default; `glm-5-flash` always thinks and refuses
`disabled` with code 1210. Every delta has the role; only the last chunk has `finish_reason` and the
usage. A tool call comes in one piece unless `tool_stream` is true. The only limit is `max_tokens`.
"""

import time
from collections.abc import Iterator
from typing import ClassVar

from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError, Thinking
from llmgw.simulator.native.api import NativeApi
from llmgw.simulator.native.others import GlmMessages
from llmgw.simulator.provider import Provider, message, tool_call
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.turn import CallArguments, CallStart, Content, Piece, Reasoning, Turn

_CODES = {
    Refusal.INVALID_KEY: "401",
    Refusal.INVALID_REQUEST: "1210",
    Refusal.MODEL_NOT_FOUND: "1211",
    Refusal.RATE_LIMITED: "1302",
    Refusal.SERVER_ERROR: "500",
}


class Glm(Provider):
    """See the module."""

    name: ClassVar[str] = "glm"
    owner: ClassVar[str] = "z-ai"
    models: ClassVar[tuple[Model, ...]] = (
        Model("glm-5", "glm", Thinking.ON, context_window=204_800),
        Model("glm-4.6v", "glm", Thinking.ON, images=True, context_window=131_072),
        Model("glm-5-flash", "glm", Thinking.ALWAYS, context_window=204_800),
    )
    limits: ClassVar[tuple[str, ...]] = ("max_tokens",)
    native: ClassVar[tuple[NativeApi, ...]] = (GlmMessages(),)

    def check_messages(self, request: ChatRequest) -> None:
        """GLM knows neither `developer` nor empty text parts."""
        if (index := request.role_at("developer")) is not None:
            raise RefusalError(Refusal.INVALID_REQUEST, f"messages[{index}].role: developer", code="1214")
        if (at := request.empty_text_at()) is not None:
            message = f"messages[{at[0]}].content[{at[1]}].text cannot be empty"
            raise RefusalError(Refusal.INVALID_REQUEST, message, code="1214")

    def thinking(self, request: ChatRequest, model: Model) -> bool:
        """The object, else on."""
        kind = request.thinking_type()
        refused = model.thinking is Thinking.ALWAYS and kind == "disabled"
        if refused or kind not in (None, "enabled", "disabled"):
            raise RefusalError(
                Refusal.INVALID_REQUEST,
                "Invalid API parameter, please check the documentation.",
                code="1210",
            )
        return kind != "disabled"

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """A code of digits and a message, nothing else."""
        del token
        return {"error": {"code": refusal.code or _CODES[refusal.kind], "message": refusal.message}}

    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """Role everywhere."""
        in_pieces = turn.request.body.get("tool_stream") is True
        open_choices = len(turn.answers)
        for choice, piece in turn.pieces():
            if isinstance(piece, CallArguments) and not in_pieces:
                continue
            delta = _delta(turn, choice, piece, in_pieces=in_pieces)
            if delta is not None:
                yield _chunk(turn, {"index": choice, "delta": {"role": "assistant", **delta}})
                continue
            open_choices -= 1
            reason = turn.answers[choice].finish_reason
            last = {"index": choice, "finish_reason": reason, "delta": {"role": "assistant", "content": ""}}
            yield _chunk(turn, last) if open_choices else {**_chunk(turn, last), "usage": _usage(turn)}

    def completion(self, turn: Turn) -> JsonObject:
        """The message has the reasoning in `reasoning_content`."""
        choices = []
        for index, answer in enumerate(turn.answers):
            reasoning = {"reasoning_content": answer.reasoning} if turn.thinking else {}
            calls = [tool_call(i, _call_id(turn, index, i), c) for i, c in enumerate(answer.tool_calls)]
            said = message(answer.content, reasoning, calls)
            choices.append({"finish_reason": answer.finish_reason, "index": index, "message": said})
        return {
            "choices": choices,
            "created": turn.created_s,
            "id": _id(turn),
            "model": turn.model.id,
            "object": "chat.completion",
            "request_id": _id(turn),
            "usage": _usage(turn),
        }


def _delta(turn: Turn, choice: int, piece: Piece, *, in_pieces: bool) -> JsonObject | None:
    """None: the choice is complete."""
    match piece:
        case Reasoning(text):
            return {"reasoning_content": text}
        case Content(text):
            return {"content": text}
        case CallStart(index, call):
            whole = tool_call(index, _call_id(turn, choice, index), call)
            if in_pieces:
                whole["function"]["arguments"] = ""
            return {"tool_calls": [whole]}
        case CallArguments(index, text):
            return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
    return None


def _id(turn: Turn) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(turn.created_s)) + turn.token[:16]


def _call_id(turn: Turn, choice: int, index: int) -> str:
    return f"call_{int(turn.token[:14], 16)}{choice}{index:02}"


def _chunk(turn: Turn, choice: JsonObject) -> JsonObject:
    return {
        "id": _id(turn),
        "created": turn.created_s,
        "object": "chat.completion.chunk",
        "model": turn.model.id,
        "choices": [choice],
    }


def _usage(turn: Turn) -> JsonObject:
    return {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
    }
