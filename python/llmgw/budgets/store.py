"""Budgets as an admin sees and changes them: what is spent and left, lifted for a window, reset."""

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast, get_args

from sqlalchemy import and_, case, func, literal, or_, select, update
from sqlalchemy.orm import Session

from llmgw.budgets.budget import TOKENS, Period, Scope
from llmgw.budgets.money import amount_text
from llmgw.budgets.spend import MAX_SPENT, Rule, Rules, Spent, add_windows, open_windows
from llmgw.budgets.windows import Window, window_of
from llmgw.errors import LlmgwError
from llmgw.store import ApiKey, BudgetRow, BudgetWindow, Project, Store, record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Row, Select

PERIODS: Final[tuple[Period, ...]] = get_args(Period)
_PERMILLE: Final = 1000
NEAR_END_PERMILLE: Final = 800
"""Where a budget warns at nothing."""
_user: Final = func.coalesce(BudgetWindow.user, "")


class UnknownBudgetError(LlmgwError):
    """There is no such budget, or it was removed."""


class BudgetInputError(LlmgwError):
    """The budget can't be changed like this. The message says why, `param` which value is meant."""

    def __init__(self, param: str, message: str) -> None:
        """`message` can follow the parameter's name."""
        super().__init__(message)
        self.param = param


class BudgetState(NamedTuple):
    """A budget, or one user's part of it, in its current window.

    Amounts are tokens or 10⁻⁹ of the currency's unit.
    """

    id: int
    scope: Scope
    scope_id: int
    name: str
    """The project's or key's; empty if it is gone."""
    model: str | None
    per_user: bool
    user: str
    """Empty: everybody, or, where each user is counted by himself, those who name none."""
    unit: str
    """`tokens`, or the currency."""
    period: Period
    window: Window
    amount: int
    warn_at_permille: int | None
    spent: int
    lifted: int
    forgiven: int
    warned_at: datetime | None
    exhausted_at: datetime | None

    @property
    def limit(self) -> int:
        """What may be spent without what was forgiven."""
        return self.amount + self.lifted

    @property
    def counted(self) -> int:
        """What was spent since the last reset."""
        return self.spent - self.forgiven

    @property
    def left(self) -> int:
        """Never negative. What running requests may still use is not part of it."""
        return max(self.limit - self.counted, 0)

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left."""
        return self.counted >= self.limit

    @property
    def is_warned(self) -> bool:
        """Whether it has reached its soft limit; False without one."""
        share = self.warn_at_permille
        return share is not None and self.counted * _PERMILLE >= self.limit * share

    @property
    def is_money(self) -> bool:
        """False: it counts tokens."""
        return self.unit != TOKENS


def list_budgets(  # noqa: PLR0913  (which ones, and which part of them)
    store: Store,
    zone: tzinfo,
    now: datetime,
    *,
    budget_ids: "Collection[int] | None" = None,
    scope: Scope | None = None,
    scope_ids: "Collection[int] | None" = None,
    per_user: bool | None = None,
    near_end: bool = False,
    after: tuple[int, str] | None = None,
    limit: int | None = None,
) -> list[BudgetState]:
    """The budgets in force, or some of them, in their current windows, by id and user.

    `scope_ids`: of any of these projects or keys. `near_end`: only those that have spent the share that they
    warn at, or `NEAR_END_PERMILLE`. `after`: only what follows this id and user. Raises SQLAlchemyError.
    """
    with store.read() as session:
        conditions: list[ColumnElement[bool]] = []
        for column, value in (
            (BudgetRow.scope, scope), (BudgetRow.per_user, per_user),
        ):  # fmt: skip
            if value is not None:
                conditions.append(column == value)
        for one, ids in ((BudgetRow.id, budget_ids), (BudgetRow.scope_id, scope_ids)):
            if ids is not None:
                conditions.append(one.in_(ids))
        if near_end:
            conditions.append(_is_near_end())
        if after is not None:
            last_id, last_user = after
            is_later = or_(BudgetRow.id > last_id, and_(BudgetRow.id == last_id, _user > last_user))
            conditions.append(is_later)
        return read_states(session, zone, now, *conditions, limit=limit)


def read_states(
    session: Session,
    zone: tzinfo,
    now: datetime,
    *conditions: "ColumnElement[bool]",
    limit: int | None = None,
    values: "Mapping[str, object] | None" = None,
) -> list[BudgetState]:
    """Those in force that fit the conditions on `BudgetRow` and `BudgetWindow`.

    `values`: of the conditions' parameters. Raises SQLAlchemyError.
    """
    query = _query(zone, now).where(*conditions).limit(limit)
    return [_state(row, zone, now) for row in session.execute(query, values)]


def lift_budget(
    store: Store,
    budget_id: int,
    amount: int,
    zone: tzinfo,
    *,
    actor: str,
    user: str = "",
    now: datetime | None = None,
) -> BudgetState:
    """Add to a budget's amount, for its current window only.

    `actor`: see `store.record`. Raises UnknownBudgetError, BudgetInputError, SQLAlchemyError.
    """
    now = now or datetime.now(UTC)
    with store.write() as session:
        before = _open(session, budget_id, user, zone, now)
        if not 1 <= amount <= MAX_SPENT - before.limit - before.forgiven:
            raise BudgetInputError("amount", f"must be from 1 to {MAX_SPENT} together with the budget's own")
        after = before._replace(lifted=before.lifted + amount)
        if not after.is_exhausted:
            after = after._replace(exhausted_at=None)
        if not after.is_warned:
            after = after._replace(warned_at=None)
        _save(session, after)
        record(
            session,
            actor=actor,
            action="budget.lift",
            target=f"budget {budget_id}",
            before=_noted(user, before.unit, lifted=before.lifted),
            after=_noted(user, before.unit, lifted=after.lifted),
        )
    return after


def reset_budget(
    store: Store,
    budget_id: int,
    zone: tzinfo,
    *,
    actor: str,
    user: str | None = None,
    now: datetime | None = None,
) -> list[BudgetState]:
    """Forgive what was spent in the current window. What running requests use will count.

    `user` None: of all users, where each is counted by himself. Returns the new states. Raises as
    `lift_budget`.
    """
    now = now or datetime.now(UTC)
    with store.write() as session:
        unit = _open(session, budget_id, user or "", zone, now).unit
        befores = read_states(session, zone, now, BudgetRow.id == budget_id)
        befores = [each for each in befores if user is None or each.user == user]
        afters = [each._replace(forgiven=each.spent, warned_at=None, exhausted_at=None) for each in befores]
        for each in afters:
            _save(session, each)
        record(
            session,
            actor=actor,
            action="budget.reset",
            target=f"budget {budget_id}",
            before=_noted(user, unit, spent=sum(each.counted for each in befores)),
            after=_noted(user, unit, spent=0),
        )
    return afters


def _noted(user: str | None, unit: str, **amounts: int) -> dict[str, object]:
    """For the audit, which people read: amounts with their unit."""
    texts = {name: amount_text(amount, unit) for name, amount in amounts.items()}
    return {"user": user or None, "unit": unit, **texts}


def _is_near_end() -> "ColumnElement[bool]":
    """Nearly exact, as floats: a thousand times an amount may be more than a database's integer."""
    spent = func.coalesce(BudgetWindow.spent, 0) - func.coalesce(BudgetWindow.forgiven, 0)
    amount = BudgetRow.amount + func.coalesce(BudgetWindow.lifted, 0)
    share = func.coalesce(BudgetRow.warn_at_permille, NEAR_END_PERMILLE)
    return spent * float(_PERMILLE) >= amount * 1.0 * share


