"""Is what budgets spent the sum of the hours, and are these the sums of the rows? `llmgw budgets verify`.

Both are true by the way that they are written. This is the proof, after a disk or a human was at fault.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, func, select, update
from sqlalchemy.orm import Session

from llmgw.budgets.spend import HALF_BITS, Rule, Rules, Spent, add_windows, exact_sum, sums_of
from llmgw.budgets.windows import BEGINNING, Window, hour_of, window_of
from llmgw.store import BudgetWindow, LedgerRow, Store, UsageDay, UsageHour, record
from llmgw.store.sql import minute_text
from llmgw.store.wholes import whole_sum

_MINUTE: Final = "%Y-%m-%d %H:%M"
_HOUR: Final = timedelta(hours=1)
_NOTED: Final = 100
_STATEMENT_TIMEOUT_S: Final = 600.0
"""All rows are read by one statement: ten million take some ten seconds."""


class WindowDifference(NamedTuple):
    """A budget's window that does not hold what its hours come to."""

    budget_id: int
    user: str
    starts_at: datetime
    spent: int
    due: int
    """By the hourly sums. Both are tokens or 10⁻⁹ of the currency's unit."""

    @property
    def opened(self) -> Spent:
        """The window with nothing in it."""
        return Spent(self.budget_id, self.user, self.starts_at, 0)


class Counts(NamedTuple):
    """What an hour comes to."""

    requests: int = 0
    tokens: int = 0
    """Of prompts and completions."""
    cost: int = 0
    """In 10⁻⁹, of all currencies together."""


class HourDifference(NamedTuple):
    """An hour whose sums are not those of its rows."""

    hour: datetime
    sums: Counts
    rows: Counts

    @property
    def can_be_repaired(self) -> bool:
        """False if rows were deleted: the sums know more."""
        return self.rows.requests >= self.sums.requests


class Report(NamedTuple):
    """What was compared, and where it differs."""

    windows: int
    hours: int
    window_differences: list[WindowDifference]
    hour_differences: list[HourDifference]
    day_differences: list[datetime]
    """Days whose sums are not those of their hours."""
    windows_of_other_zones: int = 0
    """Left out, since they began by another time zone than this one."""

    @property
    def is_right(self) -> bool:
        """True if nothing differs."""
        return not (self.window_differences or self.hour_differences or self.day_differences)


def verify(store: Store, zone: tzinfo, now: datetime, *, keep_days: int | None = None) -> Report:
    """Compare all windows of budgets in force, and all hours of which no row was deleted.

    `keep_days`: rows that are older may be gone. Takes as long as reading the whole ledger, and stops no
    writer. Raises SQLAlchemyError.
    """
    with store.read(statement_timeout_s=_STATEMENT_TIMEOUT_S) as session:
        connection = session.connection()
        windows, window_differences, others = _compare_windows(connection, zone)
        hours, hour_differences = _compare_hours(connection, zone, now, keep_days)
        days = _compare_days(connection, zone)
    return Report(windows, hours, window_differences, hour_differences, days, others)


def repair(
    store: Store,
    zone: tzinfo,
    now: datetime,
    *,
    resum_hour: Callable[[Connection, datetime, tzinfo], None],
    resum_day: Callable[[Connection, datetime, tzinfo], None],
    actor: str,
    keep_days: int | None = None,
) -> Report:
    """Let hours hold what their rows come to, then windows what their hours do. In one transaction.

    `resum_hour` and `resum_day` make the sums of an hour and of a day again (`ledger.sums`, `ledger.days`).
    An hour that has fewer rows than it counts stays: rows were deleted. Returns what differed before. Running
    gateways take a window's higher number with its next row, and a lower one once none of them has run for a
    moment: the bases in the table of limits are only ever raised (docs/operations.md).

    Raises SQLAlchemyError.
    """
    with store.write(statement_timeout_s=_STATEMENT_TIMEOUT_S) as session:
        connection = session.connection()
        hours, hour_differences = _compare_hours(connection, zone, now, keep_days)
        for hour in (each.hour for each in hour_differences if each.can_be_repaired):
            resum_hour(connection, hour, zone)
        days = _compare_days(connection, zone)
        for day in days:
            resum_day(connection, day, zone)
        windows, window_differences, others = _compare_windows(connection, zone)
        add_windows(connection, [each.opened for each in window_differences])
        for each in window_differences:
            _set(session, each)
        report = Report(windows, hours, window_differences, hour_differences, days, others)
        if not report.is_right:
            _note(session, report, actor)
    return report


def _set(session: Session, difference: WindowDifference) -> None:
    is_window = and_(
        BudgetWindow.budget_id == difference.budget_id,
        BudgetWindow.user == difference.user,
        BudgetWindow.starts_at == difference.starts_at,
    )
    session.execute(update(BudgetWindow).where(is_window).values(spent=difference.due))


def _note(session: Session, report: Report, actor: str) -> None:
    """One row of the audit for all, with the first differences."""
    windows = [
        {
            "budget": each.budget_id,
            "user": each.user,
            "starts_at": each.starts_at.isoformat(),
            "spent": each.spent,
            "due": each.due,
        }
        for each in report.window_differences[:_NOTED]
    ]
    before: dict[str, object] = {
        "windows": len(report.window_differences),
        "hours": len(report.hour_differences),
        "days": len(report.day_differences),
        "first_windows": windows,
    }
    record(session, actor=actor, action="budget.repair", target="budgets", before=before, after=None)


