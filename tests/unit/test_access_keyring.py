"""What a worker knows of keys, projects, limits and budgets, and how soon and how surely."""

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, text

from llmgw.access.keyring import KeyRing
from llmgw.access.keys import block_key, create_key, revoke_key, rotate_key, update_key
from llmgw.access.load import _HAS_EXTRA
from llmgw.access.projects import block_project, create_project, update_project
from llmgw.access.settings import BudgetSetting, LimitChange
from llmgw.store import ApiKey, BudgetRow, BudgetWindow, LimitRow, Store, raise_epoch
from tests.support.access import ACTOR, Monotonic, Wall
from tests.support.processes import NOISE, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = timedelta(hours=1)
MANY = 10_000


def test_the_generation_grows_with_every_change_and_no_poll(store: Store) -> None:
    ring = KeyRing(store)
    create_key(store, actor=ACTOR, name="k")
    changes: tuple[Callable[[], object], ...] = (
        lambda: update_key(store, "k", actor=ACTOR, name="k2"),
        lambda: update_key(store, "k2", actor=ACTOR, limits=[LimitChange({"requests_per_minute": 1})]),
        lambda: create_project(store, actor=ACTOR, name="p"),
        lambda: update_project(store, "p", actor=ACTOR, budgets=[BudgetSetting(1, "CNY", "day")]),
        lambda: block_project(store, "p", actor=ACTOR),
        lambda: block_key(store, "k2", actor=ACTOR),
    )
    ring.refresh()
    seen = [ring.generation]
    for change in changes:
        change()
        ring.refresh()
        ring.refresh()
        seen.append(ring.generation)
    assert seen == list(range(2, 9))
    # What changes nothing is no change.
    update_key(store, "k2", actor=ACTOR, name="k2")
    block_key(store, "k2", actor=ACTOR)
    ring.refresh()
    assert ring.generation == 8


def test_a_block_is_seen_within_a_second(store: Store) -> None:
    made = create_key(store, actor=ACTOR, name="k")
    ring = KeyRing(store)
    ring.start()
    block_key(store, "k", actor=ACTOR)

    def is_blocked() -> bool:
        key = ring.lookup(made.token)
        assert key is not None
        return key.blocked_at is not None

    wait_until(is_blocked, "blocked", timeout_s=1.0 * NOISE)
    ring.close()


