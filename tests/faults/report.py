"""The battery's results as Markdown and as JSON."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults import mix
from tests.faults.case import CASES
from tests.faults.cases.upstream import ms
from tests.faults.reconcile import Account
from tests.faults.rig import Resources
from tests.faults.runner import Result


@dataclass
class MixReport:
    """The mix, and what the gateway held before and after it."""

    result: mix.Result
    account: Account
    before: Resources
    after: Resources
    users: int
    faults: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The figures, a line each."""
        result, plain = self.result, sorted(self.result.plain_s) or [0.0]
        before, after = self.before, self.after
        tried = result.helped + result.unhelped
        p99_s = plain[int(len(plain) * 0.99)]
        memory = f"{before.rss_kib / 1024:.0f} → {after.rss_kib / 1024:.0f} MiB"
        held = f"descriptors {before.descriptors} → {after.descriptors}"
        held += f", threads {before.threads} → {after.threads}"
        return [
            f"{result.requests} requests in {result.seconds:.0f} s by {self.users} clients",
            str(self.account),
            f"first target failed: {result.helped} of {tried} answered by the second",
            f"good answers, not streamed: p50 {ms(statistics.median(plain))}, p99 {ms(p99_s)}",
            f"{held}, memory {memory}",
            "drawn: " + ", ".join(mix.shares(result.kinds)),
        ]


@dataclass
class Battery:
    """Everything that one run found."""

    options: dict[str, Any]
    cases: list[Result] = field(default_factory=list)
    mix: MixReport | None = None
    soak: Sequence[str] = ()
    soak_faults: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Nothing went wrong."""
        mixed = self.mix is None or not self.mix.faults
        return mixed and not self.soak_faults and all(result.ok for result in self.cases)


def as_markdown(battery: Battery) -> str:
    """The tables."""
    passed = sum(result.ok for result in battery.cases)
    parts = ["# The battery of faults", "", f"{platform.platform()}, Python {platform.python_version()}. "]
    parts[-1] += ", ".join(f"{name} {value}" for name, value in battery.options.items())
    if battery.cases:
        parts += ["", f"## The cases: {passed} of {len(battery.cases)} as they should be", ""]
        parts += ["| | fault | right | | figure |", "| --- | --- | --- | --- | --- |"]
        parts += [
            f"| {r.number} | {r.fault} | {r.right} | {'ok' if r.ok else '**failed**'} | {_cell(r.figure)} |"
            for r in battery.cases
        ]
        missing = sorted(set(CASES) - {result.number for result in battery.cases})
        if missing:
            parts += ["", f"Not played: {', '.join(map(str, missing))}."]
    if battery.mix is not None:
        verdict = "as it should be" if not battery.mix.faults else "failed"
        parts += ["", f"## All at once, at random: {verdict}", ""]
        parts += [f"- {line}" for line in [*battery.mix.lines, *battery.mix.faults]]
    if battery.soak:
        parts += ["", f"## For minutes: {'no drift' if not battery.soak_faults else 'failed'}", ""]
        parts += [f"- {line}" for line in [*battery.soak, *battery.soak_faults]]
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>").replace("\u2028", "U+2028")


def as_json(battery: Battery) -> dict[str, Any]:
    """Everything."""
    mixed = battery.mix
    return {
        "ok": battery.ok,
        "options": battery.options,
        "cases": [asdict(result) for result in battery.cases],
        "mix": None if mixed is None else {"figures": mixed.lines, "faults": mixed.faults},
        "soak": {"figures": list(battery.soak), "faults": list(battery.soak_faults)},
    }
