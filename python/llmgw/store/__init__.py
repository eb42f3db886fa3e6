"""Where keys and ledger are stored: one SQLite file, through SQLAlchemy, migrated by Alembic at the open."""

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
