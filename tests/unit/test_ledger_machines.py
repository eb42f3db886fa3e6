"""Many writers of one PostgreSQL at the same time, as of several machines: sums and budgets are exact."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update

from llmgw.budgets.at_once import WindowsNotOpenError
from llmgw.budgets.spend import MAX_SPENT, Spent
from llmgw.budgets.verify import verify
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.statements import statements_of
from llmgw.ledger.sums import Books
from llmgw.ledger.usage import sum_usage
from llmgw.ledger.writer import Ledger
from llmgw.store import BudgetWindow, LedgerRow, Store, UsageDay, UsageHour, open_store
from tests.support.budgets import add_budget, due, spent
from tests.support.postgres import PostgresServer, store_urls

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 26, 15, 30, tzinfo=UTC)
"""Half an hour before midnight there."""
MACHINES = 4
BATCHES = 25
TIMEOUT_S = 120.0


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    yield from store_urls(postgres)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def add_budgets(store: Store, *, opened: bool = True) -> None:
    """Of everybody and of each user, of money and of tokens, by day and in total."""
    before = NOW - timedelta(days=3 if opened else 1)
    for changes in (
        {"period": "day"}, {"period": "day", "per_user": True}, {"period": "total", "unit": "tokens"},
        {"period": "month", "scope": "project", "per_user": True}, {"period": "week", "model": "m"},
    ):  # fmt: skip
        add_budget(store, ZONE, created_at=before, **changes)


MACHINE = """
import random, sys
from datetime import datetime
from zoneinfo import ZoneInfo
from llmgw.ledger import writer
from llmgw.ledger.entry import LedgerEntry
from llmgw.store import store_at

writer.BUSY_TIMEOUT_S = 30.0  # they wait for each other, on a busy machine for long
url, machine, batches, now_s = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
rng = random.Random(machine)
store = store_at(url)
ledger = writer.Ledger(store, zone=ZoneInfo("Asia/Shanghai"))
refused = []
ledger._fail = refused.append
print("ready", flush=True)
sys.stdin.readline()
for batch in range(batches):
    rows = []
    for number in range(40):
        # In the hours on both sides of midnight, so that windows are opened meanwhile.
        at_s = now_s + rng.uniform(-3600, 7200)
        own = rng.random() < 0.9  # the others are replayed by everybody, as after a crash
        id = f"req_{machine}_{batch}_{number}" if own else f"req_shared_{batch}_{number}"
        at_s = at_s if own else now_s + batch
        rows.append(LedgerEntry(
            at_s, id, 200, 1.0, key_id=1 if not own else rng.choice((1, 2)), project_id=1,
            user=f"user {number % 7}", model="m" if not own else rng.choice(("m", "n")),
            prompt_tokens=number, cost=number * 1000, currency="CNY",
        ))
    rng.shuffle(rows)
    ledger._write(rows)
