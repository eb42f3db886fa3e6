"""Calls back what is still running after 20 ms.

A client may leave, stop reading, or never send the end of its body, so each request needs a watch. But a
watch takes a timer and three threads that wake each other, and most requests are over before it is of use.
So a request only says that it began and that it ended; those that last are called back.
"""

import asyncio
from typing import Final, Protocol

GRACE_S: Final = 0.02


class Lasting(Protocol):
    """Something that may last."""

    def lasts(self) -> None:
        """Called once, 20 to 40 ms after `begin`, unless `end` came first."""


class Grace:
    """What began and has not ended. For the event loop's thread only."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        """Runs a timer only while something is new."""
        self._grace_s = grace_s
        self._new: set[Lasting] = set()
        self._old: set[Lasting] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, item: Lasting) -> None:
        """To be followed by `end`."""
        self._new.add(item)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._grace_s, self._pass)

    def end(self, item: Lasting) -> None:
        """It ended, or was already called back."""
        self._new.discard(item)
        self._old.discard(item)

    def _pass(self) -> None:
        lasting, self._old, self._new = self._old, self._new, set()
        self._timer = None
        if self._old:
            self._timer = asyncio.get_running_loop().call_later(self._grace_s, self._pass)
        for item in lasting:
            item.lasts()
