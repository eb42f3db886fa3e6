"""How DeepSeek's hosted API behaves.

Switch: `thinking: {"type": "enabled" | "disabled"}`, as DeepSeek documents it, and also the directive at the
end of the last user message (` /think`, ` /no_think`), so that both ways of configuring a gateway can be
tried here. If both are given, the directive wins. On by default. While it is on, every assistant message of a
request with `tools` must include its reasoning, whether it called any or not; without `tools` only those that
called some. The chunk with the finish reason has the usage. Comments are sent while a request waits.
The only limit is `max_tokens`.
"""

import re
from collections.abc import Iterator
from typing import ClassVar

from llmgw.simulator.completion import FillInTheMiddle, TextCompletions
from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError, Thinking
from llmgw.simulator.native.api import NativeApi
from llmgw.simulator.native.deepseek import DeepSeekMessages, DeepSeekResponses
from llmgw.simulator.provider import Provider, message, tool_call
from llmgw.simulator.request import ChatRequest, text_of
from llmgw.simulator.turn import CallArguments, CallStart, Content, Piece, Reasoning, Turn, as_uuid

_DIRECTIVE = re.compile(r"(?:^|\s)/(no_)?think\s*$")
_FINGERPRINT = "fp_simulated"
_TYPES = {
    Refusal.INVALID_KEY: ("authentication_error", "invalid_request_error"),
    Refusal.INVALID_REQUEST: ("invalid_request_error", "invalid_request_error"),
    Refusal.MODEL_NOT_FOUND: ("invalid_request_error", "invalid_request_error"),
    Refusal.RATE_LIMITED: ("rate_limit_error", "rate_limit_error"),
    Refusal.SERVER_ERROR: ("internal_error", "internal_error"),
}


class DeepSeek(Provider):
    """See the module."""

    name: ClassVar[str] = "deepseek"
    owner: ClassVar[str] = "deepseek"
    models: ClassVar[tuple[Model, ...]] = (
        Model("deepseek-v4-pro", "deepseek", Thinking.ON, context_window=1_000_000),
        Model("deepseek-v4-flash", "deepseek", Thinking.ON, context_window=1_000_000),
    )
    waits_with_comments: ClassVar[bool] = True
    limits: ClassVar[tuple[str, ...]] = ("max_tokens",)
    text_completions: ClassVar[TextCompletions | None] = FillInTheMiddle()
    native: ClassVar[tuple[NativeApi, ...]] = (DeepSeekMessages(), DeepSeekResponses())

    def check_messages(self, request: ChatRequest) -> None:
        """DeepSeek does not know `developer`."""
        if (index := request.role_at("developer")) is not None:
            raise RefusalError(
                Refusal.INVALID_REQUEST,
                f"Failed to deserialize the JSON body into the target type: messages[{index}].role: "
                "unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`",
            )

    def thinking(self, request: ChatRequest, model: Model) -> bool:
        """The directive, else the object, else on."""
        kind = request.thinking_type()
        if kind not in (None, "enabled", "disabled"):
            raise RefusalError(Refusal.INVALID_REQUEST, "thinking.type must be `enabled` or `disabled`")
        directive = _DIRECTIVE.search(_directed(request))
        thinking = directive.group(1) is None if directive else kind != "disabled"
        if thinking and _lacks_reasoning(request):
            raise RefusalError(
                Refusal.INVALID_REQUEST,
                "The reasoning_content in the thinking mode must be passed back to the API.",
            )
        return thinking and model.thinking is not Thinking.OFF

    def question(self, request: ChatRequest) -> str:
        """Without the directive."""
        return _DIRECTIVE.sub("", request.question)

    def model(self, request: ChatRequest) -> Model:
        """DeepSeek answers 400 to an unknown model."""
        try:
            return super().model(request)
        except RefusalError:
            raise RefusalError(Refusal.INVALID_REQUEST, "Model Not Exist") from None

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """OpenAI's shape."""
        del token
        kind, code = _TYPES[refusal.kind]
        return {
            "error": {"message": refusal.message, "type": kind, "param": None, "code": refusal.code or code}
        }

    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """Role in the first delta; the usage with the finish reason of the last choice."""
        for choice in range(len(turn.answers)):
            opening: JsonObject = {"role": "assistant", "content": None if turn.thinking else ""}
            if turn.thinking:
                opening["reasoning_content"] = ""
            yield _chunk(turn, _choice(choice, opening))
        open_choices = len(turn.answers)
        for choice, piece in turn.pieces():
            delta = _delta(turn, choice, piece)
            if delta is not None:
                yield _chunk(turn, _choice(choice, delta))
                continue
            open_choices -= 1
            last: JsonObject = (
                {"content": "", "reasoning_content": None} if turn.thinking else {"content": ""}
            )
            reason = turn.answers[choice].finish_reason
            yield _chunk(turn, _choice(choice, last, reason), None if open_choices else _usage(turn))

    def completion(self, turn: Turn) -> JsonObject:
        """The message has the reasoning in `reasoning_content`."""
        choices = []
        for index, answer in enumerate(turn.answers):
            reasoning = {"reasoning_content": answer.reasoning} if turn.thinking else {}
            calls = [tool_call(i, _call_id(turn, index, i), c) for i, c in enumerate(answer.tool_calls)]
            choices.append(
                {
                    "index": index,
                    "message": message(answer.content, reasoning, calls),
                    "logprobs": None,
                    "finish_reason": answer.finish_reason,
                }
            )
        return {
            "id": as_uuid(turn.token),
            "object": "chat.completion",
            "created": turn.created_s,
            "model": turn.model.id,
            "choices": choices,
            "usage": _usage(turn),
            "system_fingerprint": _FINGERPRINT,
        }


def _lacks_reasoning(request: ChatRequest) -> bool:
    lost = request.turn_without_reasoning if request.tools else request.tool_call_without_reasoning
    return lost() is not None


def _directed(request: ChatRequest) -> str:
    """The text that may end in a directive: the last user message, else the last system message."""
    for role in ("user", "system"):
        for said in reversed(request.messages):
            if said.get("role") == role:
                return text_of(said)
    return ""


def _delta(turn: Turn, choice: int, piece: Piece) -> JsonObject | None:
    """None: the choice is complete."""
    match piece:
        case Reasoning(text):
            return {"content": None, "reasoning_content": text}
        case Content(text):
            return {"content": text, "reasoning_content": None} if turn.thinking else {"content": text}
        case CallStart(index, call):
            function = {"name": call.name, "arguments": ""}
            call_id = _call_id(turn, choice, index)
            return {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}
        case CallArguments(index, text):
            return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
    return None


def _call_id(turn: Turn, choice: int, index: int) -> str:
    return f"call_{index:02}_{turn.token[:22]}{choice}"


def _choice(index: int, delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunk(turn: Turn, choice: JsonObject, usage: JsonObject | None = None) -> JsonObject:
    return {
        "id": as_uuid(turn.token),
        "object": "chat.completion.chunk",
        "created": turn.created_s,
        "model": turn.model.id,
        "system_fingerprint": _FINGERPRINT,
        "choices": [choice],
        "usage": usage,
    }


def _usage(turn: Turn) -> JsonObject:
    usage: JsonObject = {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
    }
    if turn.thinking:
        usage["completion_tokens_details"] = {"reasoning_tokens": turn.reasoning_tokens}
    usage["prompt_cache_hit_tokens"] = turn.cached_tokens
    usage["prompt_cache_miss_tokens"] = turn.prompt_tokens - turn.cached_tokens
    return usage
