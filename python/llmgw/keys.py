"""Clients' keys: made, listed and revoked in the database; looked up by the gateway in memory.

A key is `sk-gtw-` and 192 random bits. It is shown once, when it is made; the database keeps its SHA-256
and its first characters. Every change raises an epoch in the same transaction, and `KeyRing` polls that
epoch, so a running gateway sees a revocation within a second while a request costs one hash and one dict
lookup.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from llmgw.store import ApiKey, KeyEpoch, Store

logger = logging.getLogger(__name__)

KEY_PREFIX: Final = "sk-gtw-"
POLL_INTERVAL_S: Final = 0.5
"""A revocation must be seen within 1 s."""
MISS_INTERVAL_S: Final = 0.05
"""Unknown keys make the gateway look into the database at most so often."""
MISS_TIMEOUT_S: Final = 1.0
"""A request with an unknown key waits at most so long for that look."""
STALE_KEYS_S: Final = 86_400.0
"""While the database can't be read, the keys known so far stay in force for so long."""
_RANDOM_BYTES: Final = 24
_DISPLAY_LENGTH: Final = len(KEY_PREFIX) + 4
_MAX_TOKEN_LENGTH: Final = 128


@dataclass(frozen=True, slots=True)
class Key:
    """A key, as everyone but its owner may see it."""

    id: int
    name: str
    prefix: str
    """Its first characters."""
    digest: bytes
    """SHA-256, 32 bytes."""
    models: frozenset[str] | None
    """Ids of the models that it may use; None: all."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def may_use(self, model_id: str) -> bool:
        """False if the key has a list of models and this one is not on it."""
        return self.models is None or model_id in self.models

    def expired(self, now: datetime | None = None) -> bool:
        """True from `expires_at` on."""
        return self.expires_at is not None and self.expires_at <= (now or datetime.now(UTC))


class NewKey(NamedTuple):
    """A key and, this once, its text."""

    key: Key
    token: str


def digest_of(token: str) -> bytes:
    """SHA-256 of a key's text."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def create_key(
    store: Store, *, name: str, models: Sequence[str] | None = None, expires_at: datetime | None = None
) -> NewKey:
    """Make a key. `models` None: it may use all. Raises SQLAlchemyError."""
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
    return NewKey(_key_of(row), token)


def list_keys(store: Store) -> list[Key]:
    """All keys, revoked ones too, oldest first. Raises SQLAlchemyError."""
    with store.read() as session:
        return [_key_of(row) for row in session.scalars(select(ApiKey).order_by(ApiKey.id))]


def revoke_keys(store: Store, reference: str) -> list[Key]:
    """Revoke what `reference` names: an id, the first characters as they are shown, or the key itself.

    Returns the keys that it names (none: nothing was changed; more than one: neither, since that is no name).
    A key that is revoked already keeps its time. Raises SQLAlchemyError.
    """
    matches = [ApiKey.prefix == reference.rstrip("…"), ApiKey.digest == digest_of(reference)]
    if reference.isascii() and reference.isdigit():
        matches.append(ApiKey.id == int(reference))
    with store.write() as session:
        rows = session.scalars(select(ApiKey).where(or_(*matches))).all()
        if len(rows) == 1 and rows[0].revoked_at is None:
            rows[0].revoked_at = datetime.now(UTC)
            _raise_epoch(session)
        return [_key_of(row) for row in rows]


def _raise_epoch(session: Session) -> None:
    session.execute(update(KeyEpoch).values(epoch=KeyEpoch.epoch + 1))


def _key_of(row: ApiKey) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        digest=row.digest,
        models=None if row.models is None else frozenset(row.models),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


