"""Limits and budgets of one kind of request, as Redis counts them, and what its reply means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from llmgw._core import limit_headers
from llmgw.limits.redis.script import (
    BUDGET_KEPT_MS,
    EXACT,
    HOLD_KEPT_MS,
    KEY_PREFIX,
    PERIOD_PS,
    PS_PER_S,
    Holding,
    Mark,
    Reserved,
    cost_ps,
)

RateUnit: TypeAlias = Literal["requests", "tokens"]
HoldUnit: TypeAlias = Literal["requests", "tokens", "nano"]
Rate: TypeAlias = tuple[str, RateUnit, int]
Hold: TypeAlias = tuple[str, HoldUnit, int, int | None]
"""Both as `_core.LimitPlan` takes them."""

HeaderFamily: TypeAlias = Literal["openai", "anthropic"]
Standing: TypeAlias = tuple[int, int, float]
"""Limit, what is left of it, and the seconds until all of it is there again."""
Standings: TypeAlias = tuple[Standing | None, Standing | None]
"""Of requests and of tokens; None: no rate counts them."""

_MOST_PS: Final = 80 * PERIOD_PS
"""With the largest debt it is an exact integer still (see `script.EXACT`)."""
PLACE_RETRY_S: Final = 1.0
"""When to ask again for a place among those at once: nobody knows when one of them ends."""


class Estimate(NamedTuple):
    """What a request will probably use, or has used."""

    input_tokens: int
    output_tokens: int
    cost_nano: int

    @property
    def tokens(self) -> int:
        """All."""
        return self.input_tokens + self.output_tokens


class PlannedRate(NamedTuple):
    """A rate."""

    key: str
    descriptor: str
    unit: RateUnit
    limit: int

    def units(self, estimate: Estimate) -> int:
        """Output that does not fit into the whole limit is cut: it can be settled, but never reserved."""
        if self.unit == "requests":
            return 1
        return estimate.tokens if estimate.tokens <= self.limit else max(estimate.input_tokens, self.limit)

    def cost_ps(self, units: int) -> int:
        """More than any debt can be is all the same."""
        return min(cost_ps(units, self.limit), _MOST_PS) if self.limit else _MOST_PS

    def standing(self, ahead_ps: int) -> Standing:
        """What is left of it."""
        left = max(PERIOD_PS - ahead_ps, 0) * self.limit // PERIOD_PS
        return self.limit, left, ahead_ps / PS_PER_S


class PlannedHold(NamedTuple):
    """A concurrency limit or a budget.

    Where its limit is beyond the integers of Lua, it is counted in a larger unit, under another key: what is
    held or spent is rounded up then, and the limit down, by less than a 2⁴³rd of it.
    """

    key: str
    descriptor: str
    unit: HoldUnit
    limit: int
    scale: int

    @classmethod
    def of(cls, descriptor: str, unit: HoldUnit, limit: int) -> "PlannedHold":
        """Choose the unit that it is counted in."""
        scale = 1
        while limit // scale > EXACT:
            scale *= 1000
        suffix = "" if scale == 1 else f"/{scale}"
        return cls(f"{KEY_PREFIX}{descriptor}{suffix}", descriptor, unit, limit, scale)

    @property
    def is_budget(self) -> bool:
        """False: a concurrency limit."""
        return self.unit != "requests"

    def units(self, estimate: Estimate) -> int:
        """What it counts of a request."""
        match self.unit:
            case "requests":
                return 1
            case "tokens":
                return estimate.tokens
            case "nano":
                return estimate.cost_nano

    def scaled(self, units: int) -> int:
        """As Redis counts them."""
        return min(-(-units // self.scale), EXACT)

    def holding(self, units: int) -> Holding:
        """Of so many."""
        return Holding(self.key, self.scaled(units), BUDGET_KEPT_MS if self.is_budget else HOLD_KEPT_MS)


class Rules(NamedTuple):
    """All that bind it."""

    rates: Sequence[PlannedRate]
    holds: Sequence[PlannedHold]

    @classmethod
    def of(cls, rates: Sequence[Rate], holds: Sequence[Hold]) -> "Rules":
        """Compile."""
        return cls(
            [PlannedRate(f"{KEY_PREFIX}{name}", name, unit, limit) for name, unit, limit in rates],
            [PlannedHold.of(descriptor, unit, limit) for descriptor, unit, limit, _ in holds],
        )

    def standings(self, marks: Sequence[Mark]) -> Standings:
        """Of requests and of tokens, the rate that leaves least."""
        strictest: dict[RateUnit, Standing] = {}
        for rate, mark in zip(self.rates, marks, strict=True):
            here = rate.standing(mark.ahead_ps)
            known = strictest.get(rate.unit)
            if known is None or (here[1], -here[2]) < (known[1], -known[2]):
                strictest[rate.unit] = here
        return strictest.get("requests"), strictest.get("tokens")

    def refusal(self, estimate: Estimate, reserved: Reserved) -> "SharedRefusal":
        """Which of them says no, from a reply that does."""
        refusals = []
        standings = self.standings(reserved.marks)
        for index, (rate, mark) in enumerate(zip(self.rates, reserved.marks, strict=True)):
            cost = rate.cost_ps(rate.units(estimate))
            over_ps = mark.ahead_ps + cost - PERIOD_PS
            if over_ps > 0:
                wait_s = over_ps / PS_PER_S if cost <= PERIOD_PS else None
                _, left, _ = rate.standing(mark.ahead_ps)
                refusals.append(SharedRefusal(index, "rate", wait_s, rate.limit, left, standings))
        for index, (hold, (base, held)) in enumerate(zip(self.holds, reserved.used, strict=True)):
            limit, amount = hold.limit // hold.scale, hold.scaled(hold.units(estimate))
            if base + held + amount > limit:
                wait_s = PLACE_RETRY_S if hold.unit == "requests" and limit else None
                left = max(limit - base - held, 0) * hold.scale
                refusals.append(
                    SharedRefusal(
                        len(self.rates) + index,
                        "hold",
                        wait_s,
                        hold.limit,
                        left,
                        standings,
                        base * hold.scale,
                    )
                )
        return max(refusals, key=lambda refusal: refusal.wait)


@dataclass(frozen=True, slots=True)
class SharedRefusal:
    """As `_core.Refusal`: of several limits that say no, the one that will do so for longest."""

    index: int
    kind: Literal["rate", "hold"]
    retry_after_s: float | None
    limit: int
    remaining: int
    strictest: Standings
    spent: int = 0
    """Of a budget, what is in the database of it."""

    @property
    def is_rate(self) -> bool:
        """False: a concurrency limit or a budget."""
        return self.kind == "rate"

    @property
    def wait(self) -> float:
        """To compare with."""
        return float("inf") if self.retry_after_s is None else self.retry_after_s

    def headers(self, family: HeaderFamily, now_unix_s: float) -> list[tuple[bytes, bytes]]:
        """As `_core.Refusal.headers`."""
        return limit_headers(self.strictest, family, now_unix_s)
