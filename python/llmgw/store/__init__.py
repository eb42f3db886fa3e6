"""The database: keys and ledger in one SQLite file, by SQLAlchemy, migrated by Alembic when it is opened."""

from llmgw.store.engine import Store, StoreError, StoreGoneError, open_store, store_at
from llmgw.store.models import ApiKey, Base, KeyEpoch, LedgerRow

__all__ = [
    "ApiKey",
    "Base",
    "KeyEpoch",
    "LedgerRow",
    "Store",
    "StoreError",
    "StoreGoneError",
    "open_store",
    "store_at",
]
