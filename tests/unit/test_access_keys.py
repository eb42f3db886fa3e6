"""Keys as they are made, changed and ended: what is said of one is stored, and nothing else is changed."""

import asyncio
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.access.amounts import MAX_AMOUNT
from llmgw.access.audit import list_audit
from llmgw.access.bearer import check_administers, check_calls_models, find_key
from llmgw.access.checks import MAX_KEY_MODELS, MAX_NAME_LENGTH, Known
from llmgw.access.documents import key_document, limits_by_document, limits_document
from llmgw.access.key import Key, KeyKind
from llmgw.access.keyring import KeyRing
from llmgw.access.keys import (
    MAX_GRACE,
    KeyFields,
    block_key,
    create_key,
    each_key,
    get_key,
    has_admin_key,
    list_keys,
    revoke_key,
    rotate_key,
    unblock_key,
    update_key,
)
from llmgw.access.projects import block_project, create_project, unblock_project
from llmgw.access.refusals import AmbiguousError, BadValueError, NotFoundError, StateError
from llmgw.access.settings import LIMIT_NAMES, MAX_RULES, PERIODS, BudgetSetting, LimitChange
from llmgw.config.tables import MAX_PER_MINUTE
from llmgw.errors import ApiError
from llmgw.store import Store, open_store
from tests.support.access import ACTOR
from tests.unit.test_bearer import header

KNOWN = Known(("glm-5", "kimi-k3", "vendor/qwen"), "CNY")
HOUR = timedelta(hours=1)


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    """Of SQLite, in `keys.db`."""
    opened = open_store(f"sqlite:///{tmp_path}/keys.db")
    yield opened
    opened.close()


# What may be said of a key.

TEXTS = st.text(st.characters(codec="utf-8"), max_size=MAX_NAME_LENGTH)
MODELS = st.sampled_from(KNOWN.models or ())
LIMITS = st.lists(
    st.builds(
        LimitChange,
        st.dictionaries(st.sampled_from(LIMIT_NAMES), st.integers(1, MAX_PER_MINUTE), min_size=1),
        st.none() | MODELS,
        st.booleans(),
    ),
    max_size=4,
    unique_by=lambda change: (change.model, change.per_user),
)
BUDGETS = st.lists(
    st.builds(
        BudgetSetting,
        st.integers(1, MAX_AMOUNT),
        st.sampled_from(["tokens", "CNY"]),
        st.sampled_from(PERIODS),
        st.none() | MODELS,
        st.booleans(),
        st.none() | st.integers(1, 1000),
    ),
    max_size=4,
    unique_by=lambda budget: budget.identity,
)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXTS,
        "project": st.sampled_from(["default", "1", "research", "2"]),
        "models": st.none() | st.lists(MODELS, max_size=3),
        "expires_at": st.none() | TIMES,
        "owner": st.none() | TEXTS,
        "trusts_user_header": st.booleans(),
        "limits": LIMITS,
        "budgets": BUDGETS,
    },
)
DEFAULTS: dict[str, Any] = {
    "name": "", "project": "default", "models": None, "expires_at": None, "owner": None,
    "trusts_user_header": False, "limits": {}, "budgets": [],
}  # fmt: skip
NAMES = {"1": "default", "2": "research"}


def said(key: Key) -> dict[str, Any]:
    """A key as `FIELDS` says it."""
    return {
        "name": key.name,
        "project": key.project,
        "models": None if key.models is None else sorted(key.models),
        "expires_at": key.expires_at,
        "owner": key.owner,
        "trusts_user_header": key.trusts_user_header,
        "limits": {
            (rule.model, rule.per_user): {
                name: value for name, value in rule.limits._asdict().items() if value is not None
            }
            for rule in key.own_limits
        },
        "budgets": sorted(
            (
                BudgetSetting(
                    each.amount, each.unit, each.period, each.model, each.per_user, each.warn_at_permille
                )
                for each in key.own_budgets
            ),
            key=repr,
        ),
    }


