"""How keys are made, changed and ended in the database.

Each change leaves a row in the audit and raises the epoch, in its own transaction. `KeyRing` polls the epoch,
so running gateways see a change within a second. Command line and admin API work through these functions, and
every rule about keys is here.

A `reference` is a key's id, its name, its first characters as they are shown, or its text; a number, not as
text, is the id. `actor` says who makes the change: `key 7 (ops)` or `cli user@host`. All functions raise
SQLAlchemyError and AccessError.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypedDict, Unpack, get_args

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from llmgw.access.checks import Known, is_text, models_faults, text_faults, time_faults
from llmgw.access.documents import difference, key_document
from llmgw.access.key import ADMIN_PREFIX, KEY_PREFIX, Key, KeyKind, digest_of
from llmgw.access.load import load
from llmgw.access.project import DEFAULT_PROJECT_ID
from llmgw.access.projects import MAX_ID_DIGITS, find_project
from llmgw.access.refusals import AmbiguousError, BadValueError, NotFoundError, StateError
from llmgw.access.settings import (
    BudgetSetting,
    LimitChange,
    budget_faults,
    change_limits,
    limit_faults,
    set_budgets,
)
from llmgw.errors import InputFault
from llmgw.store import ApiKey, Store, record

MAX_GRACE: Final = timedelta(days=90)
"""How long the secret before a rotation may be accepted. Two good secrets are one more to lose."""
KINDS: Final[tuple[KeyKind, ...]] = get_args(KeyKind)
_OF_MODEL_KEYS: Final[tuple[Literal["models", "trusts_user_header", "limits", "budgets"], ...]] = (
    "models", "trusts_user_header", "limits", "budgets",
)  # fmt: skip
_PIECE: Final = 100
"""Keys that are read at once where not all are wanted."""
_RANDOM_BYTES: Final = 24
_SHOWN_LENGTH: Final = 4
"""Random characters that are shown with the prefix."""


class NewKey(NamedTuple):
    """A key with a new secret."""

    key: Key
    token: str
    """Its text, which is not available later."""


class KeyFields(TypedDict, total=False):
    """What can be said of a key. What is left out gets its default, or in a change stays as it is."""

    name: str
    project: str
    """Its name or id. Default: `default`."""
    kind: KeyKind
    """Default: `model`. In a change, only between the two kinds of admin keys."""
    models: Iterable[str] | None
    """None, the default: all."""
    expires_at: datetime | None
    owner: str | None
    trusts_user_header: bool
    limits: Sequence[LimitChange]
    """Those that are named are set, the others stay."""
    budgets: Sequence[BudgetSetting]
    """All of them: those that are not among these are removed."""


_ANY: Final = Known()


def create_key(store: Store, *, actor: str, known: Known = _ANY, **fields: Unpack[KeyFields]) -> NewKey:
    """Make a key. `known`: what to check names of models and currencies against."""
    kind = fields.get("kind", "model")
    fields = {"project": str(DEFAULT_PROJECT_ID), **fields}  # which may be blocked
    _check(fields, known, kind=kind, old_kind=kind)
    token = _new_token(kind)
    row = ApiKey(
        name="",
        prefix=_prefix_of(token),
        digest=digest_of(token),
        models=None,
        created_at=datetime.now(UTC),
        expires_at=None,
        revoked_at=None,
        kind=kind,
        trusts_user_header=False,
    )
    with store.write() as session:
        _apply(session, row, fields)
        session.add(row)
        session.flush()
        _set_rules(session, row, fields, known)
        key = _key(session, row.id)
        after = key_document(key)
        record(session, actor=actor, action="key.create", target=f"key {key.id}", before=None, after=after)
    return NewKey(key, token)


def list_keys(store: Store, *, project: str | None = None) -> list[Key]:
    """All keys, including revoked ones, oldest first. `project`: only those of this one."""
    with store.read() as session:
        which = None if project is None else ApiKey.project_id == find_project(session, project).id
        return list(load(session, which).keys)


def each_key(store: Store, *, project: str | None = None, after_id: int = 0) -> Iterator[Key]:
    """The same, read piece by piece, beginning behind an id: for who needs only some. Not of one moment."""
    with store.read() as session:
        which = ApiKey.id > after_id
        if project is not None:
            which &= ApiKey.project_id == find_project(session, project).id
    while True:
        with store.read() as session:
            keys = load(session, which, limit=_PIECE).keys
        yield from keys
        if len(keys) < _PIECE:
            return
        which &= ApiKey.id > keys[-1].id


def has_admin_key(store: Store) -> bool:
    """True if there is a key that the admin API takes now."""
    accepted = (
        (ApiKey.kind != "model")
        & ApiKey.revoked_at.is_(None)
        & ApiKey.blocked_at.is_(None)
        & (ApiKey.expires_at.is_(None) | (ApiKey.expires_at > datetime.now(UTC)))
    )
    with store.read() as session:
        return session.scalar(select(ApiKey.id).where(accepted).limit(1)) is not None


def get_key(store: Store, reference: str | int) -> Key:
    """One key."""
    with store.read() as session:
        return _key(session, find_key_row(session, reference).id)


def update_key(
    store: Store, reference: str | int, *, actor: str, known: Known = _ANY, **fields: Unpack[KeyFields]
) -> Key:
    """Change what is named. Not of a revoked key."""

    def change(session: Session, row: ApiKey) -> None:
        kind = fields.get("kind", row.kind)
        _check(fields, known, kind=kind, old_kind=row.kind)
        _apply(session, row, fields)
        _set_rules(session, row, fields, known)

    return _change(store, reference, change, actor=actor, action="key.update")


def block_key(store: Store, reference: str | int, *, actor: str) -> Key:
    """Let a key not be accepted until it is unblocked. A blocked one keeps the time of the first block."""

    def change(_: Session, row: ApiKey) -> None:
        row.blocked_at = row.blocked_at or datetime.now(UTC)

    return _change(store, reference, change, actor=actor, action="key.block")


def unblock_key(store: Store, reference: str | int, *, actor: str) -> Key:
    """Let a blocked key be accepted again."""

    def change(_: Session, row: ApiKey) -> None:
        row.blocked_at = None

    return _change(store, reference, change, actor=actor, action="key.unblock")


def rotate_key(store: Store, reference: str | int, *, actor: str, grace: timedelta) -> NewKey:
    """Give a key a new secret. The old one is accepted for `grace`, an even older one no longer."""
    if not timedelta(0) <= grace <= MAX_GRACE:
        raise BadValueError([InputFault("grace", f"must be from 0 to {MAX_GRACE.days} days")])
    tokens: list[str] = []

    def change(_: Session, row: ApiKey) -> None:
        now = datetime.now(UTC)
        tokens.append(_new_token(row.kind))
        row.first_digest = row.first_digest or row.digest
        row.previous_digest = row.digest if grace else None
        row.previous_expires_at = now + grace if grace else None
        row.digest, row.prefix, row.rotated_at = digest_of(tokens[0]), _prefix_of(tokens[0]), now

    key = _change(store, reference, change, actor=actor, action="key.rotate", always=True)
    return NewKey(key, tokens[0])


def revoke_key(store: Store, reference: str | int, *, actor: str) -> Key:
    """End a key for good. A revoked one keeps the time of its revocation."""

    def change(_: Session, row: ApiKey) -> None:
        row.revoked_at = row.revoked_at or datetime.now(UTC)

    return _change(store, reference, change, actor=actor, action="key.revoke", revoked_too=True)


def _change(
    store: Store,
    reference: str | int,
    change: Callable[[Session, ApiKey], None],
    *,
    actor: str,
    action: str,
    always: bool = False,
    revoked_too: bool = False,
) -> Key:
    """Run `change` on a key, and leave a row in the audit if that has changed something, or `always`."""
    with store.write() as session:
        row = find_key_row(session, reference)
        if row.revoked_at is not None and not revoked_too:
            raise StateError(f"the key {row.id} was revoked, and a revoked key is never changed again")
        before = key_document(_key(session, row.id))
        change(session, row)
        session.flush()
        after = _key(session, row.id)
        old, new = difference(before, key_document(after))
        if new or always:
            record(session, actor=actor, action=action, target=f"key {row.id}", before=old, after=new)
        return after


def find_key_row(session: Session, reference: str | int) -> ApiKey:
    """The key with this reference. One that was not revoked comes before those that were."""
    if isinstance(reference, int):
        row = session.get(ApiKey, reference) if 0 < reference < 10**MAX_ID_DIGITS else None
        if row is None:
            raise NotFoundError(f"there is no key {reference}")
        return row
    digest = digest_of(reference)
    matches = [ApiKey.digest == digest, ApiKey.previous_digest == digest]
    if reference and is_text(reference):
        matches += [ApiKey.name == reference, ApiKey.prefix == reference.rstrip("…")]
    if reference.isascii() and reference.isdigit() and len(reference) <= MAX_ID_DIGITS:
        matches.append(ApiKey.id == int(reference))
    rows = session.scalars(select(ApiKey).where(or_(*matches)).order_by(ApiKey.id)).all()
    rows = [row for row in rows if row.revoked_at is None] or rows
    if not rows:
        raise NotFoundError("no key is known by that")
    if len(rows) > 1:
        ids = [row.id for row in rows]
        how = "first characters" if reference.isdigit() else "id"
        listed = ", ".join(map(str, ids))
        raise AmbiguousError(f"several keys are known by that (ids {listed}); name one by its {how}", ids=ids)
    return rows[0]


def _key(session: Session, key_id: int) -> Key:
    [key] = load(session, ApiKey.id == key_id).keys
    return key


def _check(fields: KeyFields, known: Known, *, kind: str, old_kind: str) -> None:
    """Raises BadValueError, with all that is wrong."""
    faults: list[InputFault] = []
    if kind not in KINDS:
        faults.append(InputFault("kind", f"must be one of {', '.join(KINDS)}"))
    elif kind != old_kind and "model" in (kind, old_kind):
        faults.append(InputFault("kind", "can't change between keys for models and for admins"))
    if kind != "model":
        faults += [
            InputFault(name, "must not be set for an admin key, which calls no model")
            for name in _OF_MODEL_KEYS
            if fields.get(name)
        ]
    for name, value in (("name", fields.get("name")), ("owner", fields.get("owner"))):
        faults += text_faults(value or "", name)
    faults += models_faults(fields.get("models") or (), known)
    expires_at = fields.get("expires_at")
    if expires_at is not None:
        faults += time_faults(expires_at, "expires_at")
    faults += limit_faults(fields.get("limits", ()), known)
    faults += budget_faults(fields.get("budgets", ()), known)
    if faults:
        raise BadValueError(faults)


def _apply(session: Session, row: ApiKey, fields: KeyFields) -> None:
    """Set the columns of the key's own row. The fields are checked."""
    row.name = fields.get("name", row.name)
    row.kind = fields.get("kind", row.kind)
    row.owner = fields.get("owner", row.owner) or None
    row.expires_at = fields.get("expires_at", row.expires_at)
    row.trusts_user_header = fields.get("trusts_user_header", row.trusts_user_header)
    if "models" in fields:
        models = fields["models"]
        row.models = None if models is None else sorted(set(models))
    if "project" in fields:
        project = find_project(session, fields["project"])
        if project.blocked_at is not None and project.id != row.project_id:
            message = f"the project {project.name!r} is blocked; unblock it before it gets another key"
            raise StateError(message, param="project")
        row.project_id = project.id


def _set_rules(session: Session, row: ApiKey, fields: KeyFields, known: Known) -> None:
    change_limits(session, "key", row.id, fields.get("limits", ()))
    if "budgets" in fields:
        set_budgets(session, "key", row.id, fields["budgets"], known.zone)


def _new_token(kind: str) -> str:
    prefix = KEY_PREFIX if kind == "model" else ADMIN_PREFIX
    return prefix + secrets.token_urlsafe(_RANDOM_BYTES)


def _prefix_of(token: str) -> str:
    prefix = ADMIN_PREFIX if token.startswith(ADMIN_PREFIX) else KEY_PREFIX
    return token[: len(prefix) + _SHOWN_LENGTH]
