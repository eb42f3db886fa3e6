"""`python -m benches.limits`: do limits and budgets hold? Granted against allowed, on a simulated clock.

Thousands of keys with bursts, greed and long streams, on one machine and on four that have lost their Redis;
workers are killed with requests open. The limits are those of the gateway (`_core.LimitTable`); the books
beside them are plain sums. Exit status 1 if anything was granted that is not allowed.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator

from benches.limits.traffic import clients
from benches.limits.world import WORKERS, World

NANO = 1_000_000_000
_ROUNDING = 1.0
"""A rate's interval is a whole number of nanoseconds."""


def main() -> int:
    """Print a table for each number of machines."""
    options = _options()
    wrong: list[str] = []
    for machines in options.machines:
        rng = random.Random(options.seed)
        world = World(machines, clients(options.keys, rng), rng)
        begun_s = time.perf_counter()
        world.play(options.minutes, options.kills)
        took_s = time.perf_counter() - begun_s
        name = "1 machine" if machines == 1 else f"{machines} machines without Redis"
        print(
            f"\n{name} of {WORKERS} workers, {options.keys:,} keys, {options.minutes:g} minutes, "
            f"{options.kills} workers killed ({took_s:.0f} s):\n"
        )
        print("\n".join(_report(world, options.minutes)))
        wrong += [f"{name}: {fault}" for fault in faults(world)]
    print("\n" + ("\n".join(wrong) if wrong else "nothing was granted beyond what is allowed"))
    return 1 if wrong else 0


def _report(world: World, minutes: float) -> Iterator[str]:
    counts, machines = world.counts, world.machines
    reasons = ("requests", "tokens", "concurrency", "budget")
    refused = ", ".join(f"{reason} {counts[reason]:,}" for reason in reasons)
    yield f"asked {counts['asked']:,}, granted {counts['granted']:,}; refused by: {refused}"
    yield f"lost with a killed worker: {counts['killed']:,}; still held at the end: {world.leaked()}\n"
    yield "| limit | how many | granted | allowed | worst excess when granted |"
    yield "| --- | --- | --- | --- | --- |"
    requests = [rate for machine in machines for rate in machine.requests.values()]
    tokens = [rate for machine in machines for rate in machine.tokens.values()]
    for name, rates in (("requests a minute", requests), ("tokens a minute", tokens)):
        worst = max(rate.worst for rate in rates)
        granted = sum(rate.granted for rate in rates)
        allowed = sum(round(rate.limit * (1 + minutes)) for rate in rates)
        yield f"| {name} | {len(rates):,} | {granted:,} | {allowed:,} | {max(worst, 0):.2f} |"
    at_once = [each for machine in machines for each in machine.concurrency.values()]
    most, limit = sum(each.most for each in at_once), sum(each.limit for each in at_once)
    worst = max(each.most - each.limit for each in at_once)
    yield f"| requests at once | {len(at_once):,} | {most:,} | {limit:,} | {max(worst, 0)} |"
    budgets = [each for machine in machines for each in machine.budgets.values()]
    spent, amount = sum(each.spent for each in budgets), sum(each.amount for each in budgets)
    over = max(each.overspent for each in budgets)
    yield f"| budgets | {len(budgets):,} | {spent / NANO:,.2f} | {amount / NANO:,.2f} | {over / NANO:.4f} |"
    exhausted = sum(each.overspent > 0 for each in budgets)
    short = max((each.most_short for each in budgets if each.overspent), default=0)
    phantoms = sum(each.phantoms for each in budgets)
    yield (
        f"\nbudgets overspent: {exhausted:,}, each by no more than the guesses of its running requests were "
        f"too low (at most {short / NANO:.4f}); refused for money that was not spent: {phantoms}"
    )


def faults(world: World) -> Iterator[str]:
    """What was granted that is not allowed, refused for nothing, or leaked."""
    for number, machine in enumerate(world.machines):
        for name, rate in (machine.requests | machine.tokens).items():
            if rate.worst > _ROUNDING:
                yield f"{name} at {number}: {rate.worst:.2f} beyond {rate.limit}"
        for name, each in machine.concurrency.items():
            if each.most > each.limit:
                yield f"{name} at {number}: {each.most} at once, {each.limit} allowed"
        for name, budget in machine.budgets.items():
            if budget.overspent > budget.most_short:
                yield f"{name} at {number}: overspent by {budget.overspent}, explained {budget.most_short}"
            if budget.phantoms:
                yield f"{name} at {number}: {budget.phantoms} refusals for money that was not spent"
    if leaked := world.leaked():
        yield f"{leaked} is held for nobody"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.limits", description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=3000, help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=20, help="of simulated time (default: 20)")
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 4], help="default: 1 4")
    parser.add_argument("--kills", type=int, default=6, help="workers that die (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=13, help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
