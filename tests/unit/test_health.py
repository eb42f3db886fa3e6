"""Cool-downs, probes and the retry budget, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.routing.health import JITTER, CoolDown, Health
from llmgw.routing.retries import BUDGET_WINDOW_S, RetryBudget
from llmgw.routing.verdict import Blame

RETRIES_PER_REQUEST = 0.2
RETRIES_PER_S = 3
MIDDLE = 0.5
"""A draw that jitters nothing."""


class Clock:
    """Monotonic time that stands still."""

    def __init__(self) -> None:
        """At zero, so that differences are exact."""
        self.now_s = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seen() -> list[tuple[str, int | None, str, bool]]:
    return []


@pytest.fixture
def health(clock: Clock, seen: list[tuple[str, int | None, str, bool]]) -> Health:
    return new_health(clock, seen)


def new_health(clock: Clock, seen: list[tuple[str, int | None, str, bool]], draw: float = MIDDLE) -> Health:
    made = Health(
        "a",
        "m",
        cool_down=CoolDown(failures=3, first_s=1.0, max_s=60.0),
        observe=lambda *change: seen.append(change),
        clock=clock,
        rng=lambda: draw,
    )
    made.may_cool = True
    return made


def attempt(health: Health, blame: Blame | None, retry_after_s: float | None = None) -> None:
    health.end(blame, probe=health.begin(), retry_after_s=retry_after_s)


def fail(health: Health, times: int = 1) -> None:
    for _ in range(times):
        attempt(health, Blame.UPSTREAM)


FAIL, SLOWLY, OK, REFUSED, GONE = Blame.UPSTREAM, Blame.PACE, None, Blame.REQUEST, Blame.NOBODY


@pytest.mark.parametrize(
    ("name", "outcomes", "failures", "state"),
    [
        ("nothing yet", [], 0, "up"),
        ("two failures", [FAIL, FAIL], 2, "up"),
        ("three in a row", [FAIL, FAIL, FAIL], 3, "cooling"),
        ("a success between", [FAIL, FAIL, OK, FAIL, FAIL], 2, "up"),
        ("a refusal of the request is as good", [FAIL, FAIL, REFUSED, FAIL], 1, "up"),
        ("a client that left says nothing", [FAIL, FAIL, GONE], 2, "up"),
        ("nor does it hide a failure", [FAIL, FAIL, GONE, FAIL], 3, "cooling"),
        ("one limit is enough", [SLOWLY], 1, "cooling"),
    ],
)
def test_what_cools_a_target_down(
    health: Health, name: str, outcomes: list[Blame | None], failures: int, state: str
) -> None:
    for outcome in outcomes:
        attempt(health, outcome)
    assert (health.failures, health.state) == (failures, state), name
    assert health.in_flight == 0


def test_where_there_is_no_other_target_nothing_cools(health: Health) -> None:
    health.may_cool = False
    fail(health, 100)
    attempt(health, SLOWLY, 30.0)
    assert (health.state, health.failures) == ("up", 101)


def test_each_cool_down_is_twice_as_long_up_to_the_cap(health: Health, clock: Clock) -> None:
    fail(health, 3)
    lengths = []
    for _ in range(9):
        lengths.append(health.cooling_s)
        clock.now_s += health.cooling_s
        assert health.state == "probing"
        fail(health)  # the probe
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_success_forgets_all(health: Health, clock: Clock) -> None:
    fail(health, 3)
    clock.now_s += 1
    fail(health)
    clock.now_s += 2
    attempt(health, OK)
    assert (health.state, health.failures) == ("up", 0)
    fail(health, 3)
    assert health.cooling_s == 1


@pytest.mark.parametrize(
    ("retry_after_s", "expected_s"),
    [(None, 1.0), (0.0, 1.0), (0.5, 1.0), (7.0, 7.0), (60.0, 60.0), (86_400.0, 60.0)],
)
def test_retry_after(clock: Clock, retry_after_s: float | None, expected_s: float) -> None:
    for draw in (0.0, MIDDLE, 0.999):
        health = new_health(clock, [], draw)
        attempt(health, SLOWLY, retry_after_s)
        if retry_after_s is not None and retry_after_s > 1:
            assert expected_s <= health.cooling_s <= expected_s * (1 + JITTER)  # never too early
        else:
            assert expected_s * (1 - JITTER) <= health.cooling_s <= expected_s * (1 + JITTER)


def test_one_probe_at_a_time(health: Health, clock: Clock) -> None:
    fail(health, 3)
    asked = [health.may_be_asked]
    clock.now_s += 1
    asked.append(health.may_be_asked)
    probe = health.begin()
    asked.append(health.may_be_asked)
    health.end(GONE, probe=probe)  # it showed nothing: another one may
    asked.append(health.may_be_asked)
    attempt(health, FAIL)
    asked.append(health.may_be_asked)
    assert (probe, asked) == (True, [False, True, False, True, False])


def test_a_probe_lets_it_back_when_its_answer_begins(
    health: Health, clock: Clock, seen: list[tuple[str, int | None, str, bool]]
) -> None:
    fail(health, 3)
    clock.now_s += 1
    assert health.begin()
    health.answered()
    assert (health.state, health.may_be_asked, health.in_flight) == ("up", True, 1)
    health.end(FAIL, probe=False)  # and broke: that was once too often
    assert (health.state, health.cooling_s) == ("cooling", 2)
    assert seen == [("a", None, "m", True), ("a", None, "m", False), ("a", None, "m", True)]


def test_what_was_under_way_when_it_fell_proves_nothing(health: Health, clock: Clock) -> None:
    old = [health.begin() for _ in range(4)]
    fail(health, 3)
    cooling_s = health.cooling_s
    health.end(OK, probe=old[0])
    health.end(FAIL, probe=old[1])
    assert (health.state, health.cooling_s) == ("cooling", cooling_s)
    health.end(SLOWLY, probe=old[2], retry_after_s=20.0)
    assert health.cooling_s == 20  # but a later time is believed
    clock.now_s += 20
    health.end(FAIL, probe=old[3])
    assert (health.state, health.may_be_asked) == ("probing", True)


@given(st.lists(st.tuples(st.sampled_from([*Blame, None]), st.floats(0, 100), st.booleans())))
def test_counts_never_go_astray(steps: list[tuple[Blame | None, float, bool]]) -> None:
    clock = Clock()
    health = new_health(clock, [])
    running: list[bool] = []
    for blame, passed_s, begins in steps:
        clock.now_s += passed_s
        if begins and health.may_be_asked:
            running.append(health.begin())
            assert sum(running) <= 1, "two probes"
        elif running:
            probe = running.pop()
            if probe and blame is None:
                health.answered()
                probe = False
            health.end(blame, probe=probe)
        assert health.in_flight == len(running)
        assert health.is_probed is any(running)
        assert 0 <= health.cooling_s <= 60 * (1 + JITTER)
    for probe in running:
        health.end(GONE, probe=probe)
    clock.now_s += 100
    assert health.may_be_asked, "nothing is shut out for good"


# The budget.


def test_the_budget_begins_with_what_is_always_allowed(clock: Clock) -> None:
    budget = RetryBudget()
    assert [budget.take(clock()) for _ in range(5)] == [True] * RETRIES_PER_S + [False] * 2
    clock.now_s += 1
    assert [budget.take(clock()) for _ in range(5)] == [True] * RETRIES_PER_S + [False] * 2


def test_a_fifth_of_the_requests(clock: Clock) -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.request(clock())
    assert sum(budget.take(clock()) for _ in range(100)) == 20


def test_requests_of_long_ago_do_not_count(clock: Clock) -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.request(clock())
    clock.now_s += BUDGET_WINDOW_S - 1
    assert sum(budget.take(clock()) for _ in range(100)) == 20
    clock.now_s += BUDGET_WINDOW_S
    assert sum(budget.take(clock()) for _ in range(100)) == RETRIES_PER_S


def all_fail(per_s: int, seconds: int, clock: Clock, budget: RetryBudget) -> int:
    """How many retries there are when each request, spread evenly, fails and wants one."""
    taken = 0
    for _ in range(per_s * seconds):
        budget.request(clock())
        taken += budget.take(clock())
        clock.now_s += 1 / per_s
    return taken


@pytest.mark.parametrize(("per_s", "expected_per_s"), [(1, 1), (3, 3), (10, 3), (100, 20), (1000, 200)])
def test_the_larger_of_the_two_and_not_their_sum(clock: Clock, per_s: int, expected_per_s: int) -> None:
    budget = RetryBudget()
    taken = all_fail(per_s, 60, clock, budget)
    assert expected_per_s * 60 * 0.95 <= taken <= expected_per_s * 60 + RETRIES_PER_S


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0, 3)), max_size=100))
def test_never_more_than_both_allow(steps: list[tuple[int, int, float]]) -> None:
    clock = Clock()
    budget = RetryBudget()
    begun_s = clock.now_s
    requests = taken = 0
    for arrived, failed, passed_s in steps:
        for _ in range(arrived):
            budget.request(clock())
        requests += arrived
        taken += sum(budget.take(clock()) for _ in range(failed))
        clock.now_s += passed_s
    seconds = int(clock.now_s) - int(begun_s) + 1
    assert taken <= requests * RETRIES_PER_REQUEST + seconds * RETRIES_PER_S
