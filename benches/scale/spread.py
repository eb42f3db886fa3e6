"""The same work in several processes, as workers of a gateway are, for a while."""

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

WARM_S: Final = 1.0
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_START_TIMEOUT_S: Final = 60.0

Step = Callable[[], int]
"""Some work; how much of it."""
Maker = Callable[..., AbstractContextManager[Step]]
"""Opens what the work needs, and closes it."""


class Share(NamedTuple):
    """What all processes did in the window."""

    done: int
    took_s: float
    cpu_s: float
    """Of these processes."""


def spread(make: Maker, arguments: Sequence[Sequence[object]], window_s: float) -> Share:
    """`make(*arguments[n])` gives process n its work, which is repeated for the window, after a warm-up.

    `make` must be importable.
    """
    context = multiprocessing.get_context("spawn")
    results: SimpleQueue[Share] = context.SimpleQueue()
    barrier = context.Barrier(len(arguments))
    processes = [
        context.Process(target=_work, args=(make, each, window_s, barrier, results)) for each in arguments
    ]
    for process in processes:
        process.start()
    shares = []
    for process in processes:
        process.join(_START_TIMEOUT_S + WARM_S + 2 * window_s)
        if process.exitcode != 0:
            raise RuntimeError(f"a process ended with {process.exitcode}")
        shares.append(results.get())
    return Share(
        sum(share.done for share in shares),
        max(share.took_s for share in shares),
        sum(share.cpu_s for share in shares),
    )


def _work(
    make: Maker,
    arguments: Sequence[object],
    window_s: float,
    barrier: Barrier,
    results: "SimpleQueue[Share]",
) -> None:
    with make(*arguments) as step:
        barrier.wait(_START_TIMEOUT_S)
        _repeat(step, WARM_S)
        barrier.wait(_START_TIMEOUT_S)
        results.put(_repeat(step, window_s))


def _repeat(step: Step, window_s: float) -> Share:
    done = 0
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    while (took_s := time.perf_counter() - begun_s) < window_s:
        done += step()
    return Share(done, took_s, time.process_time() - begun_cpu_s)


def cpu_of(pid: int) -> float:
    """Seconds of CPU of a process, and of those of its children that live or were waited for (Linux)."""
    total = _ticks(pid)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text("ascii", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            total += int(fields[11]) + int(fields[12])
    return total * _TICK_S


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return sum(int(fields[at]) for at in (11, 12, 13, 14))
