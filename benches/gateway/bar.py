"""The targets that the benchmark sets for llmgw, beside what it has reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from benches.gateway.results import Results
from benches.gateway.workloads import BESIDE_CHAT, DOORS, beside

US: Final = "llmgw"
LIMITED: Final = "limited"
"""Ourselves, with limits and budgets on."""
_NGINX: Final = "nginx"
_TENSORZERO: Final = "tensorzero"


@dataclass(frozen=True)
class Line:
    """One demand."""

    measure: str
    demand: Literal["at least", "at most"]
    limit: float
    unit: str
    got: float | None
    """None where it was not measured, or what it is compared with is absent."""

    @property
    def verdict(self) -> str:
        """For the table."""
        if self.got is None:
            return "not measured"
        reached = self.got >= self.limit if self.demand == "at least" else self.got <= self.limit
        return "reached" if reached else "**missed**"


def lines(results: Results) -> Iterator[Line]:
    """Every line of the bar that this harness can see."""

    def ratio(workload: str, name: str, peer: str) -> float | None:
        ours, theirs = results.value(workload, US, name), results.value(workload, peer, name)
        return ours / theirs if ours is not None and theirs is not None and theirs > 0 else None

    def to_chat(case: str, workload: str, name: str) -> float | None:
        ours, chat = results.value(case, US, name), results.value(workload, US, name)
        return ours / chat if ours is not None and chat is not None and chat > 0 else None

    def of_limits(workload: str) -> tuple[float | None, float | None]:
        """Their processor time: in microseconds more, and as a ratio."""
        with_them, without = results.value(workload, LIMITED, "cpu_us"), results.value(workload, US, "cpu_us")
        if with_them is None or not without:
            return None, None
        return with_them - without, with_them / without

    def scaled(value: float | None, by: float) -> float | None:
        return None if value is None else value / by

    yield Line("plain32: requests/s", "at least", 1.3, "× TensorZero", ratio("plain32", "rate", _TENSORZERO))
    yield Line("plain32: requests/s", "at least", 0.22, "× nginx", ratio("plain32", "rate", _NGINX))
    yield Line(
        "plain32: requests/s (moonshot)", "at least", 0.35, "× nginx", ratio("plain32", "rate", _NGINX)
    )
    yield Line(
        "plain1: added time p50",
        "at most",
        1.0,
        "× TensorZero",
        ratio("plain1", "added_latency_p50_us", _TENSORZERO),
    )
    yield Line("flood: chunks/s", "at least", 2.0, "× TensorZero", ratio("flood", "rate", _TENSORZERO))
    yield Line("flood: chunks/s", "at least", 0.7, "× nginx", ratio("flood", "rate", _NGINX))
    # nginx is held up by the harness there; its processor time per chunk is what it could do without.
    yield Line(
        "flood: CPU per chunk (the same, stricter)",
        "at most",
        1 / 0.7,
        "× nginx",
        ratio("flood", "cpu_us", _NGINX),
    )
    for workload in ("paced300", "paced1000"):
        measure = f"{workload}: CPU per chunk"
        yield Line(measure, "at most", 0.5, "× TensorZero", ratio(workload, "cpu_us", _TENSORZERO))
        yield Line(measure, "at most", 1.3, "× nginx", ratio(workload, "cpu_us", _NGINX))
    for workload in BESIDE_CHAT:
        for door in DOORS:
            case = beside(workload, door)
            rate = to_chat(case, workload, "rate")
            yield Line(f"{case}: rate", "at least", 0.75, "× the chat door", rate)
            cpu = to_chat(case, workload, "cpu_us")
            yield Line(f"{case}: CPU", "at most", 1.25, "× the chat door", cpu)
    more_us, _ = of_limits("plain32")
    yield Line("plain32: CPU of limits and budgets", "at most", 3, "µs a request", more_us)
    _, ratio_of_limits = of_limits("paced300")
    yield Line("paced300: CPU with limits and budgets", "at most", 1.02, "× without", ratio_of_limits)
    delay = results.value("paced1000", US, "added_chunk_delay_p99_us")
    yield Line("paced1000: added delay per chunk p99", "at most", 5, "ms", scaled(delay, 1000))
    for workload in ("body1m", "image4m"):
        got = ratio(workload, "added_latency_p50_us", _NGINX)
        yield Line(f"{workload}: added time p50", "at most", 1.5, "× nginx", got)
    idle = results.value("idle1000", US, "kib_per_stream")
    yield Line("idle1000: memory per stream", "at most", 40, "KiB", idle)
    yield Line("worker at rest, PSS", "at most", 55, "MiB", scaled(results.rest_worker_pss_kib(US), 1024))
    yield Line("start to the first /healthz", "at most", 0.5, "s", results.start_s(US))
