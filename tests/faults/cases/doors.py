"""Fault 52: an answer in another API's words that breaks off."""

import asyncio
from typing import Final, get_args

from tests.faults.case import case
from tests.faults.cases.upstream import billed, broken_off
from tests.faults.rig import Rig
from tests.faults.script import Act, End, Says
from tests.support.doors import SHOWING_REASONING, Door

BREAKS: Final[dict[End, str]] = {
    "reset": "reset",
    "stall": "idle_timeout",
    "close": "truncated",
    "cut": "truncated",
    "error": "error_event",
}
"""How an upstream ends in the middle, and what the ledger calls it."""


@case(52, "a converted stream broken in each of its states", "that API's own error, never its normal end")
async def converted_and_broken(rig: Rig) -> str:
    async def broken(door: Door, says: Says, end: End, kind: str) -> None:
        act, more = Act(says=says, end=end), SHOWING_REASONING[door]
        seen = broken_off(await rig.client.ask("solo-52", act, door=door, **more), events=6)
        tokens, source, told = await billed(rig, seen)
        assert (tokens, source) == (6, "partial"), f"{door}, {says}, {end}: {tokens} tokens, {source}"
        assert told == kind, f"{door}, {says}, {end}: {told}"

    count = 0
    for door, more in SHOWING_REASONING.items():
        for says in get_args(Says):
            whole = await rig.client.ask("solo-52", Act(says=says), door=door, **more)
            assert whole.completed, f"{door}, {says}: status {whole.status}, error {whole.error}"
            assert (whole.events, whole.tokens) == (6, 6), f"{door}, {says}: {whole.events} events"
            # At the same time, since one of them waits for a time-out, and each for its row.
            await asyncio.gather(*(broken(door, says, end, kind) for end, kind in BREAKS.items()))
            count += len(BREAKS)
    return f"{count} streams: all events, then the API's error; 6 tokens in the ledger, partial"
