"""What an endpoint is to the pipeline: a kind of body, and how it is sent to an upstream.

An endpoint that an upstream answers is an `Endpoint`: its name, and how a `Body` is made from the pieces of a
request's body. `app` knows its path. Everything else, from admission to the ledger, is the pipeline's and the
same for all.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from llmgw._core import CoreError, Exchange, PreparedRequest, RequestError, RequestFacts, Route
from llmgw.access.key import Key
from llmgw.asgi.request import Fields
from llmgw.config import ModelKind
from llmgw.errors import ApiError, render_frame
from llmgw.gateway import Gateway
from llmgw.limits.grant import HeaderFamily
from llmgw.routing.affinity import Conversation
from llmgw.routing.router import Model

logger = logging.getLogger(__name__)

Scanned = TypeVar("Scanned")
KeepReasoning: TypeAlias = Callable[[Exchange], Awaitable[None]]
KeepAnswer: TypeAlias = Callable[[bytes], Awaitable[None]]


class Plan(NamedTuple):
    """How a request reaches an upstream. It holds the body, so it is dropped as soon as possible."""

    rewrite: Callable[[Route], PreparedRequest]
    """The body for a target's upstream. Called once per target that is asked."""
    facts: RequestFacts
    """What the scan tells of its size."""
    conversation: Conversation | None = None
    """What tells which conversation it belongs to; None: its API has none."""
    keep_reasoning: KeepReasoning | None = None
    """Keeps the reasoning of an answer for later turns. Only for prepared requests that say so."""
    keep_answer: KeepAnswer | None = None
    """Keeps the answer itself if its last block, which it gets, says that it is complete. Never raises."""


class Body(Protocol):
    """A request's body after its one scan."""

    @property
    def model(self) -> str:
        """The id of the model that the client asks for."""

    @property
    def stream(self) -> bool:
        """Whether the client wants an event stream."""

    def plan(self, gateway: Gateway, model: Model, key: Key) -> Plan | Awaitable[Plan]:
        """Check what the model can do, and plan the request. Awaitable only if it waits. Raises ApiError."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way in that an upstream answers. One object for all its requests."""

    api: str
    """Its name in the ledger and the metrics."""
    read: Callable[[Sequence[bytes], Gateway, Key], Body]
    """Makes a `Body` of the pieces of a request's body. Raises ApiError.

    Called in a thread for a large body: of the gateway it may use only what does not change. The key is the
    client's.
    """
    error_frame: Callable[[ApiError, str, bytes], bytes] = render_frame
    """What ends a stream that fails where it would have ended well.

    Of the error, the request's id and the last block, which is not sent: the frame takes its place.
    """
    kind: ModelKind = "chat"
    """The kind of model that it is for."""
    limit_headers: HeaderFamily = "openai"
    """In whose words its answers tell what is left of limits."""
    passed_headers: tuple[bytes, ...] = ()
    """Which of the client's headers an upstream of the same API gets. `asgi.request` must read them."""

    def headers_of(self, fields: Fields) -> list[tuple[bytes, bytes]]:
        """Those headers of a request."""
        if not self.passed_headers:
            return []
        return [(name, value) for name in self.passed_headers for value in fields.get(name, ())]


def scan(scanner: Callable[[Sequence[bytes]], Scanned], pieces: Sequence[bytes]) -> Scanned:
    """Scan a body with one of `_core`'s classes. Raises ApiError, with the field that is at fault."""
    try:
        return scanner(pieces)
    except RequestError as error:
        raise ApiError(error.code, error.message, param=error.param) from None
    except CoreError:
        logger.exception("a defect in the scanner of request bodies")
        raise ApiError("internal_error", "The gateway failed on this request.") from None
