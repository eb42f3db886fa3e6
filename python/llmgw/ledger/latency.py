"""How long did answers take? Histograms by any grouping, out of the ledger's hourly sums."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from llmgw.budgets.windows import hour_of, window_of
from llmgw.ledger.usage import BUCKETS, Dimension, UsageBy
from llmgw.store import LATENCY_BOUNDS_S, REPORT_TIMEOUT_S, Store, UsageHour
from llmgw.store.wholes import whole_sum

_STEPS: Final = ("100ms", "250ms", "500ms", "1s", "2500ms", "5s", "10s", "30s", "60s", "more")
_COLUMNS: Final = {"key": "key_id", "project": "project_id"}


class LatencySum(NamedTuple):
    """The histograms of one group: the requests in each step up to `LATENCY_BOUNDS_S`, and above."""

    group: tuple[Any, ...]
    """As in `ledger.usage.UsageSum`."""
    first_event: Sequence[int]
    """Until the first event of an answer that came, in streams."""
    total: Sequence[int]


def sum_latency(
    store: Store,
    by: Sequence[UsageBy],
    zone: tzinfo,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    only: Mapping[Dimension, Collection[int | str]] | None = None,
) -> list[LatencySum]:
    """Those of all groups that had a request, ordered; hours and filters as in `sum_usage`.

    Raises SQLAlchemyError.
    """
    dimensions = [each for each in by if each not in BUCKETS]
    columns = [getattr(UsageHour, _COLUMNS.get(each, each)) for each in dimensions]
    hours = [UsageHour.hour] if len(dimensions) < len(by) else []
    names = [f"{kind}_{step}" for kind in ("first_event", "total") for step in _STEPS]
    counts = [whole_sum(getattr(UsageHour, name)) for name in names]
    query = select(*columns, *hours, *counts)
    if since is not None:
        query = query.where(UsageHour.hour >= hour_of(since, zone))
    if until is not None:
        query = query.where(UsageHour.hour < until)
    for dimension, values in (only or {}).items():
        query = query.where(getattr(UsageHour, _COLUMNS.get(dimension, dimension)).in_(values))
    sums: dict[tuple[Any, ...], list[int]] = {}
    with store.read(statement_timeout_s=REPORT_TIMEOUT_S) as session:
        for row in session.execute(query.group_by(*columns, *hours)):
            if row[-1] is None:  # the sum of no rows, grouped by nothing
                continue
            values_of = dict(zip(dimensions, row, strict=False))
            group = tuple(
                _bucket(each, row[len(columns)], zone) if each in BUCKETS else values_of[each] for each in by
            )
            known = sums.setdefault(group, [0] * len(counts))
            known[:] = map(sum, zip(known, row[len(columns) + len(hours) :], strict=True))
    half = len(_STEPS)
    return [LatencySum(group, each[:half], each[half:]) for group, each in sorted(sums.items())]


def _bucket(bucket: UsageBy, hour: datetime, zone: tzinfo) -> datetime:
    match bucket:
        case "day" | "week" | "month":
            return window_of(bucket, hour, zone).starts_at
        case _:
            return hour_of(hour, zone)


def quantile_s(counts: Sequence[int], share: float) -> float | None:
    """The upper bound of the step in which it lies. None: there are none, or it is above the last bound."""
    wanted = sum(counts) * share
    seen = 0
    for bound_s, count in zip(LATENCY_BOUNDS_S, counts, strict=False):
        seen += count
        if seen and seen >= wanted:
            return bound_s
    return None
