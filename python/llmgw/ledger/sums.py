"""The ledger's sums by hour and day, kept by its writer: which rows of a batch are new, and what they add."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from operator import add, itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, select

from llmgw.budgets.at_once import WindowsNotOpenError, add_at_once, closed_windows
from llmgw.budgets.spend import MAX_SPENT, Spending, Spent, Usage
from llmgw.budgets.windows import BEGINNING, hour_of, window_of
from llmgw.ledger.days import COUNTERS, resum_day
from llmgw.ledger.entry import MAX_COST, MAX_TOKENS, LedgerEntry
from llmgw.ledger.statements import statements_of
from llmgw.store import LATENCY_BOUNDS_S, LedgerRow, UsageDay, UsageHour

FIRST_ERROR_STATUS: Final = 400
_LONGEST_HOUR: Final = timedelta(hours=2)
"""More than the one and a half that an hour has where the clock is moved by half of one."""
_MINUTE_US: Final = 60_000_000
_CACHED_MINUTES: Final = 4096
_HOUR_COUNTERS: Final = tuple(each.name for each in UsageHour.__table__.columns if not each.primary_key)
_FIRST_EVENT: Final = _HOUR_COUNTERS.index("first_event_100ms")
_TOTAL: Final = _HOUR_COUNTERS.index("total_100ms")
_NOTHING: Final = (0,) * len(_HOUR_COUNTERS)
_SUMMED: Final = (
    "time_s", "key_id", "project_id", "user", "model", "upstream", "api", "currency", "error_kind", "status",
    "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "cache_write_tokens", "cost",
    "first_event_s", "total_s",
)  # fmt: skip
"""What the sums take of an entry, in the order in which `Hours.sums` has it: at once, for every row."""
_summed: Final[Callable[[LedgerEntry], tuple[Any, ...]]] = itemgetter(
    *map(LedgerEntry._fields.index, _SUMMED)
)


class Group(NamedTuple):
    """What the rows have in common that are summed together; the table's primary key."""

    hour: datetime
    key_id: int
    project_id: int
    user: str
    model: str
    upstream: str
    api: str
    currency: str


class Books:
    """Writes rows, their hourly sums, and what they cost the budgets. For one thread."""

    def __init__(self, zone: tzinfo) -> None:
        """`zone`: whose hours and days they are."""
        self._spending = Spending(zone)
        self._hours = Hours(zone)

    def add(
        self, connection: Connection, batch: Sequence[LedgerEntry], generation: int, *, alone: bool = True
    ) -> list[Spent]:
        """Write a batch within one transaction; rows that are there already change nothing.

        `generation`: the store's. `alone`: False in a transaction of `Store.append`; it then raises
        WindowsNotOpenError where a window is to be opened, which needs one of `Store.write`. Returns what the
        budgets came to that it changed. Raises SQLAlchemyError, or whatever an entry with values of other
        types leads to.
        """
        statements = statements_of(connection.dialect)
        groups = self._hours.sums(statements.insert(connection, batch))
        if not groups:
            return []
        amounts = self._spending.amounts(connection, map(_usage, groups.items()), generation)
        days = self._hours.days(groups)
        if statements.appends_alone:
            statements.add(connection, UsageHour, groups)
            statements.add(connection, UsageDay, days)
            return self._spending.add(connection, amounts)
        closed = closed_windows(connection, amounts)
        if closed and not alone:
            raise WindowsNotOpenError
        # From here until the commit, other appends wait for this one: their rows add to the same sums.
        statements.add(connection, UsageHour, groups)
        statements.add(connection, UsageDay, days)
        opened = self._spending.open(connection, closed)
        summed = {(each.budget_id, each.starts_at) for each in opened}
        rest = {at: amount for at, amount in amounts.items() if (at[0].id, at[2].starts_at) not in summed}
        return opened + add_at_once(connection, rest)


