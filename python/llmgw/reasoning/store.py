"""What a store of reasoning must do, and the one in this process's memory."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from llmgw.errors import LlmgwError

ENTRY_OVERHEAD_BYTES: Final = 256
"""What an entry costs besides its text: key, expiry, table."""


class CacheError(LlmgwError):
    """The cache can't be used right now."""


class ReasoningStore(Protocol):
    """Where reasoning is kept. An entry expires when it has not been used for the store's TTL."""

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The reasoning of each key, None where there is none. Raises CacheError."""

    async def put(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep pairs of key and reasoning. Raises CacheError."""

    async def close(self) -> None:
        """Close connections."""


class MemoryStore:
    """In this process, for one event loop. The least recently used entry is evicted first."""

    def __init__(self, *, ttl_s: float, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`max_bytes` bounds texts and their overhead together."""
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._clock = clock
        # Ordered by last use, and so by expiry.
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self.bytes = 0
        """The size of all entries with their overhead."""

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
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
        self._expire()
        expires_s = self._clock() + self._ttl_s
        for key, reasoning in entries:
            self._drop(key)
            self._entries[key] = (expires_s, reasoning)
            self.bytes += len(reasoning) + ENTRY_OVERHEAD_BYTES
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def close(self) -> None:
        """There are no connections."""

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
