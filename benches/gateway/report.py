"""The results as Markdown and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from benches.gateway import bar
from benches.gateway.results import Results, Row
from benches.gateway.rounds import DIRECT, Plan, Sample, Start
from benches.gateway.workloads import Workload

_NONE: Final = "–"
_COMPARED: Final = ("nginx", "tensorzero")


def as_json(
    head: Mapping[str, Any], plan: Plan, results: Results, starts: Sequence[Start], samples: Sequence[Sample]
) -> dict[str, Any]:
    """Everything, down to each round."""
    return {
        **head,
        "rounds": plan.rounds,
        "timing": asdict(plan.timing),
        "bar": [{**asdict(line), "verdict": line.verdict} for line in bar.lines(results)],
        "rows": [asdict(row) for row in results.rows],
        "starts": [asdict(start) for start in starts],
        "samples": [asdict(sample) for sample in samples],
    }


def as_markdown(head: Mapping[str, Any], plan: Plan, results: Results) -> str:
    """The tables."""
    window = f"{plan.rounds} round{'s' if plan.rounds > 1 else ''} of {plan.timing.window_s:g} s per figure"
    parts = ["# Gateway bench", "", f"Medians of {window}. How to read this: docs/benchmarks.md.", ""]
    parts += [f"- {name}: {value}" for name, value in head["machine"].items()]
    parts += ["", "## The bar", "", *_bar(results)]
    parts += ["", "## The gateways", "", *_gateways(head["peers"], results)]
    for workload in plan.workloads:
        parts += ["", f"## {workload.name}: {workload.title}", "", *_case(workload, results)]
    faults = [
        f"- {peer}: {fault}"
        for peer in dict.fromkeys([DIRECT, *(peer["name"] for peer in head["peers"])])
        for fault in results.faults(peer)
    ]
    if faults:
        parts += ["", "## What went wrong", "", *faults]
    return "\n".join(parts) + "\n"


def _bar(results: Results) -> Iterable[str]:
    rows = [
        [line.measure, f"{line.demand} {line.limit:.3g} {line.unit}", _number(line.got), line.verdict]
        for line in bar.lines(results)
    ]
    return _table(["measure", "must be", "is", ""], rows)


def _gateways(peers: Sequence[Mapping[str, Any]], results: Results) -> Iterable[str]:
    rows = [
        [
            peer["name"],
            peer["version"] or f"absent: {peer['absent']}",
            _scaled(results.start_s(peer["name"]), 1),
            _scaled(results.rest_rss_kib(peer["name"]), 1024),
            _scaled(results.rest_worker_pss_kib(peer["name"]), 1024),
            _scaled(results.rest_pss_kib(peer["name"]), 1024),
            peer["settings"],
        ]
        for peer in peers
    ]
    rest = ["worker at rest: RSS, MiB", "PSS, MiB", "all processes: PSS, MiB"]
    columns = ["", "version", "start, s", *rest, "settings"]
    return _table(columns, rows)


def _case(workload: Workload, results: Results) -> Iterable[str]:
    rows = [row for row in results.rows if row.workload == workload.name]
    if workload.unit == "stream":
        columns = ["", "KiB per open stream", "notes"]
        return _table(
            columns, [[row.peer, _scaled(row.values.get("kib_per_stream"), 1), _notes(row)] for row in rows]
        )
    unit = workload.unit
    times = _times(workload)
    columns = ["", f"{unit}s/s", *(f"÷ {peer}" for peer in _COMPARED)]
    columns += [f"CPU µs per {unit}", *(f"÷ {peer}" for peer in _COMPARED)]
    columns += [
        *times,
        *(["KiB per stream"] if workload.paced else []),
        *(["bytes left per request"] if workload.lasting else []),
        "its core busy",
        "harness busy",
        "notes",
    ]
    cells = []
    for row in rows:
        line = [f"{row.peer} (the ceiling)" if row.peer == DIRECT else row.peer]
        for name in ("rate", "cpu_us"):
            gateway = name == "rate" or row.peer != DIRECT
            line.append(_number(row.values.get(name) if gateway else None))
            line += [_ratio(row, results.value(workload.name, peer, name), name) for peer in _COMPARED]
        line += [_scaled(_time(row, name), 1000) for name in times.values()]
        if workload.paced:
            line.append(_scaled(row.values.get("kib_per_stream"), 1))
        if workload.lasting:
            line.append(_number(row.values.get("left_bytes")))
        line += [
            _share(row, "busy") if row.peer != DIRECT else _NONE,
            _share(row, "harness_busy"),
            _notes(row),
        ]
        cells.append(line)
    return _table(columns, cells)


def _times(workload: Workload) -> dict[str, str]:
    """Which times a case shows: column => name of the value."""
    kinds = {"": "latency"} if workload.unit == "request" else {"first chunk ": "first_chunk"}
    if workload.paced:
        kinds["chunk "] = "chunk_delay"
    # Of a queue's length nothing can be taken off; else the ceiling's row shows what the others' is added to.
    added = "" if workload.saturating else "added "
    return {
        f"{title}{added}{percentile}, ms": f"{added.strip()}_{kind}_{percentile}_us".lstrip("_")
        for title, kind in kinds.items()
        for percentile in ("p50", "p99")
    }


def _time(row: Row, name: str) -> float | None:
    return row.values.get(name.removeprefix("added_") if row.peer == DIRECT else name)


def _ratio(row: Row, other: float | None, name: str) -> str:
    own = row.values.get(name)
    if own is None or not other or row.peer == DIRECT:
        return _NONE
    return f"{own / other:.2f}"


def _share(row: Row, name: str) -> str:
    value = row.values.get(name)
    return _NONE if value is None else f"{value:.0%}"


def _notes(row: Row) -> str:
    return "; ".join(note.replace("|", "\\|").replace("\n", " ")[:200] for note in row.notes)


def _number(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _scaled(value: float | None, by: float) -> str:
    return _NONE if value is None else f"{value / by:.3g}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
