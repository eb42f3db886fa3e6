"""Conversations stay with their targets: thousands of them, over five of which one goes and comes back."""

import itertools
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.asgi.request import Fields, read_fields
from llmgw.limits.places import Places
from llmgw.routing.affinity import (
    CLIENT_HEADERS,
    MAX_SESSION_BYTES,
    SESSION_HEADER,
    distance,
    identity_of,
    nearest,
    session_of,
)
from llmgw.routing.health import CoolDown, Health
from llmgw.routing.targets import Target, Targets
from llmgw.routing.verdict import Blame
from tests.support.processes import ROOT

NOTHING: Any = None
"""In place of what a choice does not look at."""
CONVERSATIONS, TURNS = 6000, 5
WEIGHTS = {"a": 4, "b": 2, "c": 2, "d": 1, "e": 1}
CHI_SQUARE_4 = 18.47
"""What chi-square of four degrees of freedom exceeds once in a thousand. The sessions are always the same."""


class Clock:
    """Monotonic time that stands still."""

    now_s = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now_s


def target(name: str, weight: int = 1, priority: int = 1, *, clock: Clock | None = None) -> Target:
    cool_down = CoolDown(failures=1, first_s=10.0)
    health = Health(name, "m", cool_down=cool_down, clock=clock or Clock(), rng=lambda: 0.5)
    health.may_cool = True
    identity = identity_of(name, None, "m")
    return Target(NOTHING, NOTHING, health, Places(), 900.0, identity, weight=weight, priority=priority)


def fell(fallen: Target) -> None:
    fallen.health.end(Blame.UPSTREAM, probe=fallen.health.begin())


def sessions(number: int = CONVERSATIONS) -> list[int]:
    rng = random.Random(15)
    return [rng.getrandbits(64) for _ in range(number)]


