"""What this machine takes of the limits while Redis is gone: its share, counted in the machine's own table.

While Redis is there, the table counts what this machine's requests hold all the same, so that it is known
when Redis goes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from llmgw._core import LimitPlan, LimitTable, Refusal, Reservation
from llmgw.limits.redis.plan import Estimate, Hold, Rate, SharedRefusal
from llmgw.limits.redis.script import PERIOD_PS, PS_PER_S, Mark

_UNLIMITED: Final = 2**64 - 1
_PS_PER_NS: Final = 1000


class Share:
    """Of one plan: limit ÷ machines, at least 1; of a budget, what is left ÷ machines."""

    def __init__(
        self, table: LimitTable, rates: Sequence[Rate], holds: Sequence[Hold], *, machines: int
    ) -> None:
        self._table = table
        self._machines = machines
        self._whole = {descriptor: limit for descriptor, _, limit in rates}
        self._rates = [(descriptor, unit, self._part(limit)) for descriptor, unit, limit in rates]
        self._holds = holds
        counted = [(descriptor, unit, _UNLIMITED, keep) for descriptor, unit, _, keep in holds]
        self._counted = LimitPlan(table, [], counted) if holds else None
        self._plan: LimitPlan | None = None
        self._bases: list[int] = []
        """Of the budgets, for which `_plan` was made."""

    def _part(self, limit: int) -> int:
        return max(limit // self._machines, 1) if limit else 0

    def count(self, now_ns: int, estimate: Estimate) -> Reservation | None:
        """Count what a request holds by leave of Redis. None: it holds nothing."""
        if self._counted is None:
            return None
        decision = self._counted.reserve(now_ns, **estimate._asdict())
        return decision if isinstance(decision, Reservation) else None

    def fill(self, now_ns: int, marks: Sequence[Mark], *, seen_ns: int) -> None:
        """The rates are as full as Redis had them when it was last seen."""
        for (descriptor, _, _), mark in zip(self._rates, marks, strict=False):
            level_ns = mark.ahead_ps // _PS_PER_NS - (now_ns - seen_ns)
            if level_ns > 0:
                self._table.fill_rate(descriptor, now_ns, level_ns)

    def reserve(self, now_ns: int, estimate: Estimate) -> Reservation | SharedRefusal:
        """Of the share. A refusal says the share's number as the limit."""
        decision = self._current(now_ns).reserve(now_ns, **estimate._asdict())
        if not isinstance(decision, Refusal):
            return decision
        refusal = SharedRefusal(
            decision.index,
            "rate" if decision.is_rate else "hold",
            decision.retry_after_s,
            decision.limit,
            decision.remaining,
            decision.strictest,
            decision.spent,
        )
        if refusal.is_rate and refusal.retry_after_s is None:
            descriptor, unit, _ = self._rates[refusal.index]
            needs = 1 if unit == "requests" else estimate.input_tokens
            if needs <= self._whole[descriptor]:
                # Larger than the share, not than the limit: possible once Redis is back.
                return replace(refusal, retry_after_s=PERIOD_PS / PS_PER_S)
        return refusal

    def _current(self, now_ns: int) -> LimitPlan:
        """The plan for what the budgets have come to."""
        bases = [
            self._base(descriptor, now_ns) for descriptor, unit, _, _ in self._holds if unit != "requests"
        ]
        if self._plan is None or bases != self._bases:
            left = iter(bases)
            holds = [
                (
                    descriptor,
                    unit,
                    self._part(limit) if unit == "requests" else self._of_rest(limit, next(left)),
                    keep,
                )
                for descriptor, unit, limit, keep in self._holds
            ]
            self._plan, self._bases = LimitPlan(self._table, self._rates, holds), bases
        return self._plan

    def _base(self, descriptor: str, now_ns: int) -> int:
        usage = self._table.usage(descriptor, now_ns)
        return 0 if usage is None else usage[0]

    def _of_rest(self, limit: int, base: int) -> int:
        # What this machine holds is compared with its part of what is left. All parts together are never
        # more, and as the database learns what was spent, each machine's part follows.
        return base + (limit - base) // self._machines if base < limit else limit
