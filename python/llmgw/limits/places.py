"""The places that an upstream has for a worker's requests, and those who wait for one.

A place is one of `max_in_flight`, and a share of the rates that the provider grants the account. A request
that finds none may wait (`wait_s`), at several upstreams at once: the first one with a place gets it. Whose
turn it is says `waiting`; a newcomer does not overtake those who wait.
"""

import asyncio
import time
from collections.abc import Hashable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from llmgw._core import LimitPlan, Refusal, Reservation
from llmgw.limits.estimates import Need
from llmgw.limits.waiting import Turns

_LONGEST_PAUSE_S: Final = 1.0
"""Those who wait for a rate look again at least this often: another worker may have given something back."""
_SHORTEST_PAUSE_S: Final = 0.001


RateKind: TypeAlias = Literal["requests_per_minute", "tokens_per_minute"]


class NoPlace(NamedTuple):
    """Why there is none."""

    reason: Literal["in_flight", "requests_per_minute", "tokens_per_minute"]
    retry_after_s: float | None
    """Of a rate, when there will be one; None: never, the request is larger than the whole rate."""

    @property
    def never(self) -> bool:
        """True if the request can have no place there, however long it waits."""
        return self.reason != "in_flight" and self.retry_after_s is None


class Rates(NamedTuple):
    """What a provider grants, as a plan, and the kinds of its limits in their order."""

    plan: LimitPlan
    kinds: Sequence[RateKind]


class Place:
    """One request's place, to be given back."""

    __slots__ = ("_places", "_reservation")

    def __init__(self, places: "Places", reservation: Reservation | None) -> None:
        self._places: Places | None = places
        self._reservation = reservation

    def settle(self, tokens: int) -> None:
        """The attempt is over, and so many tokens were used. Only the first call counts."""
        if self._reservation is not None:
            self._reservation.settle(time.monotonic_ns(), tokens=tokens, cost_nano=0)
            self._reservation = None

    def give_back(self) -> None:
        """The place is free for another request. Without `settle` no tokens were used."""
        self.settle(0)
        places, self._places = self._places, None
        if places is not None:
            places.used -= 1
            if places.waiting:
                places.serve()


class Places:
    """Of one upstream. For the event loop's thread only."""

    __slots__ = ("_timer", "limit", "rates", "used", "wait_s", "waiting")

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: how many requests may run at once; None: any number."""
        self.limit = limit
        self.used = 0
        """Requests that run."""
        self.rates: Rates | None = None
        """Shared by all workers. None: the provider is not known to limit anything."""
        self.wait_s = 0.0
        self.waiting: Turns[Waiter] = Turns()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        """True if a newcomer gets no place, as far as that does not depend on its size."""
        if self.limit is not None and self.used >= self.limit:
            return True
        if self.waiting:
            return True
        if self.rates is None:
            return False
        standings = self.rates.plan.strictest(time.monotonic_ns())
        return any(standing is not None and not standing[1] for standing in standings)

    def take(self, need: Need) -> Place | NoPlace:
        """A place for a newcomer."""
        if self.waiting:
            is_full = self.limit is not None and self.used >= self.limit
            return NoPlace("in_flight" if is_full else "requests_per_minute", _LONGEST_PAUSE_S)
        return self.take_in_turn(need)

    def take_in_turn(self, need: Need) -> Place | NoPlace:
        """A place for one whose turn it is."""
        if self.limit is not None and self.used >= self.limit:
            return NoPlace("in_flight", None)
        reservation = None
        if self.rates is not None:
            decision = self.rates.plan.reserve(
                time.monotonic_ns(),
                input_tokens=need.input_tokens,
                output_tokens=need.output_tokens,
                cost_nano=0,
            )
            if isinstance(decision, Refusal):
                return NoPlace(self.rates.kinds[decision.index], decision.retry_after_s)
            reservation = decision
        self.used += 1
        return Place(self, reservation)

    def serve(self) -> None:
        """Give places to those who wait, in turn, as far as there are any."""
        while (waiter := self.waiting.first()) is not None:
            got = self.take_in_turn(waiter.need)
            if isinstance(got, Place):
                self.waiting.take()
                waiter.served(self, got)
            elif got.never:
                self.waiting.take()
                waiter.refused(self)
            else:
                if got.retry_after_s is not None:
                    self._serve_in(got.retry_after_s)
                return

    def _serve_in(self, pause_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        pause_s = min(max(pause_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._timer = asyncio.get_running_loop().call_later(pause_s, self.serve)


class Waiter:
    """One request that waits for the first of several upstreams that has a place for it."""

    __slots__ = ("_at", "_owner", "_told", "got", "need")

    def __init__(self, owner: Hashable, need: Need) -> None:
        """`owner`: takes turns with others."""
        self.need = need
        self.got: tuple[Places, Place] | None = None
        """The place that it was given, and whose."""
        self._owner = owner
        self._at: set[Places] = set()
        self._told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self, choice: Sequence[Places]) -> tuple[Places, Place] | None:
        """A place of one of these, which is then the caller's to give back.

        None: those with a `wait_s` had none in that time, too many wait already, or `leave` was called.
        """
        wait_s = max((places.wait_s for places in choice), default=0.0)
        for places in choice:
            if places.wait_s > 0 and places.waiting.add(self._owner, self):
                self._at.add(places)
        try:
            for places in choice:
                places.serve()
            if self._at and self.got is None:
                await asyncio.wait((self._told,), timeout=wait_s)
        except BaseException:
            self._give_back()
            raise
        finally:
            self.leave()
        return self.got

    def leave(self) -> None:
        """Wait no longer."""
        for places in self._at:
            places.waiting.remove(self._owner, self)
        self._at.clear()
        if not self._told.done():
            self._told.set_result(None)

    def served(self, places: Places, place: Place) -> None:
        """A place, for one whose turn it is at an upstream and who is no longer in its queue."""
        self._at.discard(places)
        self.got = (places, place)
        self.leave()

    def refused(self, places: Places) -> None:
        """The request can never have a place there, and is no longer in its queue."""
        self._at.discard(places)
        if not self._at:
            self.leave()

    def _give_back(self) -> None:
        got, self.got = self.got, None
        if got is not None:
            got[1].give_back()
