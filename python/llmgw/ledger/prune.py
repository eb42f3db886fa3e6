"""Deletes rows of the ledger that are older than `[ledger] keep_days`.

In small batches with pauses, so that whoever writes meanwhile hardly waits, and in one process of the machine
at a time. Sums stay. The file does not become smaller, but what is free in it is used again.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from llmgw.budgets.windows import hour_of
from llmgw.config import Config
from llmgw.ledger.journal import pending
from llmgw.store import LedgerRow, Store

logger = logging.getLogger(__name__)

BATCH_ROWS: Final = 1000
PAUSE_S: Final = 0.2
"""Between two batches: a batch takes some milliseconds."""
INTERVAL_S: Final = 600.0
_FIRST_S: Final = 30.0
"""After the start, which has other things to do."""
_BUSY_TIMEOUT_S: Final = 0.5
_LOCK: Final = "prune.lock"
_PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700


class Pruner:
    """A thread of each worker."""

    def __init__(self, store: Store, config: Config, *, now: Callable[[], datetime] | None = None) -> None:
        """Starts nothing yet."""
        self._store = store
        self._keep_days = config.ledger.keep_days
        self._zone = ZoneInfo(config.prices.timezone)
        self._journal_folder = config.journal_folder
        self._folder = config.limits_folder
        self._now = now or (lambda: datetime.now(UTC))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, if rows are to be deleted."""
        if self._keep_days is None:
            return
        self._thread = threading.Thread(target=self._run, name="llmgw-prune", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, after the batch that is being deleted."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        wait_s = _FIRST_S
        while not self._stop.wait(wait_s):
            wait_s = INTERVAL_S
            try:
                self.prune()
            except (SQLAlchemyError, OSError) as error:
                logger.warning("old rows of the ledger can't be deleted now: %s", error)
            except Exception:
                logger.exception("a defect in what deletes old rows of the ledger")

    def prune(self) -> int:
        """Delete all rows that are too old. Their number; 0 if another process does it.

        Nothing while rows wait in journals: one that is stored already would be summed twice if it was
        deleted before its journal is replayed. Raises SQLAlchemyError, OSError.
        """
        if self._keep_days is None or pending(self._journal_folder).rows:
            return 0
        # Whole hours, so that an hour has all of its rows or none (`budgets.verify`).
        oldest = hour_of(self._now() - timedelta(days=self._keep_days), self._zone)
        deleted = 0
        with _lock(self._folder) as is_ours:
            while is_ours:
                number = self._delete(oldest)
                deleted += number
                if number < BATCH_ROWS or self._stop.wait(PAUSE_S):
                    break
        if deleted:
            logger.info("deleted %d rows of the ledger from before %s", deleted, oldest)
        return deleted

    def _delete(self, oldest: datetime) -> int:
        old = select(LedgerRow.id).where(LedgerRow.time < oldest).order_by(LedgerRow.time).limit(BATCH_ROWS)
        with self._store.write(busy_timeout_s=_BUSY_TIMEOUT_S) as session:
            return session.connection().execute(delete(LedgerRow).where(LedgerRow.id.in_(old))).rowcount


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """False while another process of this machine has it. The kernel gives it back when one dies."""
    folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(folder / _LOCK, flags, _PRIVATE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
