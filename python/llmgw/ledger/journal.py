"""Where ledger rows wait on disk while the database fails: append-only files, one for each process.

A folder belongs to one database. Each process writes its own file there when it needs one, and holds a lock
(`flock`) on it. An unlocked file is from a dead process: any other process may adopt it. A file is removed
only after the database has committed its rows. A crash in between means that rows are replayed twice, which
is harmless because `ledger.request_id` is unique. So each row arrives exactly once.

A line is the CRC-32 of a row's JSON, a space, and the JSON: `5d41402a {"request_id":"req_…",…}`. If the last
line is incomplete, the process died during a write that was never reported as successful.

Whatever else lies in the folder, or in a file, is set aside: an odd line is left out and its file is kept
under another name, an odd file (a folder, a FIFO, another user's) is left alone. Neither stops the others.
"""

import errno
import fcntl
import json
import logging
import os
import secrets
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmgw.errors import LlmgwError

logger = logging.getLogger(__name__)

SUFFIX: Final = ".journal"
DAMAGED_SUFFIX: Final = ".damaged"
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE: Final = 0o600
_READ_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 4 << 20
"""Many times what a row can have. A longer line is set aside, and never in memory as a whole."""
_CRC_LENGTH: Final = 8
# fdatasync skips a file's times; both write the size, which an append changes.
_sync = getattr(os, "fdatasync", os.fsync)


class JournalFullError(LlmgwError, OSError):
    """The journal has reached its limit."""


class Pending(NamedTuple):
    """The rows that wait in the journals of a folder."""

    rows: int
    size_bytes: int
    set_aside: int = 0
    """Files with something that can't be replayed."""


class Batch(NamedTuple):
    """Some lines of a file."""

    file: "_File"
    rows: list[dict[str, Any]]
    offset: int
    """Where they end."""
    damaged: int
    """Lines among them that are no rows."""


def _anything(_row: Mapping[str, Any]) -> bool:
    return True


