"""The journal: what was acknowledged is read again, whole, whoever died in between."""

import errno
import os
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmgw.ledger.journal import MAX_LINE_BYTES, Journal, JournalFullError, Pending, pending

MAX_BYTES = 1_000_000
ROWS: list[dict[str, Any]] = [
    {"request_id": f"req_{number}", "model": "名字\r\n\u2028", "prompt_tokens": number, "stream": True}
    for number in range(20)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "llmgw.db.journal"


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


def drain(journal: Journal, max_rows: int = 7) -> list[dict[str, Any]]:
    """Everything, as the ledger would take it."""
    found: list[dict[str, Any]] = []
    while (batch := journal.read(max_rows)) is not None:
        found += batch.rows
        journal.forget()
    return found


def rows_of(journal: Journal, max_rows: int) -> list[dict[str, Any]]:
    """The next ones."""
    batch = journal.read(max_rows)
    assert batch is not None
    return batch.rows


def left_behind(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A journal file whose process is gone."""
    journal = Journal(folder, max_bytes=MAX_BYTES)
    journal.append(rows)
    journal.close()
    [path] = folder.glob("*.journal")
    return path


def adopted(folder: Path) -> Journal:
    journal = Journal(folder, max_bytes=MAX_BYTES)
    journal.adopt()
    return journal


def test_nothing_is_touched_before_there_is_something_to_write(folder: Path) -> None:
    journal = adopted(folder)
    assert (journal.read(10), journal.rows, journal.size_bytes) == (None, 0, 0)
    assert not folder.exists()


def test_what_was_appended_is_read_and_then_gone(folder: Path) -> None:
    journal = Journal(folder, max_bytes=MAX_BYTES)
    journal.append(ROWS[:5])
    journal.append(ROWS[5:])
    [path] = folder.iterdir()
    assert (journal.rows, journal.size_bytes) == (20, path.stat().st_size)
    assert pending(folder) == Pending(20, path.stat().st_size)
    assert rows_of(journal, 7) == ROWS[:7]
    assert rows_of(journal, 7) == ROWS[:7]  # until it is forgotten
    journal.forget()
    assert journal.rows == 13
    assert drain(journal) == ROWS[7:]
    assert (journal.rows, journal.size_bytes, files(folder)) == (0, 0, [])
    journal.append(ROWS[:1])
    assert drain(journal) == ROWS[:1]


def test_only_its_owner_may_read_it(folder: Path) -> None:
    path = left_behind(folder, ROWS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_cut_at_every_byte_the_whole_lines_are_read(folder: Path) -> None:
    path = left_behind(folder, ROWS[:4])
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        journal = adopted(folder)
        assert drain(journal) == ROWS[: whole[:cut].count(b"\n")], cut
        assert journal.damaged == 0
        assert files(folder) == []


def test_a_damaged_line_is_counted_and_kept(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = left_behind(folder, ROWS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x20
    path.write_bytes(data)
    journal = adopted(folder)
    assert len(drain(journal)) == 19
    assert journal.damaged == 1
    assert files(folder) == [".damaged"]
    assert "1 lines that can't be read" in caplog.text
    assert pending(folder) == Pending(0, 0, set_aside=1)


def test_a_line_longer_than_one_read(folder: Path) -> None:
    rows = [{"finish_reason": "x" * 3_000_000}, *ROWS]
    journal = Journal(folder, max_bytes=10_000_000)
    journal.append(rows)
    assert drain(journal) == rows


def test_it_is_bounded(folder: Path) -> None:
    journal = Journal(folder, max_bytes=500)
    journal.append(ROWS[:2])
    size = journal.size_bytes
    with pytest.raises(JournalFullError):
        journal.append(ROWS)
    assert (journal.rows, journal.size_bytes) == (2, size)
    assert drain(journal) == ROWS[:2]
    journal.append(ROWS[:2])  # what was replayed makes room


def test_the_file_of_a_living_process_is_not_adopted(folder: Path) -> None:
    living = Journal(folder, max_bytes=MAX_BYTES)
    living.append(ROWS)
    assert adopted(folder).read(1) is None
    living.close()
    assert rows_of(adopted(folder), 1) == ROWS[:1]


KILLED = """
import os, signal, sys
from pathlib import Path
from llmgw.ledger.journal import Journal

journal = Journal(Path(sys.argv[1]), max_bytes=1_000_000)
for number in range(3):
    journal.append([{"request_id": f"req_{number}"}])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_file_of_a_killed_process_is_adopted_by_one(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False, timeout=30)
    first, second = adopted(folder), adopted(folder)
    assert second.read(10) is None
    assert [row["request_id"] for row in drain(first)] == ["req_0", "req_1", "req_2"]
    assert files(folder) == []


@pytest.mark.parametrize("away", ["deleted", "moved"])
def test_a_file_that_was_taken_away_can_still_be_read(folder: Path, away: str) -> None:
    journal = Journal(folder, max_bytes=MAX_BYTES)
    journal.append(ROWS[:5])
    [path] = folder.iterdir()
    if away == "deleted":
        path.unlink()
    else:
        path.rename(path.with_suffix(".elsewhere"))
    journal.append(ROWS[5:])
    assert journal.rows == 20
    assert drain(journal) == ROWS
    assert files(folder) == ([] if away == "deleted" else [".elsewhere"])


def test_without_its_folder_it_says_so_and_goes_on_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "none" / "journal", max_bytes=MAX_BYTES)
    with pytest.raises(FileNotFoundError):
        journal.append(ROWS)
    (tmp_path / "none").mkdir()
    journal.append(ROWS)
    assert drain(journal) == ROWS


FULL_DISK = """
import resource, sys
from pathlib import Path
from llmgw.ledger.journal import Journal

journal = Journal(Path(sys.argv[1]), max_bytes=1_000_000)
journal.append([{"request_id": "before"}])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (journal.size_bytes + 40, hard))  # the next line fits by half
try:
    journal.append([{"request_id": "x" * 200}])
except OSError as error:
    print(type(error).__name__, journal.rows, Path(*Path(sys.argv[1]).iterdir()).stat().st_size)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.append([{"request_id": "after"}])
print([row["request_id"] for row in journal.read(10).rows])
"""


def test_half_a_batch_does_not_stay_on_a_full_disk(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder)], check=True, timeout=30, capture_output=True, text=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("OSError 1 ")
    assert int(first.split()[2]) < 100
    assert second == "['before', 'after']"


