"""`python -m tests.faults`: the battery of faults that the gateway lives through.

The cases, each alone; then all of them mixed at random under load; with --soak, the mix for minutes and
a look at what grows. Writes bench-results/faults.md and .json. Exit status 1 if anything is wrong.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults import report, soak
from tests.faults.case import CASES, Case
from tests.faults.cases import (
    clients,
    databases,
    doors,
    governance,
    operations,
    processes,
    several_machines,
    upstream,
)
from tests.faults.mix import USERS
from tests.faults.rig import Rig
from tests.faults.runner import run_cases
from tests.support.processes import ROOT

OUTPUT: Final = ROOT / "bench-results"
_MODULES: Final = (
    upstream,
    clients,
    operations,
    processes,
    doors,
    governance,
    several_machines,
    databases,
)  # importing them has registered their cases


def say(line: str) -> None:
    """Progress, at once."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run what the options ask for."""
    options = _options()
    shown = {"seed": options.seed, "mix_s": options.seconds, "soak_min": options.soak}
    battery = report.Battery({name: value for name, value in shown.items() if value})
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llmgw-faults-") as name:
        folder = Path(name)
        for result in run_cases(options.cases, folder / "cases", say):
            battery.cases.append(result)
        if options.seconds:
            battery.mix = _mix(folder / "mix", options)
        if options.soak:
            battery.soak, battery.soak_faults = _soak(folder / "soak", options)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "faults.md").write_text(report.as_markdown(battery), "utf-8")
    text = json.dumps(report.as_json(battery), indent=1, ensure_ascii=False)
    (options.output / "faults.json").write_text(text + "\n", "utf-8")
    passed = sum(result.ok for result in battery.cases)
    verdict = "all as it should be" if battery.ok else "FAILED"
    where = options.output / "faults.md"
    say(f"{verdict}: {passed} of {len(battery.cases)} cases, {time.monotonic() - begun:.0f} s; see {where}")
    return 0 if battery.ok else 1


def _mix(folder: Path, options: argparse.Namespace) -> report.MixReport:
    say(f"mix: {options.seconds:g} s, {options.users} clients, seed {options.seed}")
    with Rig.running(folder, soak.MIX) as rig:
        found = asyncio.run(
            soak.mixed(rig, seconds=options.seconds, seed=options.seed, users=options.users, disturbed=True)
        )
    for line in found.lines:
        say(f"    {line}")
    for fault in found.faults:
        say(f"    FAILED {fault}")
    return found


def _soak(folder: Path, options: argparse.Namespace) -> tuple[Sequence[str], Sequence[str]]:
    say(f"soak: {options.soak:g} min, {options.users} clients, seed {options.seed}")
    with Rig.running(folder, soak.MIX) as rig:
        seconds = options.soak * 60
        return asyncio.run(
            soak.soak(rig, seconds=seconds, seed=options.seed, users=options.users, disturbed=True, say=say)
        )


def _options() -> argparse.Namespace:
    first, *more = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=first, epilog="\n".join(more))
    parser.add_argument(
        "--cases",
        type=_cases,
        default=list(CASES.values()),
        metavar="1-20,33",
        help="default: all; none: no case",
    )
    parser.add_argument("--list", action="store_true", help="name the cases, and what is right in each")
    parser.add_argument(
        "--seconds", type=float, default=60, metavar="S", help="of the mix; default: 60, 0: none"
    )
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES", help="default: 0, none")
    parser.add_argument(
        "--users", type=int, default=USERS, metavar="N", help=f"of mix and soak; default: {USERS}"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of mix and soak; default: 1")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, metavar="FOLDER", help="default: bench-results"
    )
    options = parser.parse_args()
    if options.list:
        for case in CASES.values():
            print(f"{case.number:>3}  {case.fault} → {case.right}")
        sys.exit(0)
    return options


def _cases(text: str) -> list[Case]:
    """`1-20,33`, or `none`."""
    numbers: list[int] = []
    for part in text.split(",") if text != "none" else []:
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    unknown = sorted(set(numbers) - set(CASES))
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no case {unknown[0]}: they are 1 to {max(CASES)}")
    return [CASES[number] for number in numbers]


if __name__ == "__main__":
    sys.exit(main())
