"""What each budget came to: kept by whoever inserts rows of the ledger, in the same transaction.

Budgets are matched against the database's own table, read inside that transaction, so what a window has spent
is always the sum of `usage_hours` over its hours, whatever fails or comes late. A window's first row is made
from those sums, which also makes it right for a budget that begins in the middle of a window, after another
time zone was configured, and for hours in which no gateway knew of the budget. From then on it only grows.

A window is *opened* once it has a row for the user `""`. That user is everybody, or, in a budget that counts
each user by himself, all requests that name none. Another user without a row has spent nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, exists, func, literal, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from llmgw.budgets.budget import TOKENS, Period
from llmgw.budgets.windows import END, Window, window_of
from llmgw.store import BudgetRow, BudgetWindow, KeyEpoch, Store, UsageDay, UsageHour
from llmgw.store.sql import greatest, insert_into
from llmgw.store.wholes import whole_sum

MAX_SPENT: Final = 2**62
"""A window that comes to more stays there: SQLite would go on in floating point."""
HALF_BITS: Final = 32
_TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S.%f"
_ADD: Final = """\
UPDATE budget_windows SET spent = min(spent + ?, ?)
WHERE budget_id = ? AND "user" = ? AND starts_at = ? RETURNING spent"""


class Usage(NamedTuple):
    """What the requests of one hour used that have everything before `tokens` in common.

    Unknown ids are 0, unknown texts empty.
    """

    hour: datetime
    key_id: int
    project_id: int
    user: str
    model: str
    currency: str
    tokens: int
    """Of prompts and completions."""
    cost: int
    """In 10⁻⁹ of the currency's unit."""


class Spent(NamedTuple):
    """What a window has come to."""

    budget_id: int
    user: str
    """Empty: see above."""
    starts_at: datetime
    spent: int
    """Tokens or 10⁻⁹ of the currency's unit."""


class Rule(NamedTuple):
    """What of a budget's row decides which requests it counts, and when."""

    id: int
    scope: str
    scope_id: int
    model: str
    per_user: bool
    unit: str
    period: Period
    created_at: datetime

    @classmethod
    def of(cls, row: BudgetRow) -> "Rule":
        """Those of a budget."""
        period = cast("Period", row.period)
        return cls(row.id, row.scope, row.scope_id, row.model, row.per_user, row.unit, period, row.created_at)

    def counts(self, window: Window) -> bool:
        """False for a window that was over when the budget was made."""
        return window.ends_at > self.created_at

    def amount(self, usage: Usage) -> int:
        """What it counts of a usage that matches: tokens, or money of its own currency."""
        if self.unit == TOKENS:
            return usage.tokens
        return usage.cost if usage.currency == self.unit else 0


class Rules:
    """Those of all budgets that are in force."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Indexed by whose they are."""
        self.all = tuple(rules)
        self._by_scope: dict[tuple[str, int], list[Rule]] = {}
        for rule in self.all:
            self._by_scope.setdefault((rule.scope, rule.scope_id), []).append(rule)

    @classmethod
    def read(cls, connection: Connection) -> "Rules":
        """From the database. Raises SQLAlchemyError."""
        columns = [getattr(BudgetRow, name) for name in Rule._fields]
        rows = connection.execute(select(*columns).where(BudgetRow.removed_at.is_(None)))
        return cls(Rule(*row) for row in rows)

    def matching(self, usage: Usage) -> Iterator[Rule]:
        """The budgets that count a usage."""
        for whose in (("key", usage.key_id), ("project", usage.project_id)):
            for rule in self._by_scope.get(whose, ()):
                if not rule.model or rule.model == usage.model:
                    yield rule


Amounts = dict[tuple[Rule, str, Window], int]
"""By budget, user and window; at most `MAX_SPENT` each."""