class Fleet:
    """Five targets with weights, and who is asked by whom."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.by_name = {name: target(name, weight, clock=self.clock) for name, weight in WEIGHTS.items()}
        self.targets = Targets(list(self.by_name.values()), max_cooling_share=0.5)

    def owners(self, of: Sequence[int]) -> list[str]:
        """Who is asked first by each of these sessions."""
        return [self.targets.first(session).name for session in of]


def test_every_turn_stays_while_all_is_well() -> None:
    fleet, all_sessions = Fleet(), sessions()
    first = fleet.owners(all_sessions)
    stayed = 0
    for _ in range(TURNS - 1):
        # Whoever else is running somewhere does not matter.
        for each in fleet.by_name.values():
            each.health.begin()
        stayed += sum(now == before for now, before in zip(fleet.owners(all_sessions), first, strict=True))
    assert stayed == CONVERSATIONS * (TURNS - 1)  # 100 %


def test_each_target_has_its_share_of_sessions() -> None:
    counted, total = Counter(Fleet().owners(sessions())), sum(WEIGHTS.values())
    expected = {name: CONVERSATIONS * weight / total for name, weight in WEIGHTS.items()}
    chi_square = sum((counted[name] - number) ** 2 / number for name, number in expected.items())
    assert chi_square < CHI_SQUARE_4


@pytest.mark.parametrize("gone", WEIGHTS)
def test_one_of_five_goes_and_comes_back(gone: str) -> None:
    fleet, all_sessions = Fleet(), sessions()
    before = fleet.owners(all_sessions)
    fell(fleet.by_name[gone])
    during = fleet.owners(all_sessions)
    moved = [was for was, now in zip(before, during, strict=True) if was != now]
    # Those of the one that is gone, all of them, and nobody else's.
    assert Counter(moved) == {gone: before.count(gone)}
    # The others take them over by weight.
    heirs = Counter(now for was, now in zip(before, during, strict=True) if was == gone)
    left = {name: weight for name, weight in WEIGHTS.items() if name != gone}
    expected = {name: len(moved) * weight / sum(left.values()) for name, weight in left.items()}
    assert sum((heirs[name] - number) ** 2 / number for name, number in expected.items()) < CHI_SQUARE_4
    # It comes back: a probe first, which only one request is; then everybody is where it was.
    fleet.clock.now_s = 20.0
    own = next(session for session, was in zip(all_sessions, before, strict=True) if was == gone)
    health = fleet.targets.first(own).health
    assert health is fleet.by_name[gone].health
    probe = health.begin()
    assert fleet.targets.first(own).name != gone
    health.end(None, probe=probe)
    assert fleet.owners(all_sessions) == before


def test_too_many_cooling_ones_stay_in_play_with_their_sessions() -> None:
    """`max_cooling_share`: the few that are left are not to get all of the load."""
    fleet, all_sessions = Fleet(), sessions(2000)
    before = fleet.owners(all_sessions)
    for name in "abcd":
        fell(fleet.by_name[name])
    during = fleet.owners(all_sessions)
    in_play = set(during)
    assert len(in_play) == 3  # the healthy one and two of the four
    assert "e" in in_play
    assert all(now == was for was, now in zip(before, during, strict=True) if was in in_play)


def test_a_full_target_gives_its_sessions_to_the_next() -> None:
    fleet = Fleet()
    [session] = sessions(1)
    own = fleet.targets.first(session)
    own.places.limit = own.places.used = 1
    second = fleet.targets.first(session)
    assert second is not own
    assert second is fleet.targets.other([own], session)
    own.places.used = 0
    assert fleet.targets.first(session) is own


def test_retries_go_down_the_same_order() -> None:
    fleet = Fleet()
    for session in sessions(200):
        order = sorted(fleet.by_name.values(), key=lambda each: distance(session, each))
        asked = [fleet.targets.first(session)]
        while (following := fleet.targets.other(asked, session)) is not None:
            asked.append(following)
        assert asked == order


def test_a_lower_priority_is_asked_last() -> None:
    backup = target("backup", 1000, 2)
    of = Targets([target("a"), backup, target("b")])
    assert {of.first(session).name for session in sessions(200)} == {"a", "b"}


def test_one_target_needs_no_session() -> None:
    only = Targets([target("a")])
    assert not only.want_session
    assert only.first(1).name == "a"
    assert Targets([target("a"), target("b")]).want_session
    assert not Targets([target("a"), target("b")], affinity=False).want_session


AGREE = """
from llmgw.routing.affinity import distance, identity_of, session_of
class T:
    def __init__(self, name): self.identity, self.weight = identity_of(name, 2, "m"), 3
targets = [T(name) for name in "abcde"]
for number in range(300):
    session = session_of(number % 7, {b"x-llmgw-session": [b"s-%d" % number]}, None)
    print(min(range(5), key=lambda at: distance(session, targets[at])), end="")
"""


def test_all_machines_agree() -> None:
    """Whatever Python's own hashes are there."""

    def told(seed: str) -> str:
        command = [sys.executable, "-c", AGREE]
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "python")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    first, second = told("1"), told("2")
    assert first == second
    assert set(first) == set("01234")


def test_what_a_session_maps_to_does_not_change_with_a_version() -> None:
    """Machines of two versions run side by side during an upgrade."""
    session = session_of(7, {SESSION_HEADER: [b"conversation-1"]}, None)
    assert session == 9174286506319581085
    assert identity_of("dashscope", None, "qwen3-max") == identity_of("dashscope", 1, "qwen3-max")
    assert identity_of("dashscope", 2, "qwen3-max") == 17583636698885347579


class Body:
    """What a body tells."""

    def __init__(
        self, cache_key: str | None = None, client: str | None = None, digest: int | None = None
    ) -> None:
        self.prompt_cache_key = cache_key
        self.client_session = client
        self._digest = digest

    def opening_digest(self) -> int | None:
        """See `_core.ChatRequest`."""
        return self._digest


def named(name: str, key_id: int = 1) -> int | None:
    return session_of(key_id, {SESSION_HEADER: [name.encode()]}, None)


