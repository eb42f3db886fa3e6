"""Faults 46, 49, 53 and 54: limits and budgets while workers die, databases fail and clocks jump.

47, a Redis that goes, is in `several_machines`.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any, Final

from llmgw.access.keys import KeyFields, create_key
from llmgw.access.settings import BudgetSetting, LimitChange
from llmgw.store import open_store
from tests.faults.case import case
from tests.faults.cases.operations import DAY_S
from tests.faults.cases.upstream import ms
from tests.faults.client import Client
from tests.faults.rig import Rig, Setup, wait_for
from tests.faults.script import PROMPT_TOKENS, Act

NANO: Final = 1_000_000_000
YUAN: Final = """
[[models]]
id = "yuan"
upstream = "a"
upstream_model = "chaos-49"
thinking = "native"
price = {input = 0, output = 0, per_request = 1.0}
"""
"""A model whose every answer costs exactly one, so that no guess is wrong."""
REFUSED_FOR_MONEY: Final = (429, "insufficient_quota")
REFUSED_FOR_RATE: Final = (429, "rate_limit_exceeded")
SERVED: Final = (200, None)
SOON_S: Final = 20.0


def client_with(rig: Rig, **fields: Any) -> Client:  # noqa: ANN401 - as `KeyFields` says
    """Somebody with a key of his own."""
    store = open_store(f"sqlite:///{rig.gateway.database}")
    try:
        chosen: KeyFields = {"name": "governed", **fields}  # type: ignore[typeddict-item]
        key = create_key(store, actor="test", **chosen).token
    finally:
        store.close()
    client = Client(rig.client.host, rig.client.port, key)
    client.seen = rig.client.seen  # one ledger of all that was asked
    return client


def yuan(amount: int, period: Any = "total") -> BudgetSetting:  # noqa: ANN401 - a `Period`
    """A budget of so many."""
    return BudgetSetting(amount * NANO, "CNY", period)


async def outcomes(
    client: Client, model: str, count: int, *, at_once: bool = True, max_tokens: int | None = None
) -> Counter[Any]:
    """What became of so many requests: status and error code."""
    more: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    if at_once:
        seen = await asyncio.gather(*(client.ask(model, Act(), **more) for _ in range(count)))
    else:
        seen = [await client.ask(model, Act(), **more) for _ in range(count)]
    return Counter((each.status, each.code) for each in seen)


async def verified(rig: Rig) -> None:
    """Wait until `llmgw budgets verify` agrees: what is spent is the sum of the ledger."""
    command = [
        sys.executable,
        "-m",
        "llmgw",
        "budgets",
        "verify",
        "--config",
        str(rig.gateway.config),
        "--json",
    ]

    async def agrees() -> bool:
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0

    await wait_for(agrees, "llmgw budgets verify finds no difference", timeout_s=SOON_S, interval_s=0.3)


KILLED = Setup(workers=2, idle_timeout_s=30, own=True)
_LIMIT = 4
_GUESS = 60


@case(46, "worker killed with reservations open", "none leaks: neither places nor money", KILLED)
async def killed_with_reservations(rig: Rig) -> str:
    budget = BudgetSetting(_LIMIT * (_GUESS + PROMPT_TOKENS) * 3 // 2, "tokens", "total")
    limits = [LimitChange({"concurrent_requests": _LIMIT})]
    client = client_with(rig, limits=limits, budgets=[budget])
    streams = await _streams(client, _LIMIT)
    refused = await client.ask("solo-0", Act(), max_tokens=1)
    assert (refused.status, refused.code) == REFUSED_FOR_RATE, refused.error
    before = rig.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()

    async def served() -> bool:
        try:
            seen = await client.ask("solo-0", Act(), max_tokens=1)
        except (ConnectionError, AssertionError):
            return False  # no worker yet
        return seen.status == 200

    await wait_for(served, "there is a place again", timeout_s=SOON_S)
    took_s = time.monotonic() - begun
    assert not set(before) & set(rig.workers())
    # All places, and the money of all of them: had the dead kept theirs, it would not suffice.
    again = await _streams(client, _LIMIT)
    for connection, _ in (*streams, *again):
        connection.leave()

    async def all_given_back() -> bool:
        states = await outcomes(client, "solo-0", _LIMIT, max_tokens=1)
        return states == {SERVED: _LIMIT}

    await wait_for(all_given_back, "cancelled streams give their places back", timeout_s=SOON_S)
    await verified(rig)
    return f"{_LIMIT} streams of 2 killed workers: their places and reservations were free after {ms(took_s)}"


async def _streams(client: Client, count: int) -> list[Any]:
    """Streams that last, each with a guess of `_GUESS` tokens."""
    pairs = []
    for _ in range(count):
        connection = await client.connect()
        seen = await client.begin(connection, "solo-0", Act(events=3000, delay_ms=50), max_tokens=_GUESS)
        await connection.head(seen)
        assert seen.status == 200, seen.headers
        await connection.rest(seen, frames=1)
        seen.left = True
        pairs.append((connection, seen))
    return pairs


LAST_YUAN = Setup(workers=2, own=True, more=YUAN)
_ROUNDS = 20


@case(49, "two workers at the last yuan", "one request is served", LAST_YUAN)
async def last_yuan(rig: Rig) -> str:
    for number in range(_ROUNDS):
        amount = 1 + number % 3
        client = client_with(rig, budgets=[yuan(amount)])
        states = await outcomes(client, "yuan", 8 * amount)
        assert states == {SERVED: amount, REFUSED_FOR_MONEY: 7 * amount}, f"round {number}: {dict(states)}"
        later = await outcomes(client, "yuan", 4)
        assert later == {REFUSED_FOR_MONEY: 4}, f"round {number}, later: {dict(later)}"
    await verified(rig)
    return f"{_ROUNDS} budgets of 1 to 3 yuan, 8 requests at once for each: exactly as many were served"


GONE = Setup(own=True, more=YUAN)


@case(53, "database gone while budgets move", "no yuan is spent twice, none is lost", GONE)
async def database_gone(rig: Rig) -> str:
    client = client_with(rig, budgets=[yuan(10)])
    assert await outcomes(client, "yuan", 3) == {SERVED: 3}
    await verified(rig)
    database = rig.gateway.database
    names = [database, *database.parent.glob(f"{database.name}-*")]
    hidden = [name.with_name(f"hidden-{name.name}") for name in names]
    for name, other in zip(names, hidden, strict=True):
        name.rename(other)
    try:
        meanwhile = await outcomes(client, "yuan", 5)
        rest = await outcomes(client, "yuan", 6, at_once=False)
        assert meanwhile == {SERVED: 5}, dict(meanwhile)
        assert rest == {SERVED: 2, REFUSED_FOR_MONEY: 4}, dict(rest)
    finally:
        for name, other in zip(names, hidden, strict=True):
            other.rename(name)
    begun = time.monotonic()

    async def written() -> bool:
        report = json.loads((await rig.client.get("/readyz")).body)
        return bool(report["status"] == "ok")

    await wait_for(written, "the ledger is written again", timeout_s=SOON_S)
    took_s = time.monotonic() - begun
    await verified(rig)
    assert await outcomes(client, "yuan", 3) == {REFUSED_FOR_MONEY: 3}
    return f"3 of 10 yuan before, 7 while it was gone, none after; spend and ledger agree {ms(took_s)} later"


CLOCKS = Setup(own=True, fake_clock=True, more=YUAN)


@case(54, "a clock that jumps while limits and budgets count", "no minute is over early, no day anew", CLOCKS)
async def clock_jumps(rig: Rig) -> str:
    paced = client_with(rig, limits=[LimitChange({"requests_per_minute": 5})])
    daily = client_with(rig, budgets=[yuan(3, "day")])
    assert await outcomes(paced, "solo-0", 7, at_once=False) == {SERVED: 5, REFUSED_FOR_RATE: 2}
    assert await outcomes(daily, "yuan", 5, at_once=False) == {SERVED: 3, REFUSED_FOR_MONEY: 2}
    waits = []
    for jump in (3600, -7200, 3600):
        rig.jump_clock(jump)
        refused = await paced.ask("solo-0", Act())
        assert (refused.status, refused.code) == REFUSED_FOR_RATE, f"{jump} s: {refused.status}"
        waits.append(float(refused.headers["retry-after"]))
    assert max(waits) <= 12, waits
    rig.jump_clock(DAY_S)
    tomorrow = await outcomes(daily, "yuan", 5, at_once=False)
    assert tomorrow == {SERVED: 3, REFUSED_FOR_MONEY: 2}, dict(tomorrow)
    rig.jump_clock(-DAY_S)
    today = await outcomes(daily, "yuan", 3)
    assert today == {REFUSED_FOR_MONEY: 3}, f"yesterday's money came back: {dict(today)}"
    await verified(rig)
    return "±1 h: a minute stays one; a day on: its own budget, a day back: spent as before"
