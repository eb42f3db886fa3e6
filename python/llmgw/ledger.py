"""The ledger: one row per request, written in batches by a thread, far from the hot path.

`Ledger.record` only appends to a queue in memory. Rows are kept until the database has them: a failed write
is tried again, and an orderly stop writes everything. The queue is bounded; what it can't hold is counted
and logged.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Dialect, String, cast, func, insert, or_, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from llmgw.store import ApiKey, LedgerRow, Store

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_S: Final = 0.5
BATCH_ROWS: Final = 500
CAPACITY_ROWS: Final = 100_000
CLOSE_TIMEOUT_S: Final = 10.0
"""At a stop, a failing database is tried for so long."""
_RETRY_INTERVAL_S: Final = 0.1
_MAX_TOKENS: Final = 2**40
"""More than any answer has. What an upstream claims beyond it would only make the sums overflow."""
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")


class LedgerEntry(NamedTuple):
    """One finished request. The fields are the columns of `LedgerRow`, explained there."""

    time_s: float
    """When it came in, in seconds since the epoch."""
    request_id: str
    status: int
    total_s: float
    key_id: int | None = None
    model: str | None = None
    upstream: str | None = None
    stream: bool = False
    finish_reason: str | None = None
    error_kind: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    usage_source: str = "none"
    thinking_asked: str | None = None
    thinking_sent: str | None = None
    thinking_observed: bool = False
    first_event_s: float | None = None
    attempts: int = 0
    attempt_errors: str | None = None


class Ledger:
    """Takes entries from the event loop and writes them from a thread."""

    def __init__(
        self,
        store: Store,
        *,
        flush_interval_s: float = FLUSH_INTERVAL_S,
        batch_rows: int = BATCH_ROWS,
        capacity_rows: int = CAPACITY_ROWS,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
        observe: Callable[[int, int], None] | None = None,
    ) -> None:
        """`observe(queued, dropped)` is called by the thread after each round, with the figures of then."""
        self._store = store
        self._flush_interval_s = flush_interval_s
        self._batch_rows = batch_rows
        self._capacity_rows = capacity_rows
        self._close_timeout_s = close_timeout_s
        self._observe = observe
        self._queue: deque[LedgerEntry] = deque()
        self._batch: list[LedgerEntry] = []  # taken from the queue, not committed yet
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False
        self.dropped = 0
        """Rows that were lost, since the start."""

    @property
    def queued(self) -> int:
        """Rows that the database does not have yet."""
        return len(self._queue) + len(self._batch)

    def start(self) -> None:
        """Begin to write. Call it in the process that records."""
        self._thread = threading.Thread(target=self._run, name="llmgw-ledger", daemon=True)
        self._thread.start()

    def record(self, entry: LedgerEntry) -> None:
        """Take an entry. No I/O, never raises; when the queue is full the entry is dropped and counted."""
        if self.queued >= self._capacity_rows:
            if self.dropped == 0:
                logger.error("the ledger's queue is full (%d rows); entries are lost", self._capacity_rows)
            self.dropped += 1
            return
        self._queue.append(entry)
        if len(self._queue) >= self._batch_rows:
            self._wake.set()

    async def close(self) -> None:
        """Write what is queued and stop. Without blocking the loop; record nothing afterwards."""
        await asyncio.to_thread(self.close_blocking)

    def close_blocking(self) -> None:
        """The same, for callers without a loop."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        deadline = time.monotonic() + self._close_timeout_s
        while not self._flush() and time.monotonic() < deadline:
            time.sleep(_RETRY_INTERVAL_S)
        if self.queued:
            logger.error("the database can't be written; %d ledger entries are lost", self.queued)
            self.dropped += self.queued
            self._queue.clear()
            self._batch = []
        self._report()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._flush_interval_s)
            self._wake.clear()
            if not self._flush():
                # A full queue wakes this thread at once; a failing database must not make it spin.
                self._stop.wait(self._flush_interval_s)
            self._report()

    def _report(self) -> None:
        if self._observe is not None:
            self._observe(self.queued, self.dropped)

    def _flush(self) -> bool:
        """Write the queue, a batch a transaction. False if the database fails; the rows then stay queued."""
        while self._batch or self._queue:
            if not self._batch:
                self._batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_rows))]
            try:
                self._write(self._batch)
            except OperationalError as error:
                if not self._failing:
                    logger.error("the ledger can't be written, it is kept in memory: %s", error.orig)  # noqa: TRY400
                self._failing = True
                return False
            except (SQLAlchemyError, ValueError, OverflowError):
                self._write_one_by_one(self._batch)
            self._batch = []
            if self._failing:
                logger.warning("the ledger can be written again")
                self._failing = False
        return True

    def _write(self, batch: list[LedgerEntry]) -> None:
        with self._store.write() as session:
            connection = session.connection()
            insertion, columns, time_of = _insertion(connection.dialect)
            rows = [_row(entry, columns, time_of) for entry in batch]
            connection.exec_driver_sql(insertion, rows)

    def _write_one_by_one(self, batch: list[LedgerEntry]) -> None:
        # One row that the database will never take must not keep back the others.
        for entry in batch:
            try:
                self._write([entry])
            except (SQLAlchemyError, ValueError, OverflowError):
                logger.exception("the ledger entry of request %s can't be stored", entry.request_id)
                self.dropped += 1


