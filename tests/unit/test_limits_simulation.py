"""The simulation of `make bench-limits`, small: no limit lets more through than it may, and nothing leaks."""

import random

import pytest

from benches.limits.__main__ import faults
from benches.limits.judge import Budget, Rate
from benches.limits.traffic import S, clients
from benches.limits.world import World


@pytest.mark.parametrize("machines", [1, 4])
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_granted_beyond_what_is_allowed(machines: int, seed: int) -> None:
    rng = random.Random(seed)
    world = World(machines, clients(80, rng), rng)
    world.play(minutes=3, kills=4)
    assert list(faults(world)) == []
    counts = world.counts
    assert counts["killed"] > 0
    # Else it would show nothing: every kind of limit has refused something.
    assert all(counts[reason] > 0 for reason in ("requests", "tokens", "concurrency", "budget"))


def test_the_books_see_what_a_limit_would_have_let_through() -> None:
    """A limit that counts by whole minutes: twice as much within two seconds."""
    rate = Rate(limit=5)
    for at_s in (59, 59, 59, 59, 59, 61, 61, 61, 61, 61):
        rate.grant(at_s * S, 1)
    assert rate.worst == pytest.approx(5 - 5 * 2 / 60)


def test_the_books_see_money_that_was_spent_twice_and_money_that_was_not() -> None:
    budget = Budget(amount=10)
    for _ in range(3):
        budget.begin(guess=4, real=4)
        budget.end(guess=4, real=4)
        budget.write(4)
    assert (budget.overspent, budget.most_short) == (2, 0)
    untouched = Budget(amount=10)
    untouched.refused(guess=10)
    assert untouched.phantoms == 1
