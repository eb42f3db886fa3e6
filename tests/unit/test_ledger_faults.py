"""The ledger on real SQLite files that fail: every row arrives, exactly once, with its tokens."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC
from pathlib import Path

import pytest
from sqlalchemy import event, text

from llmgw.access.keys import create_key
from llmgw.ledger.entry import LedgerEntry, LedgerState, NotDurableError
from llmgw.ledger.journal import Journal, pending
from llmgw.ledger.usage import Totals, UsageSum, sum_usage
from llmgw.ledger.writer import Ledger
from llmgw.store import StoreGoneError, open_store
from llmgw.store.sqlite import SqliteStore
from tests.support.processes import wait_until

TIMEOUT_S = 20.0
COUNT = 300
Fault = Callable[[SqliteStore, Path], Callable[[], None]]
"""Breaks the database; what it returns mends it."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are hardly waited for, and failures tried again soon."""
    monkeypatch.setattr("llmgw.ledger.writer.BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr("llmgw.ledger.writer._RETRY_INTERVAL_S", 0.02)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "llmgw.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    opened = opened_at(file)
    yield opened
    opened.close()


def opened_at(file: Path) -> SqliteStore:
    opened = open_store(f"sqlite:///{file}")
    assert isinstance(opened, SqliteStore)
    return opened


def entries(first: int, count: int) -> list[LedgerEntry]:
    return [
        LedgerEntry(1.8e9 + number, f"req_{number}", 200, 1.5, model="m", completion_tokens=number)
        for number in range(first, first + count)
    ]


def ledger_of(store: SqliteStore, file: Path) -> Ledger:
    return Ledger(store, journal=Journal(journal_of(file), max_bytes=10_000_000), flush_interval_s=0.01)


def journal_of(file: Path) -> Path:
    return file.with_name(file.name + ".journal")


def stored(file: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(file, timeout=TIMEOUT_S)) as connection:
        query = "SELECT request_id, completion_tokens FROM ledger ORDER BY completion_tokens"
        return list(connection.execute(query))


def expected(count: int) -> list[tuple[str, int]]:
    return [(f"req_{number}", number) for number in range(count)]


def locked(_store: SqliteStore, file: Path) -> Callable[[], None]:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    def mend() -> None:
        other.rollback()
        other.close()

    return mend


def _with_pragma(store: SqliteStore, pragma: str, unset: str) -> Callable[[], None]:
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(pragma)

    event.listen(store._engine, "connect", on_connect)
    store._engine.dispose()

    def mend() -> None:
        event.remove(store._engine, "connect", on_connect)
        store._engine.dispose()
        with store.read() as session:
            session.execute(text(unset))

    return mend


def full(store: SqliteStore, _file: Path) -> Callable[[], None]:
    """SQLite's own bound on the file: the code is that of a full disk."""
    return _with_pragma(store, "PRAGMA max_page_count=1", "PRAGMA max_page_count=4294967294")


def read_only(store: SqliteStore, _file: Path) -> Callable[[], None]:
    """The code is that of a file system that was mounted again for reading only."""
    return _with_pragma(store, "PRAGMA query_only=ON", "PRAGMA query_only=OFF")


def moved(_store: SqliteStore, file: Path) -> Callable[[], None]:
    away = file.parent / "away"
    away.mkdir()

    def move(source: Path, target: Path) -> None:
        for path in source.glob("llmgw.db*"):
            if path.is_file():
                path.rename(target / path.name)

    move(file.parent, away)
    return lambda: move(away, file.parent)


def deleted_and_restored(store: SqliteStore, file: Path) -> Callable[[], None]:
    with store.read() as session:
        session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    backup = file.with_name("backup.db")
    shutil.copyfile(file, backup)
    for name in ("", "-wal", "-shm"):
        file.with_name(file.name + name).unlink()
    return lambda: os.replace(backup, file)  # noqa: PTH105


def corrupt(store: SqliteStore, file: Path) -> Callable[[], None]:
    with store.read() as session:
        session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    good = file.read_bytes()

    def write(data: bytes) -> None:
        with file.open("r+b") as opened:
            opened.write(data)
        store._engine.dispose()  # nothing of the old pages is in memory

    write(good[:100] + b"\xa5" * (len(good) - 100))
    return lambda: write(good)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault for fault in (locked, full, read_only, moved, deleted_and_restored, corrupt)
}


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_wait_in_the_journal_and_arrive_once(store: SqliteStore, file: Path, fault: str) -> None:
    states: list[LedgerState] = []
    ledger = ledger_of(store, file)
    ledger._observe = states.append
    ledger.start()
    for entry in entries(0, COUNT):
        ledger.record(entry)
    wait_until(lambda: len(stored(file)) == COUNT, "written", timeout_s=TIMEOUT_S)
    mend = FAULTS[fault](store, file)
    for entry in entries(COUNT, COUNT):
        ledger.record(entry)
    wait_until(lambda: ledger.state.journal_rows == COUNT, "in the journal", timeout_s=TIMEOUT_S)
    assert pending(journal_of(file)).rows == COUNT
    assert ledger.warnings == ["the database can't be written; ledger rows wait in the journal"]
    mend()
    wait_until(lambda: len(stored(file)) == 2 * COUNT, "replayed", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert stored(file) == expected(2 * COUNT)
    assert pending(journal_of(file)).rows == 0
    assert states[-1] == LedgerState(0, 0, 0, 0, healthy=True)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stop_leaves_them_to_the_next_start(store: SqliteStore, file: Path, fault: str) -> None:
    ledger = ledger_of(store, file)
    ledger.start()
    mend = FAULTS[fault](store, file)
    for entry in entries(0, COUNT):
        ledger.record(entry)
    ledger.close_blocking()
    assert (ledger.queued, ledger.dropped) == (0, 0)
    assert pending(journal_of(file)).rows == COUNT
    mend()
    ledger = ledger_of(store, file)
    ledger.start()
    ledger.record(entries(COUNT, 1)[0])
    wait_until(lambda: len(stored(file)) == COUNT + 1, "replayed", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert stored(file) == expected(COUNT + 1)
    assert pending(journal_of(file)).rows == 0


def test_without_its_folder_rows_stay_in_memory(store: SqliteStore, file: Path, tmp_path: Path) -> None:
    """Database and journal gone together."""
    ledger = ledger_of(store, file)
    ledger.start()
    file.parent.rename(tmp_path / "elsewhere")
    for entry in entries(0, COUNT):
        ledger.record(entry)
    memory = "the database can't be written; ledger rows wait in memory only"
    wait_until(lambda: ledger.warnings == [memory], "noticed", timeout_s=TIMEOUT_S)
    assert ledger.queued == COUNT
    (tmp_path / "elsewhere").rename(file.parent)
    wait_until(lambda: len(stored(file)) == COUNT, "written", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert stored(file) == expected(COUNT)


def test_a_row_that_was_committed_and_journaled_counts_once(store: SqliteStore, file: Path) -> None:
    """The crash between a commit and the removal of the journal."""
    dead = Journal(journal_of(file), max_bytes=10_000_000)
    dead.append(entry._asdict() for entry in entries(0, 10))
    dead.close()
    first = Ledger(store)
    for entry in entries(0, 5):
        first.record(entry)
    first.close_blocking()
    ledger = ledger_of(store, file)
    ledger.start()
    wait_until(lambda: pending(journal_of(file)).rows == 0, "replayed", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert stored(file) == expected(10)
    assert ledger.dropped == 0
    # The first one used no tokens, the others cost nothing that is known.
    totals = Totals(10, 0, 9, 0, sum(range(10)), 0, 0, 0)
    assert sum_usage(store, ["model"], UTC).sums == [UsageSum(("m",), totals, {})]


def test_the_rows_of_a_process_that_dies_later_are_taken_over(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmgw.ledger.writer._ADOPT_INTERVAL_S", 0.02)
    dying = Journal(journal_of(file), max_bytes=10_000_000)
    dying.append(entry._asdict() for entry in entries(0, 10))
    ledger = ledger_of(store, file)
    ledger.start()
    ledger.record(entries(10, 1)[0])
    wait_until(lambda: len(stored(file)) == 1, "written", timeout_s=TIMEOUT_S)
    assert pending(journal_of(file)).rows == 10  # its owner lives
    dying.close()
    wait_until(lambda: len(stored(file)) == 11, "taken over", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert stored(file) == expected(11)


def test_rows_of_another_version(store: SqliteStore, file: Path) -> None:
    dead = Journal(journal_of(file), max_bytes=10_000_000)
    [row] = [entry._asdict() for entry in entries(0, 1)]
    del row["cached_tokens"]
    dead.append([{**row, "a_later_column": 1}, {"request_id": "lacks all else"}])
    dead.close()
    ledger = ledger_of(store, file)
    ledger.start()
    wait_until(lambda: pending(journal_of(file)).rows == 0, "replayed", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert stored(file) == expected(1)
    assert ledger.dropped == 1


async def commit_all(ledger: Ledger, rows: list[LedgerEntry]) -> list[BaseException | None]:
    return list(await asyncio.gather(*map(ledger.commit, rows), return_exceptions=True))


def test_a_commit_returns_when_the_row_is_in_the_database(store: SqliteStore, file: Path) -> None:
    ledger = Ledger(store, flush_interval_s=60)
    ledger.start()

    async def serve() -> None:
        for number, entry in enumerate(entries(0, 10)):
            await ledger.commit(entry)
            assert stored(file) == expected(number + 1)

    asyncio.run(serve())
    ledger.close_blocking()


def test_commits_that_wait_together_share_transactions(store: SqliteStore, file: Path) -> None:
    transactions = 0

    def count(_connection: object) -> None:
        nonlocal transactions
        transactions += 1

    ledger = Ledger(store, flush_interval_s=60)
    event.listen(store._engine, "commit", count)
    ledger.start()
    assert asyncio.run(commit_all(ledger, entries(0, COUNT))) == [None] * COUNT
    assert stored(file) == expected(COUNT)
    assert transactions < COUNT / 5
    ledger.close_blocking()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_commit_goes_to_the_journal_while_the_database_fails(
    store: SqliteStore, file: Path, fault: str
) -> None:
    ledger = ledger_of(store, file)
    ledger.start()
    mend = FAULTS[fault](store, file)
    assert asyncio.run(commit_all(ledger, entries(0, COUNT))) == [None] * COUNT
    assert pending(journal_of(file)).rows == COUNT
    mend()
    wait_until(lambda: len(stored(file)) == COUNT, "replayed", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert stored(file) == expected(COUNT)


def test_a_commit_fails_where_neither_takes_it(store: SqliteStore, file: Path, tmp_path: Path) -> None:
    ledger = ledger_of(store, file)
    ledger.start()
    file.parent.rename(tmp_path / "elsewhere")
    outcomes = asyncio.run(commit_all(ledger, entries(0, 20)))
    assert [type(outcome) for outcome in outcomes] == [NotDurableError] * 20
    assert ledger.queued == 0  # what was refused is not written later, as if it had been answered
    (tmp_path / "elsewhere").rename(file.parent)
    wait_until(lambda: not ledger.warnings, "healthy again", timeout_s=TIMEOUT_S)
    assert asyncio.run(commit_all(ledger, entries(0, 1))) == [None]
    ledger.close_blocking()
    assert stored(file) == expected(1)


def test_a_commit_of_a_row_that_can_never_be_stored_fails(store: SqliteStore, file: Path) -> None:
    ledger = ledger_of(store, file)
    ledger.start()
    good, bad, later = entries(0, 3)
    rows = [good, bad._replace(finish_reason="\ud800"), later]
    outcomes = asyncio.run(commit_all(ledger, rows))
    assert [type(outcome) for outcome in outcomes] == [type(None), NotDurableError, type(None)]
    assert asyncio.run(commit_all(ledger, [bad])) == [None]
    ledger.close_blocking()
    assert stored(file) == expected(3)
    assert not ledger.warnings  # the database is not to blame


def test_a_commit_that_hangs_is_given_up(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.ledger.writer.COMMIT_TIMEOUT_S", 0.05)
    ledger = Ledger(store)  # nobody writes
    with pytest.raises(NotDurableError):
        asyncio.run(ledger.commit(entries(0, 1)[0]))


WRITER = """
import asyncio, sys
from pathlib import Path
from llmgw.ledger.journal import Journal
from llmgw.ledger.writer import Ledger
from llmgw.ledger.entry import LedgerEntry
from llmgw.store import open_store

file, first = Path(sys.argv[1]), int(sys.argv[2])
journal = Journal(file.with_name(file.name + ".journal"), max_bytes=10_000_000)
ledger = Ledger(open_store(f"sqlite:///{file}"), journal=journal)
ledger.start()

async def answer(number):
    while True:
        await ledger.commit(LedgerEntry(1.8e9, f"req_{number}", 200, 1.5, completion_tokens=number))
        print(number, flush=True)  # the answer's last frame
        number += 8

async def serve():
    await asyncio.gather(*(answer(first + number) for number in range(8)))

asyncio.run(serve())
"""


@pytest.mark.parametrize("lock", [False, True], ids=["database", "journal"])
def test_killed_at_any_moment_no_answered_row_is_lost_or_doubled(file: Path, lock: bool) -> None:  # noqa: FBT001
    """SIGKILL, again and again, in the middle of commits, replays and adoptions."""
    store = opened_at(file)
    answered: set[int] = set()
    for life in range(5):
        with ExitStack() as stack:
            if lock and life % 2 == 0:
                stack.callback(locked(store, file))
            first = life * 1_000_000
            command = [sys.executable, "-c", WRITER, str(file), str(first)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert process.stdout is not None
            enough = 5 + 61 * life  # a different moment each time
            for line in process.stdout:
                answered.add(int(line))
                enough -= 1
                if enough == 0:
                    process.send_signal(signal.SIGKILL)
            assert process.wait(TIMEOUT_S) == -signal.SIGKILL
    ledger = ledger_of(store, file)
    ledger.start()
    wait_until(lambda: pending(journal_of(file)).rows == 0, "replayed", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    store.close()
    rows = [request_id for request_id, _ in stored(file)]
    assert len(rows) == len(set(rows))
    assert {f"req_{number}" for number in answered} <= set(rows)
    # A row may be there that nobody was told of: at most those that were being committed at each death.
    assert len(rows) <= len(answered) + 5 * 8
    assert list(journal_of(file).glob("*")) == [] if journal_of(file).exists() else True


def test_a_key_is_not_made_in_a_file_that_is_gone(store: SqliteStore, file: Path) -> None:
    file.unlink()
    with pytest.raises(StoreGoneError, match="is gone"):
        create_key(store, actor="test", name="n")
    assert not file.exists()
