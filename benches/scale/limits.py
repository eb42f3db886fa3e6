"""How many requests a second Redis checks, with reservation, settlement and the row that is stored."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from benches.scale.spread import WARM_S, Step, spread
from llmgw._core import LimitTable
from llmgw.limits.redis import RedisLimits, SharedReservation
from llmgw.limits.redis.plan import Hold, Rate
from llmgw.redis import RedisClient, connect
from tests.support.redis import RedisServer

AT_ONCE: Final = 64
"""Requests of a worker that are under way together."""
ROUND: Final = 512
RATES: Final[list[Rate]] = [
    ("rpm:key:1", "requests", 10**9), ("tpm:key:1", "tokens", 10**12),
    ("rpm:project:1", "requests", 10**9), ("tpm:project:1", "tokens", 10**12),
]  # fmt: skip
BUDGET: Final[Hold] = ("budget:1:0", "nano", 10**15, None)
HOLDS: Final[list[Hold]] = [("concurrent:key:1", "requests", 10**6, None), BUDGET]
CASES: Final = {"rates": (RATES, []), "all": (RATES, HOLDS)}
"""Requests and tokens a minute of a key and of its project; with concurrency and a budget."""


class Checked(NamedTuple):
    """What came out."""

    limits: str
    workers: int
    requests_per_s: float
    cpu_us: float
    """Of the gateway, for each request."""
    server_cpu_us: float


def check(server: RedisServer, name: str, workers: int, window_s: float) -> Checked:
    """Requests of processes beside each other."""
    before_s = _cpu_of(server)
    share = spread(_worker, [(server.url, name)] * workers, window_s)
    used_s = _cpu_of(server) - before_s
    # Redis is as busy in the warm-up as in the window.
    requests = share.done * (WARM_S + share.took_s) / share.took_s
    return Checked(
        name,
        workers,
        share.done / share.took_s,
        share.cpu_s * 1e6 / share.done,
        used_s * 1e6 / requests,
    )


def _cpu_of(server: RedisServer) -> float:
    told = server.run("INFO", "cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


@contextmanager
def _worker(url: str, name: str) -> Iterator[Step]:
    rates, holds = CASES[name]
    with asyncio.Runner() as runner:
        redis, limits = runner.run(_start(url))
        plan = limits.plan(rates, holds)
        spent = 0

        async def request() -> None:
            nonlocal spent
            decision = await plan.reserve(input_tokens=100, output_tokens=100, cost_nano=200)
            if not isinstance(decision, SharedReservation):
                raise TypeError(decision)
            decision.settle(0, tokens=150, cost_nano=150)
            spent += 150
            if holds:
                limits.stored([(BUDGET[0], spent, None)], [decision])

        async def requests() -> None:
            for _ in range(ROUND // AT_ONCE):
                await asyncio.gather(*(request() for _ in range(AT_ONCE)))

        def step() -> int:
            runner.run(requests())
            return ROUND

        yield step
        runner.run(_close(redis, limits))


async def _start(url: str) -> tuple[RedisClient, RedisLimits]:
    redis = connect(url)
    # No failure where the machine is only busy.
    limits = RedisLimits(redis, LimitTable.in_memory(), machines=2, timeout_s=5.0)
    await limits.start()
    return redis, limits


async def _close(redis: RedisClient, limits: RedisLimits) -> None:
    await limits.close()
    await redis.close()
