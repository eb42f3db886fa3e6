"""Budgets in a database, and what they should have come to by its rows."""

from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import select

from llmgw.budgets.spend import initial_spend
from llmgw.budgets.windows import hour_of, window_of
from llmgw.store import BudgetRow, BudgetWindow, LedgerRow, Store, raise_epoch

Windows = dict[tuple[int, str, datetime], int]
"""What was spent, by budget, user and start."""


def add_budget(store: Store, zone: tzinfo, **changes: Any) -> int:  # noqa: ANN401
    """A budget of key 1 with these columns; its id."""
    values: dict[str, Any] = {
        "scope": "key", "scope_id": 1, "model": "", "per_user": False, "unit": "CNY", "amount": 10**10,
        "period": "day", "warn_at_permille": None, "created_at": datetime.now(UTC), "removed_at": None,
    }  # fmt: skip
    with store.write() as session:
        row = BudgetRow(**(values | changes))
        session.add(row)
        session.flush()
        initial_spend(session, row, zone)
        raise_epoch(session)
        return row.id


def spent(store: Store) -> Windows:
    """As the database's windows have it; those in which nothing was spent are left out."""
    with store.read() as session:
        rows = session.scalars(select(BudgetWindow))
        return {(row.budget_id, row.user, row.starts_at): row.spent for row in rows if row.spent}


def opened(store: Store) -> set[tuple[int, datetime]]:
    """The windows that are summed: from their first row on, or since the budget was made."""
    with store.read() as session:
        rows = session.scalars(select(BudgetWindow).where(BudgetWindow.user == ""))
        return {(row.budget_id, row.starts_at) for row in rows}


def due(store: Store, zone: tzinfo, only: set[tuple[int, datetime]] | None = None) -> Windows:
    """By the rows of the ledger, one by one. `only`: those of these budgets and starts."""
    windows: Windows = {}
    with store.read() as session:
        budgets = session.scalars(select(BudgetRow).where(BudgetRow.removed_at.is_(None))).all()
        for row in session.scalars(select(LedgerRow)):
            for budget in budgets:
                whose = row.key_id if budget.scope == "key" else row.project_id
                window = window_of(budget.period, hour_of(row.time, zone), zone)
                if whose != budget.scope_id or budget.model not in ("", row.model):
                    continue
                if window.ends_at <= budget.created_at:
                    continue
                if budget.unit == "tokens":
                    amount = (row.prompt_tokens or 0) + (row.completion_tokens or 0)
                else:
                    amount = (row.cost or 0) if row.currency == budget.unit else 0
                at = budget.id, (row.user or "") if budget.per_user else "", window.starts_at
                if amount and (only is None or (budget.id, window.starts_at) in only):
                    windows[at] = windows.get(at, 0) + amount
    return windows
