"""The campaign's results as Markdown and as JSON."""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from tests.cluster.campaign import Outcome

_SHOWN_FAULTS: Final = 20


def as_line(outcome: Outcome) -> str:
    """For the terminal, one event."""
    state = "ok    " if outcome.ok else "FAILED"
    facts = f"{outcome.requests} requests, {outcome.cut} broken off, the slowest {outcome.slowest_s:.1f} s"
    figure = f"; {outcome.figure}" if outcome.figure else ""
    return f"{state} {outcome.took_s:5.1f} s  {outcome.event.what}: {facts}{figure}"


def as_markdown(options: dict[str, Any], outcomes: Sequence[Outcome]) -> str:
    """The tables."""
    passed = sum(outcome.ok for outcome in outcomes)
    parts = ["# Two gateways, one database, one Redis", ""]
    parts += [f"{platform.platform()}, Python {platform.python_version()}. " + ", ".join(
        f"{name} {value}" for name, value in options.items()
    )]  # fmt: skip
    parts += ["", f"## Events under load: {passed} of {len(outcomes)} as they should be", ""]
    parts += ["| event | right | | requests | completed | slowest | broken off | rows lost | figure |"]
    parts += ["| --- | --- | --- | --: | --: | --: | --: | --: | --- |"]
    parts += [
        f"| {o.event.what} | {o.event.right} | {'ok' if o.ok else '**failed**'} | {o.requests} "
        f"| {o.account.fates['completed']} | {o.slowest_s:.1f} s | {o.cut} | {o.account.lost_rows} "
        f"| {o.figure} |"
        for o in outcomes
    ]
    requests, rows = sum(o.requests for o in outcomes), sum(o.account.requests for o in outcomes)
    billed = sum(o.account.tokens_billed for o in outcomes)
    emitted = sum(o.account.tokens_emitted for o in outcomes)
    parts += [
        "",
        "Broken off: by a kill, as it must be. Rows lost: of those, and of requests refused just then.",
        "",
    ]
    parts += [f"In all {requests} requests, {rows} rows, {billed} tokens billed of {emitted} emitted."]
    parts += ["", "## Limits and budgets over both machines", ""]
    parts += [
        "By the upstream's stamps, at the tightest moment. Each event has keys of its own.",
        "",
    ]
    parts += [
        "| limit | amount | got at the most | allowed then | refused | |",
        "| --- | --: | --: | --: | --: | --- |",
    ]
    verdicts = [
        *(outcomes[-1].verdicts[:1] if outcomes else ()),
        *(v for o in outcomes for v in o.verdicts[1:]),
    ]
    parts += [
        f"| {v.name} | {v.limit:,} | {v.most:,.0f} | {v.allowed:,.1f} | {v.refused} "
        f"| {'ok' if v.held else '**failed**'} |"
        for v in verdicts
    ]
    for outcome in outcomes:
        if not outcome.ok:
            parts += ["", f"## Failed: {outcome.event.what}", ""]
            parts += [f"- {fault}" for fault in outcome.faults[:_SHOWN_FAULTS]]
    return "\n".join(parts) + "\n"


def as_json(options: dict[str, Any], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything."""
    return {
        "ok": all(outcome.ok for outcome in outcomes),
        "options": options,
        "events": [
            {
                "event": outcome.event.name,
                "what": outcome.event.what,
                "right": outcome.event.right,
                "ok": outcome.ok,
                "took_s": round(outcome.took_s, 3),
                "figure": outcome.figure,
                "requests": outcome.requests,
                "slowest_s": round(outcome.slowest_s, 3),
                "fates": dict(outcome.account.fates),
                "rows": outcome.account.requests,
                "lost_rows": outcome.account.lost_rows,
                "broken_off": outcome.cut,
                "sent_again": outcome.stale,
                "tokens_billed": outcome.account.tokens_billed,
                "tokens_emitted": outcome.account.tokens_emitted,
                "limits": [{**asdict(verdict), "held": verdict.held} for verdict in outcome.verdicts],
                "faults": outcome.faults,
            }
            for outcome in outcomes
        ],
    }
