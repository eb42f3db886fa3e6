"""What is not over in a moment.

A client may leave, stall, or never send its body to the end: somebody must look out for that. But that
takes a timer, and three threads that wake each other, and what is over within a few milliseconds has no use
for it. So each request only says that it has begun and that it has ended, and those that last are told.
"""

import asyncio
from typing import Final, Protocol

MOMENT_S: Final = 0.02


class Lasting(Protocol):
    """Something that may last."""

    def lasts(self) -> None:
        """It was begun between one and two moments ago, and has not ended."""


class Patience:
    """What has begun and not ended. For the event loop's thread only."""

    def __init__(self, moment_s: float = MOMENT_S) -> None:
        """Starts no timer as long as there is nothing to wait for."""
        self._moment_s = moment_s
        self._new: set[Lasting] = set()
        self._old: set[Lasting] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, item: Lasting) -> None:
        """It begins. To be followed by `end`."""
        self._new.add(item)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._moment_s, self._pass)

    def end(self, item: Lasting) -> None:
        """It is over, or was told that it lasts."""
        self._new.discard(item)
        self._old.discard(item)

    def _pass(self) -> None:
        lasting, self._old, self._new = self._old, self._new, set()
        self._timer = None
        if self._old:
            self._timer = asyncio.get_running_loop().call_later(self._moment_s, self._pass)
        for item in lasting:
            item.lasts()