def test_a_clock_that_is_set_back_does_not_revive_an_old_secret(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = create_key(store, actor=ACTOR, name="k")
    new = rotate_key(store, "k", actor=ACTOR, grace=HOUR)
    wall, monotonic = Wall(monkeypatch), Monotonic(monkeypatch)
    ring = KeyRing(store)
    assert ring.lookup(old.token) == new.key
    assert not ring.was_replaced(new.token)
    # An hour passes, on both clocks.
    wall.set_back(-HOUR)
    monotonic.ahead_s = 3600.0
    assert (ring.lookup(old.token), ring.was_replaced(old.token)) == (None, True)
    # The wall clock goes back. Neither that nor the next snapshot brings the secret back.
    wall.set_back(2 * HOUR)
    assert ring.lookup(old.token) is None
    create_key(store, actor=ACTOR, name="another")
    ring.refresh()
    assert ring.generation == 2
    assert (ring.lookup(old.token), ring.lookup(new.token)) == (None, new.key)


def test_a_clock_that_was_behind_ends_an_old_secret_when_it_is_set_right(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = create_key(store, actor=ACTOR, name="k")
    rotate_key(store, "k", actor=ACTOR, grace=HOUR)
    wall = Wall(monkeypatch)
    wall.set_back(timedelta(days=1))
    ring = KeyRing(store)
    assert ring.lookup(old.token) is not None
    wall.set_back(-timedelta(days=1) - 2 * HOUR)
    assert ring.lookup(old.token) is None


def test_a_clock_that_is_set_back_does_not_revive_an_expired_key(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_key(store, actor=ACTOR, name="k", expires_at=datetime.now(UTC) + HOUR)
    for_ever = create_key(store, actor=ACTOR, name="another")
    wall, monotonic = Wall(monkeypatch), Monotonic(monkeypatch)
    ring = KeyRing(store)
    assert (ring.has_expired(made.key), ring.has_expired(for_ever.key)) == (False, False)
    wall.set_back(-HOUR)
    assert ring.has_expired(made.key)
    wall.set_back(HOUR)
    assert not ring.has_expired(made.key)
    monotonic.ahead_s = 3600.0
    assert ring.has_expired(made.key)
    create_key(store, actor=ACTOR, name="a third one")
    ring.refresh()
    assert ring.has_expired(made.key)
    # A later expiry is another matter.
    later = update_key(store, "k", actor=ACTOR, expires_at=datetime.now(UTC) + 2 * HOUR)
    ring.refresh()
    assert not ring.has_expired(later)


def test_a_longer_grace_after_another_rotation_counts_from_then(store: Store) -> None:
    create_key(store, actor=ACTOR, name="k")
    first = rotate_key(store, "k", actor=ACTOR, grace=HOUR)
    ring = KeyRing(store)
    rotate_key(store, "k", actor=ACTOR, grace=timedelta(days=2))
    ring.refresh()
    replaced = ring._snapshot.replaced
    assert len(replaced) == 1
    [each] = replaced.values()
    assert each.deadline.at_s - time.monotonic() == pytest.approx(2 * 86_400, abs=60)
    assert ring.lookup(first.token) is not None


def test_a_revoked_key_takes_its_old_secret_with_it(store: Store) -> None:
    old = create_key(store, actor=ACTOR, name="k")
    new = rotate_key(store, "k", actor=ACTOR, grace=HOUR)
    ring = KeyRing(store)
    revoke_key(store, "k", actor=ACTOR)
    ring.refresh()
    assert (ring.lookup(old.token), ring.lookup(new.token)) == (None, None)


def test_what_was_lifted_comes_with_the_budget(store: Store) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    made = create_key(
        store,
        actor=ACTOR,
        name="k",
        budgets=[BudgetSetting(10, "CNY", "day"), BudgetSetting(5, "tokens", "total")],
    )
    day, total = made.key.own_budgets
    beginning = datetime(1970, 1, 1, tzinfo=UTC)
    windows = [
        (day.id, "", now, 3, 4),
        (day.id, "u", now, 0, 5),
        (day.id, "v", now, 0, 0),
        (day.id, "", now - timedelta(days=40), 9, 9),
        (total.id, "w", beginning, 7, 0),
    ]
    names = ("budget_id", "user", "starts_at", "lifted", "forgiven")
    with store.write() as session:
        session.execute(delete(BudgetWindow))  # the empty one of each new budget
        for window in windows:
            session.add(BudgetWindow(**dict(zip(names, window, strict=True)), spent=1))
        raise_epoch(session)
    key = KeyRing(store).lookup(made.token)
    assert key is not None
    assert [dict(budget.extra) for budget in key.budgets] == [
        {("", now): 7, ("u", now): 5},
        {("w", beginning): 7},
    ]


def test_what_was_lifted_is_found_by_its_index(store: Store) -> None:
    explain = "EXPLAIN QUERY PLAN" if store.dialect == "sqlite" else "EXPLAIN"
    with store.read() as session:
        if store.dialect == "postgresql":  # which reads a small table as a whole
            session.execute(text("SET LOCAL enable_seqscan = off"))
        query = f"SELECT * FROM budget_windows WHERE {_HAS_EXTRA} AND starts_at > '2026-01-01'"  # noqa: S608
        plan = session.execute(text(f"{explain} {query}")).all()
    assert "ix_budget_windows_extra" in str(plan)


def test_ten_thousand_keys_load_fast(store: Store) -> None:
    """With limits and budgets of each. The bound is a wide one, for a busy machine; docs have figures."""
    now = datetime.now(UTC)
    keys = [
        {"name": f"key {number}", "prefix": f"sk-gtw-{number}",
         "digest": b"%032d" % number, "created_at": now,
         "models": ["glm-5"] if number % 2 else None, "project_id": 1, "kind": "model",
         "trusts_user_header": False}
        for number in range(MANY)
    ]  # fmt: skip
    limits = [
        {"scope": "key", "scope_id": number + 1, "model": "", "per_user": False, "requests_per_minute": 5}
        for number in range(MANY)
    ]
    budgets = [
        {"scope": "key", "scope_id": number + 1, "model": "", "per_user": False, "unit": "CNY", "amount": 10,
         "period": "day", "created_at": now}
        for number in range(MANY)
    ]  # fmt: skip
    with store.write() as session:
        session.execute(insert(ApiKey), keys)
        session.execute(insert(LimitRow), limits)
        session.execute(insert(BudgetRow), budgets)
        raise_epoch(session)
    begun = time.perf_counter()
    ring = KeyRing(store)
    took_s = time.perf_counter() - begun
    assert len(ring._snapshot.by_digest) == MANY
    assert all(len(key.limits) == len(key.budgets) == 1 for key in ring._snapshot.by_digest.values())
    assert took_s < 30.0
    # A change of one key is a matter of that key. The best of three: another program may hold one up.
    change_took_s = took_s
    for name in ("one", "two", "changed"):
        update_key(store, "777", actor=ACTOR, name=name)
        begun = time.perf_counter()
        ring.refresh()
        change_took_s = min(change_took_s, time.perf_counter() - begun)
    assert ring.generation == 4
    assert [key.name for key in ring._snapshot.by_digest.values() if key.id in {776, 777}] == [
        "key 775",
        "changed",
    ]
    assert change_took_s < took_s / 4
    print(f"{MANY} keys in {took_s:.3f} s, a change of one in {change_took_s:.4f} s")  # noqa: T201
