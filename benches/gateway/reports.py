"""`python -m benches.gateway.reports`: do reports of the admin API slow the answers beside them?

One gateway with a ledger of 300,000 rows; the same cases in turns, without reports and while reports are
asked for without a pause: once of an admin process (`[admin] port`), once of the worker itself. On two cores
there is none to spare for that process: it and who asks it get what the load client leaves of its core.
Needs what `make bench-gateway` builds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from benches.gateway.measure import Cores, Figures, Target, measure
from benches.gateway.peers.llmgw import Llmgw, config_of
from benches.gateway.processes import BENCH_BINARY, LOCALHOST, Mock, Program, free_port
from benches.gateway.workloads import UPSTREAM_MODELS, Timing, Workload
from benches.ledger import make
from llmgw.access.keys import create_key
from llmgw.store import open_store

ROWS: Final = 300_000
CORES: Final = Cores(gateway=0, load=1)
WORKLOADS: Final = (
    Workload("plain1", "plain answers, 1 connection", "request", 1),
    Workload("paced300", "300 open streams, a chunk every 20 ms", "chunk", 300, paced=True, ramp_s=1.0),
)
_SINCE: Final = "since=2026-11-01T00:00:00Z&until=2026-12-01T00:00:00Z"
REPORTS: Final = (
    f"/admin/v1/usage?by=key,model&{_SINCE}",
    f"/admin/v1/usage?by=user&{_SINCE}",
    f"/admin/v1/usage?by=project,hour&{_SINCE}",
    "/admin/v1/requests?limit=100",
)
"""What a dashboard asks for."""
_NICE_OF_ADMIN: Final = 10


def main() -> int:
    """Exit status 1 if an answer was wrong, 2 if nothing could be measured."""
    options = _options()
    if options.ask:
        return _ask(options.ask, options.key)
    if not BENCH_BINARY.exists() or Llmgw().absent():
        print(Llmgw().absent() or f"{BENCH_BINARY} is not built: make bench-gateway", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {CORES.load})
    timing = Timing(0.5, options.window_s)
    print("| reports | case | without: p50, p99 | with: p50, p99 | p99 with ÷ without | reports/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        made = Path(folder) / "made.db"
        make(made, ROWS)
        for place in ("own process", "in the worker"):
            with _gateway(
                Path(folder) / place.replace(" ", "-"), made, own=place == "own process"
            ) as running:
                for workload in WORKLOADS:
                    print(_row(place, workload, timing, running, options.rounds), flush=True)
    return 0


class _Running:
    """A gateway, its mock upstream, and where reports are."""

    def __init__(self, folder: Path, mock: Mock, target: Target, admin_url: str, admin_key: str) -> None:
        self.folder = folder
        self.mock = mock
        self.target = target
        self.admin_url = admin_url
        self.admin_key = admin_key


@contextmanager
def _gateway(folder: Path, made: Path, *, own: bool) -> Iterator[_Running]:
    folder.mkdir()
    database = folder / "llmgw.db"
    database.write_bytes(made.read_bytes())
    store = open_store(f"sqlite:///{database}")
    key = create_key(store, actor="bench", name="bench").token
    admin_key = create_key(store, actor="bench", name="reports", kind="admin_read").token
    store.close()
    with ExitStack() as stack:
        mock = Mock(folder, core=CORES.load)
        stack.callback(mock.stop)
        port, admin_port = free_port(), free_port()
        config = folder / "llmgw.toml"
        lines = ["[admin]", "enabled = true", *([f"port = {admin_port}"] if own else [])]
        config.write_text(
            config_of(mock.port, folder, "relaxed", limited=False) + "\n".join(lines) + "\n", "utf-8"
        )
        command = [str(Llmgw().program), "serve", "--config", str(config), "--port", str(port)]
        program = Program("llmgw", command, core=CORES.gateway, log=folder / "output.log", env={})
        stack.callback(program.stop)
        program.wait_answer(port, "/healthz", timeout_s=60)
        headers = {"authorization": f"Bearer {key}"}
        models = {name: name for name in UPSTREAM_MODELS}
        target = Target(port, "/v1/chat/completions", headers, models, program.session)
        admin_url = f"http://{LOCALHOST}:{admin_port if own else port}"
        if own:
            _move_admin_process(program.session, admin_url, admin_key)
        yield _Running(folder, mock, target, admin_url, admin_key)


def _move_admin_process(session: int, url: str, key: str) -> None:
    """To the other core, where it gets what is left."""
    _first_answer(url, key)
    children = Path(f"/proc/{session}/task/{session}/children").read_text("ascii").split()
    [admin] = [pid for pid in map(int, children) if os.getpriority(os.PRIO_PROCESS, pid) == _NICE_OF_ADMIN]
    for task in Path(f"/proc/{admin}/task").iterdir():
        os.sched_setaffinity(int(task.name), {CORES.load})
        os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))


def _first_answer(url: str, key: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(
                url + REPORTS[-1], headers={"authorization": f"Bearer {key}"}, timeout=30
            ).raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _row(place: str, workload: Workload, timing: Timing, running: _Running, rounds: int) -> str:
    quiet: list[Figures] = []
    asked: list[Figures] = []
    rates: list[float] = []
    for _ in range(rounds):
        quiet.append(_measure(workload, timing, running))
        with _reports(running, rates):
            asked.append(_measure(workload, timing, running))
    (p50, p99), (p50_asked, p99_asked) = _times(workload, quiet), _times(workload, asked)
    return (
        f"| {place} | {workload.title} | {p50 / 1000:.2f}, {p99 / 1000:.2f} ms | {p50_asked / 1000:.2f}, "
        f"{p99_asked / 1000:.2f} ms | {p99_asked / p99:.2f} | {median(rates):.1f} |"
    )


def _measure(workload: Workload, timing: Timing, running: _Running) -> Figures:
    return measure(workload, timing, running.target, running.mock, folder=running.folder, cores=CORES)


def _times(workload: Workload, figures: Sequence[Figures]) -> tuple[float, float]:
    """Medians of p50 and p99, in microseconds."""
    found = [each.chunk_delay if workload.streams else each.latency for each in figures]
    spreads = [spread for spread in found if spread is not None]
    return median(spread.p50 for spread in spreads), median(spread.p99 for spread in spreads)


@contextmanager
def _reports(running: _Running, rates: list[float]) -> Iterator[None]:
    """Somebody asks for reports all the time."""
    command = [sys.executable, "-m", "benches.gateway.reports", "--ask", running.admin_url]
    process = subprocess.Popen([*command, "--key", running.admin_key], stdout=subprocess.PIPE, text=True)
    os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    begun = time.monotonic()
    try:
        yield
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=60)
        answered = json.loads(output.splitlines()[-1]) if output.strip() else 0
        rates.append(answered / (time.monotonic() - begun))


def _ask(url: str, key: str) -> int:
    """Ask until terminated; prints how many reports came so far, again and again."""
    answered = 0
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60) as client:
        while True:
            client.get(REPORTS[answered % len(REPORTS)]).raise_for_status()
            answered += 1
            print(answered, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.gateway.reports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--window-s", type=float, default=4.0, help="seconds per figure (default: 4)")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
