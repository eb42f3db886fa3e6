"""What one request has of limits that are in Redis."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmgw._core import Reservation, limit_headers
from llmgw.limits.redis.plan import Estimate, HeaderFamily, Rules, Standings
from llmgw.limits.redis.script import Correction, Holding, Mark

if TYPE_CHECKING:
    from llmgw.limits.redis.limits import RedisLimits


class SharedReservation:
    """As `_core.Reservation`, but it must be closed: settled and stored, or cancelled.

    For the event loop's thread.
    """

    __slots__ = (
        "_estimate",
        "_is_open",
        "_limits",
        "_marks",
        "_rules",
        "holds",
        "key",
        "known",
        "local",
        "strictest",
    )

    def __init__(
        self,
        limits: "RedisLimits",
        key: str,
        rules: Rules,
        estimate: Estimate,
        *,
        marks: Sequence[Mark] | None,
        local: Reservation | None,
        strictest: Standings,
    ) -> None:
        """`marks`: the rates just after; None: this machine has decided without Redis."""
        self._limits = limits
        self._rules = rules
        self._estimate = estimate
        self._marks = marks
        self.local = local
        """What the machine's own table counts of it."""
        self._is_open = True
        self.key = key
        self.holds: Sequence[Holding] = [hold.holding(hold.units(estimate)) for hold in rules.holds]
        """What it holds now."""
        self.known = marks is not None
        """Redis may know of it."""
        self.strictest = strictest

    def headers(self, family: HeaderFamily, now_unix_s: float) -> list[tuple[bytes, bytes]]:
        """As `_core.Reservation.headers`."""
        return limit_headers(self.strictest, family, now_unix_s)

    def settle(self, now_ns: int, tokens: int, cost_nano: int) -> None:
        """The request has ended, and this is what it used; see `_core.Reservation.settle`."""
        if not self._is_open:
            return
        if self.local is not None:
            self.local.settle(now_ns, tokens=tokens, cost_nano=cost_nano)
        used = Estimate(tokens, 0, cost_nano)
        self._close(used, [hold.holding(hold.units(used)) for hold in self._rules.holds if hold.is_budget])

    def cancel(self, now_ns: int | None = None) -> None:
        """The request has ended and used nothing; see `_core.Reservation.cancel`."""
        if not self._is_open:
            return
        if self.local is not None:
            self.local.cancel(now_ns)
        self._close(Estimate(0, 0, 0), ())

    def lower(self, estimate: Estimate) -> bool:
        """It will use this, and what was reserved beyond is given back. False: it needs more of something."""
        rates, holds = self._rules
        was = self._estimate
        more = [rate.units(estimate) > rate.units(was) for rate in rates]
        more += [hold.units(estimate) > hold.units(was) for hold in holds]
        if any(more):
            return False
        if estimate != was:
            corrections = self._correct([rate.units(estimate) for rate in rates])
            self._estimate = estimate
            self.holds = [hold.holding(hold.units(estimate)) for hold in holds]
            self._limits.changed(self, corrections)
        return True

    def undo(self) -> None:
        """There was no such request: it is not counted as one either."""
        if not self._is_open:
            return
        if self.local is not None:
            self.local.cancel()
        self._close(Estimate(0, 0, 0), (), requests=0)

    def stored(self) -> None:
        """The database has what was used. See `RedisLimits.stored`, which calls this."""
        if self.holds:
            self.holds = ()
            self._limits.changed(self, ())

    def _close(self, used: Estimate, holds: Sequence[Holding], *, requests: int = 1) -> None:
        units = [used.tokens if rate.unit == "tokens" else requests for rate in self._rules.rates]
        corrections = self._correct(units)
        self._is_open = False
        self.holds = holds
        self._limits.changed(self, corrections)

    def _correct(self, used: Sequence[int]) -> list[Correction]:
        """By how much the rates are wrong if so much of each is used."""
        corrections = []
        for at, (rate, units) in enumerate(zip(self._rules.rates, used, strict=True)):
            reserved = rate.units(self._estimate)
            if units == reserved:
                continue
            if self._marks is None:
                self._limits.alone(rate, units - reserved, time.monotonic())
            else:
                difference = rate.cost_ps(units) - rate.cost_ps(reserved)
                corrections.append(Correction(rate.key, difference, self._marks[at]))
        return corrections
