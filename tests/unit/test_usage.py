"""What was used, from hourly and daily sums: as the rows say, whatever is asked."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from llmgw.access.keys import create_key
from llmgw.budgets.windows import hour_of, window_of
from llmgw.ledger.days import days_are_whole, ensure_days
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.usage import BUCKETS, DIMENSIONS, UsageBy, sum_usage
from llmgw.ledger.writer import Ledger
from llmgw.store import LedgerRow, Store, UsageDay, open_store
from tests.support.cli import Run

SHANGHAI = ZoneInfo("Asia/Shanghai")
ZONES = ("Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
BEGIN = datetime(2026, 10, 2, 7, tzinfo=UTC)
DAYS = 30
HOUR = timedelta(hours=1)


def entry(number: int, at: datetime, **changes: Any) -> LedgerEntry:  # noqa: ANN401
    row = LedgerEntry(
        at.timestamp(), f"req_{number}", 503 if number % 5 == 0 else 200, 1.0, key_id=number % 3 or None,
        project_id=1 if number % 3 == 1 else 2, user=(None, "ann", "bob")[number % 4 % 3],
        model=("m", "n", None)[number % 7 % 3], upstream=("u", "v")[number % 2], api="chat",
        prompt_tokens=number, completion_tokens=7, cached_tokens=number % 4,
        cost=None if number % 6 == 0 else number * 1000, currency="USD" if number % 11 == 0 else "CNY",
    )  # fmt: skip
    return row._replace(**changes)


@pytest.fixture(scope="module", params=ZONES)
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A month of rows, and the zone in which they were summed."""
    zone = ZoneInfo(request.param)
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('usage')}/llmgw.db")
    writer = Ledger(store, zone=zone)
    for number in range(600):
        writer.record(entry(number, BEGIN + number * timedelta(days=DAYS) / 600))
    writer.close_blocking()
    yield store, zone
    store.close()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("latest", [datetime.max.replace(tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_the_ends_of_time(ledger: Any, zone: str, latest: datetime) -> None:  # noqa: ANN401
    """A date may be any, as of a link that was made up; days near the ends have no date in some zones."""
    store, _ = ledger
    earliest = datetime.min.replace(tzinfo=UTC)
    for by in (["model"], ["day"], ["hour"]):
        everything = sum_usage(store, by, ZoneInfo(zone)).sums  # type: ignore[arg-type]
        found = sum_usage(store, by, ZoneInfo(zone), since=earliest, until=latest)  # type: ignore[arg-type]
        assert found.sums == everything
        assert sum_usage(store, by, ZoneInfo(zone), since=latest, until=earliest).sums == []  # type: ignore[arg-type]


def _naive(store: Store, by: list[UsageBy], zone: ZoneInfo, begin: datetime, end: datetime) -> dict[Any, Any]:
    """By the rows, one by one: requests, errors, unpriced, tokens and costs of each group."""
    groups: dict[Any, Any] = {}
    with store.read() as session:
        for row in session.scalars(select(LedgerRow)):
            hour = hour_of(row.time, zone)
            if not begin <= hour < end:
                continue
            value: dict[str, Any] = {
                "key": row.key_id or 0, "project": row.project_id or 0, "user": row.user or "",
                "model": row.model or "", "upstream": row.upstream or "", "api": row.api or "", "hour": hour,
            }  # fmt: skip
            for bucket in BUCKETS[1:]:
                value[bucket] = window_of(bucket, hour, zone).starts_at
            sums = groups.setdefault(tuple(value[each] for each in by), [0, 0, 0, 0, 0, 0, {}])
            new = (1, row.status >= 400, row.cost is None, row.prompt_tokens, row.completion_tokens)
            for index, number in enumerate((*new, row.cached_tokens)):
                sums[index] += number
            if row.currency:
                sums[6][row.currency] = sums[6].get(row.currency, 0) + (row.cost or 0)
    return groups


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    by=st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=3),
    bucket=st.sampled_from((None, *BUCKETS)),
    edges=st.tuples(*[st.none() | st.integers(-30, 24 * DAYS + 30)] * 2),
    minutes=st.sampled_from((0, 29, 30)),
)
def test_any_grouping_is_what_the_rows_say(
    ledger: tuple[Store, ZoneInfo],
    by: list[UsageBy],
    bucket: UsageBy | None,
    edges: tuple[int | None, int | None],
    minutes: int,
) -> None:
    store, zone = ledger
    groups: list[UsageBy] = [*by, *([bucket] if bucket else [])]
    since, until = (
        None if each is None else BEGIN + each * HOUR + timedelta(minutes=minutes) for each in edges
    )
    begin = datetime.min.replace(tzinfo=UTC) if since is None else hour_of(since, zone)
    end = datetime.max.replace(tzinfo=UTC)
    if until is not None:
        end = until if hour_of(until, zone) == until else until + 2 * HOUR
        while end > until and hour_of(end - timedelta(minutes=15), zone) >= until:
            end -= timedelta(minutes=15)
        end = hour_of(end, zone)
    usage = sum_usage(store, groups, zone, since=since, until=until)
    found = {
        each.group: [*each.totals[:5], each.totals.cached_tokens, dict(each.costs)] for each in usage.sums
    }
    assert found == _naive(store, groups, zone, begin, end)
    assert list(found) == sorted(found)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def fill(store: Store, zone: ZoneInfo) -> None:
    writer = Ledger(store, zone=zone)
    for number in range(100):
        writer.record(entry(number, BEGIN + number * HOUR))
    writer.close_blocking()


def days(store: Store) -> list[Any]:
    with store.read() as session:
        return [tuple(row) for row in session.connection().exec_driver_sql("SELECT * FROM usage_days")]


def test_days_are_made_where_they_are_missing(store: Store) -> None:
    """As after an update: a migration knows no time zone."""
    fill(store, SHANGHAI)
    kept = days(store)
    usage = sum_usage(store, ["model"], SHANGHAI)
    with store.write() as session:
        session.execute(delete(UsageDay))
    assert sum_usage(store, ["model"], SHANGHAI) == usage  # by the hours
    ensure_days(store, SHANGHAI)
    assert days(store) == kept


def test_days_follow_the_time_zone(store: Store) -> None:
    fill(store, SHANGHAI)
    berlin = ZoneInfo("Europe/Berlin")
    before = sum_usage(store, ["day"], berlin)  # by the hours
    with store.read() as session:
        assert not days_are_whole(session.connection(), berlin)
    ensure_days(store, berlin)
    with store.read() as session:
        assert days_are_whole(session.connection(), berlin)
    assert sum_usage(store, ["day"], berlin) == before


def test_days_that_another_machine_makes_meanwhile_are_not_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, SHANGHAI)
    with store.write() as session:
        session.execute(delete(UsageDay))
    write = store.write

    def write_later(**options: Any) -> AbstractContextManager[Session]:  # noqa: ANN401  (its own)
        monkeypatch.setattr(store, "write", write)
        ensure_days(store, SHANGHAI)
        with write() as session:
            session.execute(update(UsageDay).values(requests=UsageDay.requests + 1000))
        return write(**options)

    monkeypatch.setattr(store, "write", write_later)
    ensure_days(store, SHANGHAI)
    with store.read() as session:
        assert session.scalars(select(UsageDay.requests)).all()
        assert all(requests > 1000 for requests in session.scalars(select(UsageDay.requests)))


