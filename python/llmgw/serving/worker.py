"""What `llmgw serve` does in each worker process, before granian serves there."""

import asyncio
import functools
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from granian import _signals
from granian._granian import WorkerSignal

from llmgw.serving import memory
from llmgw.serving.run_folder import RunFolder

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def load_app() -> Any:  # noqa: ANN401  (an ASGI application, in granian's words)
    """Make the application. granian calls this in each worker, before it sets the worker's signals."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it means the parent, even if the whole group gets it
    memory.configure()
    _use_batch_scheduling()
    # Not before: prometheus_client looks for its folder of several workers when it is imported.
    from llmgw.app import App
    from llmgw.serving.config_watch import ConfigWatch

    folder = RunFolder.of_worker()
    config = folder.active().load()
    app = App(config, upkeep=(ConfigWatch(folder, config), memory.TrimWhenIdle()))
    _signals.set_loop_signals = functools.partial(_set_loop_signals, on_stop=app.drain)
    return app


def _use_batch_scheduling() -> None:
    """Have the worker's threads finish what they are at before one that they wake takes over their core.

    A request passes four of them (granian's two, asyncio's, the upstreams'), and by default Linux lets each
    one that is woken interrupt the one that woke it: asyncio's thread, say, to find that the GIL it needs is
    held by whom it has interrupted. `SCHED_BATCH` differs in nothing but that (sched(7)). Threads that are
    started later inherit it. Another policy than the default is the operator's choice and stays.
    """
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # a sandbox may forbid it
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _set_loop_signals(loop: asyncio.AbstractEventLoop, *, on_stop: Callable[[], None]) -> WorkerSignal:
    """Stands in for granian's function of this name, with which a worker survives only one signal.

    Its second `WorkerSignal.set` waits for a place in a channel that nobody empties, with the GIL held: the
    worker hangs, streams and all, until it is killed (2.8.7). Ctrl-C and systemd signal whole groups, so
    there always is a second: the parent's.
    """
    stop = WorkerSignal()
    heard = False

    def hear() -> None:
        nonlocal heard
        if not heard:
            heard = True
            on_stop()
            stop.set()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, hear)
    return stop
