"""The page of `/metrics`, which anybody may ask for as often as he likes.

To render it takes milliseconds of Python for each model and worker, while requests wait for the interpreter.
So it is rendered at most once a second, for all who ask by then.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from llmgw.observe.metrics import Metrics

MIN_INTERVAL_S: Final = 1.0
"""From the end of one rendering to the start of the next."""
POLITE_INTERVAL_S: Final = 0.000_2


class MetricsPage:
    """The metrics as text. For the event loop's thread only."""

    def __init__(self, metrics: Metrics, *, min_interval_s: float = MIN_INTERVAL_S) -> None:
        """Renders nothing yet."""
        self._metrics = metrics
        self._min_interval_s = min_interval_s
        self._not_before_s = 0.0
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[bytes] | None = None

    async def read(self) -> bytes:
        """The page as it is after this call, never an older one: whoever comes too soon waits."""
        if self._next is None:
            self._next = asyncio.create_task(self._render())
        # One who leaves must not take the page from those who wait with him.
        return await asyncio.shield(self._next)

    async def _render(self) -> bytes:
        now_s = asyncio.get_running_loop().time
        async with self._one_at_a_time:
            await asyncio.sleep(self._not_before_s - now_s())
            self._next = None
            self._metrics.fold()
            try:
                return await asyncio.to_thread(_politely, self._metrics.render)
            finally:
                self._not_before_s = now_s() + self._min_interval_s


def _politely(render: Callable[[], bytes]) -> bytes:
    """Render, and give the interpreter to a thread that wants it after `POLITE_INTERVAL_S`, not after 5 ms.

    A request changes threads several times, and would wait for the interpreter at each of them.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(POLITE_INTERVAL_S)
    try:
        return render()
    finally:
        sys.setswitchinterval(usual_s)
