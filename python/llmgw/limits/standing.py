"""What is left of limits right now. Nothing is reserved by looking."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Final, NamedTuple

from llmgw.limits.plans import rules_for
from llmgw.limits.redis.look import look
from llmgw.limits.redis.script import PERIOD_PS, PS_PER_S
from llmgw.limits.rules import NO_LIMITS, Limits

if TYPE_CHECKING:
    from llmgw._core import LimitTable
    from llmgw.limits.compiled import LimitedModel
    from llmgw.limits.governor import Governor
    from llmgw.limits.plans import BudgetHere, LimitedKey, LimitHere, Rules

_PS_PER_NS: Final = 1000


class LimitLeft(NamedTuple):
    """A limit, and what this machine has left of it."""

    here: "LimitHere"
    remaining: int
    """What would be let through now, never negative."""
    reset_s: float
    """Until all of it is left, if nothing more is used; 0 for requests at once."""


class LimitStanding(NamedTuple):
    """The same where machines may share it. None: only Redis knows."""

    here: "LimitHere"
    remaining: int | None
    reset_s: float | None


class Standing(NamedTuple):
    """What binds a key, whatever model it asks for."""

    limits: list[LimitStanding]
    """Without those that count each user by himself."""
    reserved: dict[int, int]
    """By the budget's id: what running requests may still use. Without budgets for each user."""


def standing_of(governor: "Governor", key: "LimitedKey", models: Iterable["LimitedModel"]) -> Standing:
    """All that binds requests of a key at any of these models."""
    budgets: dict[str, BudgetHere] = {}
    at_s = time.time()
    all_rules = [governor.rules(key, model, at_s) for model in models]
    for rules in all_rules:
        for budget in rules.budgets:
            if not budget.budget.per_user:
                budgets[budget.descriptor] = budget
    now_ns = time.monotonic_ns()
    reserved = {}
    for descriptor, budget in budgets.items():
        usage = governor.limits.usage(descriptor, now_ns)
        reserved[budget.budget.id] = 0 if usage is None else usage[1]
    limits = _limits(all_rules)
    if governor.shared is not None and governor.shared.up:
        return Standing([LimitStanding(limit, None, None) for limit in limits], reserved)
    return Standing([LimitStanding(*_left(governor.table, limit, now_ns)) for limit in limits], reserved)


def limits_of(key: "LimitedKey", models: Iterable[tuple[str, Limits]], defaults: Limits) -> "list[LimitHere]":
    """Every limit that binds a key at any of these models, and those that bind it at all models.

    A project is a key without defaults. From any thread.
    """
    at_s = time.time()
    all_rules = [
        # The zone is of budgets, which are not told here. No model has an empty name.
        rules_for(key, model, limits, None, defaults=defaults, zone=UTC, at_s=at_s)
        for model, limits in (("", NO_LIMITS), *models)
    ]
    return _limits(all_rules)


def limits_left(table: "LimitTable", limits: "Iterable[LimitHere]") -> list[LimitLeft]:
    """What is left of them. `table`: which the workers of this machine use. From any thread."""
    now_ns = time.monotonic_ns()
    return [_left(table, limit, now_ns) for limit in limits]


def limits_left_in_redis(url: str, limits: "Sequence[LimitHere]") -> list[LimitLeft]:
    """The same of those that machines share. Blocking, for any thread without a loop. Raises ServerGone."""
    rates = [limit.descriptor for limit in limits if limit.kind != "concurrent_requests"]
    concurrent = [limit.descriptor for limit in limits if limit.kind == "concurrent_requests"]
    seen = look(url, rates, concurrent)
    return [_left_of(limit, *seen[limit.descriptor]) for limit in limits]


def _limits(all_rules: "Iterable[Rules]") -> list["LimitHere"]:
    """Each once, without those for each user."""
    limits = {limit.descriptor: limit for rules in all_rules for limit in (*rules.rates, *rules.concurrent)}
    return [limit for limit in limits.values() if not limit.subject.label.endswith("_user")]


def _left(table: "LimitTable", limit: "LimitHere", now_ns: int) -> LimitLeft:
    usage = table.usage(limit.descriptor, now_ns)
    if usage is None:
        return LimitLeft(limit, limit.limit, 0.0)
    _, held, tat_ns = usage
    return _left_of(limit, max(tat_ns - now_ns, 0) * _PS_PER_NS, held)


def _left_of(limit: "LimitHere", ahead_ps: int, held: int) -> LimitLeft:
    """`ahead_ps`: of a rate. `held`: of those at once."""
    if limit.kind == "concurrent_requests":
        return LimitLeft(limit, max(limit.limit - held, 0), 0.0)
    remaining = max(PERIOD_PS - ahead_ps, 0) * limit.limit // PERIOD_PS
    return LimitLeft(limit, remaining, ahead_ps / PS_PER_S)
