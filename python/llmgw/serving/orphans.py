"""A worker whose parent was killed stops, as at a SIGINT: nobody would reload, restart or stop it any more.

It also holds the port, which the next start needs, so there is no `stop_delay_s`. Linux signals the death at
once; elsewhere, and in case that was missed, a thread looks for it.
"""

import ctypes
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG: Final = 1
_LOOK_INTERVAL_S: Final = 0.5


def end_with_parent(stop_timeout_s: Callable[[], float]) -> None:
    """From now on, begin an orderly stop when the parent dies, and end without one `stop_timeout_s()` later.

    Call it in the worker, with the parent's stop signals still blocked.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return
    with suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    arguments = (parent.pid, stop_timeout_s)
    threading.Thread(target=_watch, args=arguments, name="llmgw-parent", daemon=True).start()


def _watch(parent: int, stop_timeout_s: Callable[[], float]) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_INTERVAL_S)
    logger.error("the parent process is gone; this worker stops")
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(stop_timeout_s())
    os.kill(os.getpid(), signal.SIGKILL)
