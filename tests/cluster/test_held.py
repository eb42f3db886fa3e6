"""The judges of limits and budgets can say no, and what the logs say of Redis is understood."""

import math
import time
from datetime import datetime, timedelta

import pytest

from tests.cluster.held import LEARN_S, NANO, REQUESTS, TOKENS, Grant, at_once, budget, rate
from tests.cluster.said import defects, outages
from tests.faults.reconcile import PER_INPUT, PER_OUTPUT
from tests.faults.script import PROMPT_TOKENS

COST = PROMPT_TOKENS * PER_INPUT + 20 * PER_OUTPUT


def granted(at_s: float, *, for_s: float = 0.1, is_lost: bool = False) -> Grant:
    """A request of 20 tokens that the gateway looked at for 10 ms."""
    return Grant(at_s, at_s + 0.01, at_s + 0.01 + for_s, PROMPT_TOKENS + 20, is_lost)


@pytest.mark.parametrize(
    ("name", "times", "gone", "held"),
    [
        ("a burst", [0.0] * 60, (), True),
        ("one too many", [0.0] * 61, (), False),
        ("one drains in a second", [*[0.0] * 60, 1.0], (), True),
        ("one too many after a minute", [*[0.0] * 60, *[60.0] * 61], (), False),
        ("as many after a minute", [*[0.0] * 60, *[60.0] * 60], (), True),
        ("the share of the other, without Redis", [0.0] * 90, [(-1.0, 1.0)], True),
        ("more than that", [0.0] * 91, [(-1.0, 1.0)], False),
        ("Redis was gone long before", [200.0] * 61, [(0.0, 1.0)], False),
    ],
)
def test_rates(name: str, times: list[float], gone: list[tuple[float, float]], *, held: bool) -> None:
    verdict = rate(name, 60, [granted(at_s) for at_s in times], REQUESTS, machines=2, gone=gone)
    assert verdict.held is held, str(verdict)


@pytest.mark.parametrize(("requests", "held"), [(100, True), (104, False)])
def test_rates_of_tokens(requests: int, *, held: bool) -> None:
    verdict = rate("tokens", 2700, [granted(0.0)] * requests, TOKENS, machines=2, gone=())
    assert verdict.held is held, str(verdict)


@pytest.mark.parametrize(
    ("name", "times", "gone", "held"),
    [
        ("as many as places", [0.0, 0.01, 0.02], (), True),
        ("one too many", [0.0, 0.01, 0.02, 0.03], (), False),
        ("one after the other", [0.0, 0.2, 0.4, 0.6], (), True),
        ("one more, without Redis", [0.0, 0.01, 0.02, 0.03], [(-1.0, 1.0)], True),
        ("two more, without Redis", [0.0, 0.01, 0.02, 0.03, 0.04], [(-1.0, 1.0)], False),
    ],
)
def test_places(name: str, times: list[float], gone: list[tuple[float, float]], *, held: bool) -> None:
    verdict = at_once(name, 3, [granted(at_s) for at_s in times], machines=2, gone=gone)
    assert verdict.held is held, str(verdict)


@pytest.mark.parametrize(
    ("name", "grants", "gone", "held"),
    [
        ("all of it", [granted(float(n)) for n in range(10)], (), True),
        ("one too many", [granted(float(n)) for n in range(11)], (), False),
        ("one was lost in a kill", [granted(float(n), is_lost=n == 3) for n in range(11)], (), True),
        (
            "unknown to the other without Redis",
            [granted(n * LEARN_S / 2) for n in range(12)],
            [(0.0, 99.0)],
            True,
        ),
        ("more than that", [granted(n * LEARN_S / 2) for n in range(14)], [(0.0, 99.0)], False),
    ],
)
def test_budgets(name: str, grants: list[Grant], gone: list[tuple[float, float]], *, held: bool) -> None:
    for unit, amount in ((NANO, 10 * COST), (TOKENS, 10 * (PROMPT_TOKENS + 20))):
        verdict = budget(name, amount, grants, unit, gone=gone)
        assert verdict.held is held, str(verdict)


def test_when_redis_was_gone() -> None:
    now = datetime.now()  # noqa: DTZ005  (as logs are written)
    begun = now.replace(microsecond=0) - timedelta(seconds=100)
    begun_s = time.monotonic() - (now - begun).total_seconds()

    def log(*told: tuple[float, str]) -> str:
        """Seconds, and what a worker says then."""
        lines = [
            f"{begun + timedelta(seconds=at_s):%Y-%m-%d %H:%M:%S},000 INFO llmgw.limits.redis.limits: {said}"
            for at_s, said in told
        ]
        return "\n".join(["a line", *lines, "another"])

    gone, there = "the limits' Redis is gone (Error): x", "the limits' Redis is there: y"
    left = log((10, gone), (11, gone), (14, there), (15, there), (50, gone), (51, there))
    right = log((12, gone), (20, there), (90, gone))
    found = [
        (round(was_s - begun_s), math.ceil(until_s - begun_s)) for was_s, until_s in outages([left, right])
    ]
    assert found[:2] == [(9, 21), (49, 52)]
    [(last_s, now_s)] = found[2:]
    assert last_s == 89
    assert now_s > 100  # not over yet
    assert defects([left, f"{right}\nreq_1: a defect in the gateway"]) == ["req_1: a defect in the gateway"]
