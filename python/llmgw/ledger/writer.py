"""How ledger rows get on disk: one row per request, written in batches by a thread off the hot path.

`Ledger.record` only appends to a queue in memory; `Ledger.commit` waits until the row is on disk. While the
database fails, rows go to the journal (`ledger.journal`), and from there into the database when it works
again. If the journal fails too, rows stay in the queue, which is bounded; rows beyond it are counted and
logged as lost.

The transaction that inserts rows also adds them to the hourly sums and to what budgets have spent
(`ledger.sums`, `budgets.spend`).
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from llmgw.budgets.at_once import WindowsNotOpenError
from llmgw.budgets.spend import Spent
from llmgw.ledger.entry import LedgerEntry, LedgerState, NotDurableError, is_entry
from llmgw.ledger.journal import Journal
from llmgw.ledger.pruned import too_late
from llmgw.ledger.sums import Books
from llmgw.store import Store
from llmgw.store.failures import cause_of, is_of_the_database

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_S: Final = 0.5

BATCH_ROWS: Final = 500

CAPACITY_ROWS: Final = 100_000

CLOSE_TIMEOUT_S: Final = 10.0
"""At a stop, how long to retry rows that neither the database nor the journal takes."""

BUSY_TIMEOUT_S: Final = 1.0
"""How long to wait for another process's lock on the database before rows go to the journal."""

COMMIT_TIMEOUT_S: Final = 10.0
"""`Ledger.commit` gives up after this time."""

_RETRY_INTERVAL_S: Final = 0.5

_RETRY_BUSY_TIMEOUT_S: Final = 0.05

_CLOSE_INTERVAL_S: Final = 0.1

_DEFECTS_BEFORE_LOSS: Final = 3
"""After so many rounds in a row that ended in an unexpected exception, the rows of the batch are given up."""

_ADOPT_INTERVAL_S: Final = 5.0
"""How often to look for journals of dead processes: one listing of a folder that rarely exists."""


class _Commit(NamedTuple):
    """A row with a waiting request."""

    entry: LedgerEntry
    loop: asyncio.AbstractEventLoop
    durable: asyncio.Future[bool]


OnStored = Callable[[Sequence[str], Sequence[Spent]], None]


