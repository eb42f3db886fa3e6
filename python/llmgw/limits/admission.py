"""May a worker take on another request, its body, and its upstream's load?

A request is counted before its body is read, the body before its bytes arrive, and the upstream before
anything is sent to it. A request over a limit gets 503 at once: waiting for a time-out costs a client more
than an answer that says when to come back. Only a place at an upstream may be waited for (`places`).
"""

from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

from llmgw.errors import ApiError
from llmgw.limits.places import Place
from llmgw.limits.shares import RESERVED, Owner, Shares

ShedReason = Literal["requests", "bytes", "upstream", "files"]
"""Why a request was turned away: `max_in_flight_requests`, `max_in_flight_bytes`, its upstream's
`max_in_flight`, or the process has no file descriptors left."""

_RETRY_AFTER_S: Final = (1, 2, 3)
"""Used in turn, so that clients refused at the same time do not come back at the same time."""


class Admission:
    """The limits of one worker. For the event loop's thread only."""

    def __init__(
        self, *, max_requests: int, max_bytes: int, on_shed: Callable[[ShedReason], None] = lambda _: None
    ) -> None:
        """`on_shed` is called for each refused request."""
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        """Being served."""
        self.served = 0
        """Finished since the start; refused ones are not counted."""
        self.bytes = 0
        """Of request bodies: as they arrive, and a little of each that is announced."""
        self._on_shed = on_shed
        self._shed = 0
        self._shares = Shares()
        """Of the bytes."""
        self._arriving = Shares()
        """Of requests whose bodies are slow to come."""

    def ticket(self, *owners: Owner) -> "Ticket":
        """A request's ticket, to be used as a context. No owner's bodies can lock out the others."""
        return Ticket(self, owners)

    def hold(self, owners: tuple[Owner, ...], size: int, *, alone: bool) -> None:
        """Count bytes of a body. `alone`: there is no other body. Raises ApiError: `overloaded`."""
        total = self.bytes + size
        if total > self.max_bytes:
            raise self.shed("bytes", "The gateway holds as many bytes of requests as it can.")
        if total > self.max_bytes * (1 - RESERVED) and owners and not alone:
            share = self._shares.most(owners) + size
            if share > self.max_bytes * RESERVED:
                raise self.shed("bytes", "The bytes of requests that are left are for other keys.")
        self.bytes = total
        self._shares.add(owners, size)

    def release(self, owners: tuple[Owner, ...], size: int) -> None:
        """Give bytes back."""
        self.bytes -= size
        self._shares.remove(owners, size)

    def arriving(self, owners: tuple[Owner, ...]) -> None:
        """Count a request whose body is slow to come, until `arrived`. Raises ApiError: `overloaded`."""
        if self._arriving.most(owners) >= (self.max_requests + 1) // 2:
            raise self.shed("requests", "Too many requests of this key or address wait for their bodies.")
        self._arriving.add(owners, 1)

    def arrived(self, owners: tuple[Owner, ...]) -> None:
        """It has come, or the request is over."""
        self._arriving.remove(owners, 1)

    def shed(self, reason: ShedReason, why: str) -> ApiError:
        """Count a refused request. Returns the error to raise, `overloaded`."""
        self._on_shed(reason)
        self._shed += 1
        wait_s = _RETRY_AFTER_S[self._shed % len(_RETRY_AFTER_S)]
        return ApiError("overloaded", f"{why} Try again in {wait_s} s.", retry_after_s=wait_s)


class Ticket:
    """One request's share of the limits, given back when its context ends."""

    __slots__ = ("_admission", "_bytes", "_is_arriving", "_owners", "_place")

    def __init__(self, admission: Admission, owners: tuple[Owner, ...]) -> None:
        self._admission = admission
        self._owners = owners
        self._bytes = 0
        self._is_arriving = False
        self._place: Place | None = None

    def hold(self, size: int) -> None:
        """Count `size` more bytes of body. Raises ApiError: `overloaded`."""
        admission = self._admission
        admission.hold(self._owners, size, alone=admission.bytes == self._bytes)
        self._bytes += size

    def release(self) -> None:
        """Give the body's bytes back."""
        if self._bytes:
            self._admission.release(self._owners, self._bytes)
            self._bytes = 0

    def arriving(self) -> None:
        """The body is slow to come. Raises ApiError: `overloaded`."""
        self._admission.arriving(self._owners)
        self._is_arriving = True

    def arrived(self) -> None:
        """It is here, or will not come."""
        if self._is_arriving:
            self._is_arriving = False
            self._admission.arrived(self._owners)

    def occupy(self, place: Place) -> None:
        """Have a place at an upstream, until `vacate`. The one before must have been given back."""
        self._place = place

    def settle(self, tokens: int) -> None:
        """So many tokens were used there."""
        if self._place is not None:
            self._place.settle(tokens)

    def vacate(self) -> None:
        """Give the place at the upstream back."""
        place, self._place = self._place, None
        if place is not None:
            place.give_back()

    def __enter__(self) -> Self:
        """Count the request. Raises ApiError: `overloaded`."""
        admission = self._admission
        if admission.requests >= admission.max_requests:
            raise admission.shed("requests", "The gateway serves as many requests as it can.")
        admission.requests += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give everything back."""
        self.vacate()
        self.release()
        self.arrived()
        self._admission.requests -= 1
        self._admission.served += 1
