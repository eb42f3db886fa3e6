"""Observations of a histogram, gathered before they go into the registry.

The library's own `observe` takes 1 µs, and 2 µs where workers count in files; this takes 0.2 µs.
"""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import Histogram


class Tally:
    """What was observed under one set of labels since the last `fold`. For one thread."""

    __slots__ = ("_bounds", "_counts", "_histogram", "_labels", "_series", "_sum")

    def __init__(self, histogram: Histogram, bounds: Sequence[float], labels: Sequence[str]) -> None:
        """`bounds`: the histogram's, without the infinite one. `show` or a `fold` makes the series."""
        self._histogram = histogram
        self._bounds = bounds
        self._labels = labels
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._series: Histogram | None = None

    def show(self) -> "Tally":
        """Have the series in the registry, at 0 if nothing was observed."""
        self._made()
        return self

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def fold(self) -> None:
        """Move what was gathered into the registry."""
        if not any(self._counts):
            return
        series = self._made()
        # The library has no call for several at once; tests/unit/test_tally.py compares this with `observe`.
        for at, count in enumerate(self._counts):
            if count:
                series._buckets[at].inc(count)  # noqa: SLF001
                self._counts[at] = 0
        series._sum.inc(self._sum)  # noqa: SLF001
        self._sum = 0.0

    def _made(self) -> Histogram:
        if self._series is None:
            self._series = self._histogram.labels(*self._labels)
        return self._series
