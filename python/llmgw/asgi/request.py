"""A request's headers and body, bounded in size and time."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from llmgw.asgi.types import Message, Receive, Scope
from llmgw.errors import ApiError, ClientGone

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
"""`uri-host [ ":" port ]` of RFC 9110, section 7.2; it may be empty."""

MAX_HEADERS: Final = 100
MAX_HEAD_BYTES: Final = 131_072
"""Limit of request line and headers together; beyond it the answer is 431."""
PROMISED_BYTES: Final = 65_536
"""So much of an announced body counts before it has come: enough for nearly all, and no place for a liar."""
JOINED_PIECES: Final = 256
TINY_BYTES: Final = 512

Fields: TypeAlias = dict[bytes, list[bytes]]
"""The values of each header, in their order, by its name in lower case."""

_READ_FIELDS: Final = frozenset(
    {
        b"host", b"authorization", b"api-key", b"x-api-key", b"content-encoding", b"content-length",
        b"transfer-encoding", b"user-agent", b"x-stainless-lang", b"x-stainless-package-version", b"origin",
        b"access-control-request-method", b"access-control-request-headers", b"anthropic-version",
        b"anthropic-beta", b"traceparent", b"tracestate", b"x-llmgw-user", b"x-openwebui-user-id",
        b"x-openwebui-user-email",
        b"x-llmgw-session", b"x-claude-code-session-id", b"session-id", b"session_id", b"x-session-id",
        b"x-session-affinity",
    }
)  # fmt: skip


def read_fields(scope: Scope) -> Fields:
    """The headers that the gateway reads. An SDK sends a dozen others."""
    fields: Fields = {}
    for name, value in scope["headers"]:
        if name in _READ_FIELDS:
            fields.setdefault(name, []).append(value)
    return fields


def check_size(scope: Scope) -> None:
    """The server has limits of its own: of the bytes by the read, of the number over HTTP/1.1 only.

    Raises ApiError: `head_too_large`.
    """
    headers = scope["headers"]
    size_bytes = 0
    for name, value in headers:
        size_bytes += len(name) + len(value)
    if len(headers) > MAX_HEADERS or size_bytes > MAX_HEAD_BYTES:
        message = (
            f"The request has more than {MAX_HEADERS} headers, or more than {MAX_HEAD_BYTES} bytes of them."
        )
        raise ApiError("head_too_large", message)


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


class _Pieces(list[bytes]):
    """The pieces of a body. Tiny ones are joined by the hundred: each costs more memory than it holds."""

    def __init__(self) -> None:
        super().__init__()
        self._joined = 0
        self._size = 0

    def append(self, piece: bytes) -> None:
        super().append(piece)
        self._size += len(piece)
        if len(self) - self._joined >= JOINED_PIECES:
            if self._size < JOINED_PIECES * TINY_BYTES:
                self[self._joined :] = [b"".join(self[self._joined :])]
            self._joined, self._size = len(self), 0


class RequestBody:
    """A request's body as it arrives, with a maximum size and, after `expire_in`, a maximum time."""

    def __init__(
        self, fields: Fields, receive: Receive, *, on_end: Callable[[], None] = lambda: None
    ) -> None:
        """Reads nothing yet. `on_end` is called when all of it has been read."""
        self._on_end = on_end
        self._fields = fields
        self._receive = receive
        self._waiting: asyncio.Future[Message] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: ApiError | None = None

    async def read(self, *, limit_bytes: int, hold: Callable[[int], None]) -> Sequence[bytes]:
        """All of it, in the pieces in which it came.

        `hold(size)` is called before so many bytes are kept: for an announced body at once, up to
        `PROMISED_BYTES`, and otherwise by piece. Raises ApiError: `body_too_large`, `request_timeout`;
        ClientGone; what `hold` raises; what `refuse` was given.
        """
        announced = self._announced()
        held = 0
        if announced is not None:
            _check_size(announced, limit_bytes)
            held = min(announced, PROMISED_BYTES)
            hold(held)
        pieces: list[bytes] = []
        size = 0
        try:
            while self._refusal is None:
                # granian returns a future: no task is made of it, and it can be cancelled alone.
                self._waiting = asyncio.ensure_future(self._receive())
                message = await self._waiting
                if message["type"] == "http.disconnect":
                    raise ClientGone
                piece: bytes = message.get("body", b"")
                size += len(piece)
                _check_size(size, limit_bytes)
                if announced is None or size > held:
                    hold(size - held)
                    held = size
                # granian learns only at the next call that there is no more, and a call takes three threads.
                if size == announced or not message.get("more_body", False):
                    self._on_end()
                    return [*pieces, piece]
                pieces = pieces or _Pieces()
                pieces.append(piece)
        except asyncio.CancelledError:
            if self._refusal is None:
                raise
        finally:
            self._waiting = None
            if self._timer is not None:
                self._timer.cancel()
        raise self._refusal

    def expire_in(self, timeout_s: float) -> None:
        """Wait for what is missing no longer than this."""
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._expire)

    def _expire(self) -> None:
        self.refuse(ApiError("request_timeout", "The request body did not arrive in time."))

    def refuse(self, error: ApiError) -> None:
        """Wait for what is missing no longer: the reader gets this error."""
        self._refusal = error
        if self._waiting is not None:
            self._waiting.cancel()

    def _announced(self) -> int | None:
        return announced_bytes(self._fields)


def announced_bytes(fields: Fields) -> int | None:
    """The size of a body, if the client says it before."""
    # Where both stand, the body ends where the transfer coding says (RFC 9112, section 6.3).
    if b"transfer-encoding" in fields:
        return None
    # granian refuses a request with two different lengths, or with one that is not a 64-bit number.
    lengths = fields.get(b"content-length", ())
    return int(lengths[0]) if lengths and lengths[0].isdigit() else None


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise ApiError("body_too_large", f"The request body exceeds the limit of {limit_bytes} bytes.")
