"""Workers that share limits by Redis, as far as the limits can tell, and how they are asked."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from llmgw._core import LimitTable
from llmgw.limits.redis import Decision, RedisLimits, SharedPlan, SharedRefusal, SharedReservation
from llmgw.redis import connect

GENEROUS_S = 20.0


@asynccontextmanager
async def workers(
    url: str,
    count: int = 1,
    *,
    machines: int = 2,
    one_machine: bool = False,
    lease_s: float = 75.0,
    timeout_s: float = 5.0,
) -> AsyncIterator[list[RedisLimits]]:
    """Each on a machine of its own, or all on one."""
    async with AsyncExitStack() as stack:
        made = []
        shared = LimitTable.in_memory(slots=8)
        for at in range(count):
            table = shared if at == 0 else shared.another_slot() if one_machine else LimitTable.in_memory()
            # Where Redis is not to fail, a busy machine must not look as if it did.
            redis = connect(url)
            stack.push_async_callback(redis.close)
            limits = RedisLimits(redis, table, machines=machines, lease_s=lease_s, timeout_s=timeout_s)
            await limits.start()
            stack.push_async_callback(limits.close)
            made.append(limits)
        yield made


async def ask(plan: SharedPlan, tokens: int = 0, cost_nano: int = 0) -> Decision:
    return await plan.reserve(input_tokens=tokens, output_tokens=0, cost_nano=cost_nano)


async def granted(plan: SharedPlan, tokens: int = 0, cost_nano: int = 0) -> SharedReservation:
    decision = await ask(plan, tokens, cost_nano)
    assert isinstance(decision, SharedReservation), decision
    return decision


async def refused(plan: SharedPlan, tokens: int = 0, cost_nano: int = 0) -> SharedRefusal:
    decision = await ask(plan, tokens, cost_nano)
    assert isinstance(decision, SharedRefusal), decision
    return decision


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + GENEROUS_S
    while not condition():
        assert time.monotonic() < deadline_s, what
        await asyncio.sleep(0.005)


async def count_granted(plans: list[SharedPlan], asks: int, *, tokens: int = 0, cost_nano: int = 0) -> int:
    """Of so many at once, in turn of each."""
    turns = itertools.cycle(plans)
    decisions = await asyncio.gather(*(ask(next(turns), tokens, cost_nano) for _ in range(asks)))
    return sum(isinstance(decision, SharedReservation) for decision in decisions)