@cache
def _insertion(dialect: Dialect) -> tuple[str, tuple[str, ...], Callable[[datetime], Any]]:
    """The INSERT, its columns in their order, and how a time is written.

    Compiled once: for the same rows, SQLAlchemy's own bulk insert takes twice as long while it holds the
    interpreter that the requests need (10 against 17 to 33 µs a row).
    """
    table = LedgerRow.__table__
    columns = tuple("time" if name == "time_s" else name for name in LedgerEntry._fields)
    statement = insert(LedgerRow).values(dict.fromkeys(columns)).compile(dialect=dialect)
    time_of = table.c.time.type.dialect_impl(dialect).bind_processor(dialect)
    return str(statement), tuple(statement.positiontup or ()), time_of or (lambda time: time)


def _row(entry: LedgerEntry, columns: tuple[str, ...], time_of: Callable[[datetime], Any]) -> tuple[Any, ...]:
    values = entry._asdict()
    values["time"] = time_of(datetime.fromtimestamp(entry.time_s, UTC))
    for name in _COUNTS:
        if values[name] is not None:
            values[name] = min(values[name], _MAX_TOKENS)
    return tuple([values[column] for column in columns])


UsageBy = Literal["key", "model", "day"]


class UsageSum(NamedTuple):
    """The sums of one group of the ledger. Tokens that no upstream reported are not in them."""

    group: str
    """The key's id and name, the model's id, or the day (UTC, `2026-11-23`)."""
    requests: int
    errors: int
    """Requests that failed, with an error status or in the middle of a stream."""
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int


def sum_usage(store: Store, by: UsageBy) -> list[UsageSum]:
    """The ledger's sums, ordered by what they are grouped by. Raises SQLAlchemyError."""
    group, label = _GROUPS[by]
    failed = or_(LedgerRow.error_kind.is_not(None), LedgerRow.status >= _FIRST_ERROR_STATUS)
    tokens = [func.coalesce(func.sum(getattr(LedgerRow, name)), 0) for name in _COUNTS]
    query = (
        select(func.coalesce(label, "-"), func.count(), func.count().filter(failed), *tokens)
        .select_from(LedgerRow)
        .outerjoin(ApiKey, ApiKey.id == LedgerRow.key_id)
        .group_by(group)
        .order_by(group)
    )
    with store.read() as session:
        return [UsageSum(*row) for row in session.execute(query)]


_FIRST_ERROR_STATUS: Final = 400
_DAY: Final = func.date(LedgerRow.time)
# What is grouped by, and what stands for it in the answer.
_GROUPS: Final[dict[UsageBy, tuple[Any, Any]]] = {
    "key": (LedgerRow.key_id, cast(LedgerRow.key_id, String) + func.coalesce(" " + ApiKey.name, "")),
    "model": (LedgerRow.model, LedgerRow.model),
    "day": (_DAY, _DAY),
}