def _query(zone: tzinfo, now: datetime) -> "Select[*tuple[Any, ...]]":
    """The budgets in force with their current windows, as `_state` takes them."""
    starts = {period: window_of(period, now, zone).starts_at for period in PERIODS}
    kind = BudgetWindow.starts_at.type
    start = case(*((BudgetRow.period == period, literal(at, kind)) for period, at in starts.items()))
    is_window = and_(BudgetWindow.budget_id == BudgetRow.id, BudgetWindow.starts_at == start)
    of_key = and_(BudgetRow.scope == "key", ApiKey.id == BudgetRow.scope_id)
    of_project = and_(BudgetRow.scope == "project", Project.id == BudgetRow.scope_id)
    return (
        select(
            BudgetRow,
            func.coalesce(ApiKey.name, Project.name, ""),
            _user,
            *(func.coalesce(column, 0) for column in (BudgetWindow.spent, BudgetWindow.lifted)),
            func.coalesce(BudgetWindow.forgiven, 0),
            BudgetWindow.warned_at,
            BudgetWindow.exhausted_at,
        )
        .outerjoin(BudgetWindow, is_window)
        .outerjoin(ApiKey, of_key)
        .outerjoin(Project, of_project)
        .where(BudgetRow.removed_at.is_(None))
        .order_by(BudgetRow.id, _user)
    )


def _state(row: "Row[*tuple[Any, ...]]", zone: tzinfo, now: datetime) -> BudgetState:
    budget, name, user, spent, lifted, forgiven, warned_at, exhausted_at = row
    period = cast("Period", budget.period)
    return BudgetState(
        id=budget.id,
        scope=budget.scope,
        scope_id=budget.scope_id,
        name=name,
        model=budget.model or None,
        per_user=budget.per_user,
        user=user,
        unit=budget.unit,
        period=period,
        window=window_of(period, now, zone),
        amount=budget.amount,
        warn_at_permille=budget.warn_at_permille,
        spent=spent,
        lifted=lifted,
        forgiven=forgiven,
        warned_at=warned_at,
        exhausted_at=exhausted_at,
    )


def _open(session: Session, budget_id: int, user: str, zone: tzinfo, now: datetime) -> BudgetState:
    """The state of one user's part, whose window is open from now on."""
    budget = session.scalars(
        select(BudgetRow).where(BudgetRow.id == budget_id, BudgetRow.removed_at.is_(None))
    ).one_or_none()
    if budget is None:
        message = f"there is no budget {budget_id}"
        raise UnknownBudgetError(message)
    if user and not budget.per_user:
        raise BudgetInputError("user", "must not be named: the budget counts all users together")
    period = cast("Period", budget.period)
    window = window_of(period, now, zone)
    connection = session.connection()
    open_windows(connection, Rules([Rule.of(budget)]), period, window)
    add_windows(connection, [Spent(budget_id, user, window.starts_at, 0)])
    [state] = read_states(session, zone, now, BudgetRow.id == budget_id, _user == user)
    return state


def _save(session: Session, state: BudgetState) -> None:
    session.execute(
        update(BudgetWindow)
        .where(
            BudgetWindow.budget_id == state.id,
            BudgetWindow.user == state.user,
            BudgetWindow.starts_at == state.window.starts_at,
        )
        .values(
            lifted=state.lifted,
            forgiven=state.forgiven,
            warned_at=state.warned_at,
            exhausted_at=state.exhausted_at,
        )
    )
