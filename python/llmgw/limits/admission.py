"""What one worker takes on at once, and what it turns away.

A request is counted before its body is read, its body before the bytes are there, its upstream before
anything is sent to it. What exceeds a limit is answered with 503 at once. There is no queue: a wait that ends
in a time-out costs a client more than an answer that says when to come back.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

from llmgw.errors import ApiError

ShedReason = Literal["requests", "bytes", "upstream", "files"]
"""Why a request was turned away: `max_in_flight_requests`, `max_in_flight_bytes`, its upstream's
`max_in_flight`, or the process has no file descriptors left."""

_RETRY_AFTER_S: Final = (1, 2, 3)
"""Given out in turn, so that those who were turned away together do not come back together."""


class Slots:
    """How many requests one upstream has, of how many it may have. Both for this worker alone."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int | None) -> None:
        """None: no limit."""
        self.limit = limit
        self.used = 0

    @property
    def full(self) -> bool:
        """True if there is none left."""
        return self.limit is not None and self.used >= self.limit


class Admission:
    """The limits of one worker. For the event loop's thread only."""

    def __init__(
        self, *, max_requests: int, max_bytes: int, on_shed: Callable[[ShedReason], None] = lambda _: None
    ) -> None:
        """`on_shed` is called for each request that is turned away."""
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        """Being served."""
        self.served = 0
        """Since the start; whoever was turned away is not among them."""
        self.bytes = 0
        """Of their bodies: announced, or come already where nothing was announced."""
        self._on_shed = on_shed
        self._shed = 0

    def admit(self) -> "Ticket":
        """Take a request on; use the ticket as a context. Raises ApiError: `overloaded`."""
        if self.requests >= self.max_requests:
            raise self.shed("requests", "The gateway serves as many requests as it can.")
        return Ticket(self)

    def shed(self, reason: ShedReason, why: str) -> ApiError:
        """Count a request that is turned away; the error to raise, `overloaded`."""
        self._on_shed(reason)
        self._shed += 1
        wait_s = _RETRY_AFTER_S[self._shed % len(_RETRY_AFTER_S)]
        return ApiError("overloaded", f"{why} Try again in {wait_s} s.", retry_after_s=wait_s)


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
            raise admission.shed("bytes", "The gateway holds as many bytes of requests as it can.")
        admission.bytes += size
        self._bytes += size

    def release(self) -> None:
        """The body is held no longer."""
        self._admission.bytes -= self._bytes
        self._bytes = 0

    def occupy(self, slots: Slots) -> None:
        """Take one of an upstream's slots, instead of the one held before. Raises ApiError: `overloaded`."""
        self.vacate()
        if slots.full:
            raise self._admission.shed(
                "upstream", "The model's upstream has as many requests as it may have."
            )
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
        self.release()
        self._admission.requests -= 1
        self._admission.served += 1
