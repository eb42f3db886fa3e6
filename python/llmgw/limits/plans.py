"""Which limits and budgets bind a request of a key at a model, for a user?

`rules_for` gathers them from five places: `[limits]` of the config (for keys that have no rule of that kind),
the model, the project, the key, and each of the last two at one model or for each user. All of them bind.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from llmgw.budgets.windows import window_of
from llmgw.limits import descriptors
from llmgw.limits.rules import LimitRule, Limits

if TYPE_CHECKING:
    from llmgw.budgets.budget import Budget
    from llmgw.budgets.windows import Window
    from llmgw.limits.descriptors import LimitKind

KINDS: Final[tuple["LimitKind", ...]] = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")


class LimitedKey(Protocol):
    """What the limits must know of a key (`access.key.Key`)."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def limits(self) -> "tuple[LimitRule, ...]":
        """Its own and its project's."""

    @property
    def budgets(self) -> "tuple[Budget, ...]":
        """The same."""


class Subject(NamedTuple):
    """Whom or what a limit or a budget is for."""

    label: str
    """For metrics: `key`, `project_model`, `key_user` and so on, of which there are few."""
    words: str
    """For messages: `project 'research' at model 'qwen3.6-plus'`."""


class LimitHere(NamedTuple):
    """A limit that binds a request."""

    descriptor: str
    kind: "LimitKind"
    limit: int
    subject: Subject
    model: str | None = None
    """None: it is of all models together."""


class BudgetHere(NamedTuple):
    """A budget that binds a request, in the window in which it arrived."""

    descriptor: str
    limit: int
    """Its amount and what an admin has added."""
    budget: "Budget"
    window: "Window"
    subject: Subject
    user: str
    """Empty unless it counts each user by himself."""

    @property
    def words(self) -> str:
        """What a header says behind what is left of it: `CNY; day`."""
        return f"{self.budget.unit}; {self.budget.period}".encode("ascii", "replace").decode()


class Rules(NamedTuple):
    """Everything that binds a request. The order is that of `_core.LimitPlan`'s rates and holds."""

    rates: Sequence[LimitHere]
    concurrent: Sequence[LimitHere]
    budgets: Sequence[BudgetHere]
    names_users: bool
    """True if any of them depends on the user."""
    starts_s: float
    """These windows hold what arrives from here on,"""
    ends_s: float
    """and before this, in seconds since the epoch."""

    def __bool__(self) -> bool:
        """False if nothing binds it."""
        return bool(self.rates or self.concurrent or self.budgets)


def rules_for(
    key: LimitedKey,
    model: str,
    model_limits: Limits,
    user: str | None,
    *,
    defaults: Limits,
    zone: tzinfo,
    at_s: float,
) -> Rules:
    """What binds a request that arrived at `at_s` (seconds since the epoch).

    `defaults`: of each key. A rule of the key's own, of the same kind and for all models, takes its place.
    A request without a user counts, where users count one by one, for the one without a name.
    """
    limits = list(_limits(key, model, model_limits, user or "", defaults))
    at = datetime.fromtimestamp(at_s, UTC)
    budgets = [
        _budget(budget, user or "", window_of(budget.period, at, zone))
        for budget in key.budgets
        if budget.model is None or budget.model == model
    ]
    windows = [budget.window for budget in budgets]
    return Rules(
        [limit for limit in limits if limit.kind != "concurrent_requests"],
        [limit for limit in limits if limit.kind == "concurrent_requests"],
        budgets,
        any(rule.per_user for rule in key.limits) or any(budget.per_user for budget in key.budgets),
        max((window.starts_at.timestamp() for window in windows), default=float("-inf")),
        min((window.ends_at.timestamp() for window in windows), default=float("inf")),
    )


def _limits(
    key: LimitedKey, model: str, model_limits: Limits, user: str, defaults: Limits
) -> Iterator[LimitHere]:
    own: set[LimitKind] = set()
    for rule in key.limits:
        if rule.model is not None and rule.model != model:
            continue
        subject = _subject(rule.scope, rule.name, rule.model, user if rule.per_user else None)
        for kind, limit in zip(KINDS, rule.limits, strict=True):
            if limit is None:
                continue
            if rule.scope == "key" and rule.model is None:
                own.add(kind)
            descriptor = descriptors.of_owner(
                kind, rule.scope, rule.scope_id, model=rule.model, user=user if rule.per_user else None
            )
            yield LimitHere(descriptor, kind, limit, subject, rule.model)
    for kind, limit in zip(KINDS, defaults, strict=True):
        if limit is not None and kind not in own:
            subject = _subject("key", key.name, None, None)
            yield LimitHere(descriptors.of_owner(kind, "key", key.id), kind, limit, subject)
    for kind, limit in zip(KINDS, model_limits, strict=True):
        if limit is not None:
            words = f"model {model!r}, for all keys together"
            yield LimitHere(descriptors.of_model(kind, model), kind, limit, Subject("model", words), model)


def _budget(budget: "Budget", user: str, window: "Window") -> BudgetHere:
    user = user if budget.per_user else ""
    return BudgetHere(
        descriptors.of_budget(budget.id, window.starts_at, user),
        budget.amount + budget.extra.get((user, window.starts_at), 0),
        budget,
        window,
        _subject(budget.scope, budget.name, budget.model, user if budget.per_user else None),
        user,
    )


def _subject(scope: str, name: str, model: str | None, user: str | None) -> Subject:
    label, words = scope, f"{scope} {name!r}"
    if model is not None:
        label, words = f"{label}_model", f"{words} at model {model!r}"
    if user is not None:
        label = f"{label}_user"
        words = f"user {user!r} of {words}" if user else f"users without a name of {words}"
    return Subject(label, words)
