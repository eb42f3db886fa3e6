"""How much freed memory does the C library keep? With another library than glibc, nothing is changed.

Two defaults of glibc do not fit here. First, it returns the top of its heap to the system as soon as 128 KiB
are free there: each body of a megabyte then grows the heap, makes the kernel clear every page, and shrinks it
again, which is most of the cost of such a request. Second, once it has mapped and freed a block of up to
32 MiB, it puts later blocks of that size into the heap, where they leave gaps: after 180 events of 16 MiB,
ten at a time, a worker held 366 MiB; with `configure`, 166.
"""

import ctypes
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmgw.gateway import Gateway

MAPPED_FROM_BYTES: Final = 1 << 23
"""Blocks of this size or larger are mapped, and returned to the system when they are freed."""
KEPT_BYTES: Final = 1 << 25
"""Up to this much free memory stays at the top of the heap until `trim`."""
TICKS_TO_IDLE: Final = 10
"""After this many ticks without a request, free memory is returned to the system."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def configure() -> None:
    """Set both limits for this process (mallopt(3))."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def trim() -> None:
    """Return all free memory to the system (malloc_trim(3)). It takes milliseconds: call it when idle."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class TrimWhenIdle:
    """Calls `trim` once after `TICKS_TO_IDLE` calls without a request. Part of the worker's upkeep."""

    def __init__(self) -> None:
        self._served = 0
        self._idle_ticks = 0

    async def __call__(self, gateway: "Gateway") -> None:
        """One tick."""
        admission = gateway.admission
        if admission.requests or admission.served != self._served:
            self._served, self._idle_ticks = admission.served, 0
            return
        self._idle_ticks += 1
        if self._idle_ticks == TICKS_TO_IDLE:
            trim()
