"""Which connections of a worker are closed although nobody asked for that.

A worker accepts a number of connections, and one that holds a place and does nothing keeps another client
out, `/healthz` included. The server itself closes an HTTP/1.1 connection that does not bring a whole head in
`head_timeout_s`. This is what it does not do: clients that do not take an answer which the server has in
full, connections of HTTP/2, and room for newcomers while places are scarce.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from llmgw.asgi.client import Address
from llmgw.asgi.connections import Connection, accepted_connections
from llmgw.asgi.cut import cut_connections
from llmgw.config import ServerConfig
from llmgw.limits.files import possible_connections

if TYPE_CHECKING:
    from llmgw.gateway import Gateway

LOOK_INTERVAL_S: Final = 1.0
LOOK_SHARE: Final = 0.02
"""Looks take at most this share of the time, however many connections there are."""
CROWDED: Final = 0.75
"""From this share of the places on, connections without a request are closed, until `ROOMY`."""
ROOMY: Final = 0.5
MIN_QUIET_S: Final = 3.0
"""Even then a connection gets so long for its first request."""


class _Visit:
    """What is remembered of a connection."""

    __slots__ = ("has_spoken", "moved_s", "taken_bytes")

    def __init__(self, now_s: float) -> None:
        self.moved_s = now_s
        """When it was first seen, had a request, or took something."""
        self.taken_bytes: int | None = None
        self.has_spoken = False
        """There was a request."""


class Visits:
    """Decides which connections are closed, from what one look after the other shows. No I/O, no clock."""

    def __init__(self, server: ServerConfig, *, places: int) -> None:
        """`places`: how many connections are accepted at once."""
        self._head_timeout_s = server.head_timeout_s
        # Of an HTTP/2 connection it is unknown what it still has to take: bytes may be mere answers to PINGs.
        self._counts_bytes = not server.http2
        self._take_timeout_s = max(server.client_write_timeout_s, server.head_timeout_s)
        self._places = places
        self._visits: dict[Address, _Visit] = {}

    def overstayed(
        self,
        connections: Sequence[Connection],
        now_s: float,
        *,
        running: Iterable[Address],
        served: Iterable[Address],
    ) -> set[Address]:
        """Those to close. `running`: have a request now; `served`: had one since the last look."""
        known = self._visits
        self._visits = {c.address: known.get(c.address) or _Visit(now_s) for c in connections}
        active = {*running, *served}
        for connection in connections:
            self._update(connection, now_s, is_active=connection.address in active)
        quiet = [address for address in self._visits if address not in active]
        late = {address for address in quiet if self._is_late(self._visits[address], now_s)}
        return late | self._crowding([address for address in quiet if address not in late], now_s)

    def _update(self, connection: Connection, now_s: float, *, is_active: bool) -> None:
        visit = self._visits[connection.address]
        takes = self._counts_bytes and connection.taken_bytes != visit.taken_bytes
        visit.taken_bytes = connection.taken_bytes
        if is_active or (takes and visit.has_spoken):
            visit.moved_s = now_s
        visit.has_spoken |= is_active

    def _is_late(self, visit: _Visit, now_s: float) -> bool:
        timeout_s = self._take_timeout_s if visit.has_spoken else self._head_timeout_s
        return now_s - visit.moved_s > timeout_s

    def _crowding(self, quiet: Sequence[Address], now_s: float) -> set[Address]:
        """Those without a request, while places are scarce. From the host with the most, the oldest first."""
        if len(self._visits) <= self._places * CROWDED:
            return set()
        hosts = Counter(host for host, _ in quiet)
        idle = [address for address in quiet if now_s - self._visits[address].moved_s >= MIN_QUIET_S]
        idle.sort(key=lambda address: (-hosts[address[0]], self._visits[address].moved_s))
        return set(idle[: len(self._visits) - int(self._places * ROOMY)])


class Door:
    """Closes connections that overstay. Part of the worker's upkeep."""

    def __init__(self, server: ServerConfig) -> None:
        """With the config of the start, as the server itself."""
        self._visits = Visits(server, places=possible_connections(server))
        self._next_look_s = 0.0

    async def __call__(self, gateway: "Gateway") -> None:
        """One tick."""
        now_s = asyncio.get_running_loop().time
        begun_s = now_s()
        if begun_s < self._next_look_s:
            return
        clients = gateway.clients
        served = clients.take_served()
        connections = await asyncio.to_thread(accepted_connections)
        late = self._visits.overstayed(connections, begun_s, running=clients.running, served=served)
        # A request may have come during the look, or may come now: then the client tries again, as after any
        # connection that was kept for too long.
        if peers := {(host, int(port)) for host, port in late if (host, port) not in clients.running}:
            await asyncio.to_thread(cut_connections, peers)
        took_s = now_s() - begun_s
        self._next_look_s = begun_s + max(LOOK_INTERVAL_S, took_s / LOOK_SHARE)
