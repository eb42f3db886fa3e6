"""Which target is asked: weights, load, priorities, and those that are unwell."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.limits.places import Places
from llmgw.routing.affinity import identity_of
from llmgw.routing.health import CoolDown, Health
from llmgw.routing.targets import Target, Targets
from llmgw.routing.verdict import Blame

NOTHING: Any = None
"""In place of what a choice does not look at."""


class Clock:
    """Monotonic time that stands still."""

    now_s = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now_s


def targets(
    *rows: tuple[str, int, int], share: float = 0.5, clock: Clock | None = None
) -> tuple[Targets, dict[str, Target]]:
    """Of rows of name, weight and priority."""
    made = []
    for name, weight, priority in rows:
        health = Health(name, "m", cool_down=CoolDown(failures=1), clock=clock or Clock(), rng=lambda: 0.5)
        health.may_cool = len(rows) > 1
        identity = identity_of(name, None, "m")
        made.append(
            Target(NOTHING, NOTHING, health, Places(), 900.0, identity, weight=weight, priority=priority)
        )
    return Targets(made, max_cooling_share=share, rng=random.Random(1)), {t.name: t for t in made}


def fell(target: Target) -> None:
    target.health.end(Blame.UPSTREAM, probe=target.health.begin())


def drawn(of: Targets, times: int = 2000) -> Counter[str]:
    return Counter(of.first().name for _ in range(times))


def test_one_target_is_always_asked() -> None:
    of, by_name = targets(("a", 1, 1))
    for _ in range(10):
        fell(by_name["a"])
    assert of.first() is by_name["a"]
    assert of.other([by_name["a"]]) is None


def test_weights_are_shares() -> None:
    of, _ = targets(("a", 3, 1), ("b", 1, 1))
    counted = drawn(of, 4000)
    assert 0.7 < counted["a"] / 4000 < 0.8


@given(st.lists(st.integers(1, 100), min_size=2, max_size=5), st.integers(0, 2**32))
def test_under_load_each_has_its_share(weights: list[int], seed: int) -> None:
    """With requests that stay, the second draw evens out what the first one left to chance."""
    of, by_name = targets(*((str(n), weight, 1) for n, weight in enumerate(weights)))
    of._rng.seed(seed)
    for _ in range(1000):
        of.first().health.begin()
    for target in by_name.values():
        expected = 1000 * target.weight / sum(weights)
        assert abs(target.health.in_flight - expected) <= 30 + expected * 0.2


def test_of_two_draws_the_less_loaded_is_asked() -> None:
    of, by_name = targets(("a", 1, 1), ("b", 1, 1))
    for _ in range(100):
        by_name["a"].health.begin()
    counted = drawn(of)
    assert 0.2 < counted["a"] / 2000 < 0.3  # only where both draws fell on it


def test_load_is_relative_to_weight() -> None:
    of, by_name = targets(("a", 10, 1), ("b", 1, 1))
    for _ in range(9):
        by_name["a"].health.begin()
    by_name["b"].health.begin()
    assert by_name["a"].load < by_name["b"].load
    assert drawn(of)["b"] < 2000 * 0.03


A, B, C, D = (("a", 1, 1), ("b", 1, 1), ("c", 1, 2), ("d", 1, 2))


@pytest.mark.parametrize(
    ("name", "rows", "unwell", "share", "asked"),
    [
        ("the best priority", (A, B, C), "", 0.5, {"a", "b"}),
        ("what is left of it", (A, B, C), "a", 0.5, {"b"}),
        ("then the next one", (A, B, C), "ab", 0.5, {"c"}),
        ("the order of the file does not matter", (C, A), "", 0.5, {"a"}),
        ("two of four may be left out", (A, B, ("e", 1, 1), ("f", 1, 1)), "ab", 0.5, {"e", "f"}),
        ("but a third may not", (A, B, ("e", 1, 1), ("f", 1, 1)), "abe", 0.5, {"a", "f"}),
        ("unless the config says so", (A, B, ("e", 1, 1), ("f", 1, 1)), "abe", 1.0, {"f"}),
        ("or the other way", (A, B), "a", 0.0, {"a", "b"}),
        ("of three, one", (A, B, ("e", 1, 1)), "ab", 0.5, {"a", "e"}),
        ("all: the first to come back", (A, B, C, D), "bacd", 0.5, {"b"}),
        ("all, and no share that could", (A, B), "ba", 1.0, {"b"}),
    ],
)  # fmt: skip
def test_the_unwell(
    name: str, rows: tuple[tuple[str, int, int], ...], unwell: str, share: float, asked: set[str]
) -> None:
    clock = Clock()
    of, by_name = targets(*rows, share=share, clock=clock)
    for letter in unwell:
        fell(by_name[letter])
        clock.now_s += 0.01
    assert set(drawn(of, 300)) == asked, name


@pytest.mark.parametrize(
    ("name", "asked", "unwell", "expected"),
    [
        ("the other of this priority", "a", "", "b"),
        ("then the next priority", "ab", "", "c"),
        ("past one that is unwell", "a", "b", "c"),
        ("to nobody who is unwell", "abc", "", None),
        ("even if that leaves nobody", "a", "bc", None),
    ],
)
def test_after_a_failure(name: str, asked: str, unwell: str, expected: str | None) -> None:
    of, by_name = targets(A, B, C)
    for letter in unwell:
        fell(by_name[letter])
    other = of.other([by_name[letter] for letter in asked])
    assert (other.name if other else None) == expected, name


def test_while_one_request_probes_the_others_go_elsewhere() -> None:
    clock = Clock()
    of, by_name = targets(A, C, clock=clock)
    fell(by_name["a"])
    assert drawn(of, 10) == {"c": 10}
    clock.now_s += 2
    probing = of.first()
    assert probing is by_name["a"]
    assert probing.health.begin()
    assert drawn(of, 10) == {"c": 10}
    probing.health.answered()
    assert drawn(of, 10) == {"a": 10}


def test_a_probe_is_not_helped_by_those_who_fill_the_share() -> None:
    clock = Clock()
    of, by_name = targets(A, B, ("e", 1, 1), clock=clock)
    fell(by_name["a"])
    clock.now_s += 2
    by_name["a"].health.begin()
    fell(by_name["b"])
    # a is being probed, b cools down: one of three is left, and two must be in play. That is b, not a.
    assert set(drawn(of, 300)) == {"b", "e"}


def test_a_full_upstream_is_passed_over() -> None:
    of, by_name = targets(("a", 1, 1), ("b", 1, 1), ("c", 1, 2))
    by_name["a"].places.limit = 0
    assert set(drawn(of, 100)) == {"b"}
    assert of.other([by_name["b"]]) is by_name["c"]
    by_name["b"].places.limit = 0
    assert set(drawn(of, 100)) == {"c"}
    by_name["c"].places.limit = 0
    assert of.first() in by_name.values()  # it says that it is full
    assert of.other([by_name["a"]]) is None


def test_full_ones_do_not_count_as_cooling() -> None:
    of, by_name = targets(("a", 1, 1), ("b", 1, 1), ("c", 1, 1), ("d", 1, 1))
    by_name["a"].places.limit = by_name["b"].places.limit = 0
    fell(by_name["c"])
    assert set(drawn(of, 100)) == {"d"}
