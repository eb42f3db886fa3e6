"""How an answer is cut into pieces, which each provider sends as its own chunks."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from llmgw.simulator.answer import Answer, ToolCall
from llmgw.simulator.model import Model
from llmgw.simulator.request import ChatRequest


@dataclass(frozen=True)
class Reasoning:
    """A piece of reasoning."""

    text: str


@dataclass(frozen=True)
class Content:
    """A piece of content."""

    text: str


@dataclass(frozen=True)
class CallStart:
    """A tool call begins."""

    index: int
    call: ToolCall


@dataclass(frozen=True)
class CallArguments:
    """A piece of a tool call's arguments."""

    index: int
    text: str


@dataclass(frozen=True)
class Finish:
    """The choice is complete."""

    reason: str


Piece = Reasoning | Content | CallStart | CallArguments | Finish


@dataclass(frozen=True)
class Turn:
    """Everything that a provider needs to send an answer."""

    request: ChatRequest
    model: Model
    thinking: bool
    answers: tuple[Answer, ...]
    created_s: int = field(default_factory=lambda: int(time.time()))
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    """32 hexadecimal digits. The provider derives the ids of the answer and of its calls from them."""
    cached: int | None = None
    """What the account's prompt cache had; None: it has none."""

    @property
    def prompt_tokens(self) -> int:
        return self.request.prompt_tokens

    @property
    def cached_tokens(self) -> int:
        """The part of the prompt that counts as cached."""
        return self.request.cached_tokens if self.cached is None else self.cached

    @property
    def completion_tokens(self) -> int:
        """Of all choices, reasoning included."""
        return sum(answer.completion_tokens for answer in self.answers)

    @property
    def reasoning_tokens(self) -> int:
        """Of all choices."""
        return sum(answer.reasoning_tokens for answer in self.answers)

    def pieces(self) -> Iterator[tuple[int, Piece]]:
        """(choice, piece); the choices take turns."""
        size = self.request.simulation.chunk_chars
        for row in zip_longest(*(_pieces(answer, size) for answer in self.answers)):
            for choice, piece in enumerate(row):
                if piece is not None:
                    yield choice, piece


def as_uuid(token: str) -> str:
    """32 hexadecimal digits, written as a UUID."""
    return "-".join((token[:8], token[8:12], token[12:16], token[16:20], token[20:]))


def _pieces(answer: Answer, size: int) -> Iterator[Piece]:
    for text in _cut(answer.reasoning, size):
        yield Reasoning(text)
    for text in _cut(answer.content, size):
        yield Content(text)
    for index, call in enumerate(answer.tool_calls):
        yield CallStart(index, call)
        for text in _cut(call.arguments, size):
            yield CallArguments(index, text)
    yield Finish(answer.finish_reason)


def _cut(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]
