"""Text completions, the API before chat: `prompt` in, `text` out. DeepSeek has them, and vLLM.

A prompt is read as the one message of a user, so the text is that of a chat answer. Nothing is thought over,
no tool is called.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from llmgw.simulator.answer import compose, limit
from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.simulation import Simulation
from llmgw.simulator.turn import Content, Finish, Turn

_READ = ("model", "stream", "stream_options", "n", "max_tokens", "stop", "seed")
"""The members that chat has too, without those that would bring tool calls or JSON."""


class TextCompletions(ABC):
    """How one provider does it. Instances hold no state."""

    paths: ClassVar[tuple[str, ...]]
    """Where it is, below the provider's mount."""
    default_max_tokens: ClassVar[int]

    def parse(self, raw: bytes, *, delay_ms: float) -> ChatRequest:
        """A user's message for each prompt. Raises RefusalError."""
        try:
            body = json.loads(raw)
        except ValueError:
            raise RefusalError(Refusal.INVALID_REQUEST, "the body is not JSON") from None
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            raise RefusalError(Refusal.INVALID_REQUEST, "model must be a string")
        messages: list[JsonObject] = [
            {"role": "user", "content": prompt} for prompt in self.prompts(body.get("prompt"))
        ]
        read = {name: body[name] for name in _READ if body.get(name) is not None}
        read.setdefault("max_tokens", self.default_max_tokens)
        return ChatRequest(read, messages, Simulation.parse(body.get("simulate"), delay_ms=delay_ms))

    def answer(self, request: ChatRequest, model: Model) -> Turn:
        """`n` choices for each prompt. Raises RefusalError where the request asks for one."""
        refusal = request.simulation.refusal()
        if refusal is not None:
            raise refusal
        alone = [ChatRequest(request.body, [message], request.simulation) for message in request.messages]
        answers = tuple(
            limit(
                compose(one, model, thinking=False, question=one.question, choice=choice),
                one,
                covers_reasoning=False,
                fields=("max_tokens",),
            )
            for one in alone
            for choice in range(request.choices)
        )
        return Turn(request, model, thinking=False, answers=answers)

    @abstractmethod
    def prompts(self, prompt: object) -> list[str]:
        """The prompts as texts. Raises RefusalError as the real provider would."""

    @abstractmethod
    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """The events of a stream, without `[DONE]`."""

    @abstractmethod
    def completion(self, turn: Turn) -> JsonObject:
        """The not-streaming answer."""


class FillInTheMiddle(TextCompletions):
    """DeepSeek's, whose real base URL ends in `/beta`: one prompt, usage on the last chunk."""

    paths: ClassVar[tuple[str, ...]] = ("v1/completions", "beta/completions")
    default_max_tokens: ClassVar[int] = 4096

    def prompts(self, prompt: object) -> list[str]:
        """One string."""
        if isinstance(prompt, str):
            return [prompt]
        told = "missing field `prompt`" if prompt is None else "prompt: invalid type, expected a string"
        raise RefusalError(
            Refusal.INVALID_REQUEST, f"Failed to deserialize the JSON body into the target type: {told}"
        )

    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """`usage` null until the last one."""
        open_choices = len(turn.answers)
        for choice, piece in turn.pieces():
            if isinstance(piece, Content):
                yield self._chunk(turn, [self._choice(choice, piece.text, None)], None)
            elif isinstance(piece, Finish):
                open_choices -= 1
                usage = None if open_choices else self._usage(turn)
                yield self._chunk(turn, [self._choice(choice, "", piece.reason)], usage)

    def completion(self, turn: Turn) -> JsonObject:
        """The same, with all of the text."""
        choices = [self._choice(i, a.content, a.finish_reason) for i, a in enumerate(turn.answers)]
        return self._chunk(turn, choices, self._usage(turn))

    def _choice(self, index: int, text: str, finish_reason: str | None) -> JsonObject:
        return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}

    def _chunk(self, turn: Turn, choices: list[JsonObject], usage: JsonObject | None) -> JsonObject:
        return {
            "id": turn.token,
            "choices": choices,
            "created": turn.created_s,
            "model": turn.model.id,
            "system_fingerprint": "fp_simulated",
            "object": "text_completion",
            "usage": usage,
        }

    def _usage(self, turn: Turn) -> JsonObject:
        return {
            **_usage(turn),
            "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
            "prompt_cache_hit_tokens": turn.cached_tokens,
            "prompt_cache_miss_tokens": turn.prompt_tokens - turn.cached_tokens,
        }


class Vllm(TextCompletions):
    """vLLM's: prompts of text or of tokens; 16 tokens unless told otherwise; usage in a chunk of its own."""

    paths: ClassVar[tuple[str, ...]] = ("v1/completions",)
    default_max_tokens: ClassVar[int] = 16

    def prompts(self, prompt: object) -> list[str]:
        """A string, strings, tokens, or lists of tokens."""
        if isinstance(prompt, str) and prompt:
            return [prompt]
        if isinstance(prompt, list) and prompt:
            if all(isinstance(item, int) for item in prompt):
                return [_of_tokens(prompt)]
            if all(isinstance(item, str | list) for item in prompt):
                return [item if isinstance(item, str) else _of_tokens(item) for item in prompt]
        raise RefusalError(
            Refusal.INVALID_REQUEST, "Either prompt or prompt_embeds must be provided and non-empty."
        )

    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """No `usage` at all on a chunk with choices."""
        for choice, piece in turn.pieces():
            if isinstance(piece, Content):
                yield self._chunk(turn, [self._choice(choice, piece.text, None)])
            elif isinstance(piece, Finish):
                yield self._chunk(turn, [self._choice(choice, "", piece.reason)])
        if turn.request.include_usage:
            yield {**self._chunk(turn, []), "usage": _usage(turn)}

    def completion(self, turn: Turn) -> JsonObject:
        """With members of vLLM's own, mostly null."""
        choices = [
            {**self._choice(i, a.content, a.finish_reason), "prompt_logprobs": None}
            for i, a in enumerate(turn.answers)
        ]
        own = {"service_tier": None, "system_fingerprint": None, "kv_transfer_params": None}
        usage = {**_usage(turn), "prompt_tokens_details": None}
        return {**self._chunk(turn, choices), **own, "usage": usage}

    def _choice(self, index: int, text: str, finish_reason: str | None) -> JsonObject:
        return {
            "index": index,
            "text": text,
            "logprobs": None,
            "finish_reason": finish_reason,
            "stop_reason": None,
        }

    def _chunk(self, turn: Turn, choices: list[JsonObject]) -> JsonObject:
        return {
            "id": f"cmpl-{turn.token}",
            "object": "text_completion",
            "created": turn.created_s,
            "model": turn.model.id,
            "choices": choices,
        }


def _of_tokens(tokens: list[int]) -> str:
    """Each as a word, so that it is counted as about one."""
    return " ".join(map(str, tokens))


def _usage(turn: Turn) -> JsonObject:
    return {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
    }
