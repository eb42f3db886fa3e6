"""How Qwen on DashScope's OpenAI-compatible endpoint behaves.

Switch: `enable_thinking`, a boolean next to `model`. Open models think unless it is false, commercial ones
only if it is true; `-thinking` models always think and refuse `false`. With thinking on, only streams are
answered. `max_tokens` limits the content, `thinking_budget` the reasoning. The usage is in a last chunk
without choices, and only if asked for. Later pieces of a tool call have `id: ""`.
"""

from collections.abc import Iterator
from typing import ClassVar

from llmgw.simulator import tokens
from llmgw.simulator.answer import Answer
from llmgw.simulator.completion import TextCompletions, Vllm
from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError, Thinking
from llmgw.simulator.native.api import NativeApi
from llmgw.simulator.native.dashscope import QwenResponses
from llmgw.simulator.native.others import QwenMessages
from llmgw.simulator.provider import Provider, message, tool_call
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.retrieval import Embeddings, Rerank, Retrieval
from llmgw.simulator.turn import CallArguments, CallStart, Content, Finish, Piece, Reasoning, Turn, as_uuid

_TYPES = {
    Refusal.INVALID_KEY: ("invalid_request_error", "invalid_api_key"),
    Refusal.INVALID_REQUEST: ("invalid_request_error", "invalid_parameter_error"),
    Refusal.MODEL_NOT_FOUND: ("invalid_request_error", "model_not_found"),
    Refusal.RATE_LIMITED: ("limit_requests", "limit_requests"),
    Refusal.SERVER_ERROR: ("internal_error", "internal_error"),
}


class Qwen(Provider):
    """See the module."""

    name: ClassVar[str] = "qwen"
    owner: ClassVar[str] = "system"
    models: ClassVar[tuple[Model, ...]] = (
        Model("qwen3.6-plus", "qwen", Thinking.ON, images=True, context_window=1_000_000),
        Model("qwen3-max", "qwen", Thinking.OFF, context_window=262_144),
        Model("qwen3-next-80b-a3b-thinking", "qwen", Thinking.ALWAYS, context_window=131_072),
    )
    max_tokens_covers_reasoning: ClassVar[bool] = False
    # The models are open, and vLLM serves them; DashScope has no text completions.
    text_completions: ClassVar[TextCompletions | None] = Vllm()
    retrieval: ClassVar[tuple[Retrieval, ...]] = (Embeddings(), Rerank())
    native: ClassVar[tuple[NativeApi, ...]] = (QwenMessages(), QwenResponses())

    def check_messages(self, request: ChatRequest) -> None:
        """DashScope does not know `developer`."""
        if (index := request.role_at("developer")) is not None:
            raise RefusalError(
                Refusal.INVALID_REQUEST,
                "developer is not one of ['system', 'assistant', 'user', 'tool', 'function'] - "
                f"'messages.{index}.role'",
            )

    def thinking(self, request: ChatRequest, model: Model) -> bool:
        """`enable_thinking`; with it on, only streams are answered."""
        switch = request.body.get("enable_thinking")
        if switch is not None and not isinstance(switch, bool):
            raise RefusalError(Refusal.INVALID_REQUEST, "parameter.enable_thinking must be a boolean")
        if model.thinking is Thinking.ALWAYS and switch is False:
            raise RefusalError(
                Refusal.INVALID_REQUEST,
                "The value of the enable_thinking parameter is restricted to True.",
            )
        thinking = model.thinking is not Thinking.OFF if switch is None else switch
        if thinking and not request.stream:
            raise RefusalError(
                Refusal.INVALID_REQUEST,
                "parameter.enable_thinking must be set to false for non-streaming calls",
            )
        return thinking

    def answer(self, request: ChatRequest) -> Turn:
        """Also applies `thinking_budget`, in tokens."""
        turn = super().answer(request)
        budget = request.body.get("thinking_budget")
        if isinstance(budget, bool) or not isinstance(budget, int):
            return turn
        answers = tuple(
            Answer(tokens.cut(a.reasoning, max(0, budget)), a.content, a.tool_calls, a.finish_reason)
            for a in turn.answers
        )
        return Turn(turn.request, turn.model, turn.thinking, answers)

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """DashScope names the request beside the error."""
        kind, code = _TYPES[refusal.kind]
        return {
            "error": {"message": refusal.message, "type": kind, "param": None, "code": refusal.code or code},
            "id": f"chatcmpl-{as_uuid(token)}",
            "request_id": as_uuid(token),
        }

    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """Role in the first delta; reasoning and content both present while thinking is on."""
        started: set[int] = set()
        for choice, piece in turn.pieces():
            role = {} if choice in started else {"role": "assistant"}
            opens_with_call = isinstance(piece, CallStart) and not turn.thinking
            if role and not opens_with_call:
                opening: JsonObject = {"content": None if turn.thinking else "", **role}
                if turn.thinking:
                    opening["reasoning_content"] = ""
                yield _chunk(turn, [_choice(choice, opening)])
                role = {}
            started.add(choice)
            if isinstance(piece, Finish):
                yield from _end(turn, choice, piece)
            else:
                yield _chunk(turn, [_choice(choice, {**_delta(turn, choice, piece), **role})])
        if turn.request.include_usage:
            yield _chunk(turn, [], _usage(turn))

    def completion(self, turn: Turn) -> JsonObject:
        """Only reached with thinking off."""
        choices = []
        for index, answer in enumerate(turn.answers):
            calls = [tool_call(i, _call_id(turn, index, i), c) for i, c in enumerate(answer.tool_calls)]
            choices.append(
                {
                    "message": message(answer.content, {}, calls),
                    "finish_reason": answer.finish_reason,
                    "index": index,
                    "logprobs": None,
                }
            )
        return {**_chunk(turn, choices, _usage(turn)), "object": "chat.completion"}


