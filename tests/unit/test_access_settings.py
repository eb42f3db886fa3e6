"""Limits and budgets of projects and keys: what is stored, and what happens to what was spent."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from llmgw.access.keys import create_key, get_key, update_key
from llmgw.access.project import Project
from llmgw.access.projects import (
    ProjectFields,
    create_project,
    get_project,
    list_projects,
    update_project,
)
from llmgw.access.settings import BudgetSetting
from llmgw.budgets.store import list_budgets
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.writer import Ledger
from llmgw.store import BudgetRow, BudgetWindow, Store, open_store
from tests.support.access import ACTOR
from tests.unit.test_access_keys import BUDGETS, KNOWN, LIMITS

ZONE = KNOWN.zone
NANO = 10**9


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for many examples."""
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('access')}/keys.db")
    yield opened
    opened.close()


FIELDS = st.fixed_dictionaries({}, optional={"limits": LIMITS, "budgets": BUDGETS})


def said(project: Project) -> tuple[dict[Any, Any], list[BudgetSetting]]:
    limits = {
        (rule.model, rule.per_user): {
            name: value for name, value in rule.limits._asdict().items() if value is not None
        }
        for rule in project.limits
    }
    budgets = [
        BudgetSetting(each.amount, each.unit, each.period, each.model, each.per_user, each.warn_at_permille)
        for each in project.budgets
    ]
    return limits, sorted(budgets, key=repr)


@settings(max_examples=40, deadline=None)
@given(fields=FIELDS, changes=FIELDS)
def test_field_b2_every_field_of_a_project_is_stored(
    stores: Store, fields: ProjectFields, changes: ProjectFields
) -> None:
    """Bifrost#5673."""
    name = f"project {len(list_projects(stores))}"
    made = create_project(stores, actor=ACTOR, known=KNOWN, name=name, **fields)  # type: ignore[misc]
    limits = {(each.model, each.per_user): dict(each.changes) for each in fields.get("limits", ())}
    budgets = sorted(fields.get("budgets", ()), key=repr)
    assert (said(made), made.name) == ((limits, budgets), name)
    assert get_project(stores, name) == made
    changed = update_project(stores, name, actor=ACTOR, known=KNOWN, **changes)
    for each in changes.get("limits", ()):
        limits.setdefault((each.model, each.per_user), {}).update(each.changes)
    assert said(changed) == (limits, sorted(changes.get("budgets", budgets), key=repr))
    assert get_project(stores, str(made.id)) == changed


def spend(store: Store, key_id: int, cost: int, tokens: int = 100, user: str | None = None) -> None:
    """One request of now."""
    ledger = Ledger(store, zone=ZONE)
    ledger.record(
        LedgerEntry(
            time.time(),
            f"req_{time.perf_counter_ns()}",
            200,
            0.1,
            key_id=key_id,
            project_id=1,
            model="glm-5",
            user=user,
            prompt_tokens=tokens,
            completion_tokens=0,
            cost=cost,
            currency="CNY",
        )
    )
    ledger.close_blocking()


def spent(store: Store) -> list[tuple[str, str, int]]:
    """Unit, user and spend of every budget's current window."""
    return [
        (state.unit, state.user, state.spent) for state in list_budgets(store, ZONE, now=datetime.now(UTC))
    ]


def test_a_new_budget_knows_what_was_spent(store: Store) -> None:
    key = create_key(store, actor=ACTOR, name="k").key
    spend(store, key.id, 3 * NANO, user="ana")
    spend(store, key.id, 4 * NANO)
    update_key(
        store,
        "k",
        actor=ACTOR,
        known=KNOWN,
        budgets=[
            BudgetSetting(10 * NANO, "CNY", "day"),
            BudgetSetting(1000, "tokens", "month"),
            BudgetSetting(5 * NANO, "CNY", "day", per_user=True),
            BudgetSetting(5 * NANO, "CNY", "day", model="kimi-k3"),
        ],
    )
    assert sorted(spent(store)) == [
        ("CNY", "", 0),
        ("CNY", "", 4 * NANO),
        ("CNY", "", 7 * NANO),
        ("CNY", "ana", 3 * NANO),
        ("tokens", "", 200),
    ]


def test_another_amount_keeps_what_was_spent(store: Store) -> None:
    key = create_key(
        store, actor=ACTOR, name="k", known=KNOWN, budgets=[BudgetSetting(10 * NANO, "CNY", "day")]
    ).key
    spend(store, key.id, 3 * NANO)
    update_key(store, "k", actor=ACTOR, known=KNOWN, budgets=[BudgetSetting(20 * NANO, "CNY", "day")])
    spend(store, key.id, 4 * NANO)
    assert spent(store) == [("CNY", "", 7 * NANO)]
    [budget] = get_key(store, "k").budgets
    assert budget.amount == 20 * NANO


def test_a_budget_that_was_removed_is_kept_as_a_row(store: Store) -> None:
    key = create_key(store, actor=ACTOR, name="k", known=KNOWN, budgets=[BudgetSetting(10, "CNY", "day")]).key
    spend(store, key.id, 3)
    update_key(store, "k", actor=ACTOR, known=KNOWN, budgets=[])
    assert spent(store) == []
    with store.read() as session:
        [row] = session.scalars(select(BudgetRow))
        assert row.removed_at is not None
        assert session.scalars(select(BudgetWindow.spent)).all() == [3]


@pytest.mark.parametrize(
    ("amount", "warn_at", "expected"),
    [
        (10, 800, (True, True)),  # nothing has changed
        (9, 800, (True, True)),
        (11, 800, (True, False)),
        (20, 800, (False, False)),
        (10, None, (False, True)),
        (10, 1000, (True, True)),
    ],
)
def test_what_was_told_is_told_again_where_there_is_room_again(
    store: Store, amount: int, warn_at: int | None, expected: tuple[bool, bool]
) -> None:
    """Whether the two alerts of the window still count as sent: the warning, and that nothing is left."""
    budget = BudgetSetting(10, "CNY", "day", warn_at_permille=800)
    key = create_key(store, actor=ACTOR, name="k", known=KNOWN, budgets=[budget]).key
    spend(store, key.id, 10)
    with store.write() as session:
        now = datetime.now(UTC)
        session.execute(update(BudgetWindow).values(warned_at=now, exhausted_at=now))
    wanted = BudgetSetting(amount, "CNY", "day", warn_at_permille=warn_at)
    update_key(store, "k", actor=ACTOR, known=KNOWN, budgets=[wanted])
    with store.read() as session:
        [window] = session.scalars(select(BudgetWindow))
    assert (window.warned_at is not None, window.exhausted_at is not None) == expected
