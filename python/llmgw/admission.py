"""What one worker takes on at once, and what it turns away.

A request is counted before its body is read, its body before the bytes are there, its upstream before anything
is sent to it. What exceeds a limit is answered with 503 at once. There is no queue: a wait that ends in a
time-out costs a client more than an answer that says when to come back.
"""

import resource
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, NoReturn, Self

from llmgw.config import ServerConfig
from llmgw.errors import ApiError

Reason = Literal["requests", "bytes", "upstream"]
"""Which limit turned a request away: `max_in_flight_requests`, `max_in_flight_bytes`, or its upstream's."""

_RETRY_AFTER_S: Final = (1, 2, 3)
"""Given out in turn, so that those who were turned away together do not come back together."""
_FILES_PER_REQUEST: Final = 2
"""The client's connection and the upstream's."""
_OTHER_FILES: Final = 64
"""Database, logs, runtime, probes."""


class Slots:
    """How many requests one upstream has, of how many it may have. Both for this worker alone."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int | None) -> None:
        """None: no limit."""
        self.limit = limit
        self.used = 0


class Admission:
    """The limits of one worker. For the event loop's thread only."""

    def __init__(
        self, *, max_requests: int, max_bytes: int, on_shed: Callable[[Reason], None] = lambda _: None
    ) -> None:
        """`on_shed` is called for each request that is turned away."""
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        """Being served."""
        self.bytes = 0
        """Of their bodies: announced, or come already where nothing was announced."""
        self._on_shed = on_shed
        self._shed = 0

    def admit(self) -> "Ticket":
        """Take a request on; use the ticket as a context. Raises ApiError: `overloaded`."""
        if self.requests >= self.max_requests:
            self.refuse("requests", "The gateway serves as many requests as it can.")
        return Ticket(self)

    def refuse(self, reason: Reason, why: str) -> NoReturn:
        """Raises ApiError: `overloaded`."""
        self._on_shed(reason)
        self._shed += 1
        wait_s = _RETRY_AFTER_S[self._shed % len(_RETRY_AFTER_S)]
        raise ApiError("overloaded", f"{why} Try again in {wait_s} s.", retry_after_s=wait_s)


class Ticket:
    """One request's share of the limits, given back when its context ends."""

    __slots__ = ("_admission", "_bytes", "_slots")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._bytes = 0
        self._slots: Slots | None = None

    def hold(self, size: int) -> None:
        """Count `size` more bytes of body. Raises ApiError: `overloaded`."""
        admission = self._admission
        if admission.bytes + size > admission.max_bytes:
            admission.refuse("bytes", "The gateway holds as many bytes of requests as it can.")
        admission.bytes += size
        self._bytes += size

    def occupy(self, slots: Slots) -> None:
        """Take one of an upstream's slots, instead of the one held before. Raises ApiError: `overloaded`."""
        self.vacate()
        if slots.limit is not None and slots.used >= slots.limit:
            self._admission.refuse("upstream", "The model's upstream has as many requests as it may have.")
        slots.used += 1
        self._slots = slots

    def vacate(self) -> None:
        """Give the upstream's slot back."""
        if self._slots is not None:
            self._slots.used -= 1
            self._slots = None

    def __enter__(self) -> Self:
        """Count the request."""
        self._admission.requests += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give everything back."""
        self.vacate()
        self._admission.requests -= 1
        self._admission.bytes -= self._bytes


def possible_requests(server: ServerConfig) -> int:
    """`max_in_flight_requests`, or as many as the process has file descriptors for, if that is less.

    Beyond those, new connections could not even be told that there are too many.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return server.max_in_flight_requests
    return min(server.max_in_flight_requests, max((files - _OTHER_FILES) // _FILES_PER_REQUEST, 1))