def test_no_descriptor_stays_open(folder: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    journal = Journal(folder, max_bytes=MAX_BYTES)
    journal.append(ROWS)
    drain(journal)
    left_behind(folder, ROWS)
    drain(adopted(folder))
    assert len(list(Path("/dev/fd").iterdir())) == before


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [a_folder, os.mkfifo, a_link])
def test_an_odd_file_stops_nothing_behind_it(
    folder: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    left_behind(folder, ROWS)
    odd = folder / "0-odd.journal"
    make(odd)
    journal = adopted(folder)
    assert drain(journal) == ROWS
    assert journal.set_aside == 1
    journal.adopt()
    assert caplog.text.count("0-odd.journal can't be replayed and is left alone") == 1  # once, not each time
    assert pending(folder) == Pending(0, 0, set_aside=1)
    odd.rmdir() if odd.is_dir() else odd.unlink()
    journal.adopt()
    assert journal.set_aside == 0


@pytest.mark.parametrize(
    "text",
    [
        b"7",
        b"null",
        b"[1]",
        b'"req"',
        b"nonsense",
        b'{"a":' * 100_000,
        b'{"n":' + b"9" * 5_000 + b"}",
        b"\xff\xfe",
        b"",
    ],
)
def test_an_odd_line_with_the_right_checksum(folder: Path, text: bytes) -> None:
    path = left_behind(folder, ROWS)
    path.write_bytes(b"%08x %s\n" % (zlib.crc32(text), text) + path.read_bytes())
    journal = adopted(folder)
    assert drain(journal) == ROWS
    assert journal.damaged == 1
    assert files(folder) == [".damaged"]


def test_a_line_without_end_is_never_in_memory_as_a_whole(folder: Path) -> None:
    path = left_behind(folder, ROWS)
    endless = b"x" * (8 * MAX_LINE_BYTES)
    path.write_bytes(endless + b"\n" + path.read_bytes() + endless)
    journal = adopted(folder)
    tracemalloc.start()
    try:
        assert drain(journal) == ROWS
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()
    assert journal.damaged == 2


def test_a_file_of_nothing_but_damage_is_read_in_slices(folder: Path) -> None:
    path = left_behind(folder, ROWS)
    path.write_bytes(b"damage\n" * 1_000)
    journal = adopted(folder)
    batches = 0
    while (batch := journal.read(100)) is not None:
        assert batch.damaged <= 100
        journal.forget()
        batches += 1
    assert (batches, journal.damaged, journal.rows) == (10, 1_000, 0)


def test_a_file_that_fails_under_way_stops_nothing_behind_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(folder, ROWS[:5]).rename(folder / "0-bad.journal")
    other = Journal(folder, max_bytes=MAX_BYTES)
    other.append(ROWS[5:])
    other.close()
    journal = adopted(folder)
    bad = (folder / "0-bad.journal").stat().st_ino
    pread = os.pread

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    assert drain(journal) == ROWS[5:]
    journal.adopt()
    assert journal.set_aside == 1
    assert (folder / "0-bad.journal").exists()
