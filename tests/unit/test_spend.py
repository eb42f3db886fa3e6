"""What budgets have spent is the sum of their rows, whatever comes twice, late, or not at all."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, func, select, update

from llmgw.budgets.spend import Spent, open_current
from llmgw.budgets.windows import window_of
from llmgw.ledger.entry import MAX_COST, LedgerEntry
from llmgw.ledger.journal import Journal
from llmgw.ledger.writer import Ledger
from llmgw.store import BudgetRow, BudgetWindow, Store, UsageHour, open_store, raise_epoch
from tests.support.budgets import add_budget, due, spent

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime.now(UTC)
DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def now() -> None:
    """A budget is made after its rows, and midnight may come between the import and the test."""
    global NOW  # noqa: PLW0603
    NOW = datetime.now(UTC)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


class Told:
    """Notes what a ledger tells."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.ids: list[str] = []
        self.spents: list[Spent] = []

    def __call__(self, request_ids: Sequence[str], spents: Sequence[Spent]) -> None:
        """`Ledger`'s `on_stored`."""
        self.ids += request_ids
        self.spents += spents


def entry(request_id: str, **changes: Any) -> LedgerEntry:  # noqa: ANN401
    """One yuan and 15 tokens of key 1."""
    row = LedgerEntry(
        NOW.timestamp(), request_id, 200, 1.5, key_id=1, model="m", upstream="u", api="chat", project_id=1,
        prompt_tokens=10, completion_tokens=5, cost=10**9, currency="CNY",
    )  # fmt: skip
    return row._replace(**changes)


def write(store: Store, *entries: LedgerEntry, told: Told | None = None) -> None:
    """Through a ledger of its own, in one batch."""
    ledger = Ledger(store, zone=SHANGHAI, on_stored=told)
    for each in entries:
        ledger.record(each)
    ledger.close_blocking()


def requests(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.sum(UsageHour.requests))) or 0


MATCHES: list[tuple[str, dict[str, Any], int]] = [
    ("its key", {}, 1),
    ("another key", {"scope_id": 2}, 0),
    ("its project", {"scope": "project"}, 1),
    ("another project", {"scope": "project", "scope_id": 2}, 0),
    ("its model", {"model": "m"}, 1),
    ("another model", {"model": "n"}, 0),
    ("tokens", {"unit": "tokens"}, 15),
    ("another currency", {"unit": "USD"}, 0),
    ("each user", {"per_user": True}, 1),
    ("a budget that was removed", {"removed_at": NOW}, 0),
    ("one whose window had not ended", {"created_at": NOW - timedelta(days=9)}, 1),
    ("one that is younger than the window", {"created_at": NOW + timedelta(days=2)}, 0),
]


@pytest.mark.parametrize(
    ("changes", "expected"), [row[1:] for row in MATCHES], ids=[row[0] for row in MATCHES]
)
def test_what_a_budget_counts(store: Store, changes: dict[str, Any], expected: int) -> None:
    add_budget(store, SHANGHAI, **changes)
    write(store, entry("1"))
    scale = 1 if changes.get("unit") == "tokens" else 10**9
    assert list(spent(store).values()) == [expected * scale] * bool(expected)


def test_every_period_has_its_window(store: Store) -> None:
    for period in ("day", "week", "month", "total"):
        add_budget(store, SHANGHAI, period=period)
        add_budget(store, SHANGHAI, period=period, per_user=True)
    write(store, entry("1"), entry("2", user="ann"), entry("3", user="bob"), entry("4", user="ann"))
    assert spent(store) == due(store, SHANGHAI)
    assert len(spent(store)) == 4 * (1 + 3)


def test_the_listener_hears_ids_and_spends_after_the_commit(store: Store) -> None:
    budget = add_budget(store, SHANGHAI)
    told = Told()
    write(store, entry("1"), entry("2"), told=told)
    assert told.ids == ["1", "2"]
    [(budget_id, user, _, amount)] = told.spents
    assert (budget_id, user, amount) == (budget, "", 2 * 10**9)
    write(store, entry("3"), told=told)
    assert told.spents[-1].spent == 3 * 10**9


def test_a_row_that_comes_twice_counts_once(store: Store) -> None:
    """In one batch, and in a later one, as when a journal is replayed after a crash."""
    add_budget(store, SHANGHAI)
    told = Told()
    write(store, entry("1"), entry("1", cost=5), entry("2"), told=told)
    write(store, entry("2"), entry("3"), entry("1"), told=told)
    assert sorted(told.ids) == ["1", "1", "1", "2", "2", "3"]  # nobody waits for them
    assert (requests(store), list(spent(store).values())) == (3, [3 * 10**9])
    assert spent(store) == due(store, SHANGHAI)


def test_field_b2_a_row_that_is_refused_or_lost_is_told_and_leaks_nothing(store: Store) -> None:
    """Of new-api#4429, 6 of 8 pre-charges never returned: whoever reserved hears of every row's end."""
    add_budget(store, SHANGHAI)
    told = Told()
    ledger = Ledger(store, zone=SHANGHAI, on_stored=told, capacity_rows=3)
    for number, bad in enumerate((entry("good"), entry("bad", time_s="x"), entry("late"), entry("dropped"))):
        assert ledger.dropped == 0, number
        ledger.record(bad)
    ledger.close_blocking()
    assert sorted(told.ids) == ["bad", "dropped", "good", "late"]
    assert (ledger.dropped, list(spent(store).values())) == (2, [2 * 10**9])


