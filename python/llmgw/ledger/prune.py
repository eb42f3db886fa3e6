"""Deletes rows of the ledger that are older than `[ledger] keep_days`, and makes room for those to come.

In small batches with pauses, so that those who write meanwhile hardly wait, in one process of a machine and
on one machine at a time. On PostgreSQL whole months are dropped (`ledger.months`). Sums stay. SQLite's file
does not become smaller, but what is free in it is used again.
"""

import fcntl
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from llmgw.budgets.windows import hour_of
from llmgw.config import Config
from llmgw.ledger.journal import pending
from llmgw.ledger.months import drop_months, has_months, make_months
from llmgw.ledger.pruned import note_pruned, take_turn
from llmgw.store import LedgerRow, Store
from llmgw.store.failures import cause_of

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

    def __init__(
        self,
        store: Store,
        config: Config,
        *,
        now: Callable[[], datetime] | None = None,
        machine: str | None = None,
    ) -> None:
        """Starts nothing yet. `machine`: a name that no other one has; None: that of the system."""
        self._store = store
        self._keep_days = config.ledger.keep_days
        self._zone = ZoneInfo(config.prices.timezone)
        self._journal_folder = config.journal_folder
        self._folder = config.limits_folder
        self._now = now or (lambda: datetime.now(UTC))
        self._machine = machine or socket.gethostname()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, if there is something to do."""
        if self._keep_days is None and not has_months(self._store):
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
            for work, failed in (
                (self.make_months, "the ledger's partitions of the next months can't be made now"),
                (self.prune, "old rows of the ledger can't be deleted now"),
            ):
                try:
                    work()
                except (SQLAlchemyError, OSError) as error:
                    logger.warning("%s: %s", failed, cause_of(error))
                except Exception:
                    logger.exception("a defect: %s", failed)

    def make_months(self) -> None:
        """Make the partitions that will be needed. Raises SQLAlchemyError."""
        for month in make_months(self._store, self._now(), wait=self._stop.wait):
            logger.info("made %s for the ledger's rows of that month", month.partition)

    def prune(self) -> int:
        """Delete all rows that are too old, if no other process does it. The number of those not in a month.

        Nothing while rows wait in journals of this machine: one that is stored already would be left out of
        the sums if it was deleted before its journal is replayed (`ledger.pruned`). Raises SQLAlchemyError,
        OSError.
        """
        if self._keep_days is None or pending(self._journal_folder).rows:
            return 0
        # Whole hours, so that an hour has all of its rows or none (`budgets.verify`).
        oldest = hour_of(self._now() - timedelta(days=self._keep_days), self._zone)
        deleted = 0
        with _lock(self._folder) as is_ours:
            if is_ours:
                self._drop(oldest)
            while is_ours:
                number = self._delete(oldest)
                deleted += number
                if number < BATCH_ROWS or self._stop.wait(PAUSE_S):
                    break
        if deleted:
            logger.info("deleted %d rows of the ledger from before %s", deleted, oldest)
        return deleted

    def _drop(self, oldest: datetime) -> None:
        now = self._now()
        dropped = drop_months(self._store, oldest, machine=self._machine, now=now, wait=self._stop.wait)
        for month in dropped:
            logger.info("dropped %s, the ledger's rows of that month", month.partition)

    def _delete(self, oldest: datetime) -> int:
        """One batch, the oldest first. 0: there are none, or another machine deletes."""
        times = select(LedgerRow.time).where(LedgerRow.time < oldest).order_by(LedgerRow.time)
        with self._store.append(busy_timeout_s=_BUSY_TIMEOUT_S) as session:
            connection = session.connection()
            last = connection.scalar(times.offset(BATCH_ROWS - 1).limit(1))
            if last is None:
                last = connection.scalar(select(func.max(LedgerRow.time)).where(LedgerRow.time < oldest))
            if last is None or not take_turn(connection, self._machine, self._now()):
                return 0
            note_pruned(connection, last)
            # Bounded above too, so that PostgreSQL looks at no later month.
            old = select(LedgerRow.id).where(LedgerRow.time <= last).order_by(LedgerRow.time)
            is_old = LedgerRow.id.in_(old.limit(BATCH_ROWS))
            deletion = delete(LedgerRow).where(is_old, LedgerRow.time <= last)
            return connection.execute(deletion).rowcount


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
