"""One request's answer.

`Responder` stands between a handler and the server: it knows whether an answer has begun, and puts
`x-request-id` on each. In-process test clients buffer what passes here; only a real socket shows how it
streams.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from llmgw._core import Exchange, Forward
from llmgw.asgi.types import Headers, Message, Send
from llmgw.errors import OPENAI, ApiError, ErrorShape, render_headers

PIECE_BYTES: Final = 262_144
"""A longer body is sent in pieces, so that a client which takes none of it is noticed like any other."""

JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")


class Ending:
    """Of the process, which all its answers look at."""

    begun = False
    """True: each HTTP/1.1 connection ends with its answer, so that none is idle, or asked, at the end."""


_NEVER: Final = Ending()


class Responder:
    """One request's answer."""

    def __init__(
        self,
        send: Send,
        request_id: str,
        headers: Headers | None = None,
        errors: ErrorShape = OPENAI,
        ending: Ending = _NEVER,
    ) -> None:
        """`request_id` and `headers` go into the headers of whatever is answered.

        `ending`: not for HTTP/2, which has no `connection` header.
        """
        self._send = send
        self._ending = ending
        self.request_id = request_id
        self._errors = errors
        self._headers = [*(headers or ()), (b"x-request-id", request_id.encode("ascii"))]
        if errors.request_id_header is not None:
            self._headers.append((errors.request_id_header, request_id.encode("ascii")))
        self.status: int | None = None
        """The HTTP status, once the answer has begun."""
        self._writes = 0
        self._forward: Forward | None = None

    @property
    def writes(self) -> int:
        """Grows by one when a write begins and when it ends: odd while the client has to take something."""
        return self._writes if self._forward is None else self._writes + self._forward.writes

    def tee(self, copy: Callable[[bytes], None], header: tuple[bytes, bytes] | None = None) -> None:
        """Let `copy` have each piece of the body that is sent. `header`: one more of the answer."""
        send = self._send

        def copying(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.body":
                copy(message.get("body", b""))
            return send(message)

        self._send = copying
        if header is not None:
            self._headers.append(header)

    def start(self, status: int, headers: Headers) -> Awaitable[None]:
        """Send the head. granian flushes that of an event stream at once, so it must be certain by then."""
        self.status = status
        headers += self._headers
        if self._ending.begun:
            headers.append(_CLOSE)
        return self._send({"type": "http.response.start", "status": status, "headers": headers})

    def pass_on(self, status: int, headers: Headers) -> Awaitable[None]:
        """Send the head of another server's answer, which has a request id of its own."""
        self.status = status
        return self._send({"type": "http.response.start", "status": status, "headers": headers})

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
        # `body`, written out: most answers are one piece, and this saves each of them a coroutine.
        self._writes += 1
        await self._send(
            {"type": "http.response.body", "body": body[sent:] if sent else body, "more_body": False}
        )
        self._writes += 1

    async def nothing(self, headers: Headers) -> None:
        """Send an answer that has no body, nor the length of one."""
        await self.start(HTTPStatus.NO_CONTENT, headers)
        await self.body(b"", more=False)

    async def unchanged(self, headers: Headers) -> None:
        """Tell a client that what it has is still right: 304, with neither a body nor the length of one."""
        await self.start(HTTPStatus.NOT_MODIFIED, headers)
        await self.body(b"", more=False)

    async def error(self, error: ApiError, headers: Headers | None = None) -> None:
        """Send an error as a whole answer, with these headers besides its own.

        Raises RuntimeError from the error if another answer has begun: a second one can't follow it.
        """
        if self.status is not None:
            message = f"{error.code} after the answer had begun: {error}"
            raise RuntimeError(message) from error
        body = self._errors.body(error, self.request_id)
        await self.whole(self._errors.status(error), render_headers(error) + (headers or []), body)
