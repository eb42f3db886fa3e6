"""What the budgets' windows have come to, as the database has it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmgw.limits.bases import NO_BASES, read_bases
from llmgw.store import BudgetRow, BudgetWindow, Store, open_store

NOW = datetime.now(UTC).replace(microsecond=0)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def add(store: Store, period: str, *windows: tuple[datetime, str, int], removed: bool = False) -> int:
    """A budget with these windows; its id."""
    with store.write() as session:
        budget = BudgetRow(
            scope="key",
            scope_id=1,
            model="",
            per_user=False,
            unit="CNY",
            amount=1,
            period=period,
            created_at=NOW,
            removed_at=NOW if removed else None,
        )
        session.add(budget)
        session.flush()
        for starts_at, user, spent in windows:
            window = BudgetWindow(
                budget_id=budget.id, starts_at=starts_at, user=user, spent=spent, lifted=0, forgiven=0
            )
            session.add(window)
        return budget.id


def test_nothing(store: Store) -> None:
    with store.read() as session:
        assert read_bases(session) == NO_BASES


def test_windows_that_may_be_current(store: Store) -> None:
    day, week, month = NOW - timedelta(hours=20), NOW - timedelta(days=6), NOW - timedelta(days=30)
    daily = add(store, "day", (day, "", 1), (day, "anna", 2), (NOW - timedelta(days=3), "", 9))
    weekly = add(store, "week", (week, "", 3), (NOW - timedelta(days=9), "", 9))
    monthly = add(store, "month", (month, "", 4), (NOW - timedelta(days=40), "", 9))
    total = add(store, "total", (BEGINNING, "", 5))
    add(store, "day", (day, "", 9), removed=True)
    with store.read() as session:
        bases = read_bases(session)
    assert bases.spent == {
        (daily, "", day): 1,
        (daily, "anna", day): 2,
        (weekly, "", week): 3,
        (monthly, "", month): 4,
        (total, "", BEGINNING): 5,
    }
    assert bases.periods == {daily: "day", weekly: "week", monthly: "month", total: "total"}


def test_the_windows_are_found_by_their_key(tmp_path: Path) -> None:
    """Years of days of thousands of users are not looked through."""
    with closing(open_store(f"sqlite:///{tmp_path}/a.db")) as store, store.read() as session:
        plan = session.connection().exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT spent FROM budget_windows WHERE budget_id = 1 AND starts_at >= '2026'"
        )
        [step] = [row[3] for row in plan]
    assert "SEARCH" in step
    assert "(budget_id=? AND starts_at>?)" in step
