"""What each worker process does before granian serves in it."""

import asyncio
import functools
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from granian import _signals
from granian._granian import WorkerSignal

from llmgw.serving import memory
from llmgw.serving.in_force import Board
from llmgw.serving.metrics_files import inherit
from llmgw.serving.orphans import end_with_parent
from llmgw.serving.run_folder import RunFolder

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
KILL_GRACE_S: Final = 5
"""Time for a worker to write its ledger after `drain_timeout_s`."""


def preload() -> None:
    """Import what `load_app` needs, in the parent before it forks: its workers then share those pages.

    Call it with `MULTIPROC_ENV` as the workers will have it: prometheus_client reads it at the import.
    """
    import llmgw.app
    import llmgw.serving.config_watch
    import llmgw.serving.door  # noqa: F401


def load_app(board: Board, predecessors: Sequence[int] = ()) -> Any:  # noqa: ANN401  (an ASGI application)
    """Make the application. granian calls this in each worker, before it sets the signal handlers.

    `predecessors`: the process ids of the dead workers that it replaces.
    """
    inherit(predecessors)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # only the parent handles it
    memory.configure()
    _use_batch_scheduling()
    # Imported here, because prometheus_client reads its environment at the import.
    from llmgw.app import App
    from llmgw.serving.admin_context import admin_context
    from llmgw.serving.config_watch import ConfigWatch
    from llmgw.serving.door import Door

    in_force = board.read()
    config_watch = ConfigWatch(RunFolder.of_worker(), board, in_force)
    end_with_parent(lambda: config_watch.config.server.drain_timeout_s + KILL_GRACE_S)
    upkeep = (config_watch, memory.Trimmer(), Door(in_force.config.server))
    app = App(in_force.config, upkeep=upkeep, admin_context=admin_context)
    _signals.set_loop_signals = functools.partial(
        set_loop_signals,
        on_stop=app.drain,
        on_leave=app.leave,
        delay_s=lambda: config_watch.config.server.stop_delay_s,
    )
    return app


def _use_batch_scheduling() -> None:
    """Use `SCHED_BATCH`, so that a woken thread does not preempt the thread that woke it.

    A request passes through four threads (two of granian's, asyncio's, the upstreams'). By default Linux lets
    a woken thread interrupt the one that woke it, which often still holds the GIL that the woken one needs.
    `SCHED_BATCH` changes nothing else (sched(7)), and threads that start later inherit it. Any policy other
    than the default is the operator's choice and stays.
    """
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # a sandbox may forbid it
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def set_loop_signals(
    loop: asyncio.AbstractEventLoop,
    *,
    on_stop: Callable[[], None],
    on_leave: Callable[[], None] = lambda: None,
    delay_s: Callable[[], float] = lambda: 0.0,
) -> WorkerSignal:
    """Replaces granian's function of this name, which can lose a signal or hang at a second one (2.8.7).

    SIGTERM calls `on_leave`, and `delay_s()` later the stop begins with `on_stop`. SIGINT begins it at once.
    A further SIGTERM changes nothing: if the whole group was signalled, the parent's only repeats it. The
    parent counts, and sends SIGINT to end the delay.

    granian runs the loop once for the lifespan's startup and once more to serve. A handler set by uvloop's
    `add_signal_handler` is not called for a signal in between; one set by `signal.signal` is. A second
    `WorkerSignal.set` waits for space in a full channel, with the GIL held, so it is called only once; a
    second signal always comes, since Ctrl-C and systemd signal the whole group, and then the parent does.
    """
    stop = WorkerSignal()
    leaving = stopping = False

    def stop_once() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            on_stop()
            stop.set()

    def leave_once() -> None:
        nonlocal leaving
        if leaving or stopping:
            return
        leaving = True
        seconds = delay_s()
        if seconds > 0:
            on_leave()
            loop.call_later(seconds, stop_once)
        else:
            stop_once()

    signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(stop_once))
    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(leave_once))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # `run_gateway` blocked them
    return stop