def expected(before: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """What `said` should say after these fields were set."""
    after = {**before, **fields}
    after["project"] = NAMES.get(after["project"], after["project"])
    after["models"] = None if after["models"] is None else sorted(set(after["models"]))
    after["owner"] = after["owner"] or None
    after["budgets"] = sorted(after["budgets"], key=repr)
    limits = {place: dict(numbers) for place, numbers in before["limits"].items()}
    for change in fields.get("limits", ()):
        limits.setdefault((change.model, change.per_user), {}).update(change.changes)
    after["limits"] = limits
    return after


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for many examples."""
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('access')}/keys.db")
    create_project(opened, actor=ACTOR, name="research")
    yield opened
    opened.close()


@settings(max_examples=60, deadline=None)
@given(fields=FIELDS, changes=FIELDS)
def test_field_b2_every_field_that_is_accepted_is_stored(
    stores: Store, fields: KeyFields, changes: KeyFields
) -> None:
    """Bifrost#5673: a field was accepted by the API and silently not stored."""
    made = create_key(stores, actor=ACTOR, known=KNOWN, **fields).key
    wanted = expected(DEFAULTS, dict(fields))
    ring = KeyRing(stores)
    assert said(made) == said(get_key(stores, made.prefix)) == said(ring_key(ring, made)) == wanted
    changed = update_key(stores, made.prefix, actor=ACTOR, known=KNOWN, **changes)
    wanted = expected(wanted, dict(changes))
    ring.refresh()
    assert said(changed) == said(get_key(stores, made.prefix)) == said(ring_key(ring, made)) == wanted
    assert (changed.id, changed.prefix, changed.digest, changed.created_at) == (
        made.id, made.prefix, made.digest, made.created_at,
    )  # fmt: skip
    revoke_key(stores, made.prefix, actor=ACTOR)  # so that the next example has fewer to load


def ring_key(ring: KeyRing, key: Key) -> Key:
    [found] = [each for each in ring._snapshot.by_digest.values() if each.id == key.id]
    return found


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a very long name": ({"name": "名" * 201}, "name", "must have at most 200 characters, not 201"),
    "a very long owner": ({"owner": "x" * 201}, "owner", "must have at most 200 characters"),
    "half of a surrogate pair": ({"name": "\ud83d"}, "name", "must be valid Unicode"),
    "an unknown model": ({"models": ["glm-6"]}, "models", "did you mean 'glm-5'?"),
    "a model without a name": ({"models": [""]}, "models", "must be a model's id"),
    "too many models": (
        {"models": ["glm-5"] * (MAX_KEY_MODELS + 1)},
        "models",
        "at most 1000 models, not 1001",
    ),
    "a time without a zone": (
        {"expires_at": datetime(2027, 1, 1)},  # noqa: DTZ001
        "expires_at",
        "must have a time zone",
    ),
    "a limit of 0": (
        {"limits": [LimitChange({"requests_per_minute": 0})]},
        "limits.requests_per_minute",
        "must be from 1",
    ),
    "a limit for no model": (
        {"limits": [LimitChange({"tokens_per_minute": 1}, "glm6")]},
        "limits.model",
        "there is no model 'glm6'",
    ),
    "a huge limit": (
        {"limits": [LimitChange({"concurrent_requests": MAX_PER_MINUTE + 1})]},
        "limits.concurrent_requests",
        f"must be from 1 to {MAX_PER_MINUTE}",
    ),
    "too many limits": (
        {"limits": [LimitChange({"tokens_per_minute": 1})] * (MAX_RULES + 1)},
        "limits",
        "must be at most 200",
    ),
    "another currency": (
        {"budgets": [BudgetSetting(1, "USD", "day")]},
        "budgets[0].unit",
        "must be 'tokens' or the configured currency, 'CNY', not 'USD'",
    ),
    "a budget of nothing": (
        {"budgets": [BudgetSetting(0, "CNY", "day")]},
        "budgets[0].amount",
        "more than 0",
    ),
    "a negative budget": ({"budgets": [BudgetSetting(-1, "CNY", "day")]}, "budgets[0].amount", "more than 0"),
    "a huge budget": (
        {"budgets": [BudgetSetting(MAX_AMOUNT + 1, "CNY", "day")]},
        "budgets[0].amount",
        "must be at most 1000000000.00",
    ),
    "a budget per year": (
        {"budgets": [BudgetSetting(1, "CNY", "year")]},  # type: ignore[arg-type]
        "budgets[0].period",
        "must be one of day, week, month, total",
    ),
    "a warning at nothing": (
        {"budgets": [BudgetSetting(1, "CNY", "day", warn_at_permille=0)]},
        "budgets[0].warn_at",
        "must be a share",
    ),
    "two budgets for the same": (
        {"budgets": [BudgetSetting(1, "CNY", "day", "glm-5"), BudgetSetting(2, "CNY", "day", "glm-5")]},
        "budgets",
        "has two in CNY per day for all users, glm-5",
    ),
    "too many budgets": (
        {"budgets": [BudgetSetting(1, "CNY", "day")] * (MAX_RULES + 1)},
        "budgets",
        "must be at most 200",
    ),
    "an unknown kind": ({"kind": "root"}, "kind", "must be one of model, admin, admin_read"),
    "models of an admin": ({"kind": "admin", "models": ["glm-5"]}, "models", "must not be set for an admin"),
    "limits of an admin": (
        {"kind": "admin_read", "limits": [LimitChange({"tokens_per_minute": 1})]},
        "limits",
        "calls no model",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_t_be_is_refused_and_changes_nothing(store: Store, name: str) -> None:
    fields, param, message = BAD[name]
    key = create_key(store, actor=ACTOR, name="before").key
    trail = list_audit(store)
    with pytest.raises(BadValueError) as caught:
        create_key(store, actor=ACTOR, known=KNOWN, **fields)
    assert [(fault.param, message in fault.message) for fault in caught.value.faults] == [(param, True)]
    if "kind" not in fields:
        with pytest.raises(BadValueError) as caught:
            update_key(store, "before", actor=ACTOR, known=KNOWN, **fields)
        assert caught.value.param == param
    assert (list_keys(store), list_audit(store)) == ([key], trail)


def test_all_that_is_wrong_is_said_at_once(store: Store) -> None:
    with pytest.raises(BadValueError) as caught:
        create_key(
            store,
            actor=ACTOR,
            known=KNOWN,
            name="x" * 201,
            models=["nope"],
            limits=[LimitChange({"requests_per_minute": 0})],
            budgets=[BudgetSetting(0, "USD", "day")],
        )
    assert [fault.param for fault in caught.value.faults] == [
        "name", "models", "limits.requests_per_minute", "budgets[0].unit", "budgets[0].amount",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["团队", "naïve", "👩‍💻", "a b", "x" * 200, "名" * 200, "-", "#7", "' OR 1=1 --"]
)
def test_unicode_and_odd_names(store: Store, name: str) -> None:
    create_key(store, actor=ACTOR, name="another")
    made = create_key(store, actor=ACTOR, name=name, owner=name).key
    assert get_key(store, name) == made
    assert (made.name, made.owner) == (name, name)


def test_limits_are_changed_one_by_one(store: Store) -> None:
    create_key(
        store,
        actor=ACTOR,
        name="k",
        limits=[
            LimitChange({"requests_per_minute": 5, "tokens_per_minute": 1000}),
            LimitChange({"requests_per_minute": 2}, "glm-5"),
            LimitChange({"concurrent_requests": 1}, None, per_user=True),
        ],
    )
    key = update_key(
        store,
        "k",
        actor=ACTOR,
        limits=[
            LimitChange({"requests_per_minute": None, "concurrent_requests": 3}),
            LimitChange({"requests_per_minute": None}, "glm-5"),
        ],
    )
    assert limits_document(key.own_limits) == {
        "requests_per_minute": None, "tokens_per_minute": 1000, "concurrent_requests": 3,
    }  # fmt: skip
    [only] = limits_by_document(key.own_limits)
    assert (only["model"], only["per_user"], only["concurrent_requests"]) == (None, True, 1)


def test_a_budget_that_counts_the_same_stays_the_same(store: Store) -> None:
    """Its spend is found by its id."""
    first = create_key(
        store,
        actor=ACTOR,
        name="k",
        budgets=[
            BudgetSetting(10, "CNY", "day"),
            BudgetSetting(7, "tokens", "day"),
            BudgetSetting(3, "CNY", "day", "glm-5"),
        ],
    ).key
    money, tokens, of_model = first.own_budgets
    key = update_key(
        store,
        "k",
        actor=ACTOR,
        budgets=[
            BudgetSetting(4, "CNY", "day", "glm-5"),
            BudgetSetting(20, "CNY", "day", warn_at_permille=500),
            BudgetSetting(1, "CNY", "day", per_user=True),
        ],
    )
    by_id = {budget.id: (budget.amount, budget.warn_at_permille) for budget in key.own_budgets}
    [new] = by_id.keys() - {money.id, tokens.id, of_model.id}
    assert by_id == {money.id: (20, 500), of_model.id: (4, None), new: (1, None)}
    # A budget that comes back after it was removed is a new one.
    again = update_key(store, "k", actor=ACTOR, budgets=[BudgetSetting(7, "tokens", "day")])
    assert [budget.id > max(by_id) for budget in again.own_budgets] == [True]


def test_field_b2_a_key_in_a_project_is_bound_by_both(store: Store) -> None:
    """LiteLLM#14995: the documentation said that one replaces the other."""
    create_project(
        store, actor=ACTOR, name="research",
        limits=[LimitChange({"requests_per_minute": 100})], budgets=[BudgetSetting(100, "CNY", "month")],
    )  # fmt: skip
    made = create_key(
        store, actor=ACTOR, name="k", project="research",
        limits=[LimitChange({"requests_per_minute": 5})], budgets=[BudgetSetting(10, "CNY", "day")],
    )  # fmt: skip
    key = KeyRing(store).lookup(made.token)
    assert key is not None
    assert [(rule.scope, rule.name, rule.limits.requests_per_minute) for rule in key.limits] == [
        ("key", "k", 5), ("project", "research", 100),
    ]  # fmt: skip
    assert [(each.scope, each.name, each.amount) for each in key.budgets] == [
        ("key", "k", 10), ("project", "research", 100),
    ]  # fmt: skip


# References.


def test_a_name_that_is_an_id(store: Store) -> None:
    first, second = create_key(store, actor=ACTOR, name="2").key, create_key(store, actor=ACTOR, name="b").key
    assert (first.id, second.id) == (1, 2)
    with pytest.raises(AmbiguousError, match=r"\(ids 1, 2\); name one by its first characters") as caught:
        block_key(store, "2", actor=ACTOR)
    assert caught.value.ids == (1, 2)
    assert block_key(store, second.prefix, actor=ACTOR).id == 2


def test_a_revoked_key_gives_its_name_free(store: Store) -> None:
    create_key(store, actor=ACTOR, name="ci")
    assert revoke_key(store, "ci", actor=ACTOR).id == 1
    new = create_key(store, actor=ACTOR, name="ci")
    assert get_key(store, "ci").id == new.key.id == 2
    with pytest.raises(StateError, match="was revoked"):
        update_key(store, "1", actor=ACTOR, name="again")


CHANGES: dict[str, Callable[[Store], object]] = {
    "update": lambda store: update_key(store, "ci", actor=ACTOR, name="x"),
    "block": lambda store: block_key(store, "ci", actor=ACTOR),
    "unblock": lambda store: unblock_key(store, "ci", actor=ACTOR),
    "rotate": lambda store: rotate_key(store, "ci", actor=ACTOR, grace=HOUR),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_revoked_key_is_never_changed(store: Store, change: str) -> None:
    create_key(store, actor=ACTOR, name="ci")
    revoke_key(store, "ci", actor=ACTOR)
    before = get_key(store, "ci")
    with pytest.raises(StateError):
        CHANGES[change](store)
    assert get_key(store, "ci") == before


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_known_by_that(store: Store, change: str) -> None:
    with pytest.raises(NotFoundError):
        CHANGES[change](store)
    assert list_audit(store) == []


def test_keys_of_a_project(store: Store) -> None:
    create_project(store, actor=ACTOR, name="p")
    create_key(store, actor=ACTOR, name="a")
    create_key(store, actor=ACTOR, name="b", project="p")
    assert [key.name for key in list_keys(store, project="p")] == ["b"]
    assert [key.name for key in list_keys(store, project="1")] == ["a"]
    with pytest.raises(NotFoundError):
        list_keys(store, project="q")


def test_a_blocked_project_gets_no_keys(store: Store) -> None:
    create_project(store, actor=ACTOR, name="p")
    create_key(store, actor=ACTOR, name="k")
    block_project(store, "p", actor=ACTOR)
    with pytest.raises(StateError, match="'p' is blocked"):
        create_key(store, actor=ACTOR, project="p")
    with pytest.raises(StateError, match="'p' is blocked"):
        update_key(store, "k", actor=ACTOR, project="p")
    block_project(store, "default", actor=ACTOR)
    with pytest.raises(StateError, match="'default' is blocked"):
        create_key(store, actor=ACTOR)
    unblock_project(store, "p", actor=ACTOR)
    assert update_key(store, "k", actor=ACTOR, project="p").project == "p"


def test_keys_piece_by_piece(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.access.keys._PIECE", 3)
    create_project(store, actor=ACTOR, name="p")
    for number in range(7):
        create_key(store, actor=ACTOR, name=str(number), project=("default", "p")[number % 2])
    assert list(each_key(store)) == list_keys(store)
    assert [key.id for key in each_key(store, after_id=4)] == [5, 6, 7]
    assert [key.id for key in each_key(store, project="p", after_id=2)] == [4, 6]
    assert list(each_key(store, after_id=7)) == []
    with pytest.raises(NotFoundError):
        next(each_key(store, project="q"))


def test_limits_do_not_grow_without_bound_over_many_changes(store: Store) -> None:
    create_key(store, actor=ACTOR, name="k")
    first, second = (
        [LimitChange({"tokens_per_minute": 1}, f"{letter}{number}") for number in range(150)]
        for letter in "ab"
    )
    update_key(store, "k", actor=ACTOR, limits=first)
    with pytest.raises(BadValueError, match="limits: would be 300, and 200 are the most"):
        update_key(store, "k", actor=ACTOR, limits=second)
    assert len(get_key(store, "k").limits) == 150


# Kinds.


def test_an_admin_key_says_so_in_its_text(store: Store) -> None:
    kinds: tuple[KeyKind, ...] = ("admin", "admin_read")
    for kind in kinds:
        made = create_key(store, actor=ACTOR, kind=kind)
        assert made.token.startswith("sk-gtw-admin-")
        assert len(made.key.prefix) == len("sk-gtw-admin-") + 4
        assert made.key.is_admin
        rotated = rotate_key(store, made.key.prefix, actor=ACTOR, grace=HOUR)
        assert rotated.token.startswith("sk-gtw-admin-")


def test_an_admin_s_rights_may_change_but_not_the_kind_of_key(store: Store) -> None:
    create_key(store, actor=ACTOR, name="ops", kind="admin")
    create_key(store, actor=ACTOR, name="ci")
    assert update_key(store, "ops", actor=ACTOR, kind="admin_read").kind == "admin_read"
    assert update_key(store, "ops", actor=ACTOR, kind="admin").kind == "admin"
    others: tuple[tuple[str, KeyKind], ...] = (("ops", "model"), ("ci", "admin"), ("ci", "admin_read"))
    for name, kind in others:
        with pytest.raises(BadValueError, match="can't change between"):
            update_key(store, name, actor=ACTOR, kind=kind)


@pytest.mark.parametrize(
    ("kind", "model", "look", "change"),
    [
        ("model", None, "wrong_key_kind", "wrong_key_kind"),
        ("admin", "wrong_key_kind", None, None),
        ("admin_read", "wrong_key_kind", None, "read_only_key"),
    ],
)
def test_where_a_key_is_good(
    store: Store,
    kind: KeyKind,
    model: str | None,
    look: str | None,
    change: str | None,
) -> None:
    key = create_key(store, actor=ACTOR, kind=kind).key
    checks: tuple[Callable[[], None], ...] = (
        lambda: check_calls_models(key),
        lambda: check_administers(key, changes=False),
        lambda: check_administers(key, changes=True),
    )
    for check, code in zip(checks, (model, look, change), strict=True):
        if code is None:
            check()
            continue
        with pytest.raises(ApiError) as caught:
            check()
        assert (caught.value.code, caught.value.status) == (code, 403)


# Blocks and rotations.


def refusal(store: Store, token: str) -> str | None:
    """The code with which a key is refused; None: it is accepted."""

    async def ask() -> None:
        found = find_key(header(token), KeyRing(store))
        if not isinstance(found, Key):
            await found

    try:
        asyncio.run(ask())
    except ApiError as error:
        return error.code
    return None


def test_blocked_and_unblocked(store: Store) -> None:
    made = create_key(store, actor=ACTOR, name="k")
    blocked = block_key(store, "k", actor=ACTOR)
    assert block_key(store, "k", actor=ACTOR) == blocked  # it keeps its time
    assert (refusal(store, made.token), blocked.state) == ("blocked_api_key", "blocked")
    assert unblock_key(store, "k", actor=ACTOR).state == "active"
    assert refusal(store, made.token) is None
    block_project(store, "default", actor=ACTOR)
    assert (refusal(store, made.token), get_key(store, "k").state) == ("blocked_api_key", "project_blocked")
    unblock_project(store, "default", actor=ACTOR)
    assert refusal(store, made.token) is None
    # The block is told before the expiry, and a revocation before both.
    update_key(store, "k", actor=ACTOR, expires_at=datetime.now(UTC))
    assert refusal(store, made.token) == "expired_api_key"
    block_key(store, "k", actor=ACTOR)
    assert refusal(store, made.token) == "blocked_api_key"
    revoke_key(store, "k", actor=ACTOR)
    assert refusal(store, made.token) == "invalid_api_key"


def test_both_secrets_until_the_grace_ends(store: Store) -> None:
    made = create_key(store, actor=ACTOR, name="k")
    new = rotate_key(store, "k", actor=ACTOR, grace=HOUR)
    assert new.token != made.token
    assert (new.key.id, new.key.prefix) == (made.key.id, new.token[: len(new.key.prefix)])
    assert (refusal(store, made.token), refusal(store, new.token)) == (None, None)
    # Reasoning that was kept or sealed before is found by the first digest.
    assert new.key.digest == made.key.digest
    newer = rotate_key(store, made.token, actor=ACTOR, grace=HOUR)  # also by its old text
    assert newer.key.digest == made.key.digest
    assert [refusal(store, each.token) for each in (made, new, newer)] == ["invalid_api_key", None, None]
    newest = rotate_key(store, "k", actor=ACTOR, grace=timedelta(0))
    assert [refusal(store, each.token) for each in (newer, newest)] == ["invalid_api_key", None]
    assert newest.key.previous_expires_at is None


def test_an_old_secret_is_blocked_and_revoked_with_its_key(store: Store) -> None:
    made = create_key(store, actor=ACTOR, name="k")
    rotate_key(store, "k", actor=ACTOR, grace=HOUR)
    block_key(store, "k", actor=ACTOR)
    assert refusal(store, made.token) == "blocked_api_key"
    unblock_key(store, "k", actor=ACTOR)
    revoke_key(store, made.token, actor=ACTOR)
    assert refusal(store, made.token) == "invalid_api_key"


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), MAX_GRACE + timedelta(seconds=1)])
def test_a_grace_has_bounds(store: Store, grace: timedelta) -> None:
    create_key(store, actor=ACTOR, name="k")
    with pytest.raises(BadValueError, match="from 0 to 90 days"):
        rotate_key(store, "k", actor=ACTOR, grace=grace)


def test_no_secret_and_no_digest_is_in_the_audit(file_store: Store, tmp_path: Path) -> None:
    made = create_key(file_store, actor=ACTOR, name="k")
    tokens = [made.token, *(rotate_key(file_store, "k", actor=ACTOR, grace=HOUR).token for _ in range(3))]
    with closing(sqlite3.connect(tmp_path / "keys.db")) as connection:
        rows = connection.execute("SELECT * FROM audit").fetchall()
        digests = [bytes(row) for (row,) in connection.execute("SELECT digest FROM api_keys")]
    trail = repr(rows)
    for token, digest in itertools.product(tokens, digests):
        assert token[len(made.key.prefix) :] not in trail
        assert digest.hex() not in trail.lower()
    assert len(rows) == 4
    assert not {"digest", "secret", "key", "token"} & key_document(made.key).keys()


def test_whether_anybody_may_administer(store: Store) -> None:
    create_key(store, actor=ACTOR, name="a model's")
    now = datetime.now(UTC)
    create_key(store, actor=ACTOR, name="expired", kind="admin", expires_at=now - HOUR)
    block_key(store, create_key(store, actor=ACTOR, name="blocked", kind="admin").key.id, actor=ACTOR)
    assert not has_admin_key(store)
    reader = create_key(store, actor=ACTOR, name="looks", kind="admin_read", expires_at=now + HOUR).key.id
    assert has_admin_key(store)
    revoke_key(store, reader, actor=ACTOR)
    assert not has_admin_key(store)
    unblock_key(store, "blocked", actor=ACTOR)
    assert has_admin_key(store)
