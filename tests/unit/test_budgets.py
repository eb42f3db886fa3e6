"""Budgets as an admin sees and changes them, and `llmgw budgets`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, select, update

from llmgw.budgets.store import (
    BudgetInputError,
    UnknownBudgetError,
    lift_budget,
    list_budgets,
    reset_budget,
)
from llmgw.budgets.verify import Counts, Report, repair, verify
from llmgw.ledger.days import resum_day
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.sums import resum_hour
from llmgw.ledger.writer import Ledger
from llmgw.store import AuditRow, BudgetWindow, KeyEpoch, LedgerRow, Store, UsageDay, UsageHour, open_store
from tests.support.budgets import add_budget, due, spent
from tests.support.cli import Run

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime.now(UTC)
YUAN = 10**9


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


def spend(store: Store, *users: str | None, at: datetime | None = None) -> None:
    """A yuan and 15 tokens of key 1 for each."""
    at = at or NOW
    ledger = Ledger(store, zone=ZONE)
    for number, user in enumerate(users):
        request_id = f"{at}-{number}"
        ledger.record(
            LedgerEntry(
                at.timestamp(),
                request_id,
                200,
                1.0,
                key_id=1,
                project_id=1,
                user=user,
                prompt_tokens=15,
                cost=YUAN,
                currency="CNY",
            )
        )
    ledger.close_blocking()


def repaired(store: Store) -> Report:
    return repair(store, ZONE, NOW, resum_hour=resum_hour, resum_day=resum_day, actor="test")


def epoch(store: Store) -> int:
    with store.read() as session:
        return session.scalars(select(KeyEpoch.epoch)).one()


def audit(store: Store) -> list[tuple[str, str, str, object, object]]:
    with store.read() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id))
        return [(row.actor, row.action, row.target, row.before, row.after) for row in rows]


def test_a_list_has_what_is_spent_and_left(store: Store) -> None:
    add_budget(store, ZONE, amount=5 * YUAN, period="month")
    add_budget(store, ZONE, amount=20, unit="tokens", per_user=True)
    add_budget(store, ZONE, removed_at=NOW)
    add_budget(store, ZONE, scope="project")
    spend(store, None, "ann", "ann")
    spend(store, "ann", at=NOW - timedelta(days=40))
    states = list_budgets(store, ZONE, NOW)
    assert [(each.id, each.user, each.counted, each.left) for each in states] == [
        (1, "", 3 * YUAN, 2 * YUAN),
        (2, "", 15, 5),
        (2, "ann", 30, 0),
        (4, "", 3 * YUAN, 7 * YUAN),
    ]
    assert [each.name for each in states] == ["", "", "", "default"]
    assert states[2].is_exhausted
    assert list_budgets(store, ZONE, NOW, after=(2, ""), limit=1) == states[2:3]
    assert list_budgets(store, ZONE, NOW, scope="key", scope_ids=[1]) == states[:3]
    assert list_budgets(store, ZONE, NOW, budget_ids=[4]) == states[3:]


def test_field_b2_the_next_window_begins_with_the_whole_amount(store: Store) -> None:
    """aihub-core#1767 has budgets that never reset; these do without anybody's doing."""
    add_budget(store, ZONE, amount=5 * YUAN)
    spend(store, None)
    lift_budget(store, 1, YUAN, ZONE, actor="test")
    [today] = list_budgets(store, ZONE, NOW)
    [tomorrow] = list_budgets(store, ZONE, today.window.ends_at)
    assert (today.left, tomorrow.left) == (5 * YUAN, 5 * YUAN)
    assert (today.lifted, tomorrow.lifted, tomorrow.spent) == (YUAN, 0, 0)


def test_a_lift_adds_up_in_its_window(store: Store) -> None:
    budget = add_budget(store, ZONE, amount=YUAN)
    spend(store, None, None)
    before = epoch(store)
    lift_budget(store, budget, YUAN, ZONE, actor="cli ops@host")
    state = lift_budget(store, budget, 2 * YUAN, ZONE, actor="cli ops@host")
    assert (state.limit, state.counted, state.left) == (4 * YUAN, 2 * YUAN, 2 * YUAN)
    assert list_budgets(store, ZONE, NOW) == [state]
    assert epoch(store) == before + 2
    lifts = [{"user": None, "unit": "CNY", "lifted": lifted} for lifted in ("0.00", "1.00", "3.00")]
    assert audit(store) == [
        ("cli ops@host", "budget.lift", "budget 1", before, after) for before, after in pairwise(lifts)
    ]