def test_only_some(store: Store) -> None:
    fill(store, SHANGHAI)
    everything = {each.group: each for each in sum_usage(store, ["key", "model"], SHANGHAI).sums}
    some = sum_usage(store, ["key", "model"], SHANGHAI, only={"key": [1], "model": ["m", "n"]})
    assert some.sums == [everything[1, "m"], everything[1, "n"]]
    users = sum_usage(store, ["key"], SHANGHAI, only={"user": ["ann"]}).sums
    assert 0 < sum(each.totals.requests for each in users) < 100


# The verb.


@pytest.mark.usefixtures("config")
def test_usage_is_one_of_both(run: Run) -> None:
    status, out, err = run("usage", "--csv", "--json")
    assert (status, out, "not allowed with" in err) == (2, "", True)


@pytest.mark.usefixtures("config")
def test_usage_as_csv_and_json(run: Run, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    key = create_key(store, actor="test", name="=cmd()").key
    writer = Ledger(store, zone=SHANGHAI)
    now = datetime.now(UTC)
    shared = {
        "key_id": key.id,
        "project_id": 1,
        "user": "@sum",
        "model": "m",
        "currency": "CNY",
        "status": 200,
    }
    writer.record(entry(1, now, **shared, cost=1_500_000_000, cache_write_tokens=4))
    writer.record(entry(2, now - timedelta(days=3), **shared, cost=5))
    writer.record(entry(3, now - timedelta(days=90), **shared, cost=10**15))
    writer.close_blocking()
    store.close()
    out = run("usage", "--by", "key,user,model", "--since", "7d", "--csv").out
    [row] = csv.DictReader(io.StringIO(out))
    assert row == {
        "key_id": str(key.id), "key": "'=cmd()", "user": "'@sum", "model": "m", "requests": "2",
        "errors": "0", "unpriced": "0",
        "prompt_tokens": "3", "completion_tokens": "14", "reasoning_tokens": "0",
        "cached_tokens": "3", "cache_write_tokens": "4", "cost_cny": "1.500000005",
    }  # fmt: skip
    listed = json.loads(run("usage", "--by", "project,day", "--json").out)
    assert [each["project"] for each in listed] == [{"id": 1, "name": "default"}] * 3
    assert [each["costs"] for each in listed] == [
        {"CNY": "1000000.00"}, {"CNY": "0.000000005"}, {"CNY": "1.50"},
    ]  # fmt: skip
    today = now.astimezone(SHANGHAI)
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    assert (listed[2]["day"], listed[2]["starts_at"]) == (
        f"{today:%Y-%m-%d}",
        f"{midnight:%Y-%m-%dT%H:%M:%SZ}",
    )
    assert "1.50 CNY" in run("usage", "--by", "key", "--since", "2h").out
    assert (
        run("usage", "--until", f"{today - timedelta(days=2):%Y-%m-%d}", "--csv")
        .out.splitlines()[1]
        .split(",")[2]
        == "2"
    )


@pytest.mark.usefixtures("config")
def test_usage_in_another_order_and_of_all(run: Run, tmp_path: Path) -> None:
    zeros = "requests,errors,unpriced,prompt_tokens,completion_tokens,reasoning_tokens,cached_tokens"
    assert run("usage", "--by", "all", "--csv").out.splitlines() == [
        f"{zeros},cache_write_tokens,cost_cny", "0,0,0,0,0,0,0,0,0.00",
    ]  # fmt: skip
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    writer = Ledger(store, zone=SHANGHAI)
    now = datetime.now(UTC)
    for number, (model, cost) in enumerate((("a", 1), ("b", 10**12), ("c", 5), ("c", 6))):
        writer.record(entry(number, now, model=model, cost=cost, currency="CNY", status=200))
    writer.close_blocking()
    store.close()

    def listed(*order: str) -> list[str]:
        return [each["model"] for each in json.loads(run("usage", "--by", "model", *order, "--json").out)]

    assert listed() == ["a", "b", "c"]
    assert listed("--order", "cost") == ["b", "c", "a"]
    assert listed("--order", "requests") == ["c", "a", "b"]
    [total] = json.loads(run("usage", "--by", "all", "--json").out)
    assert (total["requests"], total["costs"]) == (4, {"CNY": "1000.000000012"})
    assert "REQUESTS" in run("usage", "--by", "all").out


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--by", "colour"), "'colour' is none of key, project"),
        (("--by", "key,key"), "names something twice"),
        (("--by", "key,all"), "'all' is none of key"),
        (("--by", "day,week"), "has more than one of"),
        (("--since", "yesterday"), "'yesterday' is no time"),
        (("--since", "0d"), "is not a duration"),
    ],
)
def test_what_is_said(run: Run, arguments: tuple[str, ...], said: str) -> None:
    status, _, err = run("usage", *arguments)
    assert status == 2
    assert said in err
