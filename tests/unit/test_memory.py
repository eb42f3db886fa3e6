"""Freed memory: how many heaps a worker has, and when it returns what is free."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from llmgw.serving import memory

THREADS: Final = 12
PROGRAM: Final = """
import ctypes, re, sys, threading
from llmgw.serving import memory

KIB = 1024
memory.configure()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
all_have = threading.Barrier(int(sys.argv[1]) + 1)

def resident_kib():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmRSS")]
    return int(line.split()[1])

def take():
    blocks = [libc.malloc(512 * KIB) for _ in range(32)]
    for block in blocks:
        libc.memset(block, 1, 512 * KIB)
    all_have.wait()
    kept = libc.malloc(64)  # at the top: the heap can't shrink by itself
    for block in blocks:
        libc.free(block)
    all_have.wait()
    all_have.wait()

for _ in range(int(sys.argv[1])):
    threading.Thread(target=take).start()
all_have.wait()
all_have.wait()
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
file = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
before = resident_kib()
memory.trim()
print(len(re.findall("<heap ", open(sys.argv[2]).read())), before, resident_kib())
all_have.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_heaps_are_few_and_return_what_is_free(tmp_path: Path) -> None:
    run = [sys.executable, "-c", PROGRAM, str(THREADS), str(tmp_path / "info.xml")]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    heaps, before_kib, after_kib = map(int, done.stdout.split())
    assert 1 <= heaps <= memory.HEAPS
    assert before_kib - after_kib > THREADS * 32 * 512 / 4, done.stdout


class Played:
    """A trimmer, the times it trimmed, and the requests that its gateway has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trims: list[bool] = []
        self.admission = SimpleNamespace(requests=0, served=0)
        self._trimmer = memory.Trimmer()
        monkeypatch.setattr(memory, "trim", self._trim)

    def _trim(self) -> None:
        self.trims.append(threading.current_thread() is threading.main_thread())

    async def ticks(self, count: int, *, served: int = 0, running: int = 0) -> int:
        """How often it trimmed in so many ticks, each with so many requests."""
        before = len(self.trims)
        for _ in range(count):
            self.admission.served += served
            self.admission.requests = running
            await self._trimmer(SimpleNamespace(admission=self.admission))  # type: ignore[arg-type]
        return len(self.trims) - before


def test_memory_is_returned_when_idle_and_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under steady traffic it never was: what one moment took stayed for good."""
    played = Played(monkeypatch)

    async def play() -> None:
        assert await played.ticks(10 * memory.TICKS_TO_IDLE) == 1
        assert await played.ticks(1, served=3) == 0
        assert await played.ticks(10 * memory.TICKS_TO_IDLE) == 1
        assert await played.ticks(10 * memory.TICKS_BUSY, served=1) == 10
        assert await played.ticks(10 * memory.TICKS_BUSY, running=1) == 10  # one long answer

    asyncio.run(play())
    assert not any(played.trims), "in the event loop's thread"
