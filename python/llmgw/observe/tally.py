"""Observations of histograms, gathered before they go into the registry.

The library's own `observe` takes 1 µs, and 2 µs where workers count in files; this takes 0.3 µs for all
histograms of a request together.
"""

from collections.abc import Sequence

from prometheus_client import Histogram

from llmgw._core import Observations


class Tally:
    """What was observed of some histograms since the last `fold`. For one thread."""

    __slots__ = ("_observations", "_of", "_series", "observe")

    def __init__(self, *of: tuple[Histogram, Sequence[float], Sequence[str]]) -> None:
        """`of`: each histogram with its bounds, without the infinite one, and with the labels of its series.

        `show` makes all of the series; a `fold` makes those of which something was observed.
        """
        self._of = of
        self._series: list[Histogram | None] = [None] * len(of)
        self._observations = Observations(*(bounds for _, bounds, _ in of))
        self.observe = self._observations.observe
        """Count a value of each histogram, in their order; None, or none at the end: it has none."""

    def show(self) -> "Tally":
        """Have the series in the registry, at 0 if nothing was observed."""
        for at in range(len(self._of)):
            self._made(at)
        return self

    def fold(self) -> None:
        """Move what was gathered into the registry."""
        for at, (counts, total) in enumerate(self._observations.take()):
            if not any(counts):
                continue
            series = self._made(at)
            # The library has no call for several at once; test_tally.py compares this with its `observe`.
            for bucket, count in enumerate(counts):
                if count:
                    series._buckets[bucket].inc(count)  # noqa: SLF001
            series._sum.inc(total)  # noqa: SLF001

    def _made(self, at: int) -> Histogram:
        series = self._series[at]
        if series is None:
            histogram, _, labels = self._of[at]
            series = self._series[at] = histogram.labels(*labels)
        return series
