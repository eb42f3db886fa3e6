"""Places at upstreams: numbers and rates, who waits for them and whose turn it is."""

import asyncio
import random
from collections.abc import Hashable
from typing import Literal, TypeAlias

import pytest

from llmgw._core import LimitPlan, LimitTable
from llmgw.limits.descriptors import of_upstream
from llmgw.limits.estimates import Need
from llmgw.limits.places import NoPlace, Place, Places, RateKind, Rates, Waiter
from llmgw.limits.waiting import MAX_WAITING_OF_ONE

Waiting: TypeAlias = "asyncio.Task[tuple[Places, Place] | None]"
NOTHING = Need(0, 0)
LONG_S = 60.0


def limited(table: LimitTable, requests: int | None = None, tokens: int | None = None) -> Places:
    """An upstream that grants so much a minute."""
    granted: list[tuple[RateKind, Literal["requests", "tokens"], int | None]] = [
        ("requests_per_minute", "requests", requests),
        ("tokens_per_minute", "tokens", tokens),
    ]
    rates = [(of_upstream(kind, "a"), unit, limit) for kind, unit, limit in granted if limit is not None]
    places = Places()
    places.rates = Rates(LimitPlan(table, rates, []), [kind for kind, _, limit in granted if limit])
    places.wait_s = LONG_S
    return places


def full(places: Places) -> bool:
    return places.full


def few(limit: int = 1, wait_s: float = LONG_S) -> Places:
    places = Places(limit)
    places.wait_s = wait_s
    return places


def placed(places: Places, need: Need = NOTHING) -> Place:
    place = places.take(need)
    assert isinstance(place, Place)
    return place


def refused(places: Places, need: Need = NOTHING) -> NoPlace:
    why = places.take(need)
    assert isinstance(why, NoPlace)
    return why


async def begin(
    owner: Hashable, *choice: Places, need: Need = NOTHING
) -> "asyncio.Task[tuple[Places, Place] | None]":
    """A request that waits, in the queue by now."""
    task = asyncio.create_task(Waiter(owner, need).wait(choice))
    await asyncio.sleep(0)
    return task


def test_a_number_at_once() -> None:
    places = few(2)
    first, second = placed(places), placed(places)
    assert refused(places) == ("in_flight", None)
    assert full(places)
    first.give_back()
    first.give_back()
    assert not full(places)
    placed(places)
    second.settle(5)
    assert places.used == 2


def test_a_rate_is_reserved_and_settled() -> None:
    places = limited(LimitTable.in_memory(), requests=10, tokens=1000)
    first = placed(places, Need(300, 500))
    why = refused(places, Need(300, 500))
    assert why.reason == "tokens_per_minute"
    assert why.retry_after_s == pytest.approx(36, abs=1)
    first.settle(100)
    first.give_back()
    second = placed(places, Need(400, 500))
    assert full(places)
    second.give_back()  # it used nothing
    assert not full(places)
    assert refused(places, Need(1001, 0)) == ("tokens_per_minute", None)
    assert refused(places, Need(1001, 0)).never


def test_a_rate_is_shared_by_all_workers() -> None:
    table = LimitTable.in_memory()
    first, second = limited(table, requests=2), limited(table.another_slot(), requests=2)
    placed(first)
    placed(second)
    assert full(first)
    assert refused(second).reason == "requests_per_minute"


def test_who_waits_gets_the_next_place() -> None:
    async def run() -> None:
        places = few()
        place = placed(places)
        waiting = await begin("a", places)
        assert refused(places).reason == "in_flight"
        place.give_back()
        got = await waiting
        assert got is not None
        assert got[0] is places
        assert places.used == 1
        got[1].give_back()
        assert (places.used, len(places.waiting)) == (0, 0)

    asyncio.run(run())


def test_a_newcomer_does_not_overtake() -> None:
    async def run() -> None:
        places = few()
        place = placed(places)
        waiting = await begin("a", places)
        place.give_back()
        assert refused(places).reason == "in_flight"  # it is the other's, who has not looked yet
        assert await waiting is not None

    asyncio.run(run())


def test_keys_take_turns() -> None:
    async def run() -> None:
        places = few()
        place = placed(places)
        served: list[Hashable] = []

        async def one(owner: str) -> None:
            got = await Waiter(owner, NOTHING).wait([places])
            assert got is not None
            served.append(owner)
            got[1].give_back()

        tasks = []
        for owner in "aaaab":
            tasks.append(asyncio.create_task(one(owner)))
            await asyncio.sleep(0)
        place.give_back()
        await asyncio.gather(*tasks)
        assert served == list("abaaa")

    asyncio.run(run())


def test_the_first_of_several_upstreams() -> None:
    async def run() -> None:
        one, two = few(), few()
        first, second = placed(one), placed(two)
        waiting = await begin("a", one, two)
        second.give_back()
        got = await waiting
        assert got is not None
        assert got[0] is two
        assert len(one.waiting) == 0
        first.give_back()
        assert one.used == 0

    asyncio.run(run())


