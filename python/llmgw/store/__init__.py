"""Where keys, secrets and ledger are: one SQLite file, by SQLAlchemy, migrated by Alembic at the open."""

from llmgw.store.engine import Store, StoreError, StoreGoneError, open_store, store_at
from llmgw.store.models import ApiKey, Base, KeyEpoch, LedgerRow, Secret

__all__ = [
    "ApiKey",
    "Base",
    "KeyEpoch",
    "LedgerRow",
    "Secret",
    "Store",
    "StoreError",
    "StoreGoneError",
    "open_store",
    "store_at",
]
