"""What one worker process has: config, models, keys, ledger, metrics."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from llmgw.admission import Admission, possible_requests
from llmgw.catalog import Catalog
from llmgw.config import Config
from llmgw.keys import KeyRing
from llmgw.ledger import Ledger
from llmgw.metrics import Metrics
from llmgw.routing import Router
from llmgw.stalls import StallWatch
from llmgw.store import Store, open_store

if TYPE_CHECKING:
    from llmgw._core import Exchange

logger = logging.getLogger(__name__)

LAST_WORD_S: Final = 1.0
"""At the end of a drain, a slow client gets so long to take its error frame."""


class Gateway:
    """The parts that every request uses. Make it in the process that serves, after any fork."""

    def __init__(self, config: Config, store: Store) -> None:
        """Blocking: reads the keys. Raises SQLAlchemyError, ValueError (see `Router`)."""
        self.config = config
        self.store = store
        self.router = Router(config)
        self.catalog = _catalog(config, self.router)
        self.metrics = Metrics(self.router.models)
        self.admission = Admission(
            max_requests=possible_requests(config.server),
            max_bytes=config.server.max_in_flight_bytes,
            on_shed=self.metrics.shed,
        )
        self.stalls = StallWatch()
        self.keyring = KeyRing(store)
        self.ledger = Ledger(store, observe=self.metrics.ledger_state)
        self.exchanges: set[Exchange] = set()
        """What is under way with the upstreams."""
        self.draining = False
        """True from the moment of an orderly stop: `/readyz` then says so."""

    @classmethod
    def open(cls, config: Config) -> "Gateway":
        """Open the database and begin the background work. Blocking. Raises as `__init__` and StoreError."""
        gateway = cls(config, open_store(config.store.url))
        gateway.keyring.start()
        gateway.ledger.start()
        return gateway

    async def reload(self, config: Config) -> None:
        """Take another config over. Requests under way end as they began, on the old objects.

        What `restart_faults` lists stays as it is. Raises as `__init__`, and then has changed nothing.
        """
        router = await asyncio.to_thread(Router, config, self.router)
        catalog = await asyncio.to_thread(_catalog, config, router)
        # From here on without a pause: no request sees half of it.
        self.metrics.know(router.models)
        self.admission.max_requests = possible_requests(config.server)
        self.admission.max_bytes = config.server.max_in_flight_bytes
        self.config, self.router, self.catalog = config, router, catalog

    def tick(self) -> None:
        """What is due every second or so: find the stalled, update the gauges. Call it on the loop."""
        timeout_s = self.config.server.client_write_timeout_s
        self.stalls.look(asyncio.get_running_loop().time(), timeout_s)
        self.metrics.held(self.admission.bytes)

    def drain(self) -> None:
        """A stop was asked for: what is under way gets `drain_timeout_s` to finish. Call it on the loop."""
        self.draining = True
        loop = asyncio.get_running_loop()
        loop.call_later(self.config.server.drain_timeout_s, self._end_exchanges)

    def _end_exchanges(self) -> None:
        # Each ends with an error for its client and a row in the ledger; a kill would give it neither.
        for exchange in list(self.exchanges):
            exchange.drain()
        asyncio.get_running_loop().call_later(LAST_WORD_S, self.stalls.cut_waiting)

    async def close(self) -> None:
        """Write what the ledger holds and stop. Without blocking the loop."""
        self.draining = True
        await self.ledger.close()
        await asyncio.to_thread(self.keyring.close)
        await asyncio.to_thread(self.store.close)
        logger.info("stopped; the ledger is written")


def _catalog(config: Config, router: Router) -> Catalog:
    return Catalog(config, {model.id: model.route.dialect for model in router.models.values()})
