"""Windows of budgets: days of 23 and 25 hours, zones that are half an hour off, midnights that come twice."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.budgets.budget import Period
from llmgw.budgets.windows import hour_of, window_of

ZONES = (
    "UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Pacific/Chatham", "America/Havana", "America/St_Johns", "Africa/Cairo",
    "Asia/Beirut", "America/Caracas", "Asia/Pyongyang", "Pacific/Apia", "Africa/Casablanca",
)  # fmt: skip
PERIODS: tuple[Period, ...] = ("day", "week", "month", "total")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


WINDOWS: list[tuple[str, Period, str, str, tuple[str, str]]] = [
    ("a day", "day", "Asia/Shanghai", "2026-11-26T03:00", ("2026-11-25T16:00", "2026-11-26T16:00")),
    (
        "its first instant",
        "day",
        "Asia/Shanghai",
        "2026-11-25T16:00",
        ("2026-11-25T16:00", "2026-11-26T16:00"),
    ),
    (
        "the last before",
        "day",
        "Asia/Shanghai",
        "2026-11-25T15:59:59",
        ("2026-11-24T16:00", "2026-11-25T16:00"),
    ),
    (
        "a week from Monday",
        "week",
        "Asia/Shanghai",
        "2026-11-29T15:59",
        ("2026-11-22T16:00", "2026-11-29T16:00"),
    ),
    ("a month", "month", "Asia/Shanghai", "2026-11-26T03:00", ("2026-10-31T16:00", "2026-11-30T16:00")),
    ("a February", "month", "UTC", "2028-02-29T12:00", ("2028-02-01", "2028-03-01")),
    ("a December", "month", "UTC", "2026-12-31T23:59", ("2026-12-01", "2027-01-01")),
    ("23 hours", "day", "Europe/Berlin", "2026-03-29T12:00", ("2026-03-28T23:00", "2026-03-29T22:00")),
    ("25 hours", "day", "Europe/Berlin", "2026-10-25T12:00", ("2026-10-24T22:00", "2026-10-25T23:00")),
    (
        "23.5 hours",
        "day",
        "Australia/Lord_Howe",
        "2026-10-04T00:00",
        ("2026-10-03T13:30", "2026-10-04T13:00"),
    ),
    ("half an hour off", "day", "Asia/Kolkata", "2026-11-26T00:00", ("2026-11-25T18:30", "2026-11-26T18:30")),
    ("no midnight", "day", "America/Havana", "2026-03-08T12:00", ("2026-03-08T05:00", "2026-03-09T04:00")),
    ("midnight twice", "day", "America/Havana", "2026-11-01T05:30", ("2026-11-01T04:00", "2026-11-02T05:00")),
    (
        "a date comes once more",
        "day",
        "America/St_Johns",
        "2010-11-07T02:40",
        ("2010-11-07T02:30", "2010-11-08T03:30"),
    ),
    ("everything", "total", "Asia/Shanghai", "2026-11-26T03:00", ("1970-01-01", "9999-12-31")),
]


@pytest.mark.parametrize(
    ("period", "zone", "at", "expected"), [row[1:] for row in WINDOWS], ids=[row[0] for row in WINDOWS]
)
def test_windows(period: Period, zone: str, at: str, expected: tuple[str, str]) -> None:
    assert window_of(period, utc(at), ZoneInfo(zone)) == tuple(map(utc, expected))


HOURS = [
    ("whole", "Asia/Shanghai", "2026-11-26T03:59:59.999999", "2026-11-26T03:00"),
    ("half an hour off", "Asia/Kolkata", "2026-11-26T03:29", "2026-11-26T02:30"),
    ("45 minutes off", "Asia/Kathmandu", "2026-11-26T03:29", "2026-11-26T03:15"),
    ("moved by half an hour", "Australia/Lord_Howe", "2026-10-03T15:40", "2026-10-03T14:30"),
    ("just after", "Australia/Lord_Howe", "2026-04-04T15:10", "2026-04-04T14:00"),
    ("twice at 2", "Europe/Berlin", "2026-10-25T01:10", "2026-10-25T01:00"),
]


@pytest.mark.parametrize(
    ("zone", "at", "expected"), [row[1:] for row in HOURS], ids=[row[0] for row in HOURS]
)
def test_hours(zone: str, at: str, expected: str) -> None:
    assert hour_of(utc(at), ZoneInfo(zone)) == utc(expected)


INSTANTS = st.one_of(
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001  (hypothesis wants naive ones)
    # Around the clocks' changes of 2026: in hours and some seconds from a change in Europe, Cuba, Lord Howe.
    st.builds(
        lambda change, s: change + timedelta(seconds=s),
        st.sampled_from(
            [
                datetime.fromisoformat(text)
                for text in ("2026-03-29T01:00", "2026-10-25T01:00", "2026-11-01T05:00", "2026-10-03T15:30")
            ]
        ),
        st.floats(-100_000, 100_000),
    ),
)


@given(at=INSTANTS, zone=st.sampled_from(ZONES), period=st.sampled_from(PERIODS))
def test_windows_meet_and_are_made_of_whole_hours(at: datetime, zone: str, period: Period) -> None:
    at, tz = at.replace(tzinfo=UTC), ZoneInfo(zone)
    window, hour = window_of(period, at, tz), hour_of(at, tz)
    assert window.starts_at <= hour <= at < window.ends_at
    assert at - hour < timedelta(hours=2)
    assert window_of(period, hour, tz) == window
    assert hour_of(hour, tz) == hour
    assert hour_of(window.starts_at, tz) == window.starts_at
    if period != "total":
        assert window_of(period, window.ends_at, tz).starts_at == window.ends_at
        assert window_of(period, window.starts_at - timedelta(microseconds=1), tz).ends_at == window.starts_at