def test_a_user_who_spent_nothing_can_be_lifted(store: Store) -> None:
    budget = add_budget(store, ZONE, amount=YUAN, per_user=True)
    spend(store, "bob")
    lift_budget(store, budget, YUAN, ZONE, actor="test", user="ann")
    spend(store, "ann", at=NOW + timedelta(seconds=1))
    states = {each.user: (each.limit, each.counted) for each in list_budgets(store, ZONE, NOW)}
    assert states == {"": (YUAN, 0), "ann": (2 * YUAN, YUAN), "bob": (YUAN, YUAN)}


def test_field_b2_an_admin_can_reset_what_was_spent(store: Store) -> None:
    """A price typed wrong by a factor of a million locks a user out (LiteLLM#20615)."""
    budget = add_budget(store, ZONE, amount=YUAN)
    spend(store, None, None)
    with store.write() as session:
        session.execute(update(BudgetWindow).values(warned_at=NOW, exhausted_at=NOW))
    [state] = reset_budget(store, budget, ZONE, actor="test")
    assert (state.counted, state.left, state.spent) == (0, YUAN, 2 * YUAN)
    assert (state.warned_at, state.exhausted_at) == (None, None)
    spend(store, None, at=NOW + timedelta(seconds=1))
    assert [each.counted for each in list_budgets(store, ZONE, NOW)] == [YUAN]
    assert spent(store) == due(store, ZONE)
    noted = [{"user": None, "unit": "CNY", "spent": spent} for spent in ("2.00", "0.00")]
    assert audit(store)[-1][3:] == tuple(noted)


def test_all_users_are_reset_or_one(store: Store) -> None:
    budget = add_budget(store, ZONE, per_user=True)
    spend(store, "ann", "bob", None)
    reset_budget(store, budget, ZONE, actor="test", user="ann")
    assert [each.counted for each in list_budgets(store, ZONE, NOW)] == [YUAN, 0, YUAN]
    reset_budget(store, budget, ZONE, actor="test")
    assert [each.counted for each in list_budgets(store, ZONE, NOW)] == [0, 0, 0]


def test_what_can_t_be_changed(store: Store) -> None:
    budget = add_budget(store, ZONE)
    removed = add_budget(store, ZONE, removed_at=NOW)
    for unknown in (removed, 99, 2**62):
        with pytest.raises(UnknownBudgetError):
            reset_budget(store, unknown, ZONE, actor="test")
    for amount in (0, -1, 2**62):
        with pytest.raises(BudgetInputError) as caught:
            lift_budget(store, budget, amount, ZONE, actor="test")
        assert caught.value.param == "amount"
    with pytest.raises(BudgetInputError):
        reset_budget(store, budget, ZONE, actor="test", user="ann")
    assert audit(store) == []


def test_verify_finds_and_repairs_what_somebody_changed(store: Store) -> None:
    add_budget(store, ZONE, period="month")
    add_budget(store, ZONE, per_user=True)
    spend(store, None, "ann")
    assert verify(store, ZONE, NOW).is_right
    with store.write() as session:
        session.execute(update(BudgetWindow).where(BudgetWindow.budget_id == 1).values(spent=5))
        session.execute(delete(BudgetWindow).where(BudgetWindow.user == "ann"))
    report = verify(store, ZONE, NOW)
    differences = {(each.budget_id, each.user, each.spent, each.due) for each in report.window_differences}
    assert differences == {(2, "ann", 0, YUAN), (1, "", 5, 2 * YUAN)}
    assert repaired(store) == report
    assert verify(store, ZONE, NOW).is_right
    assert spent(store) == due(store, ZONE)
    assert [row[1] for row in audit(store)] == ["budget.repair"]


def test_verify_repairs_hours_whose_rows_another_version_wrote(store: Store) -> None:
    """While a fleet is updated, older workers write rows without sums."""
    add_budget(store, ZONE, period="total")
    spend(store, None, None, "ann")
    with store.write() as session:
        session.execute(delete(UsageHour))
        session.execute(delete(BudgetWindow))
    add_budget(store, ZONE, period="total", scope="project")
    report = repaired(store)
    [hour] = report.hour_differences
    assert (hour.sums, hour.rows) == (Counts(), Counts(3, 45, 3 * YUAN))
    assert verify(store, ZONE, NOW).is_right
    spend(store, None, at=NOW + timedelta(seconds=1))
    assert set(spent(store).values()) == {4 * YUAN}