print(len(refused), ledger.dropped, flush=True)
"""


def test_sums_and_budgets_of_several_machines_are_exact(store: Store, url: str) -> None:
    add_budgets(store)
    with ExitStack() as stack:
        machines = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", MACHINE, url, str(number), str(BATCHES), str(NOW.timestamp())],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )
            for number in range(MACHINES)
        ]  # fmt: skip
        for machine in machines:
            assert machine.stdout is not None
            assert machine.stdout.readline() == "ready\n"
        for machine in machines:
            assert machine.stdin is not None
            print("go", file=machine.stdin, flush=True)
        add_budget(store, ZONE, created_at=NOW - timedelta(days=1), period="day", model="n")
        told = [machine.communicate(timeout=TIMEOUT_S)[0] for machine in machines]
    assert told == ["0 0\n"] * MACHINES
    report = verify(store, ZONE, NOW)
    assert report.is_right
    assert (report.windows > 20, report.hours >= 3) == (True, True)
    assert spent(store) == due(store, ZONE)
    with store.read() as session:
        rows = session.scalar(select(func.count()).select_from(LedgerRow)) or 0
        ids = session.scalar(select(func.count(func.distinct(LedgerRow.request_id))))
    assert rows == ids
    assert [each.totals.requests for each in sum_usage(store, [], ZONE).sums] == [rows]


def entry(request_id: str, **changes: Any) -> LedgerEntry:  # noqa: ANN401
    return LedgerEntry(
        NOW.timestamp(), request_id, 200, 1.0, key_id=1, project_id=1, model="m", cost=5, currency="CNY"
    )._replace(**changes)


def test_a_window_is_opened_by_a_transaction_that_is_alone(store: Store) -> None:
    add_budget(store, ZONE, created_at=NOW - timedelta(days=3), period="day")
    books = Books(ZONE)
    with pytest.raises(WindowsNotOpenError), store.append() as session:
        books.add(session.connection(), [entry("req_1")], store.generation, alone=False)
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(LedgerRow)) == 0
    ledger = Ledger(store, zone=ZONE)
    ledger._write([entry("req_1")])
    with store.append() as session:  # from now on it is open
        [told] = books.add(session.connection(), [entry("req_2")], store.generation, alone=False)
    assert told.spent == 10
    assert verify(store, ZONE, NOW).is_right


def test_a_new_user_s_window_is_added_beside_others(store: Store) -> None:
    add_budget(store, ZONE, created_at=NOW - timedelta(hours=1), period="day", per_user=True)
    told: list[Spent] = []
    ledger = Ledger(store, zone=ZONE, on_stored=lambda _ids, spents: told.extend(spents))
    ledger._write([entry("req_1")])
    ledger._write([entry("req_2", user="ann"), entry("req_3", user="bob"), entry("req_4", user="ann")])
    ledger._write([entry("req_5", user="ann")])
    assert [(each.user, each.spent) for each in told] == [("", 5), ("ann", 10), ("bob", 5), ("ann", 15)]
    assert spent(store) == due(store, ZONE)


def test_sums_that_are_too_large_stay_at_their_cap(store: Store) -> None:
    """PostgreSQL would refuse the rows."""
    add_budget(store, ZONE, created_at=NOW - timedelta(hours=1), period="day")
    ledger = Ledger(store, zone=ZONE)
    ledger._write([entry("req_1")])
    with store.write() as session:
        for table in (UsageHour, UsageDay):
            columns = [each.name for each in table.__table__.columns if not each.primary_key]
            session.execute(update(table).values(dict.fromkeys(columns, MAX_SPENT - 2)))
        session.execute(update(BudgetWindow).values(spent=MAX_SPENT - 2))
    ledger._write([entry("req_2", prompt_tokens=2**70, cost=2**70)])
    assert ledger.dropped == 0
    assert set(spent(store).values()) == {MAX_SPENT}
    [each] = sum_usage(store, [], ZONE).sums
    assert (each.totals.requests, each.totals.prompt_tokens) == (MAX_SPENT - 1, MAX_SPENT)
    assert each.costs == {"CNY": MAX_SPENT}


def test_rows_that_are_there_already_are_told_from_new_ones(store: Store) -> None:
    """Beside others, whose ids lie between ours."""
    ledger = Ledger(store, zone=ZONE)
    first = [entry(f"req_{number}") for number in range(0, 30, 2)]
    ledger._write(first)
    every = [entry(f"req_{number}") for number in range(30)]
    with store.append() as session:
        fresh = statements_of(session.connection().dialect).insert(session.connection(), [*every, *every])
        told = [each.request_id for each in fresh]
    assert sorted(told) == sorted(f"req_{number}" for number in range(1, 30, 2))


@pytest.mark.parametrize(
    "changes",
    [
        {"finish_reason": "a\0b"},
        {"user": "ann\0"},
        {"model": "m\0", "upstream": "\0", "api": "\0"},
        {"attempt_errors": 'u: \\"{},\n\t\x01\x7f\u2028'},
        {"user": "x" * 500, "currency": "CURRENCY", "price_digest": "d" * 100},
        {"prompt_tokens": 2**100, "cost": 2**100, "completion_tokens": -5},
        {"request_id": "req\0"},
    ],
)
def test_an_odd_row_is_stored_and_counted(store: Store, changes: dict[str, Any]) -> None:
    ledger = Ledger(store, zone=ZONE)
    odd = entry("req_odd")._replace(**changes)
    for _ in range(2):  # as when a journal is replayed
        assert ledger._insert([entry("req_1"), odd, entry("req_2")])
    assert ledger.dropped == 0
    with store.read() as session:
        rows = session.scalars(select(LedgerRow)).all()
    assert len(rows) == 3
    assert verify(store, ZONE, NOW).is_right
    [each] = sum_usage(store, [], ZONE).sums
    assert each.totals.requests == 3


def test_users_that_differ_in_nothing_but_what_is_replaced(store: Store) -> None:
    """They are one and the same row of the sums: those of a batch can't be added in one statement."""
    add_budget(store, ZONE, created_at=NOW - timedelta(hours=1), period="day", per_user=True)
    ledger = Ledger(store, zone=ZONE)
    assert ledger._insert([entry("req_1", user="\0"), entry("req_2", user="\ufffd")])
    assert ledger.dropped == 0
    assert verify(store, ZONE, NOW).is_right
