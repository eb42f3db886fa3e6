"""The page of `/metrics`, which anybody may ask for as often as he likes.

To render it takes milliseconds of Python for each model and worker, while requests wait for the interpreter.
So it is rendered at most once a second, after a few times in a row, for all who ask by then.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from llmgw.observe.metrics import Metrics
from llmgw.observe.polite import polite

INTERVAL_S: Final = 1.0
"""From one rendering to the next, in the long run."""
IN_A_ROW: Final = 3
"""So many may come without a pause: an operator's two looks should not wait."""


class MetricsPage:
    """The metrics as text. For the event loop's thread only."""

    def __init__(self, metrics: Metrics, *, interval_s: float = INTERVAL_S) -> None:
        """Renders nothing yet."""
        self._metrics = metrics
        self._interval_s = interval_s
        self._paid_until_s = 0.0
        """Each rendering takes an interval; this is the end of those that were taken."""
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
            await asyncio.sleep(self._paid_until_s - (IN_A_ROW - 1) * self._interval_s - now_s())
            self._next = None
            self._paid_until_s = max(self._paid_until_s, now_s()) + self._interval_s
            self._metrics.fold()
            return await asyncio.to_thread(_politely, self._metrics.render)


def _politely(render: Callable[[], bytes]) -> bytes:
    with polite():
        return render()
