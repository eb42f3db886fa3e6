"""One case, measured: the load client runs, and the gateway's use is read at both ends of its window."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Self

from benches.gateway.machine import Memory, busy_s, cpu_s, memory
from benches.gateway.processes import BENCH_BINARY, LOCALHOST, BenchError, Mock
from benches.gateway.workloads import PATHS, Door, Timing, Workload


@dataclass(frozen=True)
class Target:
    """Whom to ask, and how."""

    port: int
    path: str
    headers: Mapping[str, str]
    models: Mapping[str, str]
    """The names under which it knows the models of `workloads`."""
    session: int | None
    """Its processes; None for the mock itself."""
    doors: Sequence[Door] = ("chat",)


@dataclass(frozen=True)
class Spread:
    """A distribution of times in microseconds."""

    n: int
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True)
class Figures:
    """What came out of one case."""

    window_s: float
    requests: int
    chunks: int
    unfinished: int
    """Streams that the gateway could not bring to their end in time."""
    reconnects: int
    latency: Spread | None
    """From the first byte of a request to the last of its answer."""
    first_chunk: Spread | None
    chunk_delay: Spread | None
    """Paced: from when a chunk was due at the upstream. Otherwise from when it was written there."""
    cpu_s: float
    """Of the gateway, within the window."""
    harness_busy: float
    """Of load client, mock and this process together, as a share of their core."""
    foreign_busy: tuple[float, float]
    """What anyone else used meanwhile, as shares of the gateway's and of the harness's core."""
    memory: Memory | None
    """Of the gateway, early in the window (`Workload.counts_memory`)."""
    memory_later: Memory | None
    """The same at its end."""
    with_switch: float
    """The share of the requests that reached the mock with their thinking switch."""


@dataclass(frozen=True)
class Cores:
    """Who runs where."""

    gateway: int
    load: int


MEMORY_AT: Final = 1 / 3
"""When in the window memory is first read: all is warm then, and the end is far."""


def measure(
    workload: Workload, timing: Timing, target: Target, mock: Mock, *, folder: Path, cores: Cores
) -> Figures:
    """Run one case. Raises BenchError where an answer was wrong or none came."""
    body = folder / f"{workload.name}.json"
    body.write_bytes(workload.body(target.models[workload.model]))
    mock.play(workload.script(timing))
    config = {
        "target": f"{LOCALHOST}:{target.port}",
        "path": PATHS.get(workload.door, target.path),
        "headers": list(target.headers.items()),
        **workload.load(timing, body),
    }
    with _load(config, core=cores.load, limit_s=workload.limit_s(timing), batch=workload.streams) as load:
        events = _events(load)
        _expect(events, "measuring")
        begin = _Use.now(cores, target.session, mock.session, load.pid)
        held: list[Memory] = []
        watched = target.session if workload.counts_memory else None
        sampler = threading.Timer(timing.window_s * MEMORY_AT, _sample, (watched, held))
        sampler.start()
        try:
            _expect(events, "measured")
            used = _Use.now(cores, target.session, mock.session, load.pid) - begin
            _sample(watched, held)
            result = _expect(events, "result")
        finally:
            sampler.cancel()
            sampler.join()
    stats = mock.stats()
    window_s = result["window_s"]
    return Figures(
        window_s=window_s,
        requests=result["requests"],
        chunks=result["chunks"],
        unfinished=result["unfinished"],
        reconnects=result["reconnects"],
        latency=_spread(result["latency_us"]),
        first_chunk=_spread(result["first_chunk_us"]),
        chunk_delay=_spread(result["chunk_delay_us"]),
        cpu_s=used.gateway_s,
        harness_busy=used.harness_s / window_s,
        foreign_busy=used.foreign_busy(window_s),
        memory=held[0] if held else None,
        memory_later=held[-1] if held else None,
        with_switch=stats["with_thinking_switch"] / max(1, stats["requests"]),
    )


@dataclass(frozen=True)
class _Use:
    """Processor time so far."""

    gateway_s: float
    harness_s: float
    gateway_core_s: float
    load_core_s: float

    @classmethod
    def now(cls, cores: Cores, gateway: int | None, *harness: int) -> Self:
        return cls(
            0.0 if gateway is None else cpu_s(gateway),
            sum(map(cpu_s, harness)) + time.process_time(),
            busy_s(cores.gateway),
            busy_s(cores.load),
        )

    def __sub__(self, earlier: Self) -> Self:
        return replace(
            self,
            gateway_s=self.gateway_s - earlier.gateway_s,
            harness_s=self.harness_s - earlier.harness_s,
            gateway_core_s=self.gateway_core_s - earlier.gateway_core_s,
            load_core_s=self.load_core_s - earlier.load_core_s,
        )

    def foreign_busy(self, window_s: float) -> tuple[float, float]:
        gateway = (self.gateway_core_s - self.gateway_s) / window_s
        load = (self.load_core_s - self.harness_s) / window_s
        return max(0.0, gateway), max(0.0, load)


def _sample(session: int | None, held: list[Memory]) -> None:
    if session is not None:
        held.append(memory(session))


@contextmanager
def _load(
    config: Mapping[str, Any], *, core: int, limit_s: float, batch: bool
) -> Iterator[subprocess.Popen[str]]:
    """The load client, killed when its time is over."""
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(core), str(BENCH_BINARY), "load", json.dumps(config)],  # noqa: S607
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if batch:
        # Client and mock share a core. A batch process does not preempt the other at each wake-up, which
        # would be most of what a chunk costs. For short answers it would let the gateway wait.
        os.sched_setscheduler(process.pid, os.SCHED_BATCH, os.sched_param(0))
    watchdog = threading.Timer(limit_s, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGKILL)
        process.wait()


def _events(load: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    output: IO[str] | None = load.stdout
    assert output is not None  # a pipe was asked for
    with output:
        for line in output:
            yield json.loads(line)


def _expect(events: Iterator[dict[str, Any]], name: str) -> dict[str, Any]:
    event = next(events, None)
    if event is None:
        raise BenchError("it took too long")
    if event["event"] != name:
        raise BenchError(event.get("message", str(event)))
    return event


def _spread(values: dict[str, Any] | None) -> Spread | None:
    return None if values is None else Spread(**values)