class Ledger:
    """Takes entries on the event loop and writes them on a thread."""

    def __init__(  # noqa: PLR0913  (each is of another caller)
        self,
        store: Store,
        *,
        journal: Journal | None = None,
        flush_interval_s: float = FLUSH_INTERVAL_S,
        batch_rows: int = BATCH_ROWS,
        capacity_rows: int = CAPACITY_ROWS,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
        observe: Callable[[LedgerState], None] | None = None,
        zone: tzinfo = UTC,
        on_stored: OnStored | None = None,
    ) -> None:
        """`journal` None: rows stay in memory while the database fails.

        `observe` is called by the thread after each round. `zone`: whose hours and days are summed.
        `on_stored` is called by the thread after each transaction, with the request ids that the database now
        has and what the budgets came to that they changed; also with those of rows that are lost, since
        nothing will come of them. Rows in the journal are told when they leave it.
        """
        self._store = store
        self._journal = journal
        self._flush_interval_s = flush_interval_s
        self._batch_rows = batch_rows
        self._capacity_rows = capacity_rows
        self._close_timeout_s = close_timeout_s
        self._observe = observe
        self._books = Books(zone)
        self._on_stored = on_stored
        self._queue: deque[LedgerEntry] = deque()
        self._commits: deque[_Commit] = deque()
        self._batch: list[LedgerEntry] = []  # taken from the queue, neither committed nor in the journal yet
        self._taken: list[_Commit] = []  # the commits of this round that nobody has been told of yet
        self._defects = 0  # rounds in a row that ended in an unexpected exception
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._healthy = True
        self._journaling = True
        self._retry_at_s = float("-inf")
        self._adopt_at_s = float("-inf")
        self._overflowed = 0  # counted on the event loop
        self._dropped_ids: deque[str] = deque(maxlen=capacity_rows)  # of those, not told yet
        self._lost = 0  # counted by the thread
        self._refused: set[str] = set()  # ids of the rows just written that the database will never take

    @property
    def dropped(self) -> int:
        """Rows that were lost since the start."""
        return self._overflowed + self._lost + (self._journal.damaged if self._journal else 0)

    @property
    def queued(self) -> int:
        """Rows that are only in memory."""
        return len(self._queue) + len(self._batch)

    @property
    def state(self) -> LedgerState:
        """The current figures; exact only on the ledger's thread."""
        journal = self._journal
        rows, size_bytes = (journal.rows, journal.size_bytes) if journal else (0, 0)
        set_aside = journal.set_aside if journal else 0
        return LedgerState(self.queued, self.dropped, rows, size_bytes, self._healthy, set_aside)

    @property
    def warnings(self) -> list[str]:
        """What an operator should know."""
        warnings = []
        if not self._healthy:
            refuge = "the journal" if self._journal and self._journaling else "memory only"
            warnings.append(f"the database can't be written; ledger rows wait in {refuge}")
        if self._journal and (files := self._journal.set_aside):
            noun = "1 file" if files == 1 else f"{files} files"
            warnings.append(
                f"the journal has {noun} with something that can't be replayed; the log says which"
            )
        return warnings

    def start(self) -> None:
        """Start the thread. Call it in the process that records."""
        self._thread = threading.Thread(target=self._run, name="llmgw-ledger", daemon=True)
        self._thread.start()

    def record(self, entry: LedgerEntry) -> None:
        """Queue an entry. No I/O, never raises; if the queue is full, the entry is dropped and counted."""
        if self.queued >= self._capacity_rows:
            if self._overflowed == 0:
                logger.error("the ledger's queue is full (%d rows); entries are lost", self._capacity_rows)
            self._overflowed += 1
            self._dropped_ids.append(entry.request_id)
            return
        self._queue.append(entry)
        if len(self._queue) >= self._batch_rows:
            self._wake.set()

    async def commit(self, entry: LedgerEntry) -> None:
        """Return when the entry is on disk: in the database, or in the journal while that fails.

        Callers that wait at the same time share one transaction. Raises NotDurableError; the entry is then
        not kept. (After a time-out it may still get on disk. Recording another entry with its request id is
        harmless: the first one stays.)
        """
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[bool] = loop.create_future()
        self._commits.append(_Commit(entry, loop, durable))
        self._wake.set()
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                on_disk = await durable
        except TimeoutError:
            on_disk = False
        if not on_disk:
            raise NotDurableError

    async def close(self) -> None:
        """Write the queue and stop, without blocking the loop. Record nothing afterwards."""
        await asyncio.to_thread(self.close_blocking)

    def close_blocking(self) -> None:
        """`close` for callers without a loop."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        deadline = time.monotonic() + self._close_timeout_s
        self._retry_at_s = float("-inf")
        while (self._guarded_round() or self.queued) and time.monotonic() < deadline:
            if self.queued:
                time.sleep(_CLOSE_INTERVAL_S)
                self._retry_at_s = float("-inf")
        if self.queued:
            logger.error("the database can't be written; %d ledger entries are lost", self.queued)
            self._lost += self.queued
            self._tell([entry.request_id for entry in (*self._queue, *self._batch)])
            self._queue.clear()
            self._batch = []
        self._tell_dropped()
        if self._journal is not None:
            if self._journal.rows:
                logger.warning("%d ledger entries wait in the journal for the next start", self._journal.rows)
            self._journal.close()
        self._report()

    def _run(self) -> None:
        more = True
        while not self._stop.is_set():
            if time.monotonic() >= self._adopt_at_s:
                self._adopt()
            # A full queue wakes this thread at once; `_round` pauses if the disk fails.
            if not more:
                self._wake.wait(self._flush_interval_s)
            self._wake.clear()
            more = self._guarded_round()
            self._report()

    def _report(self) -> None:
        if self._observe is not None:
            self._observe(self.state)

    def _tell(self, request_ids: Sequence[str], spents: Sequence[Spent] = ()) -> None:
        """Rows are stored or lost. What the listener does can't make the writer fail."""
        if self._on_stored is None or not request_ids:
            return
        try:
            self._on_stored(request_ids, spents)
        except Exception:
            logger.exception("a defect in what follows the ledger")

    def _tell_dropped(self) -> None:
        if self._dropped_ids:
            self._tell([self._dropped_ids.popleft() for _ in range(len(self._dropped_ids))])

    def _guarded_round(self) -> bool:
        try:
            self._tell_dropped()
            more = self._round()
        except Exception:
            # The thread must survive, or the queue would only grow.
            logger.exception("a defect in the ledger")
            self._settle(on_disk=False)
            self._give_up_after(_DEFECTS_BEFORE_LOSS)
            self._stop.wait(self._flush_interval_s)
            return False
        self._defects = 0
        return more

    def _give_up_after(self, defects: int) -> None:
        """Drop and count a batch that no round gets rid of: the rows behind it must not wait for ever."""
        self._defects += 1
        if self._batch and self._defects >= defects:
            logger.error("%d ledger entries can't be stored, they are lost", len(self._batch))
            self._lost += len(self._batch)
            self._tell([entry.request_id for entry in self._batch])
            self._batch = []

    def _round(self) -> bool:
        """Flush queued rows, then replay part of the journal. Returns True if more remains."""
        # A transaction costs as much as a hundred rows, and under load a few new rows always arrive in the
        # meantime. They wait for the next round, unless they fill a batch or a request waits for them.
        fullest = 1
        while self._batch or self._commits or len(self._queue) >= fullest:
            fullest = self._batch_rows
            self._taken = self._take_commits()
            waited_for = [commit.entry for commit in self._taken]
            if not self._batch:
                count = min(len(self._queue), self._batch_rows)
                self._batch = [self._queue.popleft() for _ in range(count)]
            rows = waited_for + self._batch
            # While the database fails, rows go to the journal; `_replay` finds out when it works again.
            on_disk = (self._healthy and self._insert(rows)) or self._append(rows) or self._try_again(rows)
            self._settle(on_disk=on_disk)
            if not on_disk:
                # The other rows stay in the batch, and the next round tries again.
                self._stop.wait(min(self._flush_interval_s, _RETRY_INTERVAL_S))
                return False
            self._batch = []
        return self._replay()

    def _take_commits(self) -> list[_Commit]:
        return [self._commits.popleft() for _ in range(min(len(self._commits), self._batch_rows))]

    def _settle(self, *, on_disk: bool) -> None:
        """Tell the waiting requests of this round whether their rows are on disk."""
        commits, self._taken = self._taken, []
        refused, self._refused = self._refused, set()
        if not commits:
            return

        def settle() -> None:
            for commit in commits:
                if not commit.durable.done():  # the request may have been cancelled or timed out
                    commit.durable.set_result(on_disk and commit.entry.request_id not in refused)

        with suppress(RuntimeError):  # the loop is closed, so no request waits
            commits[0].loop.call_soon_threadsafe(settle)

    def _try_again(self, rows: list[LedgerEntry]) -> bool:
        """`_insert`, if the last failure is long enough ago."""
        return time.monotonic() >= self._retry_at_s and self._insert(rows)

    def _insert(self, rows: list[LedgerEntry], *, replayed: bool = False) -> bool:
        """Write rows into the database. False if that fails. Rows that it refuses are dropped and counted.

        `replayed`: they are from a journal, so the database may have had them before.
        """
        try:
            self._write(rows, replayed=replayed)
        except Exception as error:  # noqa: BLE001  (whatever a row does: it must not stop the others)
            if is_of_the_database(error) or not self._insert_one_by_one(rows, replayed=replayed):
                self._fail(error)
                return False
        if not self._healthy:
            logger.warning("the ledger can be written again")
            self._healthy = True
        return True

    def _insert_one_by_one(self, rows: list[LedgerEntry], *, replayed: bool) -> bool:
        """Write rows singly, so that one that the database refuses does not block the others."""
        refused: set[str] = set()
        for entry in rows:
            try:
                self._write([entry], replayed=replayed)
            except Exception as error:
                if is_of_the_database(error):
                    return False
                logger.exception("the ledger entry of request %s can't be stored", entry.request_id)
                refused.add(entry.request_id)
        self._lost += len(refused)
        self._refused |= refused
        self._tell(list(refused))
        return True

    def _fail(self, error: Exception) -> None:
        if self._healthy:
            cause = cause_of(error)
            refuge = "in the journal" if self._journal else "in memory"
            logger.error("the ledger can't be written, it is kept %s: %s", refuge, cause)
        self._healthy = False
        self._retry_at_s = time.monotonic() + _RETRY_INTERVAL_S

    def _write(self, batch: list[LedgerEntry], *, replayed: bool = False) -> None:
        busy_timeout_s = BUSY_TIMEOUT_S if self._healthy else _RETRY_BUSY_TIMEOUT_S
        try:
            with self._store.append(busy_timeout_s=busy_timeout_s) as session:
                late, spents = self._add(session.connection(), batch, alone=False, replayed=replayed)
        except WindowsNotOpenError:
            with self._store.write(busy_timeout_s=busy_timeout_s) as session:
                late, spents = self._add(session.connection(), batch, alone=True, replayed=replayed)
        if late:
            logger.error(
                "%d ledger rows of a journal come too late: older ones than they were deleted already, so it "
                "can't be known whether they were counted, and they are left out", len(late),
            )  # fmt: skip
            self._lost += len(late)
        self._tell([entry.request_id for entry in batch], spents)

    def _add(
        self, connection: Connection, batch: list[LedgerEntry], *, alone: bool, replayed: bool
    ) -> tuple[set[str], Sequence[Spent]]:
        """The ids of rows that come too late, and what budgets came to. Raises WindowsNotOpenError."""
        late = too_late(connection, batch) if replayed else set()
        rows = [entry for entry in batch if entry.request_id not in late] if late else batch
        if not rows:
            return late, ()
        return late, self._books.add(connection, rows, self._store.generation, alone=alone)

    def _append(self, rows: list[LedgerEntry]) -> bool:
        """Write rows into the journal. False if that fails too."""
        if self._journal is None:
            return False
        try:
            self._journal.append(entry._asdict() for entry in rows)
        except OSError as error:
            if self._journaling:
                logger.error("the ledger's journal can't be written either: %s", error)  # noqa: TRY400
            self._journaling = False
            return False
        if not self._journaling:
            logger.warning("the ledger's journal can be written again")
            self._journaling = True
        return True

    def _adopt(self) -> None:
        self._adopt_at_s = time.monotonic() + _ADOPT_INTERVAL_S
        if self._journal is not None:
            self._journal.adopt()

    def _replay(self) -> bool:
        """Move some rows from the journal into the database. True if more remain.

        While the database fails, this is also the attempt that finds out whether it works again.
        """
        if not self._healthy and time.monotonic() < self._retry_at_s:
            return False
        if self._journal is None:
            if not self._healthy:
                self._insert([])
            return False
        try:
            batch = self._journal.read(self._batch_rows, is_entry)
            if self._healthy and batch is None:
                return False
            if not self._insert([_entry(row) for row in batch.rows] if batch else [], replayed=True):
                return False
            self._journal.forget()
        except OSError:
            logger.exception("the ledger's journal can't be read")
            return False
        return batch is not None


def _entry(row: dict[str, Any]) -> LedgerEntry:
    """Of a row that `is_entry`. What a newer version of llmgw has added is left out."""
    return LedgerEntry(**{name: row[name] for name in LedgerEntry._fields if name in row})
