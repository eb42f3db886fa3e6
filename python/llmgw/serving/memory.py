"""How the C library's allocator treats the memory of large bodies. With another library than glibc: nothing.

Its defaults fit neither case here. It gives the top of its heap back as soon as 128 KiB there are free: each
body of a megabyte then grows the heap, has the kernel clear every page of it, and shrinks it again, which is
most of what such a request costs. And from the first block of 32 MiB or less that was mapped and freed, it
keeps blocks of that size in the heap, where they leave gaps: after 180 events of 16 MiB, ten at a time, a
worker held 366 MiB; with `configure`, 166.
"""

import ctypes
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmgw.gateway import Gateway

MAPPED_FROM_BYTES: Final = 1 << 23
"""Blocks of this size and more come from the system, and go back to it as soon as they are freed."""
KEPT_BYTES: Final = 1 << 25
"""So much may stay free at the top of the heap until `trim`."""
TICKS_TO_IDLE: Final = 10
"""After this many ticks of the upkeep without a request, free memory goes back to the system."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def configure() -> None:
    """Set both limits, for this process (mallopt(3))."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def trim() -> None:
    """Give everything back that is free (malloc_trim(3)). Takes milliseconds: for an idle process."""
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
