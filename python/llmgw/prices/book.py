"""Where the prices are kept that rows of the ledger name by their digests."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy.dialects.sqlite import insert

from llmgw.prices.price import Price
from llmgw.store import Price as PriceRow
from llmgw.store import Store


def remember_prices(store: Store, prices: Iterable[Price]) -> None:
    """Store the documents of these prices; those that are stored already stay as they are. Blocking.

    Call it when a config takes effect, never on the way of a request. Raises SQLAlchemyError.
    """
    now = datetime.now(UTC)
    rows = [{"digest": price.digest, "document": price.document, "first_seen_at": now} for price in prices]
    if not rows:
        return
    with store.write() as session:
        session.execute(insert(PriceRow).on_conflict_do_nothing(index_elements=["digest"]), rows)
