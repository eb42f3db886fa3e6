"""Gathered observations are the same series as the library's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from llmgw.observe.tally import Tally

BOUNDS = (0.5, 1.0, 4.0)


def made() -> tuple[CollectorRegistry, Histogram]:
    registry = CollectorRegistry()
    return registry, Histogram("h", "Help.", ("a", "b"), buckets=BOUNDS, registry=registry)


# Quarters: their sums are exact in whatever order.
@given(st.lists(st.integers(0, 40).map(lambda quarters: quarters / 4), max_size=30), st.integers(0, 30))
def test_the_same_as_observe(values: list[float], folded_at: int) -> None:
    one, histogram = made()
    other, gathered = made()
    series = histogram.labels("x", "y")
    tally = Tally((gathered, BOUNDS, ("x", "y"))).show()
    for at, value in enumerate(values):
        series.observe(value)
        tally.observe(value)
        if at == folded_at:
            tally.fold()
    tally.fold()
    tally.fold()
    assert generate_latest(other) == generate_latest(one)


def test_there_is_no_series_before_there_is_something() -> None:
    registry, histogram = made()
    tally = Tally((histogram, BOUNDS, ("x", "y")), (histogram, BOUNDS, ("x", "z")))
    tally.fold()
    assert b"h_bucket{" not in generate_latest(registry)
    tally.observe(1.0)
    tally.fold()
    assert b'h_bucket{a="x",b="y",le="1.0"} 1.0' in generate_latest(registry)
    assert b'b="z"' not in generate_latest(registry)
    tally.observe(None, 7)
    tally.fold()
    assert b'h_bucket{a="x",b="z",le="4.0"} 0.0' in generate_latest(registry)
    assert b'h_sum{a="x",b="z"} 7.0' in generate_latest(registry)
    assert b'h_count{a="x",b="y"} 1.0' in generate_latest(registry)


def test_each_value_has_a_histogram() -> None:
    _, histogram = made()
    with pytest.raises(ValueError, match="more values than histograms"):
        Tally((histogram, BOUNDS, ("x", "y"))).observe(1.0, 2.0)
