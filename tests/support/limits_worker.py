"""A worker that takes and gives back places for a while, and counts them in memory that all workers share.

`python -m tests.support.limits_worker URL SECONDS LIMIT FILE`: prints how often it was granted one.
"""

import asyncio
import mmap
import random
import struct
import sys
import time
from fcntl import LOCK_EX, LOCK_UN, lockf
from pathlib import Path

from llmgw._core import LimitTable
from llmgw.limits.redis import RedisLimits, SharedReservation
from llmgw.redis import connect

TASKS = 8
COUNTS = struct.Struct("=qq")
"""Places that are taken now, and the most that ever were."""


class Counted:
    """A number in a file, changed under its lock."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._memory = mmap.mmap(self._file.fileno(), COUNTS.size)

    def add(self, difference: int) -> None:
        """Change it."""
        lockf(self._file, LOCK_EX)
        now, most = COUNTS.unpack_from(self._memory)
        COUNTS.pack_into(self._memory, 0, now + difference, max(most, now + difference))
        lockf(self._file, LOCK_UN)


async def take_turns(url: str, duration_s: float, limit: int, path: Path) -> int:
    """How often a place was granted."""
    counted, granted = Counted(path), 0
    limits = RedisLimits(connect(url), LimitTable.in_memory(), machines=2, timeout_s=10)
    await limits.start()
    plan = limits.plan([], [("concurrent:key:1", "requests", limit, None)])
    ends_s = time.monotonic() + duration_s

    async def turns() -> None:
        nonlocal granted
        while time.monotonic() < ends_s:
            decision = await plan.reserve(input_tokens=0, output_tokens=0, cost_nano=0)
            if isinstance(decision, SharedReservation):
                granted += 1
                counted.add(1)
                await asyncio.sleep(random.random() * 0.002)
                # Before it is given back: from then on another may have it.
                counted.add(-1)
                decision.settle(0, tokens=0, cost_nano=0)
            await asyncio.sleep(0)

    await asyncio.gather(*(turns() for _ in range(TASKS)))
    assert limits.up
    await limits.close()
    return granted


if __name__ == "__main__":
    granted = asyncio.run(take_turns(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
    sys.stdout.write(f"{granted}\n")
