"""Faults 50 and 51: the parent process is killed, and a secret is gone when a worker starts again."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.case import case
from tests.faults.cases.operations import ledgers, open_streams, read_to_end
from tests.faults.cases.upstream import answered_by, ms
from tests.faults.rig import Rig, Setup, key_environment, wait_for
from tests.faults.script import KEY_PREFIX, Act
from tests.support.processes import Process

SOON_S = 20.0
ORPHANED = Setup(workers=2, idle_timeout_s=30, server="drain_timeout_s = 20", own=True)


@case(50, "parent killed", "workers finish and end; a new start binds meanwhile", ORPHANED)
async def parent_killed(rig: Rig) -> str:
    pairs = await open_streams(rig, "solo-0", Act(events=60, delay_ms=50), 16)
    orphans = rig.workers()
    parent = rig.gateway.process.process
    parent.kill()
    await asyncio.to_thread(parent.wait)
    begun = time.monotonic()
    arguments = ("serve", "--config", str(rig.gateway.config), "--port", str(rig.gateway.port))
    successor = Process("llmgw", *arguments, folder=rig.folder, env=key_environment())
    try:
        await asyncio.to_thread(successor.wait_ready, f"{rig.gateway.url}/readyz")
        bound_s = time.monotonic() - begun
        await read_to_end(pairs)
        for _, seen in pairs:
            seen.verify()
            answered_by(seen, "a")

        async def ended() -> bool:
            return not any(_runs(pid) for pid in orphans)

        ended_s = await wait_for(ended, "the old workers end", timeout_s=SOON_S)
        # The first time they may have answered in its place.
        await asyncio.to_thread(successor.wait_ready, f"{rig.gateway.url}/readyz")
        for _ in range(20):
            answered_by(await rig.client.ask("solo-0", Act()), "a")
    finally:
        await asyncio.to_thread(successor.stop)
    (await ledgers(rig)).check()
    return (
        f"a new start answered {bound_s:.1f} s later, beside 16 streams that came whole; "
        f"both workers were gone {ms(ended_s)} after the last"
    )


def _runs(pid: int) -> bool:
    """False for a zombie, whose parent has not looked yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _missing(_: Path) -> None:
    """Deleted, and nothing in its place."""


SPOILT: dict[str, Callable[[Path], object]] = {"gone": _missing, "a FIFO": os.mkfifo, "a folder": Path.mkdir}


@case(51, "secret file gone or a FIFO", "the secrets in force go on, and it is told", Setup(own=True))
async def secret_gone(rig: Rig) -> str:
    secret = rig.folder / "secret"
    secret.write_text(f"{KEY_PREFIX}a\n", "utf-8")
    text = rig.gateway.config.read_text("utf-8")
    assert '"env:CHAOS_KEY_A"' in text
    rig.gateway.config.write_text(text.replace('"env:CHAOS_KEY_A"', f'"file:{secret}"'), "utf-8")
    assert (await rig.reload())[0] == 0
    worst_s = 0.0
    for name, spoil in SPOILT.items():
        secret.unlink()
        spoil(secret)
        [worker] = rig.workers()
        os.kill(worker, signal.SIGKILL)

        async def told() -> bool:
            try:
                report = (await rig.client.get("/readyz")).body
            except ConnectionError:
                return False
            return b"those in force go on: upstreams.a.api_key" in report

        worst_s = max(worst_s, await wait_for(told, f"{name}: the warning", timeout_s=SOON_S))
        answered_by(await rig.client.ask("solo-0", Act()), "a")
        begun = time.monotonic()
        assert (await rig.reload())[0] == 1, f"{name}: taken over"
        worst_s = max(worst_s, time.monotonic() - begun)
        answered_by(await rig.client.ask("solo-0", Act()), "a")
        if secret.is_dir():
            secret.rmdir()
        else:
            secret.unlink(missing_ok=True)
        secret.write_text(f"{KEY_PREFIX}a\n", "utf-8")
        assert (await rig.reload())[0] == 0
    assert await asyncio.to_thread(rig.gateway.process.stop) == 0
    (await ledgers(rig)).check()
    return f"{len(SPOILT)} ways, each told or refused within {worst_s:.1f} s; every request answered"
