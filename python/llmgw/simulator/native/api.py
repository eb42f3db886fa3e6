"""What all native APIs share: a request that is read as a chat request, and an answer in events or whole."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.simulation import Simulation
from llmgw.simulator.turn import Turn
from llmgw.simulator.wire import to_json

_SHARED = ("model", "stream", "seed")
"""Members that mean the same in a chat body."""


@dataclass(frozen=True)
class NativeRequest(ChatRequest):
    """Read as a chat request, so that the answer is composed as for chat; `native` is the body that came."""

    native: JsonObject = field(default_factory=dict)


class NativeApi(ABC):
    """One API of one provider. Instances hold no state."""

    paths: ClassVar[tuple[str, ...]]
    """Where it is, below the provider's mount."""
    counts_at: ClassVar[tuple[str, ...]] = ()
    """Where it counts tokens, below the provider's mount."""

    def parse(self, raw: bytes, *, delay_ms: float, count: bool = False) -> NativeRequest:
        """Raises RefusalError if the body is not a request of this API, or one to `count` its tokens."""
        try:
            body = json.loads(raw)
        except ValueError:
            raise RefusalError(Refusal.INVALID_REQUEST, "the body is not JSON") from None
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            raise RefusalError(Refusal.INVALID_REQUEST, "model must be a string")
        if count:
            body = {"max_tokens": 1, **body}
        chat = {name: body[name] for name in _SHARED if body.get(name) is not None}
        messages = self.read(body, chat)
        simulation = Simulation.parse(body.get("simulate"), delay_ms=delay_ms)
        return NativeRequest(chat, messages, simulation, body)

    @abstractmethod
    def read(self, body: JsonObject, chat: JsonObject) -> list[JsonObject]:
        """The conversation as chat messages; other members go into `chat`. Raises RefusalError."""

    @abstractmethod
    def thinking(self, request: NativeRequest, model: Model) -> bool:
        """Read the provider's switch, and check what depends on it. Raises RefusalError."""

    @abstractmethod
    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """The body of an error answer; `token` as in `Turn`."""

    @abstractmethod
    def broken(self, turn: Turn, refusal: RefusalError, sent: int) -> bytes:
        """The event that says that the answer failed halfway, after so many others."""

    @abstractmethod
    def events(self, turn: Turn) -> Iterator[bytes]:
        """The whole stream, one event at a time."""

    @abstractmethod
    def whole(self, turn: Turn) -> JsonObject:
        """The answer to a request without `stream`."""


def event(value: JsonObject) -> bytes:
    """An event that is named as its `type`, which is how both APIs do it."""
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), to_json(value))


def objects(value: object) -> list[JsonObject]:
    """The objects of a list; none where it is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