class Spending:
    """Adds usage to budgets. For one thread."""

    def __init__(self, zone: tzinfo) -> None:
        """`zone`: whose days, weeks and months they are."""
        self._zone = zone
        self._rules = Rules(())
        self._version: tuple[int, int] | None = None

    def amounts(self, connection: Connection, usages: Iterable[Usage], generation: int) -> Amounts:
        """What usage comes to for the budgets that count it.

        `generation`: the store's. Raises SQLAlchemyError.
        """
        self._refresh(connection, generation)
        amounts: Amounts = {}
        if not self._rules.all:
            return amounts
        for usage in usages:
            for rule in self._rules.matching(usage):
                window = window_of(rule.period, usage.hour, self._zone)
                amount = rule.amount(usage)
                if amount and rule.counts(window):
                    at = rule, usage.user if rule.per_user else "", window
                    amounts[at] = min(amounts.get(at, 0) + amount, MAX_SPENT)
        return amounts

    def add(self, connection: Connection, amounts: Amounts) -> list[Spent]:
        """Add what `usage_hours` of SQLite has already, within the transaction that added it there.

        Returns what the budgets came to. Raises SQLAlchemyError.
        """
        spents: list[Spent] = []
        opened: set[tuple[int, datetime]] = set()
        for (rule, user, window), amount in amounts.items():
            if (rule.id, window.starts_at) in opened:
                continue  # from the sums, which have it
            where = rule.id, user, time_text(window.starts_at)
            spent = connection.exec_driver_sql(_ADD, (amount, MAX_SPENT, *where)).scalar()
            if spent is not None:
                spents.append(Spent(rule.id, user, window.starts_at, spent))
            elif user and _is_open(connection, rule, window):
                add_windows(connection, [Spent(rule.id, user, window.starts_at, amount)])
                spents.append(Spent(rule.id, user, window.starts_at, amount))
            else:
                found = open_windows(connection, self._rules, rule.period, window)
                opened.update((each.budget_id, each.starts_at) for each in found)
                spents.extend(found)
        return spents

    def open(self, connection: Connection, windows: Iterable[tuple[Rule, Window]]) -> list[Spent]:
        """Open these for all budgets of their period, in a transaction of `Store.write` that has summed all.

        Returns what they came to. Raises SQLAlchemyError.
        """
        periods = {(rule.period, window) for rule, window in windows}
        opened = (open_windows(connection, self._rules, period, window) for period, window in sorted(periods))
        return [spent for spents in opened for spent in spents]

    def _refresh(self, connection: Connection, generation: int) -> None:
        """Read the budgets if they have changed since."""
        version = generation, connection.execute(select(KeyEpoch.epoch)).scalar_one()
        if version != self._version:
            self._rules, self._version = Rules.read(connection), version


def open_windows(connection: Connection, rules: Rules, period: Period, window: Window) -> list[Spent]:
    """Open this window for all budgets of the period that it is not open for. Raises SQLAlchemyError.

    Returns what they came to.
    """
    spents = sums_of(connection, _not_open(connection, rules, period, window), window)
    add_windows(connection, spents)
    return spents


def _not_open(connection: Connection, rules: Rules, period: Period, window: Window) -> list[Rule]:
    is_open = exists().where(
        BudgetWindow.budget_id == BudgetRow.id, BudgetWindow.user == "", BudgetWindow.starts_at == window[0]
    )
    ids = set(connection.scalars(select(BudgetRow.id).where(BudgetRow.period == period, ~is_open)))
    return [rule for rule in rules.all if rule.id in ids and rule.counts(window)]


def sums_of(connection: Connection, rules: Sequence[Rule], window: Window) -> list[Spent]:
    """What budgets came to in a window, summed from `usage_hours`. Raises SQLAlchemyError.

    Of each budget there is one for the user `""`, even if that is 0; of other users, only of those who used
    something.
    """
    spents = {(rule.id, ""): 0 for rule in rules}
    if not rules:
        return []
    wanted = Rules(rules)
    for usage in _usages(connection, rules, window):
        for rule in wanted.matching(usage):
            if amount := rule.amount(usage):
                at = rule.id, usage.user if rule.per_user else ""
                spents[at] = spents.get(at, 0) + amount
    return [
        Spent(budget_id, user, window.starts_at, min(spent, MAX_SPENT))
        for (budget_id, user), spent in spents.items()
    ]


