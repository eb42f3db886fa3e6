"""Work on large bodies, away from the event loop.

Rust lets go of the interpreter for it, but the loop's own thread would still stand still: a body of 32 MiB
takes 30 to 90 ms to scan, and its turns up to 700 ms to digest.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

LARGE_BYTES: Final = 262_144
"""The scan of a shorter body takes less than a millisecond: less than a change of threads under load."""
_ONE_AT_A_TIME: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmgw-bodies")
"""More would only take the processor from the loop."""

Result = TypeVar("Result")


async def off_loop(work: Callable[[], Result]) -> Result:
    """Do it in a thread, after what came before."""
    return await asyncio.get_running_loop().run_in_executor(_ONE_AT_A_TIME, work)
