"""The arithmetic of the report: medians, differences, notes, verdicts."""

import pytest

from benches.gateway import bar
from benches.gateway.machine import Memory
from benches.gateway.measure import Figures, Spread
from benches.gateway.results import Results
from benches.gateway.rounds import DIRECT, Sample, Start
from benches.gateway.workloads import Workload

PLAIN = Workload("plain32", "", "request", 32, saturating=True)
LASTING = Workload("lasting300", "", "chunk", 300, chunks=10, lasting=True)
PACED = Workload("paced1000", "", "chunk", 1000, paced=True)


def spread(p50: float) -> Spread:
    return Spread(n=1, p50=p50, p90=p50, p99=2 * p50, max=2 * p50)


def figures(
    count: int, *, p50: float = 100, cpu_s: float = 0.5, pss: int = 0, later: int = 0, foreign: float = 0.0
) -> Figures:
    return Figures(
        window_s=2.0,
        requests=count,
        chunks=count,
        unfinished=0,
        reconnects=0,
        latency=spread(p50),
        first_chunk=None,
        chunk_delay=spread(p50),
        cpu_s=cpu_s,
        harness_busy=0.5,
        foreign_busy=(foreign, 0.0),
        memory=Memory(pss, pss),
        memory_later=Memory(later, later),
        with_switch=0.0,
    )


def results(workload: Workload, samples: list[tuple[str, Figures | None]]) -> Results:
    """Every further sample of the same gateway is of the next round."""
    seen: dict[str, int] = {}
    rounds: list[Sample] = []
    for name, sample in samples:
        seen[name] = seen.get(name, 0) + 1
        fault = None if sample else "chunk 7 where 6 is next"
        rounds.append(Sample(seen[name], workload.name, name, sample, fault))
    starts = [Start(1, "llmgw", 0.5, Memory(70 * 1024, 60 * 1024, 50 * 1024))]
    return Results([workload], starts, rounds)


def test_memory_that_requests_leave_behind() -> None:
    got = results(LASTING, [("llmgw", figures(3000, pss=70 * 1024, later=72 * 1024))])
    assert got.value("lasting300", "llmgw", "left_bytes") == pytest.approx(2 * 2**20 / 2000)


def test_values_are_medians_of_the_rounds() -> None:
    got = results(PLAIN, [("llmgw", figures(count)) for count in (1000, 9000, 2000)])
    assert got.value("plain32", "llmgw", "rate") == 1000
    assert got.value("plain32", "llmgw", "cpu_us") == 250


def test_added_time_is_that_above_the_direct_call_of_the_same_round() -> None:
    samples = [(DIRECT, figures(9, p50=10)), ("llmgw", figures(9, p50=110))]
    samples += [(DIRECT, figures(9, p50=50)), ("llmgw", figures(9, p50=170))]
    got = results(PLAIN, [*samples])
    assert got.value("plain32", "llmgw", "added_latency_p50_us") == 110
    assert got.value("plain32", "llmgw", "added_latency_p99_us") == 220


def test_one_wrong_answer_takes_all_figures() -> None:
    got = results(PLAIN, [("nginx", figures(9)), ("nginx", None)])
    assert got.value("plain32", "nginx", "rate") is None
    assert got.rows[0].notes == ["chunk 7 where 6 is next"]
    assert got.faults("nginx") == ["plain32: chunk 7 where 6 is next"]


def test_notes_say_what_a_figure_is_not_good_for() -> None:
    rows = [
        ("at the ceiling", PLAIN, figures(1900), "held up by the harness: a lower bound"),
        ("well below it", PLAIN, figures(900), None),
        ("beside a compiler", PLAIN, figures(900, foreign=0.4), "disturbed: others had 40% of a core"),
        ("late", PACED, figures(50_000), "can't keep pace: 50% of the chunks in their time"),
        ("in time", PACED, figures(100_000), None),
    ]
    for name, workload, sample, expected in rows:
        got = results(workload, [(DIRECT, figures(2000)), ("llmgw", sample)])
        assert got.rows[1].notes == ([expected] if expected else []), name


def test_memory_per_stream_is_what_comes_on_top_of_that_at_rest() -> None:
    got = results(PACED, [("llmgw", figures(100_000, pss=60 * 1024 + 25_000))])
    assert got.value("paced1000", "llmgw", "kib_per_stream") == 25


def test_the_bar_compares_with_peers_only_where_they_are() -> None:
    got = results(PLAIN, [("llmgw", figures(300)), ("nginx", figures(1000))])
    verdicts = {(line.measure, line.unit): line.verdict for line in bar.lines(got)}
    assert verdicts["plain32: requests/s", "× nginx"] == "reached"
    assert verdicts["plain32: requests/s (moonshot)", "× nginx"] == "**missed**"
    assert verdicts["plain32: requests/s", "× TensorZero"] == "not measured"
    assert verdicts["worker at rest, PSS", "MiB"] == "reached"


def test_limits_are_measured_beside_the_same_gateway_without_them() -> None:
    rows = [("cheap", 0.502, "reached"), ("dear", 0.51, "**missed**")]
    for name, cpu_s, expected in rows:
        got = results(PLAIN, [("llmgw", figures(1000)), ("limited", figures(1000, cpu_s=cpu_s))])
        verdicts = {line.measure: line.verdict for line in bar.lines(got)}
        assert verdicts["plain32: CPU of limits and budgets"] == expected, name
    alone = {line.measure: line.verdict for line in bar.lines(results(PLAIN, [("llmgw", figures(1000))]))}
    assert alone["plain32: CPU of limits and budgets"] == "not measured"
