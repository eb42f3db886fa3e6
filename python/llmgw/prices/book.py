"""Where the prices are kept that rows of the ledger name by their digests."""

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from llmgw.prices.price import Price
from llmgw.store import Price as PriceRow
from llmgw.store import Store
from llmgw.store.sql import insert_into

logger = logging.getLogger(__name__)

_RETRY_INTERVAL_S: Final = 5.0


def remember_prices(store: Store, prices: Iterable[Price]) -> None:
    """Store the documents of these prices; those that are stored already stay as they are. Blocking.

    Raises SQLAlchemyError.
    """
    now = datetime.now(UTC)
    rows = [{"digest": price.digest, "document": price.document, "first_seen_at": now} for price in prices]
    if not rows:
        return
    with store.write() as session:
        statement = insert_into(session.connection(), PriceRow)
        session.execute(statement.on_conflict_do_nothing(index_elements=["digest"]), rows)


class PriceBook:
    """Sees to it that the prices in force are in the database. Nothing waits for it: it tries again."""

    def __init__(self, store: Store, prices: Iterable[Price]) -> None:
        """Does nothing yet."""
        self._store = store
        self._prices = tuple(prices)
        self._generation: int | None = None
        """Of the file that has them; None: none has."""
        self._task: asyncio.Task[None] | None = None
        self._next_s = 0.0

    def remember(self) -> None:
        """Store them now. Blocking. A failure is logged."""
        prices, generation = self._prices, self._store.generation
        try:
            remember_prices(self._store, prices)
        except SQLAlchemyError as error:
            logger.warning("the prices in force can't be stored (%s); they will be", type(error).__name__)
            return
        if prices is self._prices:
            self._generation = generation

    def use(self, prices: Iterable[Price]) -> None:
        """These are in force from now on; `tick` stores them."""
        self._prices = tuple(prices)
        self._generation = None
        self._next_s = 0.0

    def tick(self) -> None:
        """Store in a thread what is not stored, also after the database was replaced. Call it on the loop."""
        now_s = time.monotonic()
        is_stored = self._generation == self._store.generation
        if is_stored or now_s < self._next_s or (self._task is not None and not self._task.done()):
            return
        self._next_s = now_s + _RETRY_INTERVAL_S
        self._task = asyncio.create_task(asyncio.to_thread(self.remember))

    async def close(self) -> None:
        """Wait for what is being stored."""
        if self._task is not None:
            await self._task