def test_verify_repairs_days(store: Store) -> None:
    spend(store, None, None, "ann")
    with store.write() as session:
        session.execute(update(UsageDay).values(cost=1))
    assert len(verify(store, ZONE, NOW).day_differences) == 1
    repaired(store)
    assert verify(store, ZONE, NOW).is_right


def test_verify_keeps_sums_whose_rows_were_deleted(store: Store) -> None:
    add_budget(store, ZONE, period="total", created_at=NOW - timedelta(days=50))
    spend(store, None)
    spend(store, None, None, at=NOW - timedelta(days=40))
    with store.write() as session:
        session.execute(delete(LedgerRow).where(LedgerRow.time < NOW - timedelta(days=30)))
    assert verify(store, ZONE, NOW, keep_days=30).is_right
    [hour] = repaired(store).hour_differences
    assert (hour.can_be_repaired, hour.rows) == (False, Counts())
    assert list(spent(store).values()) == [3 * YUAN]


@pytest.mark.usefixtures("config")
def test_the_verbs(run: Run, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    add_budget(store, ZONE, amount=10 * YUAN, warn_at_permille=800)
    spend(store, None)
    status, out, err = run("budgets", "list")
    assert (status, err) == (0, "")
    header, row = (line.split() for line in out.splitlines())
    assert header == ["ID", "OF", "MODEL", "USER", "PERIOD", "BUDGET", "SPENT", "LEFT", "UNIT", "UNTIL"]
    assert row[:10] == ["1", "key", "1", "all", "all", "day", "10.00", "1.00", "9.00", "CNY"]
    [listed] = json.loads(run("budgets", "list", "--key", "1", "--json").out)
    assert (listed["scope"], listed["scope_id"], listed["name"]) == ("key", 1, "")
    assert (listed["left"], listed["warn_at"], listed["user"]) == ("9.00", 0.8, None)
    assert json.loads(run("budgets", "list", "--project", "1", "--json").out) == []
    [lifted] = json.loads(run("budgets", "lift", "1", "0.5", "--json").out)
    assert (lifted["amount"], lifted["lifted"], lifted["left"]) == ("10.00", "0.50", "9.50")
    [reset] = json.loads(run("budgets", "reset", "1", "--json").out)
    assert (reset["spent"], reset["forgiven"], reset["left"]) == ("0.00", "1.00", "10.50")
    changes = [line.split("budget 1  ")[-1] for line in run("audit", "list").out.splitlines()[1:]]
    assert changes == ['unit: "CNY", spent: "1.00" → "0.00"', 'unit: "CNY", lifted: "0.00" → "0.50"']
    assert (
        run("budgets", "verify").out
        == "1 windows and 1 hours compared: all are what the ledger's rows come to\n"
    )
    with store.write() as session:
        session.execute(update(BudgetWindow).values(spent=7))
    assert run("budgets", "verify").status == 1
    found = json.loads(run("budgets", "verify", "--json").out)
    assert [(each["spent"], each["due"]) for each in found["window_differences"]] == [(7, YUAN)]
    assert run("budgets", "verify", "--repair").status == 0
    assert run("budgets", "verify").status == 0
    store.close()


@pytest.mark.usefixtures("config")
def test_a_verification_of_nothing_is_none(run: Run, tmp_path: Path) -> None:
    """As after a change of the time zone in the config, which the running gateway has not taken over."""
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    add_budget(store, ZoneInfo("Asia/Kolkata"))
    add_budget(store, ZoneInfo("Asia/Kolkata"), period="month")
    status, out, _ = run("budgets", "verify")
    assert status == 1
    assert out.startswith("no budget was compared: 2 windows of budgets began in another time zone than ")
    add_budget(store, ZONE)
    status, out, _ = run("budgets", "verify")
    assert (status, out[:9]) == (0, "1 windows")
    assert json.loads(run("budgets", "verify", "--json").out)["windows_of_other_zones"] == 2
    store.close()


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("reset", "1"), "there is no budget 1; llmgw budgets list shows them all"),
        (("lift", "1", "5"), "there is no budget 1"),
        (("lift", "x", "5"), "'x' is not an id"),
        (("lift", "9" * 30, "5"), "is not an id"),
    ],
)
def test_what_is_said(run: Run, arguments: tuple[str, ...], said: str) -> None:
    status, _, err = run("budgets", *arguments)
    assert status != 0
    assert said in err