class KeyRing:
    """The keys that are in force, in memory.

    `lookup` belongs on the hot path. A thread polls the database; while the database fails, the last known
    keys stay in force, `healthy` is False, and after `stale_keys_s` no key is in force any more.
    """

    def __init__(
        self,
        store: Store,
        *,
        poll_interval_s: float = POLL_INTERVAL_S,
        stale_keys_s: float = STALE_KEYS_S,
        observe: Callable[[bool], None] | None = None,
    ) -> None:
        """Loads the keys once, blocking; where that fails, none is in force until they can be read.

        Make it in the process that uses it. `observe(healthy)` is called by whichever thread has read the
        keys, or failed to.
        """
        self._store = store
        self._poll_interval_s = poll_interval_s
        self._stale_keys_s = stale_keys_s
        self._observe = observe
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._epoch: tuple[int, int] | None = None
        self._by_digest: dict[bytes, Key] = {}
        self._gate = asyncio.Lock()
        self._next_look: asyncio.Task[None] | None = None
        self._last_look_s = float("-inf")
        self._read_s = float("-inf")
        self.healthy = True
        """False: the keys could not be read when that was last tried."""
        self.stale = False
        """True: they could not be read for so long, or ever, that none is in force."""
        self.refresh()

    def lookup(self, token: str) -> Key | None:
        """The key with this text; None if there is none or it was revoked. Expiry the caller checks."""
        if not token.startswith(KEY_PREFIX) or len(token) > _MAX_TOKEN_LENGTH:
            return None
        digest = digest_of(token)
        key = self._by_digest.get(digest)
        if key is None or not hmac.compare_digest(key.digest, digest):
            return None
        return key

    def refresh(self) -> None:
        """Reload the keys if they have changed. Blocking; never raises."""
        try:
            self._load()
        except Exception:  # besides SQLAlchemyError: whatever a damaged file makes of the values in it
            if self.healthy:
                logger.exception("the keys can't be read; the ones known so far stay in force for a time")
            self.healthy = False
            self._expire()
        else:
            if not self.healthy:
                logger.warning("the keys can be read again")
            self.healthy, self.stale = True, False
        if self._observe is not None:
            self._observe(self.healthy)

    def _expire(self) -> None:
        """A revocation must count some day, even if nobody can read it."""
        with self._lock:
            if self.stale or time.monotonic() - self._read_s < self._stale_keys_s:
                return
            logger.error("the last known keys are older than %g s; no key is in force", self._stale_keys_s)
            self.stale = True
            self._by_digest = {}
            self._epoch = None

    async def refresh_if_stale(self) -> None:
        """After a miss: look for keys made a moment ago, without blocking the loop.

        The look begins after this call. Callers that wait together share one, and there are at most
        1 / `MISS_INTERVAL_S` a second. Returns after `MISS_TIMEOUT_S` at the latest.
        """
        if self._next_look is None:
            self._next_look = asyncio.ensure_future(self._look())
        await asyncio.wait({self._next_look}, timeout=MISS_TIMEOUT_S)

    def start(self) -> None:
        """Begin to poll."""
        self._thread = threading.Thread(target=self._poll, name="llmgw-keys", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop polling. Waits for a poll under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _load(self) -> None:
        with self._lock, self._store.read() as session:
            # One transaction, so that the epoch and the keys are of the same moment.
            epoch = self._store.generation, session.scalars(select(KeyEpoch.epoch)).one()
            if epoch == self._epoch:
                self._read_s = time.monotonic()
                return
            rows = session.scalars(select(ApiKey).where(ApiKey.revoked_at.is_(None)))
            self._by_digest = {row.digest: _key_of(row) for row in rows}
            self._epoch = epoch
            self._read_s = time.monotonic()

    def _poll(self) -> None:
        while not self._stop.wait(self._poll_interval_s):
            self.refresh()

    async def _look(self) -> None:
        async with self._gate:
            await asyncio.sleep(self._last_look_s + MISS_INTERVAL_S - time.monotonic())
            self._next_look = None  # whoever comes from here on needs a look that begins later
            self._last_look_s = time.monotonic()
            await asyncio.to_thread(self.refresh)
