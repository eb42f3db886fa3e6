"""How bytes are sent: JSON, event frames, and an ASGI exchange that notices when its client leaves."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

from llmgw.simulator.model import JsonObject

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024 * 1024
DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"


def to_json(value: JsonObject) -> bytes:
    """Compact and not escaped, as the providers send it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def frame(value: JsonObject) -> bytes:
    """One event."""
    return b"data: " + to_json(value) + b"\n\n"


class ClientLeftError(Exception):
    """The client closed the connection."""


class BodyTooLargeError(Exception):
    """The request body is over `MAX_BODY_BYTES`."""


class BrokenOnPurposeError(Exception):
    """Raised from the app so that the server breaks the connection."""


class Exchange:
    """One request and its answer. As a context manager it ends its watcher."""

    def __init__(self, receive: Receive, send: Send) -> None:
        """The two ASGI callables of one request."""
        self._receive = receive
        self._send = send
        self._left: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        """Nothing is read yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop watching."""
        if self._left is not None:
            self._left.cancel()

    async def body(self) -> bytes:
        """The whole request body. Afterwards the client is watched.

        Raises ClientLeftError and BodyTooLargeError.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MAX_BODY_BYTES:
                raise BodyTooLargeError
            if not message.get("more_body", False):
                break
        self._left = asyncio.ensure_future(self._watch())
        return b"".join(parts)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def pause(self, seconds: float) -> None:
        """Wait. Raises ClientLeftError as soon as the client is gone."""
        if self._left is None:
            await asyncio.sleep(seconds)
            return
        if seconds > 0:
            await asyncio.wait({self._left}, timeout=seconds)
        if self._left.done():
            raise ClientLeftError

    async def start(
        self, status: int, content_type: bytes, extra: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Send the head."""
        headers = [(b"content-type", content_type), *(extra or [])]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def json(
        self, status: int, value: JsonObject, extra: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Send a whole JSON answer."""
        await self.start(status, b"application/json", extra)
        await self.write(to_json(value), more=False)