def test_the_wait_ends() -> None:
    async def run() -> None:
        places = few(wait_s=0.01)
        placed(places)
        assert await Waiter("a", NOTHING).wait([places]) is None
        assert len(places.waiting) == 0

    asyncio.run(run())


def test_where_no_upstream_lets_requests_wait_there_is_no_wait() -> None:
    async def run() -> None:
        places = few(wait_s=0)
        placed(places)
        assert await Waiter("a", NOTHING).wait([places]) is None

    asyncio.run(run())


def test_who_leaves_gives_its_turn_up() -> None:
    async def run() -> None:
        places = few()
        place = placed(places)
        waiter = Waiter("a", NOTHING)
        gone = asyncio.create_task(waiter.wait([places]))
        await asyncio.sleep(0)
        stays = await begin("b", places)
        waiter.leave()
        assert await gone is None
        place.give_back()
        assert await stays is not None

    asyncio.run(run())


def test_a_cancelled_one_leaves_nothing_even_if_it_was_served_meanwhile() -> None:
    async def run() -> None:
        places = few()
        place = placed(places)
        waiting = await begin("a", places)
        place.give_back()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (places.used, len(places.waiting)) == (0, 0)

    asyncio.run(run())


def test_one_key_can_t_fill_the_queue() -> None:
    async def run() -> None:
        places = few()
        place = placed(places)
        waiting = [await begin("a", places) for _ in range(MAX_WAITING_OF_ONE)]
        assert await Waiter("a", NOTHING).wait([places]) is None
        other = await begin("b", places)
        assert len(places.waiting) == MAX_WAITING_OF_ONE + 1
        for task in (*waiting, other):
            task.cancel()
        await asyncio.gather(*waiting, other, return_exceptions=True)
        place.give_back()
        assert (places.used, len(places.waiting)) == (0, 0)

    asyncio.run(run())


def test_a_rate_gives_places_as_time_passes() -> None:
    async def run() -> None:
        places = limited(LimitTable.in_memory(), requests=1200)  # one every 50 ms
        for _ in range(1200):
            placed(places).give_back()
        got = await asyncio.gather(*(Waiter(owner, NOTHING).wait([places]) for owner in "aab"))
        assert None not in got

    asyncio.run(run())


def test_a_large_request_is_not_starved_by_small_ones() -> None:
    async def run() -> None:
        places = limited(LimitTable.in_memory(), tokens=6000)  # 100 every second
        first = placed(places, Need(6000, 0))
        large = await begin("a", places, need=Need(5000, 0))
        assert refused(places, Need(1, 0)).reason != "in_flight"
        first.settle(900)
        first.give_back()
        got = await large
        assert got is not None
        assert isinstance(places.take(Need(90, 0)), Place)

    asyncio.run(run())


def test_one_that_can_never_be_served_holds_up_nobody() -> None:
    async def run() -> None:
        places = limited(LimitTable.in_memory(), tokens=1000)
        first = placed(places, Need(1000, 0))
        too_large = await begin("a", places, need=Need(1001, 0))
        small = await begin("b", places, need=Need(10, 0))
        first.give_back()
        assert await too_large is None
        assert await small is not None

    asyncio.run(run())


class Crowd:
    """Requests that come, wait and go at random."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.upstreams = [few(self.rng.randrange(1, 4)) for _ in range(3)]
        self.running: list[Place] = []
        self.waiting: list[Waiting] = []

    async def event(self) -> None:
        """One comes, ends, or is cancelled while it waits."""
        rng, event = self.rng, self.rng.random()
        if event < 0.5:
            choice = rng.sample(self.upstreams, rng.randrange(1, 4))
            found = [got for places in choice if isinstance(got := places.take(NOTHING), Place)]
            for place in found[1:]:
                place.give_back()
            self.running += found[:1]
            if not found:
                self.waiting.append(await begin(rng.choice("abc"), *choice))
        elif event < 0.85 and self.running:
            self.running.pop(rng.randrange(len(self.running))).give_back()
        elif self.waiting:
            rng.choice(self.waiting).cancel()
        if rng.random() < 0.3:
            await asyncio.sleep(0)
        self.look()

    def look(self) -> None:
        """Those that wait no longer either run or are gone."""
        over = [task for task in self.waiting if task.done()]
        self.waiting = [task for task in self.waiting if not task.done()]
        results = [None if task.cancelled() else task.result() for task in over]
        self.running += [result[1] for result in results if result is not None]


@pytest.mark.parametrize("seed", range(15))
def test_nothing_leaks_however_they_come_and_go(seed: int) -> None:
    async def run() -> None:
        crowd = Crowd(seed)
        for _ in range(400):
            await crowd.event()
            for places in crowd.upstreams:
                assert 0 <= places.used <= (places.limit or 0)
                # Nobody waits where there is a place.
                assert places.used == places.limit or not places.waiting
        for task in crowd.waiting:
            task.cancel()
        await asyncio.gather(*crowd.waiting, return_exceptions=True)
        crowd.look()
        for place in crowd.running:
            place.give_back()
        assert [(places.used, len(places.waiting)) for places in crowd.upstreams] == [(0, 0)] * 3

    asyncio.run(run())