def _compare_windows(connection: Connection, zone: tzinfo) -> tuple[int, list[WindowDifference], int]:
    """How many were compared, what differs, and how many were left out.

    Those are windows that began by another time zone: their hours are not known any more.
    """
    stored: dict[tuple[int, str, datetime], int] = {}
    columns = BudgetWindow.budget_id, BudgetWindow.user, BudgetWindow.starts_at, BudgetWindow.spent
    for budget_id, user, starts_at, spent in connection.execute(select(*columns)):
        stored[budget_id, user, starts_at] = spent
    compared, differences = 0, []
    in_force = {rule.id: rule.period for rule in Rules.read(connection).all}
    others = sum(
        budget_id in in_force and window_of(in_force[budget_id], starts_at, zone).starts_at != starts_at
        for budget_id, user, starts_at in stored
        if not user
    )
    for rules, window in _opened(connection, zone, stored):
        sums = {each[:3]: each.spent for each in sums_of(connection, rules, window)}
        ids = {rule.id for rule in rules}
        kept = {at: spent for at, spent in stored.items() if at[2] == window.starts_at and at[0] in ids}
        compared += len(kept)
        differences += [
            WindowDifference(*at, spent=kept.get(at, 0), due=sums.get(at, 0))
            for at in sorted(sums.keys() | kept.keys())
            if kept.get(at, 0) != sums.get(at, 0)
        ]
    return compared, differences, others


def _opened(
    connection: Connection, zone: tzinfo, stored: Mapping[tuple[int, str, datetime], int]
) -> Iterator[tuple[Sequence[Rule], Window]]:
    """Each window that is open for some budgets, with those."""
    rules = {rule.id: rule for rule in Rules.read(connection).all}
    opened: dict[Window, list[Rule]] = {}
    for budget_id, user, starts_at in stored:
        rule = rules.get(budget_id)
        if rule is None or user:
            continue
        window = window_of(rule.period, starts_at, zone)
        if window.starts_at == starts_at:
            opened.setdefault(window, []).append(rule)
    for window in sorted(opened):
        yield opened[window], window


def _compare_hours(
    connection: Connection, zone: tzinfo, now: datetime, keep_days: int | None
) -> tuple[int, list[HourDifference]]:
    since = _first_whole_hour(connection, zone, now, keep_days)
    sums = _of_sums(connection, UsageHour, since)
    rows = _of_rows(connection, since, zone)
    differences = [
        HourDifference(hour, sums.get(hour, Counts()), rows.get(hour, Counts()))
        for hour in sorted(sums.keys() | rows.keys())
        if sums.get(hour) != rows.get(hour)
    ]
    return len(sums.keys() | rows.keys()), differences


def _first_whole_hour(connection: Connection, zone: tzinfo, now: datetime, keep_days: int | None) -> datetime:
    """From here on every hour has all of its rows, and is an hour of the zone."""
    hours = connection.scalars(select(UsageHour.hour).distinct().order_by(UsageHour.hour)).all()
    since = hours[0] if hours else now
    if keep_days is not None:
        since = max(since, hour_of(now - timedelta(days=keep_days), zone) + _HOUR)
    first_row = connection.scalar(select(func.min(LedgerRow.time)))
    if first_row is not None and keep_days is not None:
        since = max(since, hour_of(first_row, zone))
    # Sums that a migration made are of hours of UTC, and those before a change of the zone of others.
    odd = [hour for hour in hours if hour_of(hour, zone) != hour]
    return max(since, hour_of(odd[-1], zone) + 2 * _HOUR) if odd else since


def _compare_days(connection: Connection, zone: tzinfo) -> list[datetime]:
    """Days of another time zone are left out: the next start makes them again."""
    days = _of_sums(connection, UsageDay, BEGINNING)
    if any(window_of("day", day, zone).starts_at != day for day in days):
        return []
    due: dict[datetime, Counts] = {}
    for hour, counts in _of_sums(connection, UsageHour, BEGINNING).items():
        day = window_of("day", hour, zone).starts_at
        due[day] = Counts(*map(sum, zip(due.get(day, Counts()), counts, strict=True)))
    return [day for day in sorted(due.keys() | days.keys()) if due.get(day) != days.get(day)]


def _of_sums(
    connection: Connection, table: type[UsageHour | UsageDay], since: datetime
) -> dict[datetime, Counts]:
    time = UsageHour.hour if table is UsageHour else UsageDay.day
    query = (
        select(
            time,
            whole_sum(table.requests),
            whole_sum(table.prompt_tokens + table.completion_tokens),
            *exact_sum(table.cost),
        )
        .where(time >= since)
        .group_by(time)
    )
    return {
        at: Counts(requests, tokens, (high << HALF_BITS) + low)
        for at, requests, tokens, high, low in connection.execute(query)
    }


def _of_rows(connection: Connection, since: datetime, zone: tzinfo) -> dict[datetime, Counts]:
    minute = minute_text(LedgerRow.time)
    tokens = func.coalesce(LedgerRow.prompt_tokens, 0) + func.coalesce(LedgerRow.completion_tokens, 0)
    query = (
        select(minute, func.count(), whole_sum(tokens), *exact_sum(LedgerRow.cost))
        .where(LedgerRow.time >= since)
        .group_by(minute)
    )
    counts: dict[datetime, Counts] = {}
    for text, *numbers, high, low in connection.execute(query):
        hour = hour_of(datetime.strptime(text, _MINUTE).replace(tzinfo=UTC), zone)
        new = *numbers, (high << HALF_BITS) + low
        counts[hour] = Counts(*map(sum, zip(counts.get(hour, Counts()), new, strict=True)))
    return counts
