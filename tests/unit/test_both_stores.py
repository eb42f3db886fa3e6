"""The same entries in SQLite and in PostgreSQL: every report says the same."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from llmgw.budgets.store import lift_budget, list_budgets, reset_budget
from llmgw.budgets.verify import verify
from llmgw.ledger.days import ensure_days
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.latency import sum_latency
from llmgw.ledger.requests import Position, RequestFilter, find_request, list_requests
from llmgw.ledger.thinking import sum_thinking
from llmgw.ledger.usage import Dimension, UsageBy, sum_usage
from llmgw.ledger.writer import Ledger
from llmgw.limits.bases import read_bases
from llmgw.store import Store, open_store
from tests.support.budgets import add_budget
from tests.support.postgres import PostgresServer, store_urls

ZONES = ("Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "America/Havana")
NOW = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
"""Midnight in Havana, the first of the two of that day; a month begins."""
NAMES = (None, "", "a", "B", "Zhang", "zhang", "张伟", "ä", "_", "a b", '"')
MODELS = (None, "m", "M", "n-1", "n_1", "名")
GROUPINGS: tuple[list[UsageBy], ...] = (
    [], ["key"], ["user"], ["model", "upstream"], ["hour", "api"], ["day", "project"], ["week"],
    ["month", "model"], ["user", "day", "key"],
)  # fmt: skip
COLUMNS = ("time", *LedgerEntry._fields[1:])
EMPTY = "TRUNCATE ledger, usage_hours, usage_days, budget_windows, budgets, audit RESTART IDENTITY"


@st.composite
def entries(draw: st.DrawFn) -> LedgerEntry:
    """One that a gateway may have written; of an id, it is always the same."""
    number = draw(st.integers(0, 200))
    random = draw(st.randoms(use_true_random=False))
    random.seed(number)
    pick = random.choice
    cost = pick((None, 0, 5, 10**9, 2**62))
    return LedgerEntry(
        (NOW + timedelta(hours=pick(range(-90, 90)), seconds=number / 7)).timestamp(),
        f"req_{number}", pick((200, 200, 429, 500)), pick((0.05, 0.1, 7.0, 99.5)),
        key_id=pick((None, 1, 2)), model=pick(MODELS), upstream=pick(NAMES), stream=pick((True, False)),
        finish_reason=pick((None, "stop", "a\nb\\")), error_kind=pick((None, None, "client_gone")),
        prompt_tokens=pick((None, 0, 7, 2**70)), completion_tokens=pick((None, 3)),
        cached_tokens=pick((None, 2)),
        thinking_asked=pick((None, "on", "off")), thinking_sent=pick((None, "ignored")),
        thinking_observed=pick((True, False)), first_event_s=pick((None, 0.2, 3.0)), attempts=pick((0, 3)),
        api=pick((None, "chat", "messages")), project_id=pick((None, 1)), user=pick(NAMES),
        cost=cost, cost_input=cost, currency=None if cost is None else pick(("CNY", "USD")),
    )  # fmt: skip


BUDGETS = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(("key", "project")),
        "scope_id": st.integers(1, 2),
        "model": st.sampled_from(("", "m")),
        "per_user": st.booleans(),
        "unit": st.sampled_from(("CNY", "tokens")),
        "amount": st.sampled_from((1, 10**9, 2**61)),
        "warn_at_permille": st.sampled_from((None, 500)),
        "period": st.sampled_from(("day", "week", "month", "total")),
        "created_at": st.integers(-80, 0).map(lambda hours: NOW + timedelta(hours=hours)),
    }
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a migrated database."""
    file = tmp_path_factory.mktemp("empty") / "llmgw.db"
    store = open_store(f"sqlite:///{file}")
    with store.read() as session:
        session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return file


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[Store]:
    for url in store_urls(postgres):
        store = open_store(url)
        yield store
        store.close()


@settings(
    max_examples=15,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    batches=st.lists(st.lists(entries(), min_size=1, max_size=30), min_size=1, max_size=4),
    budgets=st.lists(BUDGETS, max_size=4),
    zone_name=st.sampled_from(ZONES),
)
def test_every_report_is_the_same(
    empty: Path,
    server: Store,
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[LedgerEntry]],
    budgets: list[dict[str, Any]],
    zone_name: str,
) -> None:
    zone = ZoneInfo(zone_name)
    file = shutil.copy(empty, tmp_path_factory.mktemp("example") / "llmgw.db")
    store = open_store(f"sqlite:///{file}")
    try:
        with server.write() as session:
            session.execute(text(EMPTY))
        told = [fill(each, batches, budgets, zone) for each in (store, server)]
        assert told[0] == told[1]
        assert usage(store, zone) == usage(server, zone)
        assert requests(store) == requests(server)
        assert verify(store, zone, NOW) == verify(server, zone, NOW)
        assert change(store, zone) == change(server, zone)
    finally:
        store.close()


def fill(
    store: Store, batches: list[list[LedgerEntry]], budgets: list[dict[str, Any]], zone: ZoneInfo
) -> object:
    """Budgets and rows; what was told of them."""
    told: list[set[Any]] = []
    ledger = Ledger(store, zone=zone, on_stored=lambda _ids, spents: told.append(set(spents)))
    for number, batch in enumerate(batches):
        for budget in budgets[number :: len(batches)]:
            add_budget(store, zone, **budget)
        ledger._write(batch)
    return told


def usage(store: Store, zone: ZoneInfo) -> object:
    """All sums."""
    spans = ((None, None), (NOW - timedelta(hours=30), NOW + timedelta(hours=40, minutes=20)))
    only: dict[Dimension, list[int | str]] = {"api": ["chat"], "user": ["zhang", "Zhang"]}
    sums = [
        (sum_usage(store, by, zone, since=since, until=until), sum_latency(store, by, zone, since=since))
        for by in GROUPINGS
        for since, until in spans
    ]
    some = sum_usage(store, ["user", "model"], zone, only=only), sum_latency(store, ["user"], zone, only=only)
    with store.read() as session:
        bases = read_bases(session)
    return sums, some, sum_thinking(store, 10_000), bases


def requests(store: Store) -> object:
    """All pages of some lists, and one row."""
    listed: list[list[dict[str, Any]]] = []
    for wanted in (
        RequestFilter(), RequestFilter(model="m"), RequestFilter(failed=True), RequestFilter(user="zhang"),
        RequestFilter(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1), failed=False),
        RequestFilter(request_id="req_7"), RequestFilter(model="\0"),
    ):  # fmt: skip
        after: Position | None = None
        while True:
            page = list_requests(store, wanted, limit=7, after=after)
            listed.append([{name: getattr(row, name) for name in COLUMNS} for row in page.rows])
            after = page.next
            if after is None:
                break
    found = find_request(store, "req_7", key_id=1)
    return listed, None if found is None else found.time


def change(store: Store, zone: ZoneInfo) -> object:
    """All that is asked of budgets."""
    found = list_budgets(store, zone, NOW)
    told = [found, list_budgets(store, zone, NOW, near_end=True)]
    told += [list_budgets(store, zone, NOW, after=(each.id, each.user), limit=2) for each in found]
    for each in {each.id: each for each in found}.values():
        told.append([lift_budget(store, each.id, 3, zone, actor="test", user=each.user, now=NOW)])
        told.append(reset_budget(store, each.id, zone, actor="test", now=NOW))
    ensure_days(store, ZoneInfo("Asia/Tokyo"))
    return told, sum_usage(store, ["day"], ZoneInfo("Asia/Tokyo"))
