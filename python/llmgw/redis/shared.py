"""Work that several wait for, and that goes on if one of them gives up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Shared(Generic[Result]):
    """Does it once for all who ask meanwhile."""

    def __init__(self, work: Callable[[], Awaitable[Result]]) -> None:
        """Nothing is done yet."""
        self._work = work
        self._task: asyncio.Task[Result] | None = None

    def begin(self) -> asyncio.Task[Result]:
        """The work that is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._do())
            self._task.add_done_callback(_look_at)
        return self._task

    async def wait(self) -> Result:
        """Raises what the work raises."""
        return await asyncio.shield(self.begin())

    async def close(self) -> None:
        """Stop it."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _do(self) -> Result:
        return await self._work()


def _look_at(task: asyncio.Task[Result]) -> None:
    """Perhaps nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
