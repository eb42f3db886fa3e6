"""Where keys, secrets and ledger are: one SQLite file, by SQLAlchemy, migrated by Alembic at the open."""

from llmgw.store.audit import raise_epoch, record
from llmgw.store.engine import Store, StoreError, StoreGoneError, open_store, store_at
from llmgw.store.tables import (
    LATENCY_BOUNDS_S,
    ApiKey,
    AuditRow,
    Base,
    BudgetRow,
    BudgetWindow,
    Capture,
    CaptureLease,
    KeyEpoch,
    LedgerRow,
    LimitRow,
    Price,
    Project,
    Secret,
    UsageDay,
    UsageHour,
)

__all__ = [
    "LATENCY_BOUNDS_S",
    "ApiKey",
    "AuditRow",
    "Base",
    "BudgetRow",
    "BudgetWindow",
    "Capture",
    "CaptureLease",
    "KeyEpoch",
    "LedgerRow",
    "LimitRow",
    "Price",
    "Project",
    "Secret",
    "Store",
    "StoreError",
    "StoreGoneError",
    "UsageDay",
    "UsageHour",
    "open_store",
    "raise_epoch",
    "record",
    "store_at",
]
