"""What `benches.start` reads of processes, and how it puts it."""

import subprocess
import sys

from benches.gateway.machine import Held, held, memory
from benches.start import Sample, row

FORKING = (
    "import os, sys\nif os.fork(): print('up', flush=True)\nelse: held = bytes(32 << 20)\nsys.stdin.read()\n"
)


def test_a_worker_is_told_from_its_parent() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", FORKING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    with program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        parent, worker = held(program.pid)
        assert parent.pid == program.pid
        assert worker.pss < worker.rss, "they share pages"
        assert memory(program.pid).pss >= worker.pss
        program.stdin.close()


def test_a_row_has_medians() -> None:
    samples = [
        Sample(0.4 + at / 10, 0.5 + at / 10, Held(2048 * at, 4096 * at, 1), Held(1024 * at, 3072 * at, 2))
        for at in (1, 2, 9)
    ]
    assert row("llmgw", samples) == "| llmgw | 0.60 | 0.70 | 2.0 (6.0) | 4.0 (8.0) |"
