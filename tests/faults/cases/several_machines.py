"""Faults 47, 55: machines share limits in a Redis that goes and comes back in mid-minute, or fails over.

The gateway is one machine. The other one is in this process: it asks the same Redis for the same limits, by
the same code, and has a table of its own.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Final

from llmgw._core import LimitTable
from llmgw.access.keys import create_key
from llmgw.access.settings import LimitChange
from llmgw.limits.redis import RedisLimits, SharedPlan, SharedReservation
from llmgw.redis import connect
from llmgw.store import open_store
from tests.faults.case import case
from tests.faults.cases.governance import (
    REFUSED_FOR_MONEY,
    REFUSED_FOR_RATE,
    SERVED,
    SOON_S,
    YUAN,
    client_with,
    outcomes,
    verified,
    yuan,
)
from tests.faults.cases.upstream import ms
from tests.faults.client import Client
from tests.faults.rig import REDIS, SENTINELS, Rig, Setup, wait_for

_RPM: Final = 20
_MACHINES: Final = f"""
[limits]
machines = 2

[cache]
url = "redis://127.0.0.1:{REDIS}/0"
"""
SHARED = Setup(workers=2, own=True, more=YUAN + _MACHINES)
WATCHED = Setup(workers=2, own=True, more=YUAN + _MACHINES.replace(f"redis://127.0.0.1:{REDIS}/0", SENTINELS))


@case(47, "Redis gone and back in mid-minute", "each machine its share, then exact again", SHARED)
async def redis_gone(rig: Rig) -> str:
    assert rig.redis is not None
    client, key_id = _limited(rig)
    payer = client_with(rig, budgets=[yuan(10)])
    async with _another_machine(rig.redis.url) as other:
        plan = other.plan([(f"rpm:key:{key_id}", "requests", _RPM)], [])
        await _ready(rig, other, up=True)
        begun_s = time.monotonic()
        served = [*await asyncio.gather(_here(client, 5), _there(plan, 5))]
        assert served == [5, 5], served
        assert await outcomes(payer, "yuan", 3) == {SERVED: 3}
        rig.redis.kill()
        # Half of the limit is used, and so half of each share, which is half of the limit: 5. Who has not
        # asked since the other did has not seen the other's, and takes so much more. Some drains meanwhile.
        alone = [*await asyncio.gather(_here(client, _RPM), _there(plan, _RPM))]
        assert all(5 <= number <= _RPM // 2 for number in alone), alone
        spent = (await outcomes(payer, "yuan", 8))[SERVED]
        # Half of what is left: 7, or 10 of which this machine holds 3 that are not stored yet. As they are
        # stored, there is room for more, always half of what is left.
        assert 2 <= spent <= 6, spent
        await _ready(rig, other, up=False)
        rig.redis.start()
        back_s = time.monotonic()
        await _ready(rig, other, up=True)
        took_s = time.monotonic() - back_s
        again = [*await asyncio.gather(_here(client, _RPM), _there(plan, _RPM))]
        drained = (time.monotonic() - begun_s) * _RPM / 60
        over = sum(served) + sum(alone) + sum(again) - _RPM - drained
        assert over <= sum(alone) - 10, (served, alone, again, drained)
        rest = await outcomes(payer, "yuan", 10)
        assert rest == {SERVED: 7 - spent, REFUSED_FOR_MONEY: 3 + spent}, dict(rest)
    await verified(rig)
    return (
        f"{_RPM} a minute over two machines: {sum(served)} with Redis, {alone[0]} and {alone[1]} without, "
        f"{sum(again)} after ({drained:.1f} had drained, {max(over, 0):.1f} too many); "
        f"of 10 yuan {3 + spent} before it was back, 10 in all; asked again {ms(took_s)} after its start"
    )


@case(55, "Redis fails over to a replica", "each machine its share, then exact again", WATCHED)
async def redis_fails_over(rig: Rig) -> str:
    assert rig.sentinels is not None
    client, key_id = _limited(rig)
    payer = client_with(rig, budgets=[yuan(10)])
    async with _another_machine(rig.sentinels.url) as other:
        plan = other.plan([(f"rpm:key:{key_id}", "requests", _RPM)], [])
        await _ready(rig, other, up=True)
        begun_s = time.monotonic()
        served = [*await asyncio.gather(_here(client, 5), _there(plan, 5))]
        assert served == [5, 5], served
        assert await outcomes(payer, "yuan", 3) == {SERVED: 3}
        rig.sentinels.master.kill()
        killed_s = time.monotonic()
        # As above: 5, and as much more as somebody has not seen of what the other took.
        alone = [*await asyncio.gather(_here(client, _RPM), _there(plan, _RPM))]
        assert all(5 <= number <= _RPM // 2 for number in alone), alone
        spent = (await outcomes(payer, "yuan", 8))[SERVED]
        assert 2 <= spent <= 6, spent
        await _ready(rig, other, up=True)
        took_s = time.monotonic() - killed_s
        again = [*await asyncio.gather(_here(client, _RPM), _there(plan, _RPM))]
        drained = (time.monotonic() - begun_s) * _RPM / 60
        over = sum(served) + sum(alone) + sum(again) - _RPM - drained
        assert over <= sum(alone) - 10, (served, alone, again, drained)
        rest = await outcomes(payer, "yuan", 10)
        assert rest == {SERVED: 7 - spent, REFUSED_FOR_MONEY: 3 + spent}, dict(rest)
    await verified(rig)
    return (
        f"{_RPM} a minute over two machines: {sum(served)} before, {alone[0]} and {alone[1]} without a "
        f"master, {sum(again)} after ({drained:.1f} had drained, {max(over, 0):.1f} too many); of 10 yuan "
        f"{3 + spent} before, 10 in all; exact again {ms(took_s)} after the master was killed"
    )


def _limited(rig: Rig) -> tuple[Client, int]:
    """Somebody with a key of his own, and its id."""
    store = open_store(f"sqlite:///{rig.gateway.database}")
    try:
        made = create_key(
            store, actor="test", name="shared", limits=[LimitChange({"requests_per_minute": _RPM})]
        )
    finally:
        store.close()
    client = Client(rig.client.host, rig.client.port, made.token)
    client.seen = rig.client.seen
    return client, made.key.id


@contextlib.asynccontextmanager
async def _another_machine(url: str) -> AsyncIterator[RedisLimits]:
    redis = connect(url)
    limits = RedisLimits(redis, LimitTable.in_memory(), machines=2)
    await limits.start()
    try:
        yield limits
    finally:
        await limits.close()
        await redis.close()


async def _here(client: Client, count: int) -> int:
    """How many of so many requests the gateway serves."""
    states = await outcomes(client, "solo-0", count)
    assert set(states) <= {SERVED, REFUSED_FOR_RATE}, dict(states)
    return states[SERVED]


async def _there(plan: SharedPlan, count: int) -> int:
    """The same of the other machine."""
    asked = (plan.reserve(input_tokens=0, output_tokens=0, cost_nano=0) for _ in range(count))
    return sum(isinstance(decision, SharedReservation) for decision in await asyncio.gather(*asked))


async def _ready(rig: Rig, other: RedisLimits, *, up: bool) -> None:
    """Every worker of both machines knows how Redis is."""

    async def known() -> bool:
        told = (await rig.metrics())["llmgw_limits_redis_up"] == up
        report = json.loads((await rig.client.get("/readyz")).body)
        return told and other.up == up and ("warnings" not in report) == up

    # A sentinel whose machine stood still for two seconds does nothing for thirty (TILT).
    await wait_for(known, f"Redis is {'there' if up else 'gone'}", timeout_s=3 * SOON_S)
