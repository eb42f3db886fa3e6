"""The cluster's seconds: a few events under a small load. `make cluster` plays all of them, for minutes."""

import sys
from asyncio import run
from pathlib import Path

import pytest

from tests.cluster.campaign import Outcome, Pace, play_all
from tests.cluster.cluster import Cluster, Setup
from tests.cluster.events import EVENTS
from tests.cluster.report import as_line

pytestmark = pytest.mark.alone

QUICK = ("gateway-killed", "redis-killed", "postgres-killed", "rolling-restart")
PACE = Pace(
    users=4,
    pause_s=0.1,
    lead_s=0.5,
    away_s=1.5,
    paid_requests=10,
    requests_per_minute=20,
    tokens_per_minute=400,
)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_events_under_load(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    with Cluster.running(tmp_path / "cluster", Setup()) as cluster:
        run(play_all(cluster, PACE, [EVENTS[name] for name in QUICK], outcomes.append))
    failed = [line for outcome in outcomes for line in (as_line(outcome), *outcome.faults) if not outcome.ok]
    assert not failed, "\n".join(failed)
    for verdict in outcomes[-1].verdicts:
        assert verdict.refused, f"{verdict} was never used up"
