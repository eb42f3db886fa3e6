"""A worker's stop signals: heard whenever they come, and acted on once."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest
import uvloop

from llmgw.serving.worker import STOP_SIGNALS, set_loop_signals

SOON_S = 10.0


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def comes(heard: list[str], what: str) -> None:
    """The handler runs, and tells the loop, some time after `kill` has returned."""
    deadline_s = time.monotonic() + SOON_S
    while what not in heard:
        assert time.monotonic() < deadline_s, what
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_between_two_runs_of_the_loop_is_heard(number: signal.Signals) -> None:
    """The loop runs for the lifespan's startup, and then again to serve. uvloop's own handlers lose it."""
    loop = uvloop.new_event_loop()
    heard = asyncio.Event()
    set_loop_signals(loop, on_stop=heard.set)
    loop.run_until_complete(asyncio.sleep(0))
    os.kill(os.getpid(), number)
    loop.run_until_complete(asyncio.wait_for(heard.wait(), SOON_S))
    loop.close()


def test_further_signals_change_nothing() -> None:
    """A further `WorkerSignal.set` would block, and the worker with it."""
    loop = uvloop.new_event_loop()
    stops: list[str] = []

    async def signalled() -> None:
        for _ in range(4):
            for number in STOP_SIGNALS:
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.01)
        await comes(stops, "stop")

    set_loop_signals(loop, on_stop=lambda: stops.append("stop"))
    loop.run_until_complete(signalled())
    loop.close()
    assert stops == ["stop"]


def test_a_repeated_sigterm_does_not_end_the_delay_and_sigint_does() -> None:
    """The parent's SIGTERM comes besides that of the whole group."""
    loop = uvloop.new_event_loop()
    heard: list[str] = []

    async def signalled() -> None:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.01)
            await comes(heard, "stop" if number == signal.SIGINT else "leave")
            heard.append(number.name)

    set_loop_signals(
        loop,
        on_stop=lambda: heard.append("stop"),
        on_leave=lambda: heard.append("leave"),
        delay_s=lambda: 600.0,
    )
    loop.run_until_complete(signalled())
    loop.close()
    assert heard == ["leave", "SIGTERM", "SIGTERM", "stop", "SIGINT", "SIGTERM"]
