"""What a request costs Redis: calls, round trips and commands, as `docs/scale.md` tells them.

A round trip is a read of the server's: what was sent together, it reads at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from llmgw.limits.redis import RedisLimits, SharedPlan
from llmgw.limits.redis.plan import Hold, Rate
from llmgw.reasoning.redis import RedisStore
from llmgw.reasoning.store import KeptTurn, Patience
from tests.support.limits_redis import granted, until, workers
from tests.support.redis import RedisServer

REQUESTS = 50
A = b"a" * 32
RATES: list[Rate] = [("rpm:key:1", "requests", 10**6), ("tpm:key:1", "tokens", 10**9)]
PLACE: Hold = ("concurrent:key:1", "requests", 1000, None)
BUDGET: Hold = ("budget:1:0", "nano", 10**12, None)


class Cost(NamedTuple):
    """Of one request, on average."""

    round_trips: float
    calls: float
    """What was sent: calls of the script, and commands of reasoning."""
    commands: int
    """What the server ran, with what the script did; rounded."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Meter:
    """Counts between two looks."""

    def __init__(self, server: RedisServer) -> None:
        """Begins now."""
        self._server = server
        server.run("CONFIG", "RESETSTAT")
        self._look = self._reads()
        """What a look itself costs."""
        server.run("CONFIG", "RESETSTAT")

    def _reads(self) -> int:
        return int(self._server.run("INFO", "stats")["total_reads_processed"])

    def cost(self, sent: Callable[[dict[str, int]], int]) -> Cost:
        """`sent`: how many of the commands were sent."""
        reads = self._reads() - self._look
        calls = {name: count for name, count in self._server.calls().items() if name in COMMANDS}
        return Cost(reads / REQUESTS, sent(calls) / REQUESTS, round(sum(calls.values()) / REQUESTS))


COMMANDS = {
    *("get", "set", "getex", "unlink", "evalsha", "time", "del", "pexpire", "hget", "hset", "hdel"),
    *("hincrby", "hmget", "hgetall", "zadd", "zrem", "zrangebyscore"),
}


@asynccontextmanager
async def a_worker(server: RedisServer) -> AsyncIterator[RedisLimits]:
    """Warm, and with nothing to do for its keeper but what requests cause."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmgw.limits.redis.keeper.BEAT_S", 3600.0)
        async with workers(server.url) as [limits]:
            (await granted(limits.plan([("rpm:warm", "requests", 10)], []))).cancel()
            await told(limits)
            yield limits


async def told(limits: RedisLimits) -> None:
    keeper = limits.keeper
    await until(lambda: not keeper._changed and not keeper._bases, "Redis knows")
    # The last exchange is over when the keeper waits again.
    await until(lambda: not keeper._wake.is_set() and keeper._server._busy == 0, "nothing is under way")


async def requests(limits: RedisLimits, plan: SharedPlan, *, is_stored: bool) -> None:
    """One after the other, as the gateway does with them."""
    for number in range(REQUESTS):
        reservation = await granted(plan, tokens=100, cost_nano=10)
        reservation.settle(0, tokens=60, cost_nano=6)
        await told(limits)
        if is_stored:
            limits.stored([(BUDGET[0], 6 * (number + 1), None)], [reservation])
            await told(limits)


def evalsha(calls: dict[str, int]) -> int:
    return calls["evalsha"]


def measured(server: RedisServer, holds: list[Hold], rates: list[Rate], *, is_stored: bool = False) -> Cost:
    server.run("FLUSHALL")

    async def run() -> Cost:
        async with a_worker(server) as limits:
            plan = limits.plan(rates, holds)
            meter = Meter(server)
            await requests(limits, plan, is_stored=is_stored)
            return meter.cost(evalsha)

    return asyncio.run(run())


CASES = {
    "one rate, of requests: nothing to correct": ([], RATES[:1], False, (1, 1, 6)),
    "rates of requests and tokens: asked before, corrected after": ([], RATES, False, (2, 2, 16)),
    "and a place among those at once": ([PLACE], RATES, False, (2, 2, 26)),
    "and a budget, told once the row is in the database": ([PLACE, BUDGET], RATES, True, (3, 3, 44)),
}


@pytest.mark.parametrize("case", CASES)
def test_limits(server: RedisServer, case: str) -> None:
    holds, rates, is_stored, expected = CASES[case]
    assert measured(server, holds, rates, is_stored=is_stored) == expected


def test_many_at_once_share_round_trips(server: RedisServer) -> None:
    """Of 50 that ask and end together."""
    server.run("FLUSHALL")

    async def run() -> Cost:
        async with a_worker(server) as limits:
            plan = limits.plan(RATES, [PLACE])
            meter = Meter(server)
            reservations = await asyncio.gather(*(granted(plan, tokens=100) for _ in range(REQUESTS)))
            for each in reservations:
                each.settle(0, tokens=60, cost_nano=0)
            await told(limits)
            return meter.cost(evalsha)

    cost = asyncio.run(run())
    assert cost.calls == 2
    assert cost.round_trips <= 6 / REQUESTS


def test_reasoning(server: RedisServer) -> None:
    """A turn of a conversation: what was thought before is read, what is thought now is kept."""

    async def run() -> tuple[Cost, Cost]:
        async with a_worker(server) as limits:
            store = RedisStore(limits.redis, ttl_s=60, max_bytes=10**6)
            costs = []
            for read in (False, True):
                meter = Meter(server)
                for number in range(REQUESTS):
                    key, hint = bytes([number]) * 32, bytes([number + 100]) * 32
                    if read:
                        assert await store.get(A, [key], Patience()) == [b"x"]
                    else:
                        await store.put(A, [KeptTurn(key, [hint], b"x")], Patience())
                costs.append(meter.cost(lambda calls: sum(calls.values())))
            return costs[0], costs[1]

    server.run("FLUSHALL")
    assert asyncio.run(run()) == ((1, 3, 3), (1, 1, 1))


def test_a_keeper_at_rest(server: RedisServer) -> None:
    """A call a second, however much or little happens."""

    async def run() -> int:
        async with a_worker(server) as limits:
            server.calls()
            for _ in range(10):
                await limits.keeper._look()  # not due yet
            for _ in range(10):
                limits.keeper._look_at_s = 0.0
                limits.keeper._renew_at_s = float("inf")
                await limits.keeper._look()
            return server.calls()["evalsha"]

    assert asyncio.run(run()) == 10
