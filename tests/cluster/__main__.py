"""`python -m tests.cluster`: two gateways of two workers, PostgreSQL, Redis and nginx, under a load.

Each part is killed, stopped or restarted in turn. After each event the ledgers of upstream, gateways and
clients must agree, and limits and budgets must have held over both machines. Writes bench-results/cluster.md
and .json. Exit status 1 if anything is wrong.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.cluster.campaign import Outcome, Pace, play_all
from tests.cluster.cluster import Cluster, Setup
from tests.cluster.events import EVENTS, Event
from tests.cluster.report import as_json, as_line, as_markdown
from tests.support.processes import ROOT

OUTPUT: Final = ROOT / "bench-results"
DEFAULT_MINUTES: Final = 4.0
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FIXED_S: Final = 11.0
"""What an event takes beside its calm: to happen, to be over, and to be judged."""
_SHOWN_FAULTS: Final = 5


def main() -> int:
    """Play what the options ask for."""
    options = _options()
    for number in _ENDS:
        signal.signal(number, _end)
    pace = _pace(options)
    shown: dict[str, Any] = {
        "durability": options.durability,
        "database": options.database,
        "seed": options.seed,
    }
    outcomes: list[Outcome] = []

    def told(outcome: Outcome) -> None:
        outcomes.append(outcome)
        _say(as_line(outcome))
        for fault in outcome.faults[:_SHOWN_FAULTS]:
            _say(f"         {fault}")

    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llmgw-cluster-") as folder:
        setup = Setup(durability=options.durability, database=options.database)
        with Cluster.running(Path(folder), setup) as cluster:
            ready_s = time.monotonic() - begun_s
            _say(f"ready after {ready_s:.1f} s: {len(options.events)} events, {options.minutes:g} minutes")
            asyncio.run(play_all(cluster, pace, options.events, told, seed=options.seed))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "cluster.md").write_text(as_markdown(shown, outcomes), "utf-8")
    text = json.dumps(as_json(shown, outcomes), indent=1, ensure_ascii=False) + "\n"
    (options.output / "cluster.json").write_text(text, "utf-8")
    if options.json:
        print(text, end="")
    ok = all(outcome.ok for outcome in outcomes)
    took_s = time.monotonic() - begun_s
    _say(f"{'all as it should be' if ok else 'FAILED'}: {took_s:.0f} s; see {options.output / 'cluster.md'}")
    return 0 if ok else 1


def _end(*_: object) -> None:
    """Leave every block, so that all processes are ended; a second signal must not interrupt that."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _pace(options: argparse.Namespace) -> Pace:
    """What fills the minutes."""
    for_each_s = max(6.0, options.minutes * 60 / max(1, len(options.events)) - _FIXED_S)
    lead_s = max(1.5, for_each_s / 4)
    return Pace(users=options.users, lead_s=lead_s, away_s=max(3.0, for_each_s / 2))


def _options() -> argparse.Namespace:
    first, *more = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster", description=first, epilog="\n".join(more)
    )
    everything = list(EVENTS.values())
    parser.add_argument(
        "--events", type=_events, default=everything, metavar="NAME,NAME", help="default: all"
    )
    parser.add_argument("--list", action="store_true", help="name the events, and what is right in each")
    parser.add_argument(
        "--minutes", type=float, default=DEFAULT_MINUTES, metavar="N", help=f"default: {DEFAULT_MINUTES:g}"
    )
    parser.add_argument("--users", type=int, default=Pace.users, metavar="N", help="without limits")
    parser.add_argument("--durability", choices=("strict", "relaxed"), default="strict", help="of the ledger")
    parser.add_argument(
        "--database", choices=("postgresql", "sqlite"), default="postgresql", help="of both gateways"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, metavar="FOLDER", help="default: bench-results"
    )
    options = parser.parse_args()
    if options.list:
        for event in everything:
            print(f"{event.name:34} {event.what} → {event.right}")
        sys.exit(0)
    return options


def _events(text: str) -> Sequence[Event]:
    names = text.split(",")
    unknown = [name for name in names if name not in EVENTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no event {unknown[0]}; there are {', '.join(EVENTS)}")
    return [EVENTS[name] for name in names]


if __name__ == "__main__":
    sys.exit(main())
