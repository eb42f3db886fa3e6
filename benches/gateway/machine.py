"""What the kernel says: processor time and memory of the processes of one session, and facts of the machine.

Linux only (`/proc`).
"""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat behind the name in parentheses, counted from 0.
_SESSION: Final = 3
_UTIME: Final = 11
_STIME: Final = 12


def cpu_s(session: int) -> float:
    """Processor time of all processes of a session, in seconds, to 10 ms."""
    total = 0
    for pid in _members(session):
        fields = _stat(pid)
        if fields is not None:
            total += int(fields[_UTIME]) + int(fields[_STIME])
    return total / _TICKS_PER_S


def busy_s(core: int) -> float:
    """How long a core has not been idle, whoever used it: in seconds, to 10 ms."""
    prefix = f"cpu{core} "
    lines = Path("/proc/stat").read_text("ascii").splitlines()
    fields = next(line for line in lines if line.startswith(prefix)).split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


@dataclass(frozen=True)
class Memory:
    """Resident memory of the processes of a session, in KiB."""

    worker_rss: int
    """Of the biggest process that another one has started; of the only one, where there is one."""
    pss: int
    """Of all processes, what they share counted once."""
    worker_pss: int = 0
    """As `worker_rss`; what it shares counts by its share."""


def memory(session: int) -> Memory:
    """What the processes of a session hold right now; nothing if none is left."""
    found = held(session)
    if not found:
        return Memory(0, 0)
    worker = max(found, key=lambda one: (one.pid != session, one.rss))
    return Memory(worker.rss, sum(one.pss for one in found), worker.pss)


class Held(NamedTuple):
    """What one process holds, in KiB."""

    pss: int
    """Pages that it shares with others count by its share."""
    rss: int
    pid: int


def held(session: int) -> list[Held]:
    """By each process of a session, the first to be started first."""
    found: list[Held] = []
    for pid in sorted(_members(session)):
        try:
            rollup = Path("/proc", str(pid), "smaps_rollup").read_text("ascii")
        except OSError:
            continue  # it has just ended
        values = {line.split(":")[0]: line.split()[1] for line in rollup.splitlines()[1:]}
        found.append(Held(int(values["Pss"]), int(values["Rss"]), pid))
    return found


def _members(session: int) -> list[int]:
    members: list[int] = []
    for entry in os.listdir("/proc"):  # noqa: PTH208  (a hundred names: no need for paths)
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields is not None and int(fields[_SESSION]) == session:
                members.append(int(entry))
    return members


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path("/proc", str(pid), "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def describe() -> dict[str, str]:
    """The machine and the state of the sources, for the head of a report."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_kib = int(Path("/proc/meminfo").read_text("ascii").split()[1])
    return {
        "processor": f"{processor}, {os.cpu_count()} cores",
        "memory": f"{memory_kib / 1024**2:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]  # git is where the shell finds it
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    return f"{commit} with uncommitted changes" if git("status", "--porcelain") else commit
