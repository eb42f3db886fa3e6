"""When a worker that died is started again."""

import pytest

from llmgw.serving.restarts import MAX_PAUSE_S, STEADY_S, Restarts


def test_the_first_death_costs_no_pause() -> None:
    restarts = Restarts([0, 1], 0.0)
    assert restarts.due(1.0) == []
    restarts.died(1, 1.0)
    assert restarts.due(1.0) == [1]
    restarts.started(1, 1.0)
    assert restarts.due(100.0) == []
    assert restarts.notice(1.0) is None


def test_pauses_grow_up_to_a_limit() -> None:
    restarts = Restarts([0], 0.0)
    now_s, pauses = 0.0, []
    for _ in range(10):
        restarts.died(0, now_s)
        begun_s = now_s
        while not restarts.due(now_s):
            now_s += 0.25
        pauses.append(now_s - begun_s)
        restarts.started(0, now_s)
    assert pauses == [0, 0.25, 0.5, 1, 2, 4, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S]


def test_for_ever_is_no_large_number() -> None:
    restarts = Restarts([0], 0.0)
    for _ in range(100_000):
        restarts.died(0, 0.0)
    assert restarts.due(MAX_PAUSE_S) == [0]


def test_a_long_life_makes_a_worker_well() -> None:
    restarts = Restarts([0], 0.0)
    restarts.died(0, 0.0)
    restarts.died(0, 0.0)
    restarts.started(0, 1.0)
    assert restarts.deaths() == 2
    restarts.died(0, 1.0 + STEADY_S)
    assert restarts.deaths() == 1
    assert restarts.due(1.0 + STEADY_S) == [0]


@pytest.mark.parametrize(
    ("failing", "said"), [([0], "a worker keeps dying (3 times"), ([0, 1], "2 workers keep dying (3 times")]
)
def test_readiness_tells_until_they_are_well(failing: list[int], said: str) -> None:
    restarts = Restarts([0, 1, 2], 0.0)
    for index in failing:
        for _ in range(3):
            restarts.died(index, 1.0)
    assert said in (restarts.notice(1.0) or "")
    assert restarts.notice(10 * STEADY_S) is not None  # they are not started yet
    for index in failing:
        restarts.started(index, 2.0)
    assert said in (restarts.notice(2.0) or "")
    assert restarts.notice(2.0 + STEADY_S) is None


def test_another_process_is_called_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    restarts = Restarts([0], 0.0, name="the admin process")
    for _ in range(2):
        restarts.died(0, 1.0)
    assert "the admin process died" in caplog.text
    assert (restarts.notice(1.0) or "").startswith("the admin process keeps dying (2 times")
