"""What the gateways' logs tell of a run."""

import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from tests.cluster.held import Span

_TOLD: Final = re.compile(
    r"^([\d-]{10} [\d:]{8},\d{3}) \w+ \S+: the limits' Redis is (gone|there)", re.MULTILINE
)
_NOTICED_S: Final = 0.6
"""A worker knows so late that Redis is gone: its time-out, and a pause of a busy machine."""
_DEFECTS: Final = ("a defect in the gateway", "panicked at")


def outages(logs: Iterable[str]) -> list[Span]:
    """When some worker decided without Redis, by the monotonic clock. `logs`: one a process."""
    spans = sorted(span for log in logs for span in _outages_in(log))
    merged: list[Span] = []
    for begun_s, ended_s in spans:
        if merged and begun_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ended_s))
        else:
            merged.append((begun_s, ended_s))
    return merged


def _outages_in(log: str) -> Iterator[Span]:
    to_monotonic_s = time.monotonic() - time.time()
    without, begun_s = 0, 0.0
    for written, state in _TOLD.findall(log):
        at_s = datetime.strptime(written, "%Y-%m-%d %H:%M:%S,%f").timestamp() + to_monotonic_s  # noqa: DTZ007
        if state == "gone":
            begun_s = begun_s if without else at_s - _NOTICED_S
            without += 1
        elif without:
            without -= 1
            if not without:
                yield begun_s, at_s + _NOTICED_S
    if without:  # a worker that was killed meanwhile says nothing more
        yield begun_s, time.monotonic()


def defects(logs: Iterable[str]) -> list[str]:
    """Lines that no fault of anybody else explains."""
    return [line for log in logs for line in log.splitlines() if any(sign in line for sign in _DEFECTS)]