CLAUDE, CODEX, CODEX_OLD, OPENCODE, _ = CLIENT_HEADERS


@pytest.mark.parametrize(
    ("fields", "body", "expected"),
    [
        ({SESSION_HEADER: [b"a"], CLAUDE: [b"b"]}, Body("c", "d", 5), named("a")),
        ({CLAUDE: [b"b"]}, Body("c", "d", 5), named("c")),
        ({CLAUDE: [b"b"]}, Body(None, "d", 5), named("b")),
        ({CODEX: [b"b"]}, Body(), named("b")),
        ({CODEX_OLD: [b"b"]}, Body(), named("b")),
        ({OPENCODE: [b"b"]}, Body(), named("b")),
        ({}, Body(None, "d", 5), named("d")),
        ({}, Body(None, None, 5), 5),
        ({}, Body(), None),
        ({}, None, None),
        ({SESSION_HEADER: [b"a"]}, None, named("a")),
        ({SESSION_HEADER: [b""]}, Body(None, None, 5), 5),
        ({SESSION_HEADER: [b"x" * (MAX_SESSION_BYTES + 1)]}, Body(None, None, 5), 5),
        ({SESSION_HEADER: [b"x" * MAX_SESSION_BYTES]}, Body(), named("x" * MAX_SESSION_BYTES)),
        ({SESSION_HEADER: [b"\xff\x00"]}, Body("c"), session_of(1, {SESSION_HEADER: [b"\xff\x00"]}, None)),
    ],
)
def test_where_a_session_comes_from(fields: Fields, body: Body | None, expected: int | None) -> None:
    assert session_of(1, fields, body) == expected


def test_one_key_s_sessions_are_not_another_s() -> None:
    assert named("1", key_id=1) != named("1", key_id=2)
    assert session_of(1, {}, Body(digest=5)) == session_of(2, {}, Body(digest=5))


def test_the_headers_are_read() -> None:
    headers = [(name, b"v") for name in (SESSION_HEADER, *CLIENT_HEADERS)]
    assert read_fields({"headers": headers}) == {name: [b"v"] for name, _ in headers}


names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8, unique=True)
weights = st.lists(st.integers(1, 1000), min_size=8, max_size=8)
session_bits = st.integers(0, 2**64 - 1)


def of_names(chosen: list[str], given_weights: list[int]) -> list[Target]:
    return [target(name, weight) for name, weight in zip(chosen, given_weights, strict=False)]


@given(names, weights, session_bits)
def test_the_order_of_the_config_does_not_matter(
    chosen: list[str], given_weights: list[int], session: int
) -> None:
    there = of_names(chosen, given_weights)
    owner = nearest(session, there)
    assert nearest(session, there[::-1]) is owner
    assert all(0 < distance(session, each) < math.inf for each in there)


@given(names, weights, session_bits, st.data())
def test_one_that_goes_moves_only_its_own(
    chosen: list[str], given_weights: list[int], session: int, data: st.DataObject
) -> None:
    there = of_names(chosen, given_weights)
    owner = nearest(session, there)
    gone = data.draw(st.sampled_from(there))
    left = [each for each in there if each is not gone]
    if left:
        assert (nearest(session, left) is owner) == (gone is not owner)


@given(names, weights, session_bits, st.integers(1, 1000))
def test_more_weight_never_loses_a_session(
    chosen: list[str], given_weights: list[int], session: int, more: int
) -> None:
    there = of_names(chosen, given_weights)
    owner = nearest(session, there)
    heavier = target(owner.name, owner.weight + more)
    again = [heavier if each is owner else each for each in there]
    assert nearest(session, again) is heavier


@pytest.mark.parametrize("bits", [0, 2**64 - 1, *(1 << at for at in range(64))])
def test_no_session_is_infinitely_far(bits: int) -> None:
    for each, turned in itertools.product([target("a"), target("b", 1000)], (0, 1)):
        session = bits ^ (each.identity if turned else 0)
        assert 0 < distance(session, each) < math.inf
