"""Where reasoning is kept: the interface, and the store in this process's memory."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from llmgw.errors import LlmgwError

ENTRY_OVERHEAD_BYTES: Final = 256
"""What an entry costs beside its text: key, times, places in the table."""


class CacheError(LlmgwError):
    """The cache can't be used right now."""


class ReasoningStore(Protocol):
    """Where reasoning is kept. An entry lives until it has not been asked for during the store's time."""

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What is kept, in the order of the keys. Raises CacheError."""

    async def put(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep keys with their reasoning. Raises CacheError."""

    async def close(self) -> None:
        """Let go of connections."""


class MemoryStore:
    """In this process, for one event loop. What has not been used for longest goes first."""

    def __init__(self, *, ttl_s: float, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`max_bytes` bounds texts and their overhead together."""
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._clock = clock
        # By last use, which is also by expiry.
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self.bytes = 0
        """What is held, overhead included."""

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `ReasoningStore`."""
        self._expire()
        expires_s = self._clock() + self._ttl_s
        found: list[bytes | None] = []
        for key in keys:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries[key] = (expires_s, entry[1])
                self._entries.move_to_end(key)
            found.append(None if entry is None else entry[1])
        return found

    async def put(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """See `ReasoningStore`."""
        self._expire()
        expires_s = self._clock() + self._ttl_s
        for key, reasoning in entries:
            self._drop(key)
            self._entries[key] = (expires_s, reasoning)
            self.bytes += len(reasoning) + ENTRY_OVERHEAD_BYTES
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _expire(self) -> None:
        now_s = self._clock()
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key][0] > now_s:
                return
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= len(entry[1]) + ENTRY_OVERHEAD_BYTES
