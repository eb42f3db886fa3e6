"""Whatever is done to keys and projects, the audit tells the present state, and a running worker knows it."""

import string
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llmgw.access.audit import MAX_PAGE, list_audit
from llmgw.access.documents import Document, key_document, project_document
from llmgw.access.keyring import KeyRing
from llmgw.access.keys import (
    block_key,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
    unblock_key,
    update_key,
)
from llmgw.access.projects import (
    block_project,
    create_project,
    list_projects,
    unblock_project,
    update_project,
)
from llmgw.access.refusals import AccessError
from llmgw.access.settings import LIMIT_NAMES, BudgetSetting, LimitChange
from llmgw.access.snapshot import NOTHING, Snapshot, next_snapshot
from llmgw.store import Store, open_store, raise_epoch
from tests.support.access import ACTOR

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = st.sampled_from([*string.ascii_lowercase[:5], "团队", "1", ""])
PROJECTS = st.sampled_from(["default", "p", "q", "团队", "1", "2", "3"])
MODELS = st.none() | st.sampled_from(["glm-5", "kimi-k3"])
LIMITS = st.lists(
    st.builds(
        LimitChange,
        st.dictionaries(st.sampled_from(LIMIT_NAMES), st.none() | st.integers(1, 9), min_size=1),
        MODELS,
        st.booleans(),
    ),
    max_size=2,
)
BUDGETS = st.lists(
    st.builds(
        BudgetSetting, st.integers(1, 9), st.sampled_from(["tokens", "CNY"]),
        st.sampled_from(["day", "total"]), MODELS, st.booleans(), st.none() | st.just(800),
    ),
    max_size=2, unique_by=lambda budget: budget.identity,
)  # fmt: skip
KEY_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "project": PROJECTS,
        "kind": st.sampled_from(["model", "admin", "admin_read"]),
        "models": st.none() | st.lists(st.sampled_from(["glm-5", "kimi-k3"]), max_size=2),
        "expires_at": st.none() | st.just(datetime(2100, 1, 1, tzinfo=UTC)),
        "owner": st.none() | NAMES,
        "trusts_user_header": st.booleans(),
        "limits": LIMITS,
        "budgets": BUDGETS,
    },
)
PROJECT_FIELDS = st.fixed_dictionaries({}, optional={"name": PROJECTS, "limits": LIMITS, "budgets": BUDGETS})
REFERENCES = st.one_of(NAMES, st.integers(1, 6).map(str))


class Team(RuleBasedStateMachine):
    """Any sequence of operations. What an operation refuses is not done."""

    def __init__(self) -> None:
        """A database of its own."""
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store = open_store(f"sqlite:///{self.folder.name}/keys.db")
        self.ring = KeyRing(self.store)

    @initialize()
    def begin(self) -> None:
        """Two projects."""
        for name in ("p", "q"):
            create_project(self.store, actor=ACTOR, name=name)

    @rule(fields=KEY_FIELDS)
    def create_key(self, fields: Any) -> None:  # noqa: ANN401
        """A key."""
        with suppress(AccessError):
            create_key(self.store, actor=ACTOR, **fields)

    @rule(reference=REFERENCES, fields=KEY_FIELDS)
    def update_key(self, reference: str, fields: Any) -> None:  # noqa: ANN401
        """Some of its fields."""
        with suppress(AccessError):
            update_key(self.store, reference, actor=ACTOR, **fields)

    @rule(reference=REFERENCES, change=st.sampled_from([block_key, unblock_key, revoke_key]))
    def change_key(self, reference: str, change: Any) -> None:  # noqa: ANN401
        """Block, unblock or end a key."""
        with suppress(AccessError):
            change(self.store, reference, actor=ACTOR)

    @rule(reference=REFERENCES, grace=st.sampled_from([0, 60, 3600]))
    def rotate_key(self, reference: str, grace: int) -> None:
        """Another secret."""
        with suppress(AccessError):
            rotate_key(self.store, reference, actor=ACTOR, grace=timedelta(seconds=grace))

    @rule(fields=PROJECT_FIELDS)
    def create_project(self, fields: Any) -> None:  # noqa: ANN401
        """A project."""
        with suppress(AccessError):
            create_project(self.store, actor=ACTOR, **fields)

    @rule(reference=PROJECTS, fields=PROJECT_FIELDS)
    def update_project(self, reference: str, fields: Any) -> None:  # noqa: ANN401
        """Some of its fields."""
        with suppress(AccessError):
            update_project(self.store, reference, actor=ACTOR, **fields)

    @rule(reference=PROJECTS, change=st.sampled_from([block_project, unblock_project]))
    def change_project(self, reference: str, change: Any) -> None:  # noqa: ANN401
        """Block or unblock a project."""
        with suppress(AccessError):
            change(self.store, reference, actor=ACTOR)

    @rule()
    def raise_epoch(self) -> None:
        """As something does that leaves no row in the audit."""
        with self.store.write() as session:
            raise_epoch(session)

    @rule()
    def poll(self) -> None:
        """As a worker does, also after several changes."""
        self.ring.refresh()
        with self.store.read() as session:
            fresh = next_snapshot(session, NOTHING, self.store.generation)
        assert comparable(self.ring._snapshot) == comparable(fresh)

    @invariant()
    def the_audit_replays_to_the_present_state(self) -> None:
        """Row by row, each of which says rightly what was before."""
        present = {f"project {each.id}": project_document(each) for each in list_projects(self.store)}
        present |= {f"key {each.id}": key_document(each) for each in list_keys(self.store)}
        del present["project 1"]  # which no actor has made
        replayed = replay(self.store)
        replayed.pop("project 1", None)
        assert replayed == present

    def teardown(self) -> None:
        """Close what was opened."""
        self.poll()
        self.store.close()
        self.folder.cleanup()


