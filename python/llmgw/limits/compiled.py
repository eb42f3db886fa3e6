"""Limits and budgets of a key at a model for a user, compiled for the shared table, and for how long."""

import time
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from llmgw._core import LimitPlan, LimitTable
from llmgw.budgets.windows import END
from llmgw.limits.bases import Bases
from llmgw.limits.plans import LimitedKey, Rules
from llmgw.limits.redis import RedisLimits, SharedPlan
from llmgw.limits.rules import Limits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from llmgw.budgets.windows import Window
    from llmgw.limits.descriptors import LimitKind
    from llmgw.limits.plans import BudgetHere, LimitHere
    from llmgw.prices.price import Price

_KEEP_ENDED_S: Final = 86_400.0
"""An ended window's entry is kept for a day: rows of its requests may still come."""


class LimitedModel(Protocol):
    """What the limits must know of a model (`routing.router.Model`)."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def limits(self) -> Limits:
        """Of all keys together."""

    @property
    def max_output_tokens(self) -> int | None:
        """None: unknown."""

    @property
    def writes(self) -> bool:
        """False for embeddings and rerank, whose answers have no tokens."""

    @property
    def prices(self) -> "Collection[Price | None]":
        """Those of its targets, each once; None: one of them has no price."""


class Compiled:
    """One plan. `engine` None: nothing binds the requests that it is for."""

    __slots__ = (
        "_budgets", "_counting", "_limits", "_model", "_table", "engine", "is_unpriced", "model_id",
        "prices", "rules",
    )  # fmt: skip

    def __init__(
        self,
        table: LimitTable | RedisLimits,
        rules: Rules,
        key: LimitedKey,
        model: LimitedModel,
        *,
        currency: str,
    ) -> None:
        """`currency`: in which costs are counted. See `know_bases`."""
        self.rules = rules
        self.model_id = model.id
        self._model = model
        self._limits, self._budgets = key.limits, key.budgets
        self._table = table
        self._counting: LimitPlan | SharedPlan | None = None
        money = [here for here in rules.budgets if here.budget.is_money]
        self.prices = tuple(price for price in model.prices if price is not None) if money else ()
        """Whose dearest estimate counts; empty where no budget counts money."""
        wrong = [here for here in money if here.budget.unit != currency]
        self.is_unpriced = wrong[0] if wrong else money[0] if money and None in model.prices else None
        """A budget of money that can't be kept: the model, or one of its targets, has no price."""
        self.engine = self._whole() if rules else None

    def fits(self, key: LimitedKey, model: LimitedModel, at_s: float) -> bool:
        """False if it has to be made anew: something has changed, or a budget's window has ended."""
        rules = self.rules
        if model is not self._model or not rules.starts_s <= at_s < rules.ends_s:
            return False
        if key.limits is self._limits and key.budgets is self._budgets:
            return True
        if key.limits != self._limits or key.budgets != self._budgets:
            return False
        self._limits, self._budgets = key.limits, key.budgets
        return True

    def know_bases(self, bases: Bases) -> None:
        """Tell the table what the budgets have come to. To be called before anything is reserved."""
        for here in self.rules.budgets:
            spent = bases.spent.get((here.budget.id, here.user, here.window.starts_at), 0)
            self._table.raise_base(here.descriptor, spent, keep_until_ns=keep_until_ns(here.window))

    @property
    def counting(self) -> LimitPlan | SharedPlan | None:
        """The limits of those requests that use no tokens; None: there are none."""
        if self._counting is None:
            rates, concurrent = _rates(self.rules, "requests_per_minute"), _concurrent(self.rules)
            if rates or concurrent:
                self._counting = self._plan(rates, concurrent)
        return self._counting

    def of(self, engine: LimitPlan | SharedPlan) -> "Sequence[LimitHere | BudgetHere]":
        """What a refusal's index means, of `engine` or of `counting`."""
        rules = self.rules
        if engine is self._counting:
            rates = [here for here in rules.rates if here.kind == "requests_per_minute"]
            return [*rates, *rules.concurrent]
        return [*rules.rates, *rules.concurrent, *rules.budgets]

    def _plan(self, rates: "Sequence[_Rate]", holds: "Sequence[_Hold]") -> LimitPlan | SharedPlan:
        table = self._table
        if not isinstance(table, LimitTable):
            return table.plan(rates, holds)
        told = [(_budget(here), here.words) for here in self.rules.budgets]
        return LimitPlan(table, rates, holds, told=told)

    def _whole(self) -> LimitPlan | SharedPlan:
        rates = _rates(self.rules, "requests_per_minute", "tokens_per_minute")
        budgets = [_budget(here) for here in self.rules.budgets]
        return self._plan(rates, [*_concurrent(self.rules), *budgets])


_Rate: TypeAlias = tuple[str, Literal["requests", "tokens"], int]
_Hold: TypeAlias = tuple[str, Literal["requests", "tokens", "nano"], int, int | None]


def _rates(rules: Rules, *kinds: "LimitKind") -> list[_Rate]:
    return [
        (here.descriptor, "requests" if here.kind == "requests_per_minute" else "tokens", here.limit)
        for here in rules.rates
        if here.kind in kinds
    ]


def _concurrent(rules: Rules) -> list[_Hold]:
    return [(here.descriptor, "requests", here.limit, None) for here in rules.concurrent]


def _budget(here: "BudgetHere") -> _Hold:
    unit: Literal["nano", "tokens"] = "nano" if here.budget.is_money else "tokens"
    return here.descriptor, unit, here.limit, keep_until_ns(here.window)


def keep_until_ns(window: "Window") -> int | None:
    """Until when a window's entry is needed, on the monotonic clock; None: for ever."""
    if window.ends_at >= END:
        return None
    left_s = max(window.ends_at.timestamp() - time.time(), 0.0) + _KEEP_ENDED_S
    return time.monotonic_ns() + int(left_s * 1e9)
