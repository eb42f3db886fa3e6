"""How a worker finds out that another config is in force, takes it over and reports the result."""

import asyncio
import logging
import os

from llmgw.gateway import Gateway
from llmgw.serving.in_force import Board, InForce
from llmgw.serving.run_folder import RunFolder, WorkerState

logger = logging.getLogger(__name__)


class ConfigWatch:
    """Looks at the board at each call. Part of the worker's upkeep, on its event loop."""

    def __init__(self, folder: RunFolder, board: Board, started_with: InForce) -> None:
        """`started_with` may be outdated: the first call looks."""
        self._folder = folder
        self._board = board
        self._generation = started_with.generation
        self._version: int | None = None
        self.config = started_with.config
        """The one that the worker uses."""

    async def __call__(self, gateway: Gateway) -> None:
        """Reload if another config is in force. Raises OSError: the next call tries again."""
        version = self._board.version()
        if version == self._version:
            return
        current = await asyncio.to_thread(self._board.read)
        gateway.notices = current.notices
        if self._version is None or current.generation != self._generation:
            problem = await self._take_over(gateway, current)
            await asyncio.to_thread(self._folder.report_state, WorkerState(current.generation, problem))
        self._version = version

    async def _take_over(self, gateway: Gateway, current: InForce) -> str | None:
        """What is wrong with the config; None: the worker uses it."""
        if current.generation == self._generation:
            return None
        self._generation = current.generation
        try:
            await gateway.reload(current.config)
        except ValueError as error:
            logger.error("generation %d of the config can't be used: %s", current.generation, error)  # noqa: TRY400
            return str(error)
        self.config = current.config
        logging.getLogger("llmgw").setLevel(current.config.server.log_level.upper())
        logger.info(
                "worker %d: the config is now generation %d, of %s",
                os.getpid(), current.generation, current.config.source,
            )  # fmt: skip
        return None
