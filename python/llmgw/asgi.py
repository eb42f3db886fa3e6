"""The little of ASGI that the gateway needs: a capped body in, one answer out.

`Responder` stands between a handler and granian: it knows whether an answer has begun, and it puts
`x-request-id` on every one. In-process test clients buffer what goes through here; only a real socket shows
how it streams.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

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
        self.writes = 0
        """Grows by one when a write begins and when it ends: odd while the client has to take something."""

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head. granian flushes it at once, so do not send it before it is certain."""
        self.status = status
        headers.append(self._id_header)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, body: bytes, *, more: bool) -> None:
        """Send a piece of the body. Waits while the client is slow to take it."""
        self.writes += 1
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self.writes += 1

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


def headers(scope: Scope, name: bytes) -> list[bytes]:
    """The values of all headers of that name (lower case), in their order."""
    return [value for key, value in scope["headers"] if key == name]


def check_host(scope: Scope) -> None:
    """RFC 9112, section 3.2: exactly one `host` in HTTP/1.1, and a well-formed one.

    granian puts an empty one where there is none, so one that was sent empty is refused too. Raises ApiError:
    `invalid_host`.
    """
    hosts = headers(scope, b"host")
    if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
        raise ApiError("invalid_host", "The Host header is repeated or malformed.")
    if scope["http_version"] == "1.1" and not (hosts and hosts[0]):
        raise ApiError("invalid_host", "The Host header is missing.")


async def read_body(
    scope: Scope, receive: Receive, *, limit_bytes: int, timeout_s: float, hold: Callable[[int], None]
) -> bytes:
    """The request's body.

    `hold(size)` is called before so many bytes are kept: once with the announced length, else for each
    piece. Raises ApiError: `unsupported_encoding`, `body_too_large`, `request_timeout`; ClientGone; what
    `hold` raises.
    """
    if any(value.strip().lower() != b"identity" for value in headers(scope, b"content-encoding")):
        raise ApiError("unsupported_encoding", "Compressed request bodies are not supported. Send it plain.")
    too_large = ApiError("body_too_large", f"The request body exceeds the limit of {limit_bytes} bytes.")
    # granian refuses a request with two different lengths, or with one that is no 64-bit number.
    lengths = [int(value) for value in headers(scope, b"content-length") if value.isdigit()]
    announced = max(lengths, default=None)
    if announced is not None:
        if announced > limit_bytes:
            raise too_large
        hold(announced)
    try:
        async with asyncio.timeout(timeout_s):
            return await _collect(receive, limit_bytes, too_large, hold if announced is None else None)
    except TimeoutError:
        message = f"The request body did not arrive within {timeout_s:g} s."
        raise ApiError("request_timeout", message) from None


async def _collect(
    receive: Receive, limit_bytes: int, too_large: ApiError, hold: Callable[[int], None] | None
) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit_bytes:
            raise too_large
        if hold is not None:
            hold(len(piece))
        if not message.get("more_body", False):
            # Nearly every body comes in one piece, which is then not copied.
            return b"".join((*pieces, piece)) if pieces else piece
        pieces.append(piece)
