"""Where keys, secrets and ledger are: one SQLite file, or a PostgreSQL server that several machines share.

By SQLAlchemy, migrated by Alembic at the open.

    opening     which engine a URL is of        tables/       what the tables hold
    engine      what both engines do            migrations/   how they came to be
    sqlite      one file                        sql           what the two say differently in SQL
    postgres    one server: transactions        failures      is the database at fault, or a value?
    wire        its connections                 open, facts   for commands and the admin API
"""

from llmgw.store.audit import raise_epoch, record
from llmgw.store.engine import REPORT_TIMEOUT_S, Store, StoreError, StoreGoneError, Watch
from llmgw.store.opening import open_store, store_at
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
    Pruned,
    Secret,
    UsageDay,
    UsageHour,
)

__all__ = [
    "LATENCY_BOUNDS_S",
    "REPORT_TIMEOUT_S",
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
    "Pruned",
    "Secret",
    "Store",
    "StoreError",
    "StoreGoneError",
    "UsageDay",
    "UsageHour",
    "Watch",
    "open_store",
    "raise_epoch",
    "record",
    "store_at",
]
