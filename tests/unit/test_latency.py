"""Quantiles out of the ledger's histograms."""

import pytest

from llmgw.ledger.latency import quantile_s


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0] * 10, 0.5, None),
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.5, 0.1),
        ([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], 0.5, 0.1),
        ([1, 2, 0, 0, 0, 0, 0, 0, 0, 0], 0.5, 0.25),
        ([94, 0, 0, 6, 0, 0, 0, 0, 0, 0], 0.95, 1.0),
        ([95, 0, 0, 5, 0, 0, 0, 0, 0, 0], 0.95, 0.1),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 7], 0.5, None),
        ([0, 0, 0, 0, 0, 0, 0, 0, 1, 0], 0.95, 60.0),
    ],
)
def test_quantiles(counts: list[int], share: float, expected: float | None) -> None:
    assert quantile_s(counts, share) == expected