def replay(store: Store) -> dict[str, Document]:
    """All keys and projects as the audit alone has them."""
    found: dict[str, Document] = {}
    for entry in reversed(list_audit(store, limit=MAX_PAGE)):
        assert entry.actor == ACTOR
        assert entry.after is not None
        known = found.get(entry.target)
        if entry.action.endswith(".create"):
            assert (entry.before, known) == (None, None)
        elif known is not None:
            assert entry.before is not None
            # Of the project that no actor has made, only what has changed is known.
            seen = known.keys() & entry.after.keys()
            assert {name: entry.before[name] for name in seen} == {name: known[name] for name in seen}
        found.setdefault(entry.target, {}).update(entry.after)
        if entry.target.startswith("project "):
            # A key's document has its project's name, for readers; the id is what is stored.
            for document in found.values():
                if document.get("project_id") == int(entry.target.removeprefix("project ")):
                    document["project"] = entry.after.get("name", document["project"])
    return found


def comparable(snapshot: Snapshot) -> Any:  # noqa: ANN401
    """Without deadlines, which are of the moment of the read."""
    replaced = {digest: (each.key, each.deadline.at) for digest, each in snapshot.replaced.items()}
    expiries = {key_id: deadline.at for key_id, deadline in snapshot.expiries.items()}
    return snapshot._replace(replaced={}, expiries={}), replaced, expiries


TestTeam = Team.TestCase
TestTeam.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


def test_who_when_what_before_what_after(store: Store) -> None:
    begun = datetime.now(UTC)
    create_key(store, actor="key 7 (ops)", name="ci", limits=[LimitChange({"requests_per_minute": 5})])
    update_key(store, "ci", actor="cli ana@host", limits=[LimitChange({"requests_per_minute": 9})])
    later, first = list_audit(store)
    assert (first.actor, first.action, first.target, first.before) == (
        "key 7 (ops)",
        "key.create",
        "key 1",
        None,
    )
    assert (later.actor, later.action, later.target) == ("cli ana@host", "key.update", "key 1")
    old, new = dict.fromkeys(LIMIT_NAMES), dict.fromkeys(LIMIT_NAMES)
    assert later.before == {"limits": {**old, "requests_per_minute": 5}}
    assert later.after == {"limits": {**new, "requests_per_minute": 9}}
    assert begun <= first.time <= later.time <= datetime.now(UTC)


def test_the_trail_in_pages_and_parts(store: Store) -> None:
    create_project(store, actor="a", name="p")
    create_key(store, actor="b", name="k")
    block_key(store, "k", actor="a")
    everything = list_audit(store)
    assert [entry.action for entry in everything] == ["key.block", "key.create", "project.create"]
    assert list_audit(store, limit=2) == everything[:2]
    assert list_audit(store, before_id=everything[1].id) == everything[2:]
    assert list_audit(store, actor="a") == [everything[0], everything[2]]
    assert list_audit(store, target="key 1") == everything[:2]
    assert list_audit(store, action="key.") == everything[:2]
    assert list_audit(store, action="key.create") == [everything[1]]
    assert list_audit(store, action="key") == []
    assert list_audit(store, until=everything[1].time) == everything[2:]
    assert list_audit(store, since=everything[0].time) == everything[:1]


def test_what_is_refused_leaves_no_trace(store: Store) -> None:
    create_project(store, actor=ACTOR, name="p")
    before = list_audit(store)
    refusals: tuple[Callable[[], object], ...] = (
        lambda: create_project(store, actor=ACTOR, name="p"),
        lambda: create_project(store, actor=ACTOR, name="12"),
        lambda: create_project(store, actor=ACTOR, name=" x"),
        lambda: create_project(store, actor=ACTOR),
        lambda: update_project(store, "default", actor=ACTOR, name="x"),
        lambda: update_project(store, "p", actor=ACTOR, name="default"),
        lambda: update_project(store, "nope", actor=ACTOR, name="x"),
        lambda: block_project(store, "7", actor=ACTOR),
    )
    for refused in refusals:
        with pytest.raises(AccessError):
            refused()
    assert list_audit(store) == before
