"""Limits that machines share are asked while a large body still arrives.

What the request is, only the scan tells. Until then it is taken for one like the key's last, of the size that
is announced. If that was right, the answer is there when the scan is done, and what was reserved too much is
given back without waiting; if not, it is undone, and the limits are asked once more.
"""

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from llmgw.limits.redis import Decision, SharedPlan, SharedReservation

if TYPE_CHECKING:
    from llmgw.limits.compiled import Compiled, LimitedModel
    from llmgw.limits.redis.plan import Estimate

EARLY_BYTES: Final = 65_536
"""A smaller body is there as soon as its head is."""


MAX_EARLY_BYTES: Final = 1_048_576
"""For a larger one nothing is reserved before it has come: its sender might not mean to send it."""


class Last(NamedTuple):
    """What a key's last request was."""

    model: "LimitedModel"
    output_tokens: int
    user: str | None


class Early:
    """One request's. Either `take` or `abandon` it."""

    __slots__ = ("_asked", "_compiled")

    def __init__(self, compiled: "Compiled", engine: SharedPlan, estimate: "Estimate") -> None:
        self._compiled = compiled
        self._asked: asyncio.Task[Decision] | None = asyncio.create_task(engine.reserve(**estimate._asdict()))

    async def take(self, compiled: "Compiled", estimate: "Estimate") -> SharedReservation | None:
        """What was reserved, for what the request is. None: nothing is, and it has to be asked for."""
        asked, self._asked = self._asked, None
        if asked is None:
            return None
        if compiled is not self._compiled:
            asked.add_done_callback(_undo)
            return None
        decision = await asked
        if not isinstance(decision, SharedReservation):
            # Of an estimate that may have been too large; nothing was taken.
            return None
        if decision.lower(estimate):
            return decision
        decision.undo()
        return None

    def abandon(self) -> None:
        """There is no such request after all. A second call, or one after `take`, does nothing."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.add_done_callback(_undo)


def _undo(asked: "asyncio.Task[Decision]") -> None:
    if not asked.cancelled() and isinstance(decision := asked.result(), SharedReservation):
        decision.undo()
