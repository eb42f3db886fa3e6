"""Limits and budgets as they are set for a project or a key: what may be set, and how the rows change.

`keys` and `projects` set them, in the transaction of the change that they are part of.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal, NamedTuple, get_args

from sqlalchemy import select, true, update
from sqlalchemy.orm import Session

from llmgw.access.amounts import check_amount
from llmgw.access.checks import Known
from llmgw.access.refusals import BadValueError
from llmgw.budgets.budget import TOKENS, Period
from llmgw.budgets.spend import initial_spend
from llmgw.config.tables import MAX_PER_MINUTE
from llmgw.errors import InputFault
from llmgw.limits.rules import Scope
from llmgw.store import BudgetRow, BudgetWindow, LimitRow

LimitName = Literal["requests_per_minute", "tokens_per_minute", "concurrent_requests"]
LIMIT_NAMES: Final[tuple[LimitName, ...]] = get_args(LimitName)
PERIODS: Final[tuple[Period, ...]] = get_args(Period)
MAX_RULES: Final = 200
"""Rows of limits, and as many budgets, of one project or key. A request looks at all that apply to it."""
_PERMILLE: Final = 1000


class LimitChange(NamedTuple):
    """Limits that are to be set or taken away."""

    changes: Mapping[LimitName, int | None]
    """None: no limit of that kind from now on. Those that are not named stay."""
    model: str | None = None
    """Of this model only; None: of all together."""
    per_user: bool = False
    """True: for each user behind the key, one by one."""


class BudgetSetting(NamedTuple):
    """A budget that is to be there."""

    amount: int
    """Tokens, or 10⁻⁹ of the currency's unit."""
    unit: str
    """`tokens`, or the currency."""
    period: Period
    model: str | None = None
    """As in `LimitChange`."""
    per_user: bool = False
    warn_at_permille: int | None = None
    """A soft limit at this share of the amount; None: there is none."""

    @property
    def identity(self) -> "Identity":
        """What it counts. Another amount for the same is a change of the same budget, and keeps its spend."""
        return self.model, self.per_user, self.unit, self.period


Identity = tuple[str | None, bool, str, Period]


def limit_faults(limits: Sequence[LimitChange], known: Known) -> list[InputFault]:
    """All that is wrong with them."""
    if len(limits) > MAX_RULES:
        return [InputFault("limits", f"must be at most {MAX_RULES}, not {len(limits)}")]
    faults = []
    for change in limits:
        for name, value in change.changes.items():
            if value is not None and not 1 <= value <= MAX_PER_MINUTE:
                faults.append(
                    InputFault(f"limits.{name}", f"must be from 1 to {MAX_PER_MINUTE}, not {value}")
                )
        if change.model is not None:
            faults += known.model_faults(change.model, "limits.model")
    return faults


def budget_faults(budgets: Sequence[BudgetSetting], known: Known) -> list[InputFault]:
    """All that is wrong with them."""
    if len(budgets) > MAX_RULES:
        return [InputFault("budgets", f"must be at most {MAX_RULES}, not {len(budgets)}")]
    faults = []
    for index, budget in enumerate(budgets):
        param = f"budgets[{index}]"
        if budget.unit != TOKENS and known.currency not in (None, budget.unit):
            expected = f"must be {TOKENS!r} or the configured currency, {known.currency!r}"
            faults.append(InputFault(f"{param}.unit", f"{expected}, not {budget.unit!r}"))
        try:
            check_amount(budget.amount, budget.unit)
        except ValueError as error:
            faults.append(InputFault(f"{param}.amount", str(error)))
        if budget.period not in PERIODS:
            faults.append(InputFault(f"{param}.period", f"must be one of {', '.join(PERIODS)}"))
        if budget.warn_at_permille is not None and not 1 <= budget.warn_at_permille <= _PERMILLE:
            faults.append(InputFault(f"{param}.warn_at", "must be a share from 0.001 to 1"))
        if budget.model is not None:
            faults += known.model_faults(budget.model, f"{param}.model")
    twice = [
        identity for identity, number in Counter(each.identity for each in budgets).items() if number > 1
    ]
    for model, per_user, unit, period in twice:
        of_whom = f"{'each user' if per_user else 'all users'}, {model or 'all models'}"
        faults.append(InputFault("budgets", f"has two in {unit} per {period} for {of_whom}"))
    return faults


def change_limits(session: Session, scope: Scope, scope_id: int, limits: Sequence[LimitChange]) -> None:
    """Set those that are named; the others stay. The caller has checked each of them.

    Raises BadValueError: they would be too many.
    """
    query = select(LimitRow).where(LimitRow.scope == scope, LimitRow.scope_id == scope_id)
    rows = {(row.model, row.per_user): row for row in session.scalars(query)}
    for change in limits:
        place = change.model or "", change.per_user
        row = rows.get(place)
        if row is None:
            row = rows[place] = LimitRow(scope=scope, scope_id=scope_id, model=place[0], per_user=place[1])
        for name, value in change.changes.items():
            setattr(row, name, value)
    kept = [row for row in rows.values() if any(getattr(row, name) is not None for name in LIMIT_NAMES)]
    if len(kept) > MAX_RULES:
        raise BadValueError([InputFault("limits", f"would be {len(kept)}, and {MAX_RULES} are the most")])
    for row in kept:
        session.add(row)
    for row in rows.values():
        if row not in kept and row.id is not None:
            session.delete(row)
    session.flush()


def set_budgets(
    session: Session, scope: Scope, scope_id: int, budgets: Sequence[BudgetSetting], zone: tzinfo
) -> None:
    """Let there be these and no others. The caller has checked them.

    One that counts the same as one that is there is that one, with another amount: what was spent stays. The
    row of a removed one stays, so that its windows still tell what was spent. A new one begins with what the
    ledger's sums have of its current window. `zone`: in which days begin.
    """
    now = datetime.now(UTC)
    query = select(BudgetRow).where(
        BudgetRow.scope == scope, BudgetRow.scope_id == scope_id, BudgetRow.removed_at.is_(None)
    )
    rows = {(row.model or None, row.per_user, row.unit, row.period): row for row in session.scalars(query)}
    for budget in budgets:
        row = rows.pop(budget.identity, None)
        if row is not None:
            if (row.amount, row.warn_at_permille) != (budget.amount, budget.warn_at_permille):
                row.amount, row.warn_at_permille = budget.amount, budget.warn_at_permille
                _alert_again(session, row)
            continue
        row = BudgetRow(
            scope=scope,
            scope_id=scope_id,
            model=budget.model or "",
            per_user=budget.per_user,
            unit=budget.unit,
            amount=budget.amount,
            period=budget.period,
            warn_at_permille=budget.warn_at_permille,
            created_at=now,
            removed_at=None,
        )
        session.add(row)
        session.flush()
        initial_spend(session, row, zone)
    for row in rows.values():
        row.removed_at = now
    session.flush()


def _alert_again(session: Session, row: BudgetRow) -> None:
    """What is told once in a window is told once more if the new amount is reached too."""
    counted, limit = BudgetWindow.spent - BudgetWindow.forgiven, row.amount + BudgetWindow.lifted
    of_budget = BudgetWindow.budget_id == row.id
    statement = update(BudgetWindow).where(of_budget, counted < limit).values(exhausted_at=None)
    session.execute(statement)
    share = row.warn_at_permille
    not_warned = true() if share is None else counted * _PERMILLE < limit * share
    session.execute(update(BudgetWindow).where(of_budget, not_warned).values(warned_at=None))
