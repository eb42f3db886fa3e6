"""The queue in which owners take turns."""

import random
from collections import Counter

import pytest

from llmgw.limits.waiting import Turns


def queue(text: str, most: int = 100, most_of_one: int = 100) -> Turns[tuple[str, int]]:
    """`aab`: two items of a, then one of b."""
    turns: Turns[tuple[str, int]] = Turns(most, most_of_one)
    for number, owner in enumerate(text):
        assert turns.add(owner, (owner, number))
    return turns


def drained(turns: Turns[tuple[str, int]]) -> str:
    return "".join(turns.take()[0] for _ in range(len(turns)))


@pytest.mark.parametrize(
    ("came", "served"),
    [("", ""), ("aaa", "aaa"), ("aaab", "abaa"), ("aaaabbc", "abcabaa"), ("abab", "abab"), ("caab", "caba")],
)
def test_owners_take_turns(came: str, served: str) -> None:
    assert drained(queue(came)) == served


def test_first_is_what_take_takes() -> None:
    turns = queue("aab")
    while (first := turns.first()) is not None:
        assert turns.take() == first
    assert len(turns) == 0
    with pytest.raises(KeyError):
        turns.take()


def test_within_an_owner_the_first_to_come_goes_first() -> None:
    turns = queue("aaaa")
    assert [turns.take()[1] for _ in range(4)] == [0, 1, 2, 3]


def test_full() -> None:
    turns = queue("aab", most=4, most_of_one=2)
    assert not turns.add("a", ("a", 9))
    assert turns.add("c", ("c", 9))
    assert not turns.add("d", ("d", 9))
    assert len(turns) == 4


def test_who_leaves_costs_nobody_a_turn() -> None:
    turns = queue("aabbc")
    turns.remove("a", ("a", 0))
    turns.remove("a", ("a", 0))
    turns.remove("b", ("b", 2))
    turns.remove("nobody", ("n", 0))
    assert drained(turns) == "abc"
    assert len(turns) == 0


@pytest.mark.parametrize("seed", range(20))
def test_nobody_starves_and_nothing_leaks(seed: int) -> None:
    """However they come and go, nobody is served twice between two turns of one who waits all the time."""
    rng = random.Random(seed)
    turns: Turns[tuple[str, int]] = Turns(64, 16)
    queued: set[tuple[str, int]] = set()
    since_served: dict[str, Counter[str]] = {}
    for number in range(3000):
        owner = rng.choice("aaaaaabcd")
        event = rng.random()
        if event < 0.5:
            fits = len(queued) < 64 and sum(who == owner for who, _ in queued) < 16
            assert turns.add(owner, (owner, number)) == fits
            if fits:
                queued.add((owner, number))
                since_served.setdefault(owner, Counter())
        elif event < 0.65 and queued:
            leaving = rng.choice(sorted(queued))
            turns.remove(leaving[0], leaving)
            queued.discard(leaving)
        elif queued:
            served = turns.take()
            assert served == min(item for item in queued if item[0] == served[0])
            queued.remove(served)
            since_served.pop(served[0], None)
            for others in since_served.values():
                others[served[0]] += 1
                assert others[served[0]] <= 1
        for gone in set(since_served) - {who for who, _ in queued}:
            del since_served[gone]
        for who, _ in queued:
            since_served.setdefault(who, Counter())
        assert len(turns) == len(queued)
