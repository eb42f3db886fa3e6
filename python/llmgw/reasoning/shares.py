"""Who holds how much of a store, and what has to go when it is full."""

import time
from collections import OrderedDict
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

ENTRY_OVERHEAD_BYTES: Final = 640
"""What an entry costs besides its text: key, expiry, tables. Measured, and rounded up."""

_STALE_ENTRIES: Final = 64


class _Entry(NamedTuple):
    expires_s: float
    cost_bytes: int
    client: bytes


class _Client:
    __slots__ = ("held_bytes", "keys")

    def __init__(self) -> None:
        self.held_bytes = 0
        self.keys: OrderedDict[bytes, None] = OrderedDict()


class Shares:
    """The entries of a store, without their texts. For one event loop.

    An entry expires when it has not been used for the store's TTL. If the store is full, the client that
    holds most loses what it has used least recently: however much one client has kept, nobody who holds less
    loses anything to it.
    """

    def __init__(self, *, ttl_s: float, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`max_bytes` bounds texts and their overhead together."""
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._clock = clock
        # Ordered by last use, and so by expiry.
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._clients: dict[bytes, _Client] = {}
        # A heap of what clients held at some time, negative; for each client one that is no less than what it
        # holds now.
        self._largest: list[tuple[int, bytes]] = []
        self.bytes = 0
        """The cost of all entries."""

    def add(self, client: bytes, key: bytes, size_bytes: int) -> None:
        """One entry more, or a known one anew. `evicted` must be asked afterwards."""
        self._remove(key)
        entry = _Entry(self._clock() + self._ttl_s, size_bytes + ENTRY_OVERHEAD_BYTES, client)
        self._entries[key] = entry
        share = self._clients.setdefault(client, _Client())
        share.keys[key] = None
        share.held_bytes += entry.cost_bytes
        self.bytes += entry.cost_bytes
        heappush(self._largest, (-share.held_bytes, client))
        if len(self._largest) > 2 * len(self._clients) + _STALE_ENTRIES:
            self._largest = [(-share.held_bytes, client) for client, share in self._clients.items()]
            heapify(self._largest)

    def use(self, key: bytes) -> None:
        """An entry was used, if it is known."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries[key] = entry._replace(expires_s=self._clock() + self._ttl_s)
            self._entries.move_to_end(key)
            self._clients[entry.client].keys.move_to_end(key)

    def expired(self) -> list[bytes]:
        """Forget what has not been used for its time. Returns its keys."""
        now_s = self._clock()
        gone = []
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key].expires_s > now_s:
                break
            self._remove(key)
            gone.append(key)
        return gone

    def evicted(self) -> list[bytes]:
        """Forget what there is no room for. Returns its keys."""
        gone = []
        while self.bytes > self._max_bytes:
            key = next(iter(self._largest_client().keys))
            self._remove(key)
            gone.append(key)
        return gone

    def _largest_client(self) -> _Client:
        while True:
            held, client = self._largest[0]
            share = self._clients.get(client)
            if share is not None and share.held_bytes == -held:
                return share
            heappop(self._largest)
            if share is not None:
                heappush(self._largest, (-share.held_bytes, client))

    def _remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.bytes -= entry.cost_bytes
        share = self._clients[entry.client]
        share.held_bytes -= entry.cost_bytes
        del share.keys[key]
        if not share.keys:
            del self._clients[entry.client]
