"""What one worker process has: config, models, keys, ledger, metrics."""

import asyncio
import logging

from llmgw.catalog import Catalog
from llmgw.config import Config
from llmgw.keys import KeyRing
from llmgw.ledger import Ledger
from llmgw.metrics import Metrics
from llmgw.routing import Router
from llmgw.store import Store, open_store

logger = logging.getLogger(__name__)


class Gateway:
    """The parts that every request uses. Make it in the process that serves, after any fork."""

    def __init__(self, config: Config, store: Store) -> None:
        """Blocking: reads the keys. Raises SQLAlchemyError, ValueError (see `Router`)."""
        self.config = config
        self.store = store
        self.router = Router(config)
        dialects = {model.id: model.route.dialect for model in self.router.models.values()}
        self.catalog = Catalog(config, dialects)
        self.metrics = Metrics(self.router.models)
        self.keyring = KeyRing(store)
        self.ledger = Ledger(store, observe=self.metrics.ledger_state)
        self.draining = False
        """True from the moment of an orderly stop: `/readyz` then says so."""

    @classmethod
    def open(cls, config: Config) -> "Gateway":
        """Open the database and begin the background work. Blocking. Raises as `__init__` and StoreError."""
        gateway = cls(config, open_store(config.store.url))
        gateway.keyring.start()
        gateway.ledger.start()
        return gateway

    async def close(self) -> None:
        """Write what the ledger holds and stop. Without blocking the loop."""
        self.draining = True
        await self.ledger.close()
        await asyncio.to_thread(self.keyring.close)
        await asyncio.to_thread(self.store.close)
        logger.info("stopped; the ledger is written")