def _end(turn: Turn, choice: int, piece: Finish) -> Iterator[JsonObject]:
    if piece.reason == "tool_calls":
        last = len(turn.answers[choice].tool_calls) - 1
        empty = {"function": {"arguments": ""}, "index": last, "id": "", "type": "function"}
        # Without finish_reason and logprobs, as in the recording.
        yield _chunk(turn, [{"delta": {"tool_calls": [empty]}, "index": choice}])
        delta: JsonObject = {}
    else:
        delta = {"content": "", "reasoning_content": None} if turn.thinking else {"content": ""}
    yield _chunk(turn, [{"finish_reason": piece.reason, "delta": delta, "index": choice, "logprobs": None}])


def _delta(turn: Turn, choice: int, piece: Piece) -> JsonObject:
    match piece:
        case Reasoning(text):
            return {"content": None, "reasoning_content": text}
        case Content(text):
            return {"content": text, "reasoning_content": None} if turn.thinking else {"content": text}
        case CallStart(index, call):
            function = {"name": call.name, "arguments": ""}
            call_id = _call_id(turn, choice, index)
            return _call({"index": index, "id": call_id, "type": "function", "function": function})
        case CallArguments(index, text):
            return _call({"index": index, "id": "", "type": "function", "function": {"arguments": text}})
    return {}


def _call(call: JsonObject) -> JsonObject:
    return {"content": None, "tool_calls": [call]}


def _call_id(turn: Turn, choice: int, index: int) -> str:
    return f"call_{turn.token[:20]}{choice:02x}{index:02x}"


def _choice(index: int, delta: JsonObject) -> JsonObject:
    return {"delta": delta, "finish_reason": None, "index": index, "logprobs": None}


def _chunk(turn: Turn, choices: list[JsonObject], usage: JsonObject | None = None) -> JsonObject:
    return {
        "choices": choices,
        "object": "chat.completion.chunk",
        "usage": usage,
        "created": turn.created_s,
        "system_fingerprint": None,
        "model": turn.model.id,
        "id": f"chatcmpl-{as_uuid(turn.token)}",
    }


def _usage(turn: Turn) -> JsonObject:
    usage: JsonObject = {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
    }
    if turn.thinking:
        usage["completion_tokens_details"] = {"reasoning_tokens": turn.reasoning_tokens}
    usage["prompt_tokens_details"] = {"cached_tokens": turn.cached_tokens}
    return usage
