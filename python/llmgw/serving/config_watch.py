"""How a worker finds out that another config is active, takes it over and reports the result."""

import asyncio
import logging

from llmgw.config import Config, ConfigError
from llmgw.gateway import Gateway
from llmgw.serving.run_folder import RunFolder, WorkerState

logger = logging.getLogger(__name__)


class ConfigWatch:
    """Checks the run folder at each call. Part of the worker's upkeep, on its event loop."""

    def __init__(self, folder: RunFolder, config: Config) -> None:
        """`config`: the one that the worker started with. It may be outdated: the first call checks."""
        self._folder = folder
        self._config = config
        self._stamp: tuple[int, int] | None = None

    async def __call__(self, gateway: Gateway) -> None:
        """Reload if another config is active. Raises OSError: the next call tries again."""
        stamp = self._folder.stamp()
        if stamp == self._stamp:
            return
        current = await asyncio.to_thread(self._folder.active)
        problem = None
        try:
            config = await asyncio.to_thread(current.load)
            if self._stamp is not None or config != self._config:
                await gateway.reload(config)
                logging.getLogger("llmgw").setLevel(config.server.log_level.upper())
                logger.info("the config is now generation %d, of %s", current.generation, current.source)
        except (ConfigError, ValueError) as error:
            logger.error("generation %d of the config can't be used: %s", current.generation, error)  # noqa: TRY400
            problem = str(error)
        await asyncio.to_thread(self._folder.report_state, WorkerState(current.generation, problem))
        self._stamp = stamp
