"""How keys are created, listed and revoked in the database.

Each change raises the key epoch in the same transaction. `KeyRing` polls that epoch, so a running gateway
sees a revocation within a second.
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from llmgw.access.key import KEY_PREFIX, Key, digest_of
from llmgw.store import ApiKey, KeyEpoch, Store

_RANDOM_BYTES: Final = 24

_MAX_ID_DIGITS: Final = 18
"""Of a number that SQLite takes."""
_DISPLAY_LENGTH: Final = len(KEY_PREFIX) + 4


class NewKey(NamedTuple):
    """A new key and its text, which is not available later."""

    key: Key
    token: str


def create_key(
    store: Store, *, name: str, models: Sequence[str] | None = None, expires_at: datetime | None = None
) -> NewKey:
    """Create a key. `models` None: it may use all. Raises SQLAlchemyError."""
    token = KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    row = ApiKey(
        name=name,
        prefix=token[:_DISPLAY_LENGTH],
        digest=digest_of(token),
        models=None if models is None else sorted(set(models)),
        created_at=datetime.now(UTC),
        expires_at=expires_at,
        revoked_at=None,
    )
    with store.write() as session:
        session.add(row)
        _raise_epoch(session)
    return NewKey(Key.of(row), token)


def list_keys(store: Store) -> list[Key]:
    """All keys, including revoked ones, oldest first. Raises SQLAlchemyError."""
    with store.read() as session:
        return [Key.of(row) for row in session.scalars(select(ApiKey).order_by(ApiKey.id))]


def revoke_keys(store: Store, reference: str) -> list[Key]:
    """Revoke the key with this id, this name, these first characters (as they are shown) or this text.

    Returns all keys that match. Only a single match is revoked: with none or several, nothing changes. A key
    that is already revoked keeps its time of revocation. Raises SQLAlchemyError.
    """
    matches = [ApiKey.prefix == reference.rstrip("…"), ApiKey.digest == digest_of(reference)]
    if reference:
        matches.append(ApiKey.name == reference)
    if reference.isascii() and reference.isdigit() and len(reference) <= _MAX_ID_DIGITS:
        matches.append(ApiKey.id == int(reference))
    with store.write() as session:
        rows = session.scalars(select(ApiKey).where(or_(*matches))).all()
        if len(rows) == 1 and rows[0].revoked_at is None:
            rows[0].revoked_at = datetime.now(UTC)
            _raise_epoch(session)
        return [Key.of(row) for row in rows]


def _raise_epoch(session: Session) -> None:
    session.execute(update(KeyEpoch).values(epoch=KeyEpoch.epoch + 1))
