"""The ledger on a PostgreSQL that fails at the worst moments: every row arrives, and counts exactly once."""

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from llmgw.budgets.verify import verify
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.journal import Journal, pending
from llmgw.ledger.writer import Ledger
from llmgw.store import LedgerRow, Store, UsageHour, open_store
from tests.support.budgets import add_budget
from tests.support.postgres import PostgresServer
from tests.support.processes import wait_until
from tests.support.proxy import Proxy

TIMEOUT_S = 30.0
ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
COUNT = 60
LIVES = 3


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that these tests may kill."""
    with PostgresServer(durable=True) as started:
        yield started


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[Proxy]:
    with Proxy(server.port) as started:
        yield started


@pytest.fixture
def database(server: PostgresServer) -> str:
    return server.new_database()


@pytest.fixture
def store(server: PostgresServer, database: str) -> Iterator[Store]:
    """Not by the proxy."""
    opened = open_store(server.url(database))
    yield opened
    opened.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are tried again soon."""
    monkeypatch.setattr("llmgw.ledger.writer._RETRY_INTERVAL_S", 0.02)


def entries(first: int, count: int) -> list[LedgerEntry]:
    return [
        LedgerEntry(
            NOW.timestamp(), f"req_{number}", 200, 1.5,
            key_id=1, project_id=1, model="m", completion_tokens=number,
        )
        for number in range(first, first + count)
    ]  # fmt: skip


def stored(store: Store) -> list[str]:
    with store.read() as session:
        return list(session.scalars(select(LedgerRow.request_id)))


def counted(store: Store) -> int:
    with store.read() as session:
        return int(session.scalar(select(func.sum(UsageHour.requests))) or 0)


def assert_exact(store: Store) -> None:
    """Sums and budgets are what the rows come to."""
    rows = stored(store)
    assert len(rows) == len(set(rows)) == counted(store)
    report = verify(store, ZONE, NOW + timedelta(minutes=1), keep_days=None)
    assert report.is_right, report
    assert report.windows > 0


@pytest.mark.usefixtures("impatient")
def test_commits_whose_answers_are_lost(
    server: PostgresServer, database: str, store: Store, proxy: Proxy, tmp_path: Path
) -> None:
    """The rows are in the database and in the journal. They are counted and paid for once."""
    add_budget(store, ZONE, created_at=NOW - timedelta(days=1), unit="tokens", period="day")
    journal = Journal(tmp_path / "journal", max_bytes=10_000_000)
    by_proxy = open_store(server.url(database, port=proxy.port, more="sslmode=disable"))
    ledger = Ledger(by_proxy, journal=journal, zone=ZONE, flush_interval_s=0.01)
    ledger.start()

    async def commit(first: int) -> None:
        await asyncio.gather(*map(ledger.commit, entries(first, 10)))

    for round_number in range(COUNT // 10):
        proxy.lost_commits = round_number % 3
        asyncio.run(commit(10 * round_number))
    wait_until(lambda: len(stored(store)) == COUNT, "stored", timeout_s=TIMEOUT_S)
    wait_until(lambda: pending(tmp_path / "journal").rows == 0, "replayed", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    by_proxy.close()
    assert proxy.lost_commits < 2
    assert ledger.dropped == 0
    assert_exact(store)


WRITER = """
import asyncio, sys
from pathlib import Path
from zoneinfo import ZoneInfo
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.journal import Journal
from llmgw.ledger.writer import Ledger
from llmgw.store import store_at

url, folder, first, now_s = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
ledger = Ledger(store_at(url), journal=Journal(folder, max_bytes=10_000_000), zone=ZoneInfo("Asia/Shanghai"))
ledger.start()

async def answer(number):
    while True:
        entry = LedgerEntry(
            now_s, f"req_{number}", 200, 1.5, key_id=1, project_id=1, model="m", completion_tokens=1
        )
        await ledger.commit(entry)
        print(number, flush=True)  # the answer's last frame
        number += 8

async def serve():
    await asyncio.gather(*(answer(first + number) for number in range(8)))

asyncio.run(serve())
"""


def test_killed_at_any_moment_no_answered_row_is_lost_or_doubled(
    server: PostgresServer, database: str, store: Store, proxy: Proxy, tmp_path: Path
) -> None:
    """The writer by SIGKILL, the server too, and connections between a commit and its answer."""
    add_budget(store, ZONE, created_at=NOW - timedelta(days=1), unit="tokens", period="day")
    url = server.url(database, port=proxy.port, more="sslmode=disable")
    rng, folder = random.Random(48), tmp_path / "journal"
    answered: set[int] = set()
    for life in range(LIVES):
        command = [sys.executable, "-c", WRITER, url, str(folder), str(life * 1_000_000)]
        with subprocess.Popen([*command, str(NOW.timestamp())], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            moments = {rng.randrange(5, 150): act for act in ("commit", "kill", "start")}
            enough = rng.randrange(150, 250)
            for line in writer.stdout:
                answered.add(int(line))
                enough -= 1
                match moments.get(enough):
                    case "commit":
                        proxy.lost_commits = 1
                    case "kill" if server.is_running:
                        server.kill()
                    case "start" if not server.is_running:
                        server.start()
                if enough == 0:
                    writer.send_signal(signal.SIGKILL)
            assert writer.wait(TIMEOUT_S) == -signal.SIGKILL
        if not server.is_running:
            server.start()
    proxy.lost_commits = 0
    ledger = Ledger(store, journal=Journal(folder, max_bytes=10_000_000), zone=ZONE)
    ledger.start()
    wait_until(lambda: pending(folder).rows == 0, "replayed", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    rows = set(stored(store))
    assert {f"req_{number}" for number in answered} <= rows
    # A row may be there that nobody was told of: at most those that were being committed at each death.
    assert len(rows) <= len(answered) + LIVES * 8
    assert_exact(store)
