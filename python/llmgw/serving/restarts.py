"""When is a worker that died started again?

At once, the first time. One that keeps dying is started after pauses, which grow up to a limit: whatever
kills it, an answer of an upstream or a machine without memory, must not end the gateway, and must not cost
all of a processor either. This module only counts; the server does it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger(__name__)

STEADY_S: Final = 60.0
"""A worker that lives this long is well: its next death is a first one."""
FIRST_PAUSE_S: Final = 0.25
"""Before the second restart in a row; twice as long before each further one."""
MAX_PAUSE_S: Final = 8.0
_MAX_DOUBLINGS: Final = 16


@dataclass(slots=True)
class _Worker:
    born_s: float
    deaths: int = 0
    """In a row."""
    due_s: float | None = None
    """When it is to be started; None: it runs."""


class Restarts:
    """The workers of one gateway, by their index. `now_s` is monotonic."""

    def __init__(self, workers: Iterable[int], now_s: float, *, name: str | None = None) -> None:
        """All `workers` have just been started. `name`: what the only one is called, if it is no worker."""
        self._name = name
        self._workers = {index: _Worker(now_s) for index in workers}

    def died(self, index: int, now_s: float) -> None:
        """A worker ended, or could not be started."""
        worker = self._workers[index]
        if worker.due_s is None and now_s - worker.born_s >= STEADY_S:
            worker.deaths = 0
        worker.deaths += 1
        pause_s = _pause_s(worker.deaths)
        worker.due_s = now_s + pause_s
        name = self._name or f"worker {index + 1}"
        logger.warning("%s died; it is started again in %g s", name, pause_s)

    def started(self, index: int, now_s: float) -> None:
        """A worker was started again."""
        worker = self._workers[index]
        worker.born_s, worker.due_s = now_s, None

    def due(self, now_s: float) -> list[int]:
        """Whom to start now."""
        return [
            index
            for index, worker in self._workers.items()
            if worker.due_s is not None and worker.due_s <= now_s
        ]

    def deaths(self) -> int:
        """The most deaths in a row of one worker."""
        return max(worker.deaths for worker in self._workers.values())

    def notice(self, now_s: float) -> str | None:
        """What `/readyz` says of it; None if every worker is well."""
        failing = [
            worker
            for worker in self._workers.values()
            if worker.deaths > 1 and (worker.due_s is not None or now_s - worker.born_s < STEADY_S)
        ]
        if not failing:
            return None
        deaths = max(worker.deaths for worker in failing)
        which = (
            f"{self._name} keeps"
            if self._name
            else "a worker keeps"
            if len(failing) == 1
            else f"{len(failing)} workers keep"
        )
        return f"{which} dying ({deaths} times in a row); the gateway's log may say why"


def _pause_s(deaths: int) -> float:
    if deaths < 2:  # noqa: PLR2004  (the first is none of a row)
        return 0.0
    return min(FIRST_PAUSE_S * 2.0 ** min(deaths - 2, _MAX_DOUBLINGS), MAX_PAUSE_S)