class Hours:
    """Sums entries by the hour of a zone in which they arrived."""

    def __init__(self, zone: tzinfo) -> None:
        """`zone`: whose hours."""
        self._zone = zone
        self._hour_of_minute: dict[int, datetime] = {}

    def sums(self, entries: Iterable[LedgerEntry]) -> dict[Group, list[int]]:
        """The counters of each group, in the order of the table's columns."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for (
            time_s, key_id, project_id, user, model, upstream, api, currency, error_kind, status,
            prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cache_write_tokens, cost,
            first_event_s, total_s,
        ) in map(_summed, entries):  # fmt: skip
            at = (
                self._hour(time_s), key_id or 0, project_id or 0, user or "", model or "", upstream or "",
                api or "", currency or "",
            )  # fmt: skip
            sums = groups.get(at)
            if sums is None:
                sums = groups[at] = list(_NOTHING)
            prompt, completion = _count(prompt_tokens), _count(completion_tokens)
            sums[0] += 1
            sums[1] += error_kind is not None or status >= FIRST_ERROR_STATUS
            sums[2] += cost is None and prompt + completion > 0
            sums[3] += prompt
            sums[4] += completion
            sums[5] += _count(reasoning_tokens)
            sums[6] += _count(cached_tokens)
            sums[7] += _count(cache_write_tokens)
            if cost:
                sums[8] = min(sums[8] + min(max(cost, 0), MAX_COST), MAX_SPENT)
            if first_event_s is not None:
                sums[_FIRST_EVENT + bisect_left(LATENCY_BOUNDS_S, first_event_s)] += 1
            sums[_TOTAL + bisect_left(LATENCY_BOUNDS_S, total_s)] += 1
        return {Group(*at): sums for at, sums in groups.items()}

    def days(self, groups: Mapping[Group, list[int]]) -> dict[tuple[Any, ...], list[int]]:
        """The same by day, as `usage_days` has it."""
        days: dict[tuple[Any, ...], list[int]] = {}
        for group, sums in groups.items():
            hour, key_id, project_id, _, *rest = group
            at = window_of("day", hour, self._zone).starts_at, key_id, project_id, *rest
            counted = sums[: len(COUNTERS)]
            before = days.get(at)
            days[at] = counted if before is None else [*map(add, before, counted)]
        return days

    def _hour(self, time_s: float) -> datetime:
        """Of the time as the row has it, which is rounded to microseconds."""
        minute = round(time_s * 1_000_000) // _MINUTE_US
        hour = self._hour_of_minute.get(minute)
        if hour is None:
            if len(self._hour_of_minute) >= _CACHED_MINUTES:
                self._hour_of_minute.clear()
            hour = hour_of(BEGINNING + timedelta(minutes=minute), self._zone)
            self._hour_of_minute[minute] = hour
        return hour


def resum_hour(connection: Connection, hour: datetime, zone: tzinfo) -> None:
    """Make the sums of an hour again from its rows. Raises SQLAlchemyError."""
    columns = [LedgerRow.time, *(getattr(LedgerRow, name) for name in LedgerEntry._fields[1:])]
    query = select(*columns).where(LedgerRow.time >= hour, LedgerRow.time < hour + _LONGEST_HOUR)
    rows = (row for row in connection.execute(query) if hour_of(row[0], zone) == hour)
    groups = Hours(zone).sums(LedgerEntry(row[0].timestamp(), *row[1:]) for row in rows)
    connection.execute(delete(UsageHour).where(UsageHour.hour == hour))
    if groups:
        statements_of(connection.dialect).add(connection, UsageHour, groups)
    resum_day(connection, hour, zone)


def _count(tokens: int | None) -> int:
    """As the row has it."""
    if not tokens:
        return 0
    return tokens if 0 < tokens <= MAX_TOKENS else min(max(tokens, 0), MAX_TOKENS)


def _usage(summed: tuple[Group, list[int]]) -> Usage:
    group, sums = summed
    tokens = sums[3] + sums[4]
    return Usage(
        group.hour, group.key_id, group.project_id, group.user, group.model, group.currency, tokens, sums[8]
    )
