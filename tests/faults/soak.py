"""The mix for minutes: whether anything grows that should not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults import mix
from tests.faults.report import MixReport
from tests.faults.rig import Resources, Rig, Setup

MIX = Setup(first_event_timeout_s=8, idle_timeout_s=6, governed=True)
"""Time-outs that a busy machine does not reach by itself."""
ROUND_S = 20.0
GROWTH_KIB = 65_536
"""A mix may leave so much more memory in use than it found: allocators keep what a burst of events took."""
DRIFT_KIB = 8192.0
DRIFT_KIB_PER_1000 = 16.0
"""By its trend over a soak, memory may grow by so much, and by so much for each thousand requests."""


@dataclass(frozen=True)
class Round:
    """What was held after so many requests, with nothing under way."""

    requests: int
    held: Resources


async def mixed(rig: Rig, *, seconds: float, seed: int, users: int, disturbed: bool) -> MixReport:
    """One mix, with the ledgers compared and everything back where it began."""
    before = await rig.baseline()
    result = await mix.play(rig, seconds=seconds, seed=seed, users=users, disturbed=disturbed)
    account = await rig.account()
    after = await rig.settle(before)
    report = MixReport(result, account, before, after, users)
    for check in (
        lambda: mix.check(result),
        account.check,
        lambda: _bounded(account.attempts_per_request, report),
    ):
        try:
            check()
        except AssertionError as error:
            report.faults.append(str(error))
    return report


def _bounded(attempts_per_request: float, report: MixReport) -> None:
    assert attempts_per_request <= 1.2, f"{attempts_per_request:.3f} attempts per request"
    grown = report.after.rss_kib - report.before.rss_kib
    assert grown <= GROWTH_KIB, f"memory grew by {grown / 1024:.0f} MiB"


async def soak(
    rig: Rig, *, seconds: float, seed: int, users: int, disturbed: bool, say: Callable[[str], None]
) -> tuple[list[str], list[str]]:
    """Rounds of the mix: figures and faults."""
    count = max(4, round(seconds / ROUND_S))
    rounds: list[Round] = []
    figures: list[str] = []
    faults: list[str] = []
    requests = 0
    for number in range(count):
        report = await mixed(
            rig, seconds=seconds / count, seed=seed + number, users=users, disturbed=disturbed
        )
        requests += report.result.requests
        rounds.append(Round(requests, report.after))
        faults += [f"round {number + 1}: {fault}" for fault in report.faults]
        held = report.after
        line = (
            f"round {number + 1} of {count}: {requests} requests so far, {held.rss_kib / 1024:.1f} MiB, "
            f"{held.descriptors} descriptors, {held.threads} threads; {report.account}"
        )
        figures.append(line)
        say(f"    {'ok    ' if not report.faults else 'FAILED'} {line}")
        for fault in report.faults:
            say(f"           {fault}")
    late = rounds[len(rounds) // 3 :]
    thousands = (late[-1].requests - late[0].requests) / 1000
    grown = thousands * trend([r.requests / 1000 for r in late], [r.held.rss_kib for r in late])
    allowed = DRIFT_KIB + DRIFT_KIB_PER_1000 * thousands
    descriptors = [r.held.descriptors for r in rounds]
    figures.append(
        f"memory after the first third: {grown / 1024:+.1f} MiB in {thousands:.0f} thousand requests "
        f"(at most {allowed / 1024:.1f}); descriptors {min(descriptors)} to {max(descriptors)}"
    )
    say(f"           {figures[-1]}")
    if grown > allowed:
        faults.append(f"memory grew by {grown / 1024:.1f} MiB")
    return figures, faults


def trend(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The slope of the straight line that fits best."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
