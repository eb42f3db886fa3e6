"""From samples to figures: medians of the rounds, per case and gateway."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benches.gateway.measure import MEMORY_AT, Figures, Spread
from benches.gateway.rounds import DIRECT, Sample, Start
from benches.gateway.workloads import INTERVAL_S, THINKING, Workload

_IN_PACE: Final = 0.98
_AT_CEILING: Final = 0.9
_FULL: Final = 0.95
_QUIET: Final = 0.1


@dataclass(frozen=True)
class Row:
    """One case of one gateway: the medians of its rounds.

    The names of the values:

    - `rate`: per second, of what the case is about; `cpu_us`: the gateway's processor time per one of these;
    - `latency_p50_us`, `latency_p99_us`, `first_chunk_p50_us`, `first_chunk_p99_us`, `chunk_delay_p50_us`,
      `chunk_delay_p99_us`; with `added_` before it, the same less that of the direct call of its round;
    - `busy`, `harness_busy`: shares of the gateway's and of the harness's core; `foreign_busy`: what anyone
      else had of one of the two;
    - `kib_per_stream`: memory above that at rest, per open stream;
    - `left_bytes`: memory that the later part of the window added, per request that ended in it;
    - `with_switch`: the share of the requests whose thinking switch reached the upstream.
    """

    workload: str
    peer: str
    values: dict[str, float]
    notes: list[str] = field(default_factory=list)


class Results:
    """All rows of a run, and what the gateways are at rest."""

    def __init__(
        self, workloads: Sequence[Workload], starts: Sequence[Start], samples: Sequence[Sample]
    ) -> None:
        """Computes them."""
        self._starts = starts
        self._samples = samples
        names = dict.fromkeys(sample.peer for sample in samples)
        self.rows: list[Row] = []
        for workload in workloads:
            for name in names:
                self.rows += self._row(workload, name)

    def value(self, workload: str, peer: str, name: str) -> float | None:
        """One median; None where there is none."""
        for row in self.rows:
            if (row.workload, row.peer) == (workload, peer):
                return row.values.get(name)
        return None

    def start_s(self, peer: str) -> float | None:
        """From its start to its first answer."""
        return _median(start.start_s for start in self._starts if start.peer == peer)

    def rest_rss_kib(self, peer: str) -> float | None:
        """Of its worker, after its first requests."""
        return _median(start.rest.worker_rss for start in self._starts if start.peer == peer and start.rest)

    def rest_worker_pss_kib(self, peer: str) -> float | None:
        """The same, what it shares with its parent counted half."""
        return _median(start.rest.worker_pss for start in self._starts if start.peer == peer and start.rest)

    def rest_pss_kib(self, peer: str) -> float | None:
        """Of all its processes."""
        return _median(start.rest.pss for start in self._starts if start.peer == peer and start.rest)

    def faults(self, peer: str) -> list[str]:
        """What went wrong with it, each once."""
        starts = [f"start: {start.fault}" for start in self._starts if start.peer == peer and start.fault]
        cases = [
            f"{sample.workload}: {sample.fault}"
            for sample in self._samples
            if sample.peer == peer and sample.fault
        ]
        return list(dict.fromkeys(starts + cases))

    def _row(self, workload: Workload, peer: str) -> Iterator[Row]:
        samples = [s for s in self._samples if (s.workload, s.peer) == (workload.name, peer)]
        if not samples:
            return
        faults = list(dict.fromkeys(sample.fault for sample in samples if sample.fault))
        if faults:
            # A gateway that answers wrongly once has no figures: its right answers may be the easy ones.
            yield Row(workload.name, peer, {}, faults)
            return
        per_round = [self._values(workload, sample) for sample in samples]
        names = dict.fromkeys(name for values in per_round for name in values)
        values = {name: median(round_[name] for round_ in per_round if name in round_) for name in names}
        yield Row(workload.name, peer, values, list(self._notes(workload, peer, values)))

    def _notes(self, workload: Workload, peer: str, values: Mapping[str, float]) -> Iterator[str]:
        if workload.paced and values["in_pace"] < _IN_PACE:
            yield f"can't keep pace: {values['in_pace']:.0%} of the chunks in their time"
        if values["unfinished"]:
            yield f"{values['unfinished']:.0f} streams did not end in time"
        if workload.unit != "stream" and "rate" not in values:
            yield "no answer came within the window"
        if workload.model == THINKING and values["with_switch"] < 1:
            yield "drops the thinking switch"
        if workload.saturating and self._held_up(workload, peer, values):
            yield "held up by the harness: a lower bound"
        if values["foreign_busy"] > _QUIET:
            yield f"disturbed: others had {values['foreign_busy']:.0%} of a core"

    def _held_up(self, workload: Workload, peer: str, values: Mapping[str, float]) -> bool:
        # The rows of a case begin with the ceiling's.
        ceiling = self.value(workload.name, DIRECT, "rate")
        if peer == DIRECT or ceiling is None or values["busy"] >= _FULL:
            return False
        return values["harness_busy"] >= _AT_CEILING or values.get("rate", 0) >= _AT_CEILING * ceiling

    def _values(self, workload: Workload, sample: Sample) -> dict[str, float]:
        figures = sample.figures
        assert figures is not None  # there is no fault
        values = {
            "busy": figures.cpu_s / figures.window_s,
            "harness_busy": figures.harness_busy,
            "foreign_busy": figures.foreign_busy[1] if sample.peer == DIRECT else max(figures.foreign_busy),
            "unfinished": figures.unfinished,
            "reconnects": figures.reconnects,
            "with_switch": figures.with_switch,
        }
        count = {"request": figures.requests, "chunk": figures.chunks, "stream": 0}[workload.unit]
        if count:
            values["rate"] = count / figures.window_s
            values["cpu_us"] = figures.cpu_s * 1e6 / count
        if workload.paced:
            values["in_pace"] = figures.chunks / (figures.window_s * workload.connections / INTERVAL_S)
        values |= self._times(sample, figures)
        rest = next((s.rest for s in self._starts if (s.round, s.peer) == (sample.round, sample.peer)), None)
        if rest and figures.memory:
            values["kib_per_stream"] = (figures.memory.pss - rest.pss) / workload.connections
        if workload.lasting and figures.memory and figures.memory_later and figures.requests:
            added_kib = figures.memory_later.pss - figures.memory.pss
            values["left_bytes"] = added_kib * 1024 / (figures.requests * (1 - MEMORY_AT))
        return values

    def _times(self, sample: Sample, figures: Figures) -> dict[str, float]:
        direct = next(
            (
                other.figures
                for other in self._samples
                if (other.round, other.workload, other.peer) == (sample.round, sample.workload, DIRECT)
            ),
            None,
        )
        kinds: dict[str, Callable[[Figures], Spread | None]] = {
            "latency": lambda of: of.latency,
            "first_chunk": lambda of: of.first_chunk,
            "chunk_delay": lambda of: of.chunk_delay,
        }
        times: dict[str, float] = {}
        for kind, spread_of in kinds.items():
            spread = spread_of(figures)
            if spread is None:
                continue
            times |= {f"{kind}_p50_us": spread.p50, f"{kind}_p99_us": spread.p99}
            floor = spread_of(direct) if direct else None
            if floor and sample.peer != DIRECT:
                times[f"added_{kind}_p50_us"] = spread.p50 - floor.p50
                times[f"added_{kind}_p99_us"] = spread.p99 - floor.p99
        return times


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
