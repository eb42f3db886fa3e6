"""What is left of limits in Redis, for somebody who has no worker: one call, by a connection of its own."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from llmgw.limits.redis import script
from llmgw.limits.redis.plan import PlannedHold
from llmgw.limits.redis.script import Call
from llmgw.limits.redis.server import ServerGone
from llmgw.redis import connect, reason_of

LOOK_TIMEOUT_S: Final = 2.0
"""With the time to connect."""


class Seen(NamedTuple):
    """How a limit is in Redis."""

    ahead_ps: int
    """Of a rate."""
    held: int
    """Of those at once."""


def look(url: str, rates: Sequence[str], concurrent: Sequence[str]) -> Mapping[str, Seen]:
    """How the limits with these descriptors are now. Nothing is reserved.

    Blocking, for any thread without an event loop. Raises ServerGone.
    """
    return asyncio.run(_look(url, rates, concurrent))


async def _look(url: str, rates: Sequence[str], concurrent: Sequence[str]) -> dict[str, Seen]:
    keys, arguments = call = _call(rates, concurrent)
    redis = connect(url)
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            [answer] = await redis.run([("EVAL", script.SCRIPT, len(keys), *keys, *arguments)])
        refused = answer if isinstance(answer, Exception) else None
        numbers = [] if refused else script.read_looked(answer, len(call.keys))
    except Exception as error:  # noqa: BLE001  (the package raises whatever it stumbles over in a reply)
        raise ServerGone(reason_of(error)) from None
    finally:
        await redis.close()
    if refused is not None:
        raise ServerGone(reason_of(refused))
    seen = {name: Seen(number, 0) for name, number in zip(rates, numbers, strict=False)}
    held = zip(concurrent, numbers[len(rates) :], strict=True)
    return seen | {name: Seen(0, number) for name, number in held}


def _call(rates: Sequence[str], concurrent: Sequence[str]) -> Call:
    holds = [PlannedHold.of(name, "requests", 1).key for name in concurrent]
    return script.look([f"{script.KEY_PREFIX}{name}" for name in rates], holds)