class Journal:
    """One process's journal, and the ones that it has adopted. For one thread; make it after a fork."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """Creates nothing yet: the folder is made at the first write."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._own: _File | None = None
        self._others: list[_File] = []
        self._batch: Batch | None = None  # what `read` gave last
        self._odd: set[Path] = set()  # files that can't be adopted
        self._unreadable: set[Path] = set()  # files that were, and then failed
        self.damaged = 0
        """Lines that were set aside, since the start."""
        self.set_aside = 0
        """Files in the folder with something that can't be replayed, when `adopt` last looked."""

    @property
    def rows(self) -> int:
        """Rows that wait in all files of this process."""
        return sum(file.rows for file in self._files())

    @property
    def size_bytes(self) -> int:
        """The size of all files of this process."""
        return sum(file.size for file in self._files())

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write all these rows or none. They are on disk when this returns.

        Raises OSError (JournalFullError beyond `max_bytes`).
        """
        lines = b"".join(map(_line, rows))
        if self._own is not None and not self._own.is_sound():
            # It was moved or deleted, or ends in half a line. Its descriptor still works for reading.
            self._others.append(self._own)
            self._own = None
        size = self._own.size if self._own else 0
        if size + len(lines) > self._max_bytes:
            raise JournalFullError(errno.EDQUOT, f"the journal is full ({self._max_bytes} bytes)")
        own = self._own = self._own or _File.create(self._folder)
        own.append(lines)
        if not own.is_in_place():
            raise FileNotFoundError(errno.ENOENT, f"the journal {own.path} was moved or deleted")

    def adopt(self) -> None:
        """Take over the files of dead processes. Never raises: what can't be adopted is set aside."""
        held = {file.path for file in self._files()}
        odd: set[Path] = set()
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path in held or path in self._unreadable:
                continue
            try:
                file = _File.adopt(path)
            except OSError as error:
                odd.add(path)
                if path not in self._odd:
                    logger.error("%s can't be replayed and is left alone: %s", path, error.strerror)  # noqa: TRY400
                continue
            if file is not None:
                logger.warning("%d ledger rows of a process that died are in %s", file.rows, path)
                self._others.append(file)
        self._odd = odd
        self._unreadable = {path for path in self._unreadable if path.exists()}
        damaged = sum(1 for _ in self._folder.glob(f"*{DAMAGED_SUFFIX}"))
        self.set_aside = len(odd) + len(self._unreadable) + damaged

    def read(self, max_rows: int, accept: Callable[[Mapping[str, Any]], bool] = _anything) -> Batch | None:
        """The next waiting rows; None if there are none. They stay until `forget`. Raises OSError.

        Lines that are no rows, or that `accept` does not take, are set aside, and files that can't be read: a
        batch may have no rows.
        """
        for file in list(self._files()):
            try:
                batch = self._batch = file.read(max_rows, accept)
            except OSError as error:
                self._leave_alone(file, error)
                continue
            if batch.rows or batch.damaged:
                return batch
            self.forget()
        self._batch = None
        return None

    def _leave_alone(self, file: "_File", error: OSError) -> None:
        """A file can't be read: it stays where it is, and the next ones get their turn."""
        logger.error("%s can't be read and is left alone: %s", file.path, error.strerror)
        self._unreadable.add(file.path)
        if file is self._own:
            self._own = None
        else:
            self._others.remove(file)
        file.close()

    def forget(self) -> None:
        """Drop the rows of the last `read`, and the file if they were its last ones. Raises OSError."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        file = batch.file
        if batch.damaged:
            logger.error("%s has %d lines that can't be read; it is kept", file.path, batch.damaged)
            self.damaged += batch.damaged
        file.advance(batch)
        if file.offset >= file.size:
            if file is self._own:
                self._own = None
            else:
                self._others.remove(file)
            file.remove()

    def close(self) -> None:
        """Close the files. Another process will adopt them."""
        for file in self._files():
            file.close()
        self._own, self._others = None, []

    def _files(self) -> Iterator["_File"]:
        yield from self._others
        if self._own is not None:
            yield self._own


class _File:
    """An open, locked journal file."""

    def __init__(self, path: Path, descriptor: int, *, size: int = 0, rows: int = 0) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = size
        self.rows = rows
        self.offset = 0
        """The database has everything before this."""
        self.damaged = False

    @classmethod
    def create(cls, folder: Path) -> "_File":
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        # It gets its name once it is locked, or others would take it for a dead process's file.
        young = path.with_suffix(".new")
        descriptor = os.open(young, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            young.rename(path)
            _sync_folder(folder)
        except OSError:
            young.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> "_File | None":
        """None if its process lives, or if another process was faster. Raises OSError for an odd file."""
        try:
            descriptor = _open_regular(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        file = cls(path, descriptor, size=os.fstat(descriptor).st_size, rows=_count(descriptor))
        if not file.is_in_place():
            file.close()
            return None
        return file

    def is_in_place(self) -> bool:
        """False if the file was moved, replaced or deleted."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def is_sound(self) -> bool:
        """True if it is in place and has the expected size."""
        return self.is_in_place() and os.fstat(self._descriptor).st_size == self.size

    def append(self, lines: bytes) -> None:
        """Write all lines or none. Raises OSError."""
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            _sync(self._descriptor)
        except OSError:
            # Remove half a batch: its rows are written elsewhere or again.
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(lines)
        self.rows += lines.count(b"\n")

    def read(self, max_rows: int, accept: Callable[[Mapping[str, Any]], bool]) -> Batch:
        """The next lines from `offset`, at most `max_rows`; none at the end of the file."""
        rows: list[dict[str, Any]] = []
        offset, damaged, wanted = self.offset, 0, _READ_BYTES
        while len(rows) + damaged < max_rows and offset < self.size:
            piece = os.pread(self._descriptor, min(wanted, self.size - offset), offset)
            whole, end, _ = piece.rpartition(b"\n")
            if not end:
                if len(piece) == wanted < MAX_LINE_BYTES:
                    wanted *= 2  # the line is longer than that
                    continue
                if len(piece) == wanted:
                    offset, damaged = self._end_of_line(offset), damaged + 1
                    continue
                logger.warning("the last row in %s was not written to its end", self.path)
                offset = self.size
                break
            for line in whole.split(b"\n")[: max_rows - len(rows) - damaged]:
                offset += len(line) + 1
                row = _row(line)
                if row is None or not accept(row):
                    damaged += 1
                else:
                    rows.append(row)
        return Batch(self, rows, offset, damaged)

    def _end_of_line(self, offset: int) -> int:
        """Where the line after a too long one begins."""
        while piece := os.pread(self._descriptor, min(_READ_BYTES, max(self.size - offset, 0)), offset):
            end = piece.find(b"\n")
            if end >= 0:
                return offset + end + 1
            offset += len(piece)
        return self.size

    def advance(self, batch: Batch) -> None:
        """Move past a batch that the database has."""
        self.offset = batch.offset
        self.rows = max(self.rows - len(batch.rows) - batch.damaged, 0)
        self.damaged = self.damaged or batch.damaged > 0

    def remove(self) -> None:
        """Delete the file; if it has damaged lines, rename it so that an operator can examine it."""
        if self.is_in_place():
            if self.damaged:
                self.path.rename(self.path.with_suffix(DAMAGED_SUFFIX))
            else:
                self.path.unlink()
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)


def pending(folder: Path) -> Pending:
    """What waits in the journals of all processes, dead ones included."""
    rows = size_bytes = 0
    set_aside = sum(1 for _ in folder.glob(f"*{DAMAGED_SUFFIX}"))
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            descriptor = _open_regular(path, os.O_RDONLY)
        except FileNotFoundError:  # another process has just replayed it
            continue
        except OSError:
            set_aside += 1
            continue
        with suppress(OSError):
            rows += _count(descriptor)
            size_bytes += os.fstat(descriptor).st_size
        os.close(descriptor)
    return Pending(rows, size_bytes, set_aside)


def _open_regular(path: Path, flags: int) -> int:
    """Open a file of ours. Raises OSError for anything else, and waits for nobody."""
    # O_NONBLOCK: to open a FIFO would wait for somebody at its other end.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor


def _line(row: Mapping[str, Any]) -> bytes:
    text = json.dumps(row, separators=(",", ":")).encode("ascii")  # escaped, so there is no newline in it
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _row(line: bytes) -> dict[str, Any] | None:
    """None for what is no row."""
    checksum, text = line[:_CRC_LENGTH], line[_CRC_LENGTH + 1 :]
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):  # ValueError: also a number of thousands of digits
        return None
    return row if isinstance(row, dict) else None


def _count(descriptor: int) -> int:
    """The number of whole lines."""
    rows = offset = 0
    while piece := os.pread(descriptor, _READ_BYTES, offset):
        rows += piece.count(b"\n")
        offset += len(piece)
    return rows


def _sync_folder(folder: Path) -> None:
    """Make a new file name survive a power failure, like the rows in the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
