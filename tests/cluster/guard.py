"""Ends the processes of a cluster when its test ends, however it does: a program of its own.

`guard.py FOLDER` waits until its standard input ends, which the test holds open. Then every process is killed
that works in FOLDER, or whose command line names it (Linux).
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

ROUNDS = 3
"""A process may have forked meanwhile."""


def main(folder: Path) -> None:
    """See above."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever started it may have been sent one too
    sys.stdin.buffer.read()
    for _ in range(ROUNDS):
        for pid in processes_of(folder):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def processes_of(folder: Path) -> Iterator[int]:
    """Others than this one."""
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            works_in = (place / "cwd").readlink()
            if (
                works_in.is_relative_to(folder)
                or os.fsencode(f"{folder}/") in (place / "cmdline").read_bytes()
            ):
                yield int(place.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
