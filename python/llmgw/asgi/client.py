"""Whether the client of a request is still connected."""

import asyncio
from collections.abc import Callable

from llmgw.asgi.types import Message, Receive
from llmgw.errors import LlmgwError


class ClientGone(LlmgwError):  # noqa: N818  (not an error: there is nobody left to tell)
    """The client closed the connection before its request was read."""


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
