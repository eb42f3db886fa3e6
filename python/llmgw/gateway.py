"""What one worker process has: config, models, keys, ledger, metrics."""

import asyncio
import logging
from typing import TYPE_CHECKING

from llmgw.catalog import Catalog
from llmgw.config import Config
from llmgw.health import RetryBudget
from llmgw.journal import Journal
from llmgw.keys import KeyRing
from llmgw.ledger import Ledger
from llmgw.metrics import Metrics
from llmgw.reasoning import Reasoning
from llmgw.reasoning import open_store as open_reasoning
from llmgw.routing import Router
from llmgw.store import Store, StoreError, store_at

if TYPE_CHECKING:
    from llmgw._core import Exchange

logger = logging.getLogger(__name__)


class Gateway:
    """The parts that every request uses. Make it in the process that serves, after any fork."""

    def __init__(self, config: Config, store: Store) -> None:
        """Blocking: reads the keys. Raises ValueError (see `Router`)."""
        self.config = config
        self.store = store
        self.metrics = Metrics(model.id for model in config.models)
        self.router = Router(config, observe=self.metrics.cooling)
        routing = config.routing
        self.retry_budget = RetryBudget(ratio=routing.retry_ratio, min_per_s=routing.min_retries_per_s)
        # What the catalog says of a model is true of the target that stands first.
        dialects = {model.id: model.targets.all[0].route.dialect for model in self.router.models.values()}
        self.catalog = Catalog(config, dialects)
        self.reasoning = Reasoning(open_reasoning(config.cache), self.metrics.reasoning)
        self.keyring = KeyRing(store, stale_keys_s=config.store.stale_keys_s, observe=self.metrics.keys_state)
        limit_bytes = config.ledger.journal_max_bytes
        journal = Journal(config.journal_folder, max_bytes=limit_bytes) if limit_bytes else None
        self.ledger = Ledger(store, journal=journal, observe=self.metrics.ledger_state)
        self.strict = config.ledger.durability == "strict"
        """An answer's row must be on disk before the answer ends."""
        self.exchanges: set[Exchange] = set()
        """What is under way with the upstreams."""
        self.draining = False
        """True from the moment of an orderly stop: `/readyz` then says so."""

    @classmethod
    def open(cls, config: Config) -> "Gateway":
        """Open the database and begin the background work. Blocking. Raises as `__init__`.

        `llmgw serve` has opened the database before. A worker that takes a dead one's place while the
        database fails must not fail too: it admits nobody until the keys can be read.
        """
        store = store_at(config.store.url)
        try:
            store.prepare()
        except StoreError as error:
            logger.error("%s; this worker waits for it", error)  # noqa: TRY400
        gateway = cls(config, store)
        gateway.keyring.start()
        gateway.ledger.start()
        return gateway

    def upstream_report(self) -> list[dict[str, object]]:
        """What this worker knows of each model at each upstream, for `/readyz?verbose`: names only."""
        return [
            {
                "upstream": health.upstream,
                "upstream_model": health.upstream_model,
                "state": health.state,
                "consecutive_failures": health.failures,
                "cooling_s": round(health.cooling_s, 1),
                "in_flight": health.in_flight,
            }
            for health in self.router.health
        ]

    def drain(self) -> None:
        """A stop was asked for: what is under way gets `drain_timeout_s` to finish. Call it on the loop."""
        self.draining = True
        loop = asyncio.get_running_loop()
        loop.call_later(self.config.server.drain_timeout_s, self._end_exchanges)

    def _end_exchanges(self) -> None:
        # Each ends with an error for its client and a row in the ledger; a kill would give it neither.
        for exchange in list(self.exchanges):
            exchange.drain()

    async def close(self) -> None:
        """Write what the ledger holds and stop. Without blocking the loop."""
        self.draining = True
        await self.ledger.close()
        await self.reasoning.close()
        await asyncio.to_thread(self.keyring.close)
        await asyncio.to_thread(self.store.close)
        logger.info("stopped; the ledger is written")
