"""Rows that can't be stored are set aside and counted, wherever they come from, and the others arrive.

On both databases.
"""

import asyncio
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from llmgw.ledger import writer
from llmgw.ledger.entry import LedgerEntry, NotDurableError, is_entry
from llmgw.ledger.journal import Journal
from llmgw.ledger.writer import Ledger
from llmgw.store import LedgerRow, Store
from tests.support.processes import wait_until

TIMEOUT_S = 20.0
GOOD = LedgerEntry(1.8e9, "req_good", 200, 1.5)._asdict()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "llmgw.db.journal"
    made.mkdir()
    return made


def ledger_of(store: Store, folder: Path) -> Ledger:
    return Ledger(store, journal=Journal(folder, max_bytes=10_000_000), flush_interval_s=0.01)


def stored(store: Store) -> list[str]:
    with store.read() as session:
        return list(session.scalars(select(LedgerRow.request_id).order_by(LedgerRow.request_id)))


def line(value: object) -> bytes:
    text = json.dumps(value).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


ODD_ROWS: list[tuple[str, dict[str, Any]]] = [
    ("wrong types", {"time_s": "x", "request_id": {}, "status": [], "total_s": None}),
    ("of another version, without a status", {"time_s": 1.0, "request_id": "req_odd", "total_s": 1.0}),
    ("time far away", GOOD | {"time_s": 1e18}),
    ("time before 1970", GOOD | {"time_s": -1.0}),
    ("time that is no number", GOOD | {"time_s": float("nan")}),
    ("an endless duration", GOOD | {"total_s": float("inf")}),
    ("a status that is a truth value", GOOD | {"status": True}),
    ("a number beyond 64 bits", GOOD | {"prompt_tokens": 2**63}),
    ("a negative one", GOOD | {"key_id": -(2**64)}),
    ("half a surrogate pair", GOOD | {"model": "\ud800"}),
    ("a list as text", GOOD | {"finish_reason": ["stop"]}),
    ("no id", GOOD | {"request_id": None}),
    ("a number as a truth value", GOOD | {"stream": 1}),
    ("nothing", {}),
]


@pytest.mark.parametrize("row", [row for _, row in ODD_ROWS], ids=[name for name, _ in ODD_ROWS])
def test_an_odd_row_of_a_journal_stops_no_other(store: Store, folder: Path, row: dict[str, Any]) -> None:
    assert not is_entry(row)
    (folder / "0-a.journal").write_bytes(line(row) + line(GOOD | {"request_id": "req_beside"}))
    (folder / "1-b.journal").write_bytes(line(GOOD))
    ledger = ledger_of(store, folder)
    ledger.start()
    wait_until(lambda: stored(store) == ["req_beside", "req_good"], "the others", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert ledger.dropped == 1
    assert [path.name for path in folder.iterdir()] == ["0-a.damaged"]
    # Told from now on, by whichever process looks.
    after = ledger_of(store, folder)
    after._adopt()
    assert after.warnings == [
        "the journal has 1 file with something that can't be replayed; the log says which"
    ]
    assert after.state.set_aside == 1


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        GOOD | {"added_by_a_newer_version": {"x": [1]}},
        {"time_s": 1, "request_id": "req_good", "status": 200, "total_s": 0},  # of an older one
        {name: value for name, value in GOOD.items() if name != "api"},
        GOOD | {"finish_reason": "with\nline breaks\x00", "model": "名字"},
    ],
)
def test_rows_of_other_versions_are_replayed(store: Store, folder: Path, row: dict[str, Any]) -> None:
    (folder / "0-a.journal").write_bytes(line(row))
    ledger = ledger_of(store, folder)
    ledger.start()
    wait_until(lambda: stored(store) == ["req_good"], "it", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert (ledger.dropped, list(folder.iterdir())) == (0, [])


def test_a_row_that_raises_whatever_is_counted_and_the_others_arrive(store: Store, folder: Path) -> None:
    ledger = ledger_of(store, folder)
    ledger.record(LedgerEntry(1.8e9, "req_1", 200, 1.0))
    ledger.record(LedgerEntry("never", "req_2", 200, 1.0))  # type: ignore[arg-type]  # a defect of ours
    ledger.record(LedgerEntry(1.8e9, "req_3", 200, 1.0))
    ledger.start()
    wait_until(lambda: stored(store) == ["req_1", "req_3"], "the others", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert ledger.dropped == 1


def test_a_round_that_raises_answers_those_that_it_took(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those who come later get their own answer, and a batch that always raises is given up."""
    ledger = ledger_of(store, folder)
    insert, refused = ledger._insert, "req_bad"

    def failing(rows: list[LedgerEntry]) -> bool:
        if any(row.request_id == refused for row in rows):
            raise LookupError(refused)
        return insert(rows)

    monkeypatch.setattr(ledger, "_insert", failing)

    async def commit() -> None:
        bad = asyncio.create_task(ledger.commit(LedgerEntry(1.8e9, refused, 200, 1.0)))
        await asyncio.sleep(0)
        ledger.start()
        with pytest.raises(NotDurableError):
            await asyncio.wait_for(bad, writer.COMMIT_TIMEOUT_S / 2)
        await ledger.commit(LedgerEntry(1.8e9, "req_later", 200, 1.0))

    asyncio.run(commit())
    ledger.record(LedgerEntry(1.8e9, refused, 200, 1.0))
    wait_until(lambda: ledger.dropped == 1, "given up", timeout_s=TIMEOUT_S)
    ledger.record(LedgerEntry(1.8e9, "req_last", 200, 1.0))
    wait_until(lambda: stored(store) == ["req_last", "req_later"], "the others", timeout_s=TIMEOUT_S)
    ledger.close_blocking()
    assert "1 ledger entries can't be stored, they are lost" in caplog.text
