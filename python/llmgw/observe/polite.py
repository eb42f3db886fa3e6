"""A thread that computes while requests wait for the interpreter."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

POLITE_INTERVAL_S: Final = 0.000_2

_lock: Final = threading.Lock()
_usual: list[float] = []
"""The usual interval, once for each thread that is polite now."""


@contextmanager
def polite() -> Iterator[None]:
    """Give the interpreter to a thread that wants it after `POLITE_INTERVAL_S`, not after 5 ms.

    A request changes threads several times, and would wait for the interpreter at each of them. For any
    number of threads at once.
    """
    with _lock:
        _usual.append(_usual[0] if _usual else sys.getswitchinterval())
        sys.setswitchinterval(POLITE_INTERVAL_S)
    try:
        yield
    finally:
        with _lock:
            usual_s = _usual.pop()
            if not _usual:
                sys.setswitchinterval(usual_s)
