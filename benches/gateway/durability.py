"""`python -m benches.gateway.durability`: what `[ledger] durability = "strict"` costs.

The same worker, once with each setting, in turns within one run; the disk is that of the temporary folder
($TMPDIR), whose flushes are what strict answers wait for. Needs what `make bench-gateway` builds.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from benches.gateway.measure import Cores, Figures
from benches.gateway.peers.llmgw import Llmgw
from benches.gateway.processes import BENCH_BINARY
from benches.gateway.rounds import Plan, Sample, run_rounds
from benches.gateway.workloads import Timing, Workload

RELAXED: Final = Llmgw(name="relaxed")
STRICT: Final = Llmgw(name="strict", durability="strict")
WORKLOADS: Final = (
    Workload("plain1", "plain answers, 1 connection", "request", 1),
    Workload("plain8", "plain answers, 8 connections", "request", 8),
    Workload("plain32", "plain answers, 32 connections", "request", 32, saturating=True),
    Workload("plain128", "plain answers, 128 connections", "request", 128, saturating=True),
    Workload("stream8", "streams of 20 chunks, 8 connections", "chunk", 8, chunks=20),
)


def main() -> int:
    """Exit status 1 if an answer was wrong, 2 if nothing could be measured."""
    options = _options()
    if not BENCH_BINARY.exists() or RELAXED.absent():
        print(RELAXED.absent() or f"{BENCH_BINARY} is not built: make bench-gateway", file=sys.stderr)
        return 2
    plan = Plan(
        peers=(RELAXED, STRICT),
        workloads=WORKLOADS,
        rounds=options.rounds,
        timing=Timing(0.5, options.window_s),
        cores=Cores(gateway=0, load=1),
    )
    os.sched_setaffinity(0, {plan.cores.load})
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        _, samples = run_rounds(plan, Path(folder), lambda line: print(line, file=sys.stderr, flush=True))
    print("| case | | requests/s | p50 ms | p99 ms |\n| --- | --- | --- | --- | --- |")
    for workload in WORKLOADS:
        for peer in plan.peers:
            print(_row(workload, peer.name, samples))
    faults = [sample.fault for sample in samples if sample.fault]
    print("\n".join(map(str, faults)), file=sys.stderr)
    return 1 if faults else 0


def _row(workload: Workload, peer: str, samples: list[Sample]) -> str:
    found = [s.figures for s in samples if (s.workload, s.peer) == (workload.name, peer) and s.figures]
    if not found:
        return f"| {workload.title} | {peer} | - | - | - |"
    rate = median(_answers_per_s(figures, workload) for figures in found)
    spreads = [figures.latency for figures in found if figures.latency]
    p50, p99 = median(s.p50 for s in spreads), median(s.p99 for s in spreads)
    return f"| {workload.title} | {peer} | {rate:,.0f} | {p50 / 1000:.2f} | {p99 / 1000:.2f} |"


def _answers_per_s(figures: Figures, workload: Workload) -> float:
    answers = figures.chunks / workload.chunks if workload.streams else figures.requests
    return answers / figures.window_s


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.gateway.durability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--window-s", type=float, default=3.0, help="seconds per figure (default: 3)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
