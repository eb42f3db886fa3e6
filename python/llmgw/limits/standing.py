"""What is left of limits right now. Nothing is reserved by looking."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from llmgw.limits.compiled import LimitedModel
    from llmgw.limits.governor import Governor
    from llmgw.limits.plans import BudgetHere, LimitedKey, LimitHere

_MINUTE_NS: Final = 60 * 10**9
_SECOND_NS: Final = 10**9


class LimitStanding(NamedTuple):
    """A limit, and what is left of it."""

    here: "LimitHere"
    remaining: int | None
    """What would be let through now, never negative. None: only Redis knows."""
    reset_s: float | None
    """In so long all of it is left, if nothing more is used; 0 for requests at once."""


class Standing(NamedTuple):
    """What binds a key, whatever model it asks for."""

    limits: list[LimitStanding]
    """Without those that count each user by himself."""
    reserved: dict[int, int]
    """By the budget's id: what running requests may still use. Without budgets for each user."""


def standing_of(governor: "Governor", key: "LimitedKey", models: Iterable["LimitedModel"]) -> Standing:
    """All that binds requests of a key at any of these models."""
    limits: dict[str, LimitHere] = {}
    budgets: dict[str, BudgetHere] = {}
    at_s = time.time()
    for model in models:
        rules = governor.rules(key, model, at_s)
        for limit in (*rules.rates, *rules.concurrent):
            if not limit.subject.label.endswith("_user"):
                limits[limit.descriptor] = limit
        for budget in rules.budgets:
            if not budget.budget.per_user:
                budgets[budget.descriptor] = budget
    now_ns = time.monotonic_ns()
    reserved = {}
    for descriptor, budget in budgets.items():
        usage = governor.limits.usage(descriptor, now_ns)
        reserved[budget.budget.id] = 0 if usage is None else usage[1]
    return Standing([_standing(governor, limit, now_ns) for limit in limits.values()], reserved)


def _standing(governor: "Governor", limit: "LimitHere", now_ns: int) -> LimitStanding:
    if governor.shared is not None and governor.shared.up:
        return LimitStanding(limit, None, None)
    usage = governor.limits.usage(limit.descriptor, now_ns)
    if usage is None:
        return LimitStanding(limit, limit.limit, 0.0)
    _, held, tat_ns = usage
    if limit.kind == "concurrent_requests":
        return LimitStanding(limit, max(limit.limit - held, 0), 0.0)
    ahead_ns = max(tat_ns - now_ns, 0)
    remaining = max(_MINUTE_NS - ahead_ns, 0) * limit.limit // _MINUTE_NS
    return LimitStanding(limit, remaining, ahead_ns / _SECOND_NS)
