"""When a budget's day, week or month begins and ends, and to which hour a request belongs.

All of them are of one time zone, the configured one, and are half-open: an instant belongs to exactly one
window of each period. Clocks are moved at their edges: a day may have 23 or 25 hours, or 23.5, and midnight
may come twice or not at all. An hour never lies in two windows, so that windows are sums of whole hours.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple

from llmgw.budgets.budget import Period

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""When a window of the period `total` begins and ends."""
_LAST: Final = END - timedelta(days=2)
"""Of the days that begin and end in every zone within the years that a datetime has."""
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_CACHED: Final = 4096


class Window(NamedTuple):
    """From `starts_at` on, until just before `ends_at`; both in UTC."""

    starts_at: datetime
    ends_at: datetime


@lru_cache(_CACHED)
def window_of(period: Period, at: datetime, zone: tzinfo) -> Window:
    """The window that `at` lies in. `at` is aware; weeks begin on Monday."""
    if period == "total":
        return Window(BEGINNING, END)
    first = _first_day(period, at.astimezone(zone).date())
    window = Window(_begin_of(first, zone), _begin_of(_next(period, first), zone))
    # Where the clock goes back over midnight, the date before comes once more: that hour is of the new day.
    while at >= window.ends_at:
        first = _next(period, first)
        window = Window(window.ends_at, _begin_of(_next(period, first), zone))
    return window


@lru_cache(_CACHED)
def hour_of(at: datetime, zone: tzinfo) -> datetime:
    """When the hour began that `at` lies in, in UTC. `at` is aware; the ends are `BEGINNING` and `_LAST`."""
    at = min(max(at, BEGINNING), _LAST)
    day = window_of("day", at, zone).starts_at
    hour = _begin_of_hour(at, zone)
    if hour > day and _offset(hour, zone) != _offset(at, zone):
        # The clock was moved by half an hour since: what is left of that hour belongs to the one before.
        hour = _begin_of_hour(hour, zone)
    return max(hour, day, BEGINNING)


def _begin_of_hour(at: datetime, zone: tzinfo) -> datetime:
    """By the clock's offset at `at`."""
    past = (at - BEGINNING + _offset(at, zone)) % _HOUR
    return at.astimezone(UTC) - past


def _offset(at: datetime, zone: tzinfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _first_day(period: Period, day: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _next(period: Period, first: date) -> date:
    if period == "week":
        return first + timedelta(days=7)
    if period == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + _DAY


def _begin_of(day: date, zone: tzinfo) -> datetime:
    """Midnight: the first one of two, or where there is none, when the clock jumped over it."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
