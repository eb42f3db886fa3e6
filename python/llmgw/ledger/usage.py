"""What was used, by any grouping, from the ledger's sums. For `llmgw usage` and the admin API."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final, Literal, NamedTuple, get_args

from sqlalchemy import Connection, func, select

from llmgw.budgets.spend import HALF_BITS, exact_sum
from llmgw.budgets.windows import END, hour_of, window_of
from llmgw.ledger.days import COUNTERS, days_are_whole
from llmgw.store import REPORT_TIMEOUT_S, ApiKey, Project, Store, UsageDay, UsageHour
from llmgw.store.wholes import whole_sum

Dimension = Literal["key", "project", "user", "model", "upstream", "api"]
Bucket = Literal["hour", "day", "week", "month"]
UsageBy = Dimension | Bucket
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
BUCKETS: Final[tuple[Bucket, ...]] = get_args(Bucket)

_COLUMNS: Final = {"key": "key_id", "project": "project_id"}
_HOUR: Final = timedelta(hours=1)


class Totals(NamedTuple):
    """What some requests used."""

    requests: int
    errors: int
    """Requests with an error status, or that failed in the middle of a stream."""
    unpriced: int
    """Requests that used tokens of a model without a price; they cost nothing here."""
    prompt_tokens: int
    """Of all input, also that from a cache. Tokens that nobody reported are missing."""
    completion_tokens: int
    reasoning_tokens: int
    """Part of the completion."""
    cached_tokens: int
    cache_write_tokens: int
    """Both are part of the prompt."""


class UsageSum(NamedTuple):
    """The sums of one group."""

    group: tuple[Any, ...]
    """As it was grouped: ids of keys and projects, texts, and datetimes in UTC at which a bucket begins.

    What a request did not have is 0 or empty.
    """
    totals: Totals
    costs: Mapping[str, int]
    """In 10⁻⁹ of each currency's unit."""


class Usage(NamedTuple):
    """All groups, ordered, and what to call keys and projects."""

    sums: list[UsageSum]
    keys: Mapping[int, str]
    projects: Mapping[int, str]
    """Names by id, of those that there still are."""


def sum_usage(
    store: Store,
    by: Sequence[UsageBy],
    zone: tzinfo,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    only: Mapping[Dimension, Collection[int | str]] | None = None,
) -> Usage:
    """The sums of all groups that had a request.

    Whole hours: those in which `since` and `until` lie are part of it. `only`: of these keys, users and so
    on. Hours, days, weeks and months are those of the zone. Raises SQLAlchemyError.
    """
    groups: dict[tuple[Any, ...], tuple[list[int], dict[str, int]]] = {}
    with store.read(statement_timeout_s=REPORT_TIMEOUT_S) as session:
        connection = session.connection()
        for table, begin, end in _parts(connection, by, zone, since, until, only or {}):
            for group, currency, counted, cost in _sums(connection, table, by, zone, begin, end, only or {}):
                totals, costs = groups.setdefault(group, ([0] * len(Totals._fields), {}))
                totals[:] = map(sum, zip(totals, counted, strict=True))
                if currency:
                    costs[currency] = costs.get(currency, 0) + cost
        sums = [UsageSum(group, Totals(*totals), costs) for group, (totals, costs) in sorted(groups.items())]
        return Usage(
            sums,
            _names(connection, ApiKey, sums, by, "key"),
            _names(connection, Project, sums, by, "project"),
        )


_Table = type[UsageHour] | type[UsageDay]


def _parts(
    connection: Connection,
    by: Sequence[UsageBy],
    zone: tzinfo,
    since: datetime | None,
    until: datetime | None,
    only: Mapping[Dimension, Collection[int | str]],
) -> Iterator[tuple[_Table, datetime, datetime]]:
    """Which sums to read, from when until when: whole days where that will do, hours at the edges."""
    first = connection.scalar(select(func.min(UsageHour.hour)))
    if first is None:
        return
    begin = first if since is None else max(first, hour_of(since, zone))
    end = END if until is None else _end_of_hour(until, zone)
    needs_hours = "hour" in by or "user" in by or "user" in only
    if needs_hours or begin >= end or not days_are_whole(connection, zone):
        yield UsageHour, begin, end
        return
    day = window_of("day", begin, zone)
    first_day = day.starts_at if begin in (first, day.starts_at) else day.ends_at
    end_of_days = END if end == END else window_of("day", end, zone).starts_at
    if first_day >= end_of_days:
        yield UsageHour, begin, end
        return
    if begin < first_day:
        yield UsageHour, begin, first_day
    yield UsageDay, first_day, end_of_days
    if end_of_days < end:
        yield UsageHour, end_of_days, end


def _end_of_hour(at: datetime, zone: tzinfo) -> datetime:
    """When the hour after the one of `at` begins; `at` itself if one begins there."""
    hour = hour_of(at, zone)
    if hour == at:
        return at
    end = hour_of(hour + _HOUR, zone)
    return end if end != hour else hour_of(hour + 2 * _HOUR, zone)


def _sums(
    connection: Connection,
    table: _Table,
    by: Sequence[UsageBy],
    zone: tzinfo,
    begin: datetime,
    end: datetime,
    only: Mapping[Dimension, Collection[int | str]],
) -> Iterator[tuple[tuple[Any, ...], str, Sequence[int], int]]:
    """Group, currency, counters and cost. The same group may come several times."""
    time = UsageHour.hour if table is UsageHour else UsageDay.day
    dimensions = [each for each in by if each not in BUCKETS]
    has_bucket = len(dimensions) < len(by)
    grouped = [getattr(table, _COLUMNS.get(each, each)) for each in dimensions]
    keys = [*grouped, table.currency, *([time] if has_bucket else [])]
    counters = [whole_sum(getattr(table, name)) for name in COUNTERS[:-1]]
    query = select(*keys, *counters, *exact_sum(table.cost)).where(time >= begin, time < end)
    for dimension, values in only.items():
        query = query.where(getattr(table, _COLUMNS.get(dimension, dimension)).in_(values))
    for row in connection.execute(query.group_by(*keys)):
        *key, high, low = row
        counted = key[len(keys) :]
        values_of = dict(zip(dimensions, key, strict=False))
        at = key[len(keys) - 1] if has_bucket else END
        group = tuple(_bucket(each, at, zone) if each in BUCKETS else values_of[each] for each in by)
        yield group, key[len(dimensions)], counted, (high << HALF_BITS) + low


def _bucket(bucket: str, at: datetime, zone: tzinfo) -> datetime:
    if bucket == "hour":
        return hour_of(at, zone)
    return window_of(bucket, at, zone).starts_at


def _names(
    connection: Connection,
    table: type[ApiKey] | type[Project],
    sums: Sequence[UsageSum],
    by: Sequence[UsageBy],
    dimension: Dimension,
) -> dict[int, str]:
    if dimension not in by or not sums:
        return {}
    return dict(connection.execute(select(table.id, table.name)).all())
