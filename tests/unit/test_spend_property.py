"""Whatever happens in whatever order: what budgets have spent is the sum of the rows, and of the hours."""

import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from llmgw.budgets.store import BudgetInputError, lift_budget, list_budgets, reset_budget
from llmgw.budgets.verify import verify
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.writer import Ledger
from llmgw.store import BudgetRow, BudgetWindow, LedgerRow, Store, open_store, raise_epoch
from tests.support.budgets import add_budget, due, opened, spent

ZONES = ("Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "America/Havana")
NOW = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
"""Midnight in Havana, the first of the two of that day."""
HOURS = st.integers(-80, 80)
ENTRIES = st.builds(
    lambda number, hours, key, user, model, tokens, cost, currency: LedgerEntry(
        (NOW + timedelta(hours=hours, minutes=number)).timestamp(), f"req_{number}", 200, 1.0,
        key_id=key, project_id=key % 2 + 1, user=user, model=model, prompt_tokens=tokens, cost=cost,
        currency=currency,
    ),
    st.integers(0, 60), HOURS, st.integers(1, 3), st.sampled_from((None, "ann", "bob")),
    st.sampled_from(("m", "n")), st.sampled_from((None, 0, 7, 2**64)), st.sampled_from((None, 0, 5, 10**9)),
    st.sampled_from(("CNY", "USD", None)),
)  # fmt: skip
BUDGETS = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(("key", "project")),
        "scope_id": st.integers(1, 2),
        "model": st.sampled_from(("", "m")),
        "per_user": st.booleans(),
        "unit": st.sampled_from(("CNY", "tokens")),
        "period": st.sampled_from(("day", "week", "month", "total")),
        "created_at": HOURS.map(lambda hours: NOW + timedelta(hours=hours)),
    }
)
STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 1), st.lists(ENTRIES, min_size=1, max_size=12)),
    st.tuples(st.just("fail"), st.integers(0, 1), st.lists(ENTRIES, min_size=1, max_size=4)),
    st.tuples(st.just("budget"), BUDGETS),
    st.tuples(st.just("remove"), st.integers(1, 4)),
    st.tuples(st.just("lift"), st.integers(1, 4), HOURS),
    st.tuples(st.just("reset"), st.integers(1, 4), HOURS),
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


@settings(
    max_examples=60,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(steps=st.lists(STEPS, min_size=3, max_size=14), zone_name=st.sampled_from(ZONES))
def test_spent_is_the_sum_of_the_rows(
    empty: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]], zone_name: str
) -> None:
    zone = ZoneInfo(zone_name)
    file = tmp_path_factory.mktemp("example") / "llmgw.db"
    file.touch(mode=0o600)
    file.write_bytes(empty.read_bytes())
    # Two workers, each with what it has cached.
    stores = [open_store(f"sqlite:///{file}") for _ in range(2)]
    ledgers = [Ledger(store, zone=zone) for store in stores]
    for step in steps:
        _do(step, stores[0], ledgers, zone)
        assert spent(stores[0]) == due(stores[0], zone, opened(stores[0]))
    report = verify(stores[0], zone, NOW)
    assert report.is_right
    for store in stores:
        store.close()


def _do(step: tuple[object, ...], store: Store, ledgers: list[Ledger], zone: ZoneInfo) -> None:
    match step:
        case ["write", int(worker), list(entries)]:
            ledgers[worker]._write(entries)
        case ["fail", int(worker), list(entries)]:
            with suppress(_FailError), ledgers[worker]._store.write() as session:
                ledgers[worker]._books.add(session.connection(), entries, 0)
                raise _FailError
        case ["budget", dict(columns)]:
            # As an admin makes it: at that time.
            add_budget(store, zone, **columns)
        case ["remove", int(budget)]:
            with store.write() as session:
                session.execute(update(BudgetRow).values(removed_at=NOW).where(BudgetRow.id == budget))
                raise_epoch(session)
                session.query(BudgetWindow).filter(BudgetWindow.budget_id == budget).delete()
        case [("lift" | "reset") as verb, int(budget), int(hours)]:
            now = NOW + timedelta(hours=hours)
            for state in list_budgets(store, zone, now, budget_ids=[budget]):
                # Only a window that the budget has: it did not exist before it was made.
                if state.window.ends_at <= _created(store, budget):
                    continue
                if verb == "lift":
                    after = lift_budget(store, budget, 5, zone, actor="test", user=state.user, now=now)
                    # Of itself, because it may open a window that has rows already: those that were written
                    # before the budget was made, for a later time. Whether it counts them, the caller looks.
                    assert after.lifted == state.lifted + 5
                    assert after.left == max(state.amount + after.lifted - after.counted, 0)
                else:
                    afters = reset_budget(store, budget, zone, actor="test", now=now)
                    assert [each.counted for each in afters] == [0] * len(afters)


class _FailError(Exception):
    """The transaction ends with this."""


def _created(store: Store, budget: int) -> datetime:
    with store.read() as session:
        return session.scalars(select(BudgetRow.created_at).where(BudgetRow.id == budget)).one()


def test_a_budget_without_users_is_lifted_for_all(tmp_path: Path) -> None:
    store, zone = open_store(f"sqlite:///{tmp_path}/llmgw.db"), ZoneInfo("Asia/Shanghai")
    budget = add_budget(store, zone)
    with pytest.raises(BudgetInputError):
        lift_budget(store, budget, 5, zone, actor="test", user="ann")
    store.close()


WRITER = """
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.writer import Ledger
from llmgw.store import open_store
first, count, now_s = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
ledger = Ledger(open_store(f"sqlite:///{sys.argv[1]}"), zone=ZoneInfo("Asia/Shanghai"), flush_interval_s=0.01)
ledger.start()
for number in range(first, first + count):
    ledger.record(LedgerEntry(now_s, f"req_{number}", 200, 1.0, key_id=1, cost=10**9, currency="CNY"))
ledger.close_blocking()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "llmgw.db"


def test_field_b2_processes_that_write_at_once_lose_and_double_nothing(file: Path) -> None:
    """Their rows overlap, as after a crash: half of them come from two processes."""
    store, zone = open_store(f"sqlite:///{file}"), ZoneInfo("Asia/Shanghai")
    add_budget(store, zone, period="week")
    add_budget(store, zone, period="total", per_user=True)
    now_s = str(datetime.now(UTC).timestamp())
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), first, "4000", now_s], env=os.environ)
        for first in ("0", "2000", "4000")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert set(spent(store).values()) == {8000 * 10**9}
    assert spent(store) == due(store, zone)
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(LedgerRow)) == 8000
    assert verify(store, zone, datetime.now(UTC)).is_right
    store.close()
