"""How much freed memory does the C library keep? With another library than glibc, nothing is changed.

Three defaults of glibc do not fit here. First, it returns the top of its heap to the system as soon as 128
KiB are free there: each body of a megabyte then grows the heap, makes the kernel clear every page, and
shrinks it again, which is most of the cost of such a request. Second, once it has mapped and freed a block
of up to 32 MiB, it puts later blocks of that size into the heap, where they leave gaps: after 180 events of
16 MiB, ten at a time, a worker held 366 MiB; with `configure`, 166. Third, each thread has a heap of its
own (an arena), up to eight for each core, and each keeps what its largest moment took: of a worker with
twelve threads under mixed load, one heap grew from 8 to 26 MiB in a moment, and stayed so.
"""

import asyncio
import ctypes
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmgw.gateway import Gateway

MAPPED_FROM_BYTES: Final = 1 << 23
"""Blocks of this size or larger are mapped, and returned to the system when they are freed."""
KEPT_BYTES: Final = 1 << 25
"""Up to this much free memory stays at the top of each heap until `trim`."""
HEAPS: Final = 4
"""Threads share them; a worker may have one more, of its parent. The speed is the same with 1, 2, 4 and 16 of
them (docs/benchmarks.md).
"""
TICKS_TO_IDLE: Final = 10
"""After this many ticks without a request, free memory is returned to the system."""
TICKS_BUSY: Final = 120
"""And after this many with requests."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def configure() -> None:
    """Set the limits for this process (mallopt(3)). Heaps that exist stay: call it before threads start."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(_M_ARENA_MAX, HEAPS)


def trim() -> None:
    """Return all free memory to the system (malloc_trim(3)). Blocking: it takes milliseconds."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Trimmer:
    """Calls `trim` once when no request comes any more, and now and then while they do; both in a thread.

    Part of the worker's upkeep.
    """

    def __init__(self) -> None:
        self._served = 0
        self._idle_ticks = 0
        self._busy_ticks = 0

    async def __call__(self, gateway: "Gateway") -> None:
        """One tick."""
        admission = gateway.admission
        if admission.requests or admission.served != self._served:
            self._served, self._idle_ticks = admission.served, 0
            self._busy_ticks += 1
        else:
            self._idle_ticks += 1
        if self._idle_ticks == TICKS_TO_IDLE or self._busy_ticks == TICKS_BUSY:
            self._busy_ticks = 0
            await asyncio.to_thread(trim)
