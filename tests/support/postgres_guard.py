"""Ends the tests' PostgreSQL servers when the tests end, however they do: a program of its own.

`postgres_guard.py FOLDER` waits until its standard input ends, which whoever started it holds open. Then
every server whose data lie in FOLDER is ended, and FOLDER removed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE_S = 10.0
"""For a server to give back its shared memory, before it is killed."""


def main(folder: Path) -> None:
    """See above."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever started it may have been sent one too
    sys.stdin.buffer.read()
    servers = [pid for file in folder.rglob("postmaster.pid") if (pid := _pid(file))]
    for pid in servers:
        _signal(pid, signal.SIGCONT, signal.SIGQUIT)
    deadline = time.monotonic() + PATIENCE_S
    while any(map(_runs, servers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in servers:
        _signal(pid, signal.SIGKILL)
    for place in folder.iterdir():
        if place.is_mount():
            subprocess.run(["umount", "--lazy", place], check=False)  # noqa: S607
    shutil.rmtree(folder, ignore_errors=True)


def _pid(file: Path) -> int:
    """Of a postmaster; 0: there is none."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(file.read_text("ascii").splitlines()[0])
        if os.fsencode(file.parent) in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid  # and not that of another process, which has it now
    return 0


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in "ZX"
    return False


def _signal(pid: int, *numbers: int) -> None:
    for number in numbers:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
