"""`python -m benches.gateway`: llmgw beside other gateways, asked by a client that checks the answers.

Writes `bench-results/gateway.md` and `.json`. docs/benchmarks.md says how to read them, and
`python -m benches.gateway.peers install` gets the gateways to compare with. Linux, and two cores.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benches.gateway import report
from benches.gateway.machine import ROOT, describe
from benches.gateway.measure import Cores
from benches.gateway.peers.base import Peer
from benches.gateway.peers.llmgw import Llmgw
from benches.gateway.peers.registry import PEERS
from benches.gateway.processes import BENCH_BINARY
from benches.gateway.results import Results
from benches.gateway.rounds import DIRECT, Plan, run_rounds
from benches.gateway.workloads import WORKLOADS, Timing, Workload

RESULTS_DIR: Final = ROOT / "bench-results"
_FILES: Final = 8192
"""A gateway with 1,000 streams has 2,000 sockets open, and nginx asks for more."""


def main() -> int:
    """Exit status 1 if llmgw or the harness itself went wrong, 2 if nothing could be measured."""
    options = _options()
    if not BENCH_BINARY.exists():
        print(f"{BENCH_BINARY} is not built: make bench-gateway", file=sys.stderr)
        return 2
    before = [] if options.before is None else [Llmgw("before", options.before)]
    peers, described = _present([*options.peers, *before])
    plan = Plan(
        peers=peers,
        workloads=options.workloads,
        rounds=options.rounds or (1 if options.quick else 3),
        timing=Timing(0.5, options.window_s or (1.0 if options.quick else 4.0)),
        cores=Cores(gateway=options.gateway_core, load=options.load_core),
    )
    _raise_file_limit()
    os.sched_setaffinity(0, {plan.cores.load})  # the harness itself, too, keeps off the gateway's core
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        starts, samples = run_rounds(
            plan, Path(folder), lambda line: print(line, file=sys.stderr, flush=True)
        )
    results = Results(plan.workloads, starts, samples)
    head = {"machine": describe(), "peers": described}
    text = report.as_markdown(head, plan, results)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "gateway.md").write_text(text, "utf-8")
    whole = report.as_json(head, plan, results, starts, samples)
    (options.output / "gateway.json").write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
    print(text)
    return 1 if results.faults(DIRECT) or results.faults("llmgw") else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.gateway", description=__doc__.splitlines()[0])
    peers, workloads = [peer.name for peer in PEERS], [workload.name for workload in WORKLOADS]
    parser.add_argument("--peers", type=_peers, default=PEERS, metavar="A,B", help=f"of: {', '.join(peers)}")
    parser.add_argument(
        "--workloads", type=_workloads, default=WORKLOADS, metavar="A,B", help=f"of: {', '.join(workloads)}"
    )
    parser.add_argument(
        "--before",
        type=_program,
        metavar="PROGRAM",
        help="the llmgw of another clone (.venv/bin/llmgw, release build), in the same run",
    )
    parser.add_argument("--quick", action="store_true", help="one round, a second per figure")
    parser.add_argument("--rounds", type=int, help="default: 3")
    parser.add_argument("--window-s", type=float, help="seconds per figure (default: 4)")
    parser.add_argument("--gateway-core", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--load-core", type=int, default=1, help="of load client and mock (default: %(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, default=RESULTS_DIR, help="folder for gateway.md and gateway.json"
    )
    return parser.parse_args()


def _program(path: str) -> Path:
    # Not resolved: a virtual environment is found by the link.
    return Path(path).absolute()


def _peers(names: str) -> Sequence[Peer]:
    known = {peer.name: peer for peer in PEERS}
    return [known[name] for name in _known(names, known)]


def _workloads(names: str) -> Sequence[Workload]:
    known = {workload.name: workload for workload in WORKLOADS}
    return [known[name] for name in _known(names, known)]


def _known(names: str, known: dict[str, Any]) -> list[str]:
    asked = names.split(",")
    if unknown := set(asked) - set(known):
        raise argparse.ArgumentTypeError(
            f"no such thing: {', '.join(sorted(unknown))} (of: {', '.join(known)})"
        )
    return [name for name in known if name in asked]


def _present(asked: Sequence[Peer]) -> tuple[list[Peer], list[dict[str, Any]]]:
    """Who is here, and what the report says of everyone who was asked for."""
    present: list[Peer] = []
    described: list[dict[str, Any]] = []
    for peer in asked:
        reason = peer.absent()
        if reason is None:
            present.append(peer)
        version = None if reason else peer.version()
        described.append({"name": peer.name, "version": version, "absent": reason, "settings": peer.settings})
    return present, described


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, hard), hard))


if __name__ == "__main__":
    sys.exit(main())
