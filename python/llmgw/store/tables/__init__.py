"""What the tables hold. A change needs a new file in `migrations/versions`; a test compares the two."""

from llmgw.store.tables.base import Base
from llmgw.store.tables.keys import ApiKey, KeyEpoch, Project, Secret
from llmgw.store.tables.ledger import LATENCY_BOUNDS_S, LedgerRow, Price, Pruned, UsageDay, UsageHour
from llmgw.store.tables.limits import BudgetRow, BudgetWindow, LimitRow
from llmgw.store.tables.records import AuditRow, Capture, CaptureLease

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
    "Pruned",
    "Secret",
    "UsageDay",
    "UsageHour",
]
