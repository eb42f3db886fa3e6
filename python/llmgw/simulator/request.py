"""How a simulated provider reads a chat request."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from llmgw.simulator import tokens
from llmgw.simulator.model import JsonObject, Refusal, RefusalError
from llmgw.simulator.simulation import Simulation

_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class ChatRequest:
    """The parsed body. Members that only one provider reads stay in `body`."""

    body: JsonObject
    messages: list[JsonObject]
    simulation: Simulation

    @classmethod
    def parse(cls, raw: bytes, *, delay_ms: float) -> "ChatRequest":
        """Raises RefusalError if the body is not a chat request."""
        try:
            body = json.loads(raw)
        except ValueError:
            raise RefusalError(Refusal.INVALID_REQUEST, "the body is not JSON") from None
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            raise RefusalError(Refusal.INVALID_REQUEST, "model must be a string")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            raise RefusalError(Refusal.INVALID_REQUEST, "messages must be a non-empty array of objects")
        return cls(body, messages, Simulation.parse(body.get("simulate"), delay_ms=delay_ms))

    @property
    def model(self) -> str:
        """The model asked for."""
        model: str = self.body["model"]
        return model

    @property
    def stream(self) -> bool:
        """Is an event stream asked for?"""
        return self.body.get("stream") is True

    @property
    def include_usage(self) -> bool:
        """Is the usage asked for in the stream?"""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def choices(self) -> int:
        """`n`, at least 1 and at most 8."""
        n = self.body.get("n")
        return min(8, max(1, n)) if isinstance(n, int) else 1

    @property
    def tools(self) -> list[JsonObject]:
        """The function objects of `tools`."""
        tools = self.body.get("tools")
        if not isinstance(tools, list):
            return []
        return [t["function"] for t in tools if isinstance(t, dict) and isinstance(t.get("function"), dict)]

    @property
    def last_role(self) -> str:
        """The role of the last message."""
        return str(self.messages[-1].get("role", ""))

    @property
    def question(self) -> str:
        """The text of the last user message; empty if there is none."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return text_of(message)
        return ""

    @property
    def chinese(self) -> bool:
        """Was the question asked in Chinese?"""
        return bool(_CHINESE.search(self.question))

    @property
    def images(self) -> list[str]:
        """URLs of all images, in order."""
        return [url for message in self.messages for url in _images_of(message)]

    @property
    def prompt_tokens(self) -> int:
        """By the rule of `tokens`."""
        return sum(map(tokens_of, self.messages))

    @property
    def cached_tokens(self) -> int:
        """By the rule of `tokens`."""
        earlier = sum(map(tokens_of, self.messages[:-1]))
        return earlier - earlier % tokens.CACHE_BLOCK

    @property
    def earlier_calls(self) -> int:
        """How many tools the conversation has called so far."""
        calls = (message.get("tool_calls") for message in self.messages)
        return sum(len(each) for each in calls if isinstance(each, list))

    def thinking_type(self) -> object:
        """`thinking.type`; None if there is no `thinking` object."""
        thinking = self.body.get("thinking")
        return thinking.get("type") if isinstance(thinking, dict) else None

    def role_at(self, role: str) -> int | None:
        """Index of the first message of this role."""
        return next((i for i, message in enumerate(self.messages) if message.get("role") == role), None)

    def empty_text_at(self) -> tuple[int, int] | None:
        """Index of the first message with an empty text part, and the part's index."""
        for index, message in enumerate(self.messages):
            content = message.get("content")
            for position, part in enumerate(content if isinstance(content, list) else []):
                if isinstance(part, dict) and part.get("type") == "text" and part.get("text") == "":
                    return index, position
        return None

    def tool_call_without_reasoning(self) -> int | None:
        """Index of the first assistant message with tool calls but without reasoning."""
        return next(
            (index for index in self._without_reasoning() if self.messages[index].get("tool_calls")), None
        )

    def turn_without_reasoning(self) -> int | None:
        """Index of the first assistant message without reasoning."""
        return next(self._without_reasoning(), None)

    def _without_reasoning(self) -> Iterator[int]:
        for index, message in enumerate(self.messages):
            if message.get("role") == "assistant" and not message.get("reasoning_content"):
                yield index


def text_of(message: JsonObject) -> str:
    """The text of a message: its content, or its text parts joined by a blank."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in _parts_of(message) if part.get("type") == "text")


def _parts_of(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _images_of(message: JsonObject) -> list[str]:
    urls = []
    for part in _parts_of(message):
        if part.get("type") == "image_url":
            image = part.get("image_url")
            url = image.get("url") if isinstance(image, dict) else image
            urls.append(str(url))
    return urls


def tokens_of(message: JsonObject) -> int:
    """Of one message, by the rule of `tokens`."""
    return (
        tokens.TOKENS_PER_MESSAGE
        + tokens.count(text_of(message))
        + tokens.TOKENS_PER_IMAGE * len(_images_of(message))
    )