def initial_spend(session: Session, budget: BudgetRow, zone: tzinfo) -> None:
    """Open the current window of a new budget, in the transaction that makes it. It must have its id.

    Raises SQLAlchemyError.
    """
    period = cast("Period", budget.period)
    window = window_of(period, budget.created_at, zone)
    open_windows(session.connection(), Rules([Rule.of(budget)]), period, window)


def open_current(store: Store, zone: tzinfo, now: datetime) -> None:
    """Open the current windows of all budgets, as at a start. Raises SQLAlchemyError.

    It only reads if they are open.
    """
    with store.read() as session:
        windows = _current(session.connection(), zone, now)
    if any(missing for _, _, missing in windows):
        with store.write() as session:
            connection = session.connection()
            for period, window, missing in _current(connection, zone, now):
                open_windows(connection, Rules(missing), period, window)


def _current(connection: Connection, zone: tzinfo, now: datetime) -> list[tuple[Period, Window, list[Rule]]]:
    rules = Rules.read(connection)
    periods = sorted({rule.period for rule in rules.all})
    windows = [(period, window_of(period, now, zone)) for period in periods]
    return [(period, window, _not_open(connection, rules, period, window)) for period, window in windows]


def _usages(connection: Connection, rules: Sequence[Rule], window: Window) -> Iterator[Usage]:
    """The sums over all hours of a window, of at least what the budgets count.

    All that there ever was, of all users together, is summed from the days: they are fewer.
    """
    is_of_users = any(rule.per_user for rule in rules)
    table: type[UsageHour | UsageDay] = UsageHour
    if window.ends_at == END and not is_of_users and _has_all_days(connection):
        table = UsageDay
    time = UsageHour.hour if table is UsageHour else UsageDay.day
    user_column = UsageHour.user if is_of_users else literal("")
    grouped = table.key_id, table.project_id, user_column, table.model, table.currency
    query = (
        select(
            *grouped,
            whole_sum(table.prompt_tokens + table.completion_tokens),
            *exact_sum(table.cost),
        )
        .where(time >= window.starts_at, time < window.ends_at)
        .group_by(*grouped)
    )
    if len(rules) == 1:
        column = table.key_id if rules[0].scope == "key" else table.project_id
        query = query.where(column == rules[0].scope_id)
    for key_id, project_id, user, model, currency, tokens, high, low in connection.execute(query):
        cost = (high << HALF_BITS) + low
        yield Usage(window.starts_at, key_id, project_id, user, model, currency, tokens, cost)


def _has_all_days(connection: Connection) -> bool:
    """False after an update, until a start has made them."""
    first_hour = connection.scalar(select(func.min(UsageHour.hour)))
    first_day = connection.scalar(select(func.min(UsageDay.day)))
    return first_hour is None or (first_day is not None and first_day <= first_hour)


def exact_sum(
    column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """The sums of the upper and of the lower half of its numbers: SQLite's own fails beyond 64 bits."""
    low = column.bitwise_and((1 << HALF_BITS) - 1)
    high = column.bitwise_rshift(literal_column(str(HALF_BITS)))  # PostgreSQL shifts by no bigint
    return func.coalesce(whole_sum(high), 0), func.coalesce(whole_sum(low), 0)


def _is_open(connection: Connection, rule: Rule, window: Window) -> bool:
    query = select(BudgetWindow.spent).where(
        BudgetWindow.budget_id == rule.id,
        BudgetWindow.user == "",
        BudgetWindow.starts_at == window.starts_at,
    )
    return connection.execute(query).first() is not None


def add_windows(connection: Connection, spents: Sequence[Spent]) -> None:
    """Make rows of windows; those that are there stay, or come to more. Raises SQLAlchemyError."""
    if not spents:
        return
    statement = insert_into(connection, BudgetWindow)
    larger = greatest(BudgetWindow.spent, statement.excluded.spent)
    keys = [column.name for column in BudgetWindow.__table__.primary_key]
    statement = statement.on_conflict_do_update(index_elements=keys, set_={"spent": larger})
    connection.execute(statement, [{**each._asdict(), "lifted": 0, "forgiven": 0} for each in spents])


@lru_cache(1024)
def time_text(time: datetime) -> str:
    """As both databases take it."""
    return time.strftime(_TIME_FORMAT)
