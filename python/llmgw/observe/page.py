"""The page of `/metrics`, which anybody may ask for as often as he likes.

To render it takes milliseconds of Python for each model and worker, while requests wait for the interpreter.
So it is rendered at most once a second, for all who ask by then.
"""

import asyncio
from typing import Final

from llmgw.observe.metrics import Metrics

MIN_INTERVAL_S: Final = 1.0
"""From the end of one rendering to the start of the next."""


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
                return await asyncio.to_thread(self._metrics.render)
            finally:
                self._not_before_s = now_s() + self._min_interval_s
