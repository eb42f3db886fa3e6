"""The little of ASGI that the gateway needs: a capped body in, one answer out.

`Responder` stands between a handler and granian: it knows whether an answer has begun, and it puts
`x-request-id` on every one. In-process test clients buffer what goes through here; only a real socket shows
how it streams.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from llmgw._core import Exchange, Forward
from llmgw.errors import ApiError, render_body, render_headers

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

PIECE_BYTES: Final = 262_144
"""A longer body is sent in pieces, so that a client which takes none of it is noticed like any other."""
JSON: Final = (b"content-type", b"application/json")


_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
"""`uri-host [ ":" port ]` of RFC 9110, section 7.2; it may be empty."""


class ClientGone(Exception):  # noqa: N818  (not an error: nobody is left to be told)
    """The client closed the connection before its request was read."""


class Responder:
    """One request's answer."""

    def __init__(self, send: Send, request_id: str) -> None:
        """`request_id` goes into the headers of whatever is answered."""
        self._send = send
        self._id_header = (b"x-request-id", request_id.encode("ascii"))
        self.status: int | None = None
        """The HTTP status, once the answer has begun."""
        self._writes = 0
        self._forward: Forward | None = None

    @property
    def writes(self) -> int:
        """Grows by one when a write begins and when it ends: odd while the client has to take something."""
        return self._writes if self._forward is None else self._writes + self._forward.writes

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head. granian flushes it at once, so do not send it before it is certain."""
        self.status = status
        headers.append(self._id_header)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, body: bytes, *, more: bool) -> None:
        """Send a piece of the body. Waits while the client is slow to take it."""
        self._writes += 1
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._writes += 1

    async def forward(self, exchange: Exchange) -> bytes | None:
        """Send what comes of an exchange, as it comes. Returns the block that ends it, which is not sent."""
        self._forward = exchange.forward(self._send)
        return await self._forward

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        headers.append((b"content-length", b"%d" % len(body)))
        await self.start(status, headers)
        sent = 0
        while len(body) - sent > PIECE_BYTES:
            await self.body(body[sent : sent + PIECE_BYTES], more=True)
            sent += PIECE_BYTES
        await self.body(body[sent:] if sent else body, more=False)

    async def error(self, error: ApiError, headers: Headers | None = None) -> None:
        """Send an error as a whole answer, with these headers besides its own."""
        await self.whole(error.status, render_headers(error) + (headers or []), render_body(error))


Fields: TypeAlias = dict[bytes, list[bytes]]
"""The values of each header, in their order, by its name in lower case."""
_READ_FIELDS: Final = frozenset(
    {b"host", b"authorization", b"content-encoding", b"content-length", b"transfer-encoding"}
)


def read_fields(scope: Scope) -> Fields:
    """The headers that the gateway reads. An SDK sends a dozen others."""
    fields: Fields = {}
    for name, value in scope["headers"]:
        if name in _READ_FIELDS:
            fields.setdefault(name, []).append(value)
    return fields


def check_host(fields: Fields, http_version: str) -> None:
    """RFC 9112, section 3.2: exactly one `host` in HTTP/1.1, and a well-formed one.

    granian puts an empty one where there is none, so one that was sent empty is refused too. Raises ApiError:
    `invalid_host`.
    """
    hosts = fields.get(b"host", ())
    if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
        raise ApiError("invalid_host", "The Host header is repeated or malformed.")
    if http_version == "1.1" and not (hosts and hosts[0]):
        raise ApiError("invalid_host", "The Host header is missing.")


class RequestBody:
    """A request's body, as it comes: bounded in size, and in time as soon as somebody says so."""

    def __init__(self, fields: Fields, receive: Receive) -> None:
        """Reads nothing yet."""
        self._fields = fields
        self._receive = receive
        self._waiting: asyncio.Future[Message] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False

    async def read(self, *, limit_bytes: int, hold: Callable[[int], None]) -> Sequence[bytes]:
        """All of it, in the pieces in which it came.

        `hold(size)` is called before so many bytes are kept: with the announced length, else by piece. Raises
        ApiError: `unsupported_encoding`, `body_too_large`, `request_timeout`; ClientGone; what `hold` raises.
        """
        announced = self._announced()
        if announced is not None:
            _check_size(announced, limit_bytes)
            hold(announced)
        try:
            return await self._collect(announced, limit_bytes, hold)
        except asyncio.CancelledError:
            if not self._expired:
                raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
        raise ApiError("request_timeout", "The request body did not arrive in time.")

    def expire_in(self, timeout_s: float) -> None:
        """Wait for what is missing no longer than this."""
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._expire)

    def _expire(self) -> None:
        self._expired = True
        if self._waiting is not None:
            self._waiting.cancel()

    def _announced(self) -> int | None:
        encodings = self._fields.get(b"content-encoding", ())
        if encodings and any(value.strip().lower() != b"identity" for value in encodings):
            message = "Compressed request bodies are not supported. Send it plain."
            raise ApiError("unsupported_encoding", message)
        # Where both stand, the body ends where the transfer coding says (RFC 9112, section 6.3).
        if b"transfer-encoding" in self._fields:
            return None
        # granian refuses a request with two different lengths, or with one that is no 64-bit number.
        lengths = self._fields.get(b"content-length", ())
        return max((int(value) for value in lengths if value.isdigit()), default=None) if lengths else None

    async def _collect(
        self, announced: int | None, limit_bytes: int, hold: Callable[[int], None]
    ) -> Sequence[bytes]:
        pieces: list[bytes] = []
        size = 0
        while True:
            # granian returns a future: no task is made of it, and it can be given up alone.
            self._waiting = asyncio.ensure_future(self._receive())
            message = await self._waiting
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece: bytes = message.get("body", b"")
            size += len(piece)
            _check_size(size, limit_bytes)
            if announced is None:
                hold(len(piece))
            pieces.append(piece)
            # granian only learns at the next call that there is no more, and a call takes three threads.
            if size == announced or not message.get("more_body", False):
                return pieces


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise ApiError("body_too_large", f"The request body exceeds the limit of {limit_bytes} bytes.")


class Client:
    """Whether whoever asked is still there."""

    def __init__(self, receive: Receive, on_gone: Callable[[], None]) -> None:
        """`on_gone` is called once, as soon as it is known. Nothing is known before `watch`."""
        self._receive = receive
        self._on_gone: Callable[[], None] | None = on_gone
        self._waiting: asyncio.Future[Message] | None = None
        self._told: asyncio.Future[None] | None = None
        self.gone = False

    def watch(self) -> None:
        """Begin to look. Only once the body has been read.

        Only `receive` tells: granian neither cancels a task nor fails a `send`. It returns a future, so no
        task is made for it.
        """
        if self._waiting is None and self._on_gone is not None:
            self._waiting = asyncio.ensure_future(self._receive())
            self._waiting.add_done_callback(self._received)

    def unwatch(self) -> None:
        """Nobody wants to know any more."""
        self._on_gone = None  # which holds the request
        if self._waiting is not None:
            self._waiting.cancel()

    async def gone_within(self, timeout_s: float) -> bool:
        """Wait so long, or until it is gone."""
        self.watch()
        if not self.gone:
            self._told = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._told,), timeout=timeout_s)
        return self.gone

    def _received(self, message: asyncio.Future[Message]) -> None:
        if message.cancelled() or self._on_gone is None:
            return
        self._waiting = None
        if message.result()["type"] != "http.disconnect":
            self.watch()
            return
        self.gone = True
        on_gone, self._on_gone = self._on_gone, None
        on_gone()
        if self._told is not None and not self._told.done():
            self._told.set_result(None)