def test_a_listener_that_fails_stops_no_row(store: Store) -> None:
    def failing(_ids: Sequence[str], _spents: Sequence[Spent]) -> None:
        raise LookupError

    ledger = Ledger(store, on_stored=failing)
    ledger.record(entry("1"))
    ledger.close_blocking()
    assert (requests(store), ledger.dropped) == (1, 0)


def test_field_b2_rows_in_the_journal_are_spent_when_they_arrive(store: Store, tmp_path: Path) -> None:
    """LiteLLM#36926 refused for money that was never spent: holds and spend never count a row twice."""
    add_budget(store, SHANGHAI)
    told = Told()
    folder = tmp_path / "llmgw.db.journal"
    journal = Journal(folder, max_bytes=10_000)
    first = Ledger(store, journal=journal, zone=SHANGHAI, on_stored=told)
    first._append([entry("1"), entry("2")])
    first._append([entry("2"), entry("3")])
    assert (told.ids, spent(store)) == ([], {})
    journal.close()  # it dies, another adopts what it left
    second = Ledger(store, journal=Journal(folder, max_bytes=10_000), zone=SHANGHAI, on_stored=told)
    second._adopt()
    second.close_blocking()
    assert sorted(told.ids) == ["1", "2", "2", "3"]
    assert list(spent(store).values()) == [3 * 10**9]


def test_a_budget_that_begins_in_mid_window_has_what_was_spent_before(store: Store) -> None:
    write(
        store,
        entry("1", user="ann"),
        entry("2", user="bob"),
        entry("old", time_s=NOW.timestamp() - 40 * DAY_S),
    )
    month = add_budget(store, SHANGHAI, period="month")
    users = add_budget(store, SHANGHAI, period="month", per_user=True)
    total = add_budget(store, SHANGHAI, period="total", unit="tokens")
    of = {(budget, user): amount for (budget, user, _), amount in spent(store).items()}
    assert of == {(month, ""): 2 * 10**9, (users, "ann"): 10**9, (users, "bob"): 10**9, (total, ""): 45}
    write(store, entry("3", user="cid"), entry("4", user="ann"))
    assert spent(store) == due(store, SHANGHAI)


def test_a_window_that_nobody_opened_is_summed_by_its_first_row(store: Store) -> None:
    for per_user in (False, True):
        add_budget(store, SHANGHAI, period="month", per_user=per_user)
    write(store, entry("1", user="ann"), entry("2"))
    with store.write() as session:
        session.execute(delete(BudgetWindow))
    told = Told()
    write(store, entry("3", user="bob"), told=told)
    assert spent(store) == due(store, SHANGHAI)
    assert {(each.user, each.spent) for each in told.spents} == {
        ("", 3 * 10**9), ("", 10**9), ("ann", 10**9), ("bob", 10**9),
    }  # fmt: skip


def test_another_time_zone_keeps_what_was_spent(store: Store) -> None:
    """Its windows begin elsewhere: they are made of the hours that they have."""
    add_budget(store, SHANGHAI, period="week")
    write(store, *(entry(str(number), time_s=NOW.timestamp() - number * 3600) for number in range(400)))
    berlin = ZoneInfo("Europe/Berlin")
    open_current(store, berlin, NOW)
    ledger = Ledger(store, zone=berlin)
    ledger.record(entry("more"))
    ledger.close_blocking()
    start = window_of("week", NOW, berlin).starts_at
    assert spent(store)[1, "", start] == due(store, berlin)[1, "", start]


def test_rows_that_come_late_count_in_the_window_in_which_they_arrived(store: Store) -> None:
    add_budget(store, SHANGHAI, created_at=NOW - timedelta(days=9))
    write(store, *(entry(str(days), time_s=NOW.timestamp() - days * DAY_S) for days in (0, 3, 1, 3, 12)))
    assert spent(store) == due(store, SHANGHAI)
    assert len(spent(store)) == 3  # not the one that was over before


def test_a_changed_budget_is_known_to_the_next_batch(store: Store) -> None:
    ledger = Ledger(store, zone=SHANGHAI)
    ledger._write([entry("1")])
    budget = add_budget(store, SHANGHAI)
    ledger._write([entry("2")])
    assert list(spent(store).values()) == [2 * 10**9]
    with store.write() as session:
        session.execute(update(BudgetRow).values(removed_at=NOW).where(BudgetRow.id == budget))
        raise_epoch(session)
    ledger._write([entry("3")])
    assert list(spent(store).values()) == [2 * 10**9]
    ledger.close_blocking()


def test_absurd_costs_can_be_stored_and_spent(store: Store) -> None:
    add_budget(store, SHANGHAI, period="total")
    write(store, *(entry(str(number), cost=2**62 + number, cost_output=-5) for number in range(5000)))
    assert list(spent(store).values()) == [min(5000 * MAX_COST, 2**62)]


def test_a_batch_reads_the_budgets_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual flush reads one number; each row of a group costs no statement of its own."""
    add_budget(store, SHANGHAI)
    ledger = Ledger(store, zone=SHANGHAI)
    ledger._write([entry("0")])
    reads: list[str] = []
    monkeypatch.setattr("llmgw.budgets.spend.Rules.read", lambda _connection: reads.append("read"))
    begun = time.perf_counter()
    for number in range(10):
        ledger._write([entry(f"{number}-{row}") for row in range(500)])
    assert time.perf_counter() - begun < 5.0
    assert (reads, list(spent(store).values())) == ([], [5001 * 10**9])
    ledger.close_blocking()
