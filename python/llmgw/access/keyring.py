"""Which keys are active? They are in memory: one hash and one dict lookup per request."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from llmgw.access.key import KEY_PREFIX, Key, digest_of
from llmgw.access.snapshot import NOTHING, next_snapshot
from llmgw.store import Secret, Store
from llmgw.store.failures import cause_of

logger = logging.getLogger(__name__)

POLL_INTERVAL_S: Final = 0.5
"""Short enough to see a revocation within 1 s."""

TOLD_INTERVAL_S: Final = 2.0
"""The same where the database tells of changes, for what it has not told."""

MISS_INTERVAL_S: Final = 0.05
"""Requests with unknown keys cause at most one read of the database in this time."""

MISS_TIMEOUT_S: Final = 1.0
"""A request with an unknown key waits at most this long for that read."""

STALE_KEYS_S: Final = 86_400.0
"""How long the last known keys stay in force while the database can't be read."""

_MAX_TOKEN_LENGTH: Final = 128


class KeyRing:
    """The keys that were not revoked, in memory, with all that is said about them and their projects.

    A thread polls the database. While the database fails, the last known keys stay in force and `healthy` is
    False; after `stale_keys_s` no key is in force any more.
    """

    def __init__(
        self,
        store: Store,
        *,
        poll_interval_s: float = POLL_INTERVAL_S,
        stale_keys_s: float = STALE_KEYS_S,
        observe: Callable[[bool], None] | None = None,
        on_load: Callable[[Session], None] | None = None,
    ) -> None:
        """Loads the keys, blocking. If that fails, none is in force until they can be read.

        Make it in the process that uses it. `observe(healthy)` is called after each read, on the thread that
        tried it. `on_load` reads what must be known of the same moment before these keys are used.
        """
        self._store = store
        self._watch = store.watch()
        self._poll_interval_s = poll_interval_s
        self._stale_keys_s = stale_keys_s
        self._observe = observe
        self._on_load = on_load
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._snapshot = NOTHING
        self._gate = asyncio.Lock()
        self._next_look: asyncio.Task[None] | None = None
        self._last_look_s = float("-inf")
        self._read_s = float("-inf")
        self.generation = 0
        """Grows with every snapshot: with each change of a key, a project, a limit or a budget."""
        self.seal_secret: bytes | None = None
        """Under which reasoning is sealed; None until it could be read."""
        self.healthy = True
        """False if the last read failed."""
        self.stale = False
        """True if no key is in force, because the keys could not be read for too long, or ever."""
        self.refresh()

    def lookup(self, token: str) -> Key | None:
        """The key with this text; None if it is unknown, was revoked, or was replaced and its grace is over.

        The caller checks whether it is blocked and `has_expired`. The time that this takes reveals nothing:
        only digests are compared, and a guess with a chosen digest can't be made.
        """
        if not token.startswith(KEY_PREFIX) or len(token) > _MAX_TOKEN_LENGTH:
            return None
        snapshot, digest = self._snapshot, digest_of(token)
        key = snapshot.by_digest.get(digest)
        if key is None:
            replaced = snapshot.replaced.get(digest)
            if replaced is not None and not replaced.deadline.is_over:
                return replaced.key
        return key

    def has_expired(self, key: Key) -> bool:
        """True from `expires_at` on, even if the wall clock is set back then."""
        if key.expires_at is None:
            return False
        expiry = self._snapshot.expiries.get(key.id)
        return key.expired() if expiry is None or expiry.at != key.expires_at else expiry.is_over

    def was_replaced(self, token: str) -> bool:
        """True if this was the text of a key before its last rotation."""
        return digest_of(token) in self._snapshot.replaced

    def refresh(self) -> None:
        """Reload the keys if they have changed. Blocking; never raises."""
        self._refresh(self._store.read)

    def _refresh(self, read: Callable[[], AbstractContextManager[Session]]) -> None:
        try:
            self._load(read)
        except Exception as error:  # not only SQLAlchemyError: a damaged file may hold any value
            if self.healthy:
                message = "the keys can't be read; the ones known so far stay in force for a time: %s"
                defect = not isinstance(error, SQLAlchemyError)
                logger.error(message, cause_of(error), exc_info=defect)  # noqa: TRY400
            self.healthy = False
            self._expire()
        else:
            if not self.healthy:
                logger.warning("the keys can be read again")
            self.healthy, self.stale = True, False
        if self._observe is not None:
            self._observe(self.healthy)

    def _expire(self) -> None:
        """Drop keys that are too old: one of them may have been revoked since."""
        with self._lock:
            if self.stale or time.monotonic() - self._read_s < self._stale_keys_s:
                return
            logger.error("the last known keys are older than %g s; no key is in force", self._stale_keys_s)
            self.stale = True
            self._snapshot = NOTHING

    async def refresh_after_miss(self) -> None:
        """Read the database for a key that was made a moment ago, without blocking the loop.

        The read begins after this call. Callers that wait at the same time share one, and there are at most
        1 / `MISS_INTERVAL_S` per second. Returns after `MISS_TIMEOUT_S` at the latest.
        """
        if self._next_look is None:
            self._next_look = asyncio.ensure_future(self._look())
        await asyncio.wait({self._next_look}, timeout=MISS_TIMEOUT_S)

    def start(self) -> None:
        """Start polling."""
        self._thread = threading.Thread(target=self._poll, name="llmgw-keys", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop polling. Waits for a running poll."""
        self._stop.set()
        self._watch.wake()
        if self._thread is not None:
            self._thread.join()
        self._watch.close()

    def _load(self, read: Callable[[], AbstractContextManager[Session]]) -> None:
        with self._lock, read() as session:
            snapshot = next_snapshot(session, self._snapshot, self._store.generation)
            if snapshot is not self._snapshot:
                if self._on_load is not None:
                    self._on_load(session)
                self.seal_secret = session.scalars(
                    select(Secret.value).where(Secret.name == "seal")
                ).one_or_none()
                self._snapshot = snapshot
                self.generation += 1
            self._read_s = time.monotonic()

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._watch.wait(TOLD_INTERVAL_S if self._watch.is_told else self._poll_interval_s)
            if not self._stop.is_set():
                self._refresh(self._watch.read)

    async def _look(self) -> None:
        async with self._gate:
            await asyncio.sleep(self._last_look_s + MISS_INTERVAL_S - time.monotonic())
            self._next_look = None  # later callers need a read that starts after they asked
            self._last_look_s = time.monotonic()
            await asyncio.to_thread(self.refresh)
