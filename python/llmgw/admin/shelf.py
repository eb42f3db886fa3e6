"""Where the processes of a gateway share a look: one of them makes it, the others read it.

Each worker may be asked by a console, and their looks would add up. The file and its lock are in the
gateway's run folder. What can't be read or written there costs a look more, and nothing else.
"""

import fcntl
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

STALE_S: Final = 5.0
"""While one looks, others get the look before, unless that is older."""
MAX_SHELF_BYTES: Final = 32 << 20
_TURN_TIMEOUT_S: Final = 4.0
"""How long to wait for another process's look: that process may have been stopped in the middle of it."""
_POLL_INTERVAL_S: Final = 0.02
_HEAD: Final = struct.Struct(">dd")


class Seen(NamedTuple):
    """What a look has found."""

    text: bytes
    at_s: float
    """By the clock that all processes of a machine share (`time.monotonic`)."""
    fresh_s: float
    """For how many seconds after `at_s` nobody looks again."""

    @property
    def is_fresh(self) -> bool:
        """Nobody needs to look again."""
        return self._is_younger(self.fresh_s)

    @property
    def is_presentable(self) -> bool:
        """It will do while somebody looks."""
        return self._is_younger(STALE_S)

    def _is_younger(self, age_s: float) -> bool:
        return 0 <= time.monotonic() - self.at_s < age_s


class Shelf:
    """Of one process and one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """`folder`: only the gateway's processes may write there."""
        self._file = folder / "live"
        self._lock = folder / "live.lock"

    def get(self, make: Callable[[], Seen]) -> Seen:
        """A fresh look, by `make` or by another process. Blocking."""
        kept = self._read()
        if kept is not None and kept.is_fresh:
            return kept
        will_do = kept is not None and kept.is_presentable
        with self._turn(0.0 if will_do else _TURN_TIMEOUT_S) as is_ours:
            kept = self._read()
            if kept is not None and (kept.is_fresh or (not is_ours and kept.is_presentable)):
                return kept
            made = make()
            self._write(made)
            return made

    @contextmanager
    def _turn(self, timeout_s: float) -> Iterator[bool]:
        """Whether no other process looks meanwhile."""
        try:
            number = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # the gateway stops, or the disk is full
            yield False
            return
        try:
            yield _locked(number, time.monotonic() + timeout_s)
        finally:
            os.close(number)

    def _read(self) -> Seen | None:
        with suppress(OSError, struct.error), self._file.open("rb") as file:
            at_s, fresh_s = _HEAD.unpack(file.read(_HEAD.size))
            return Seen(file.read(MAX_SHELF_BYTES), at_s, fresh_s)
        return None

    def _write(self, seen: Seen) -> None:
        with suppress(OSError):
            number, name = tempfile.mkstemp(dir=self._file.parent)  # for its owner alone
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(_HEAD.pack(seen.at_s, seen.fresh_s) + seen.text)
                Path(name).rename(self._file)
            except OSError:
                Path(name).unlink(missing_ok=True)


def _locked(number: int, deadline_s: float) -> bool:
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_POLL_INTERVAL_S)
        except OSError:  # a file system without locks
            return False
        else:
            return True
