"""Adds to many windows in one statement of PostgreSQL, beside other machines that add to the same ones.

Only what `budgets.spend` calls an opened window may be added to; one is opened by a transaction that is alone
(`Store.write`), since it needs the sums of what all have used until then.
"""

from collections.abc import Collection, Mapping
from datetime import UTC
from functools import cache
from typing import Final

from sqlalchemy import Connection

from llmgw.budgets.spend import MAX_SPENT, Rule, Spent, time_text
from llmgw.budgets.windows import Window
from llmgw.errors import LlmgwError
from llmgw.store import BudgetWindow
from llmgw.store.arrays import array_text, insertion_of_arrays

_CLOSED: Final = """\
SELECT budget_id, starts_at FROM unnest(%s::BIGINT[], %s::TIMESTAMP[]) AS wanted (budget_id, starts_at)
WHERE NOT EXISTS (
    SELECT FROM budget_windows
    WHERE budget_windows.budget_id = wanted.budget_id AND budget_windows.starts_at = wanted.starts_at
    AND budget_windows."user" = ''
)"""
_COLUMNS: Final = "budget_id", "starts_at", "user", "spent", "lifted", "forgiven"
_GROWTH: Final = f"""\
ON CONFLICT (budget_id, starts_at, "user") DO UPDATE
SET spent = least(budget_windows.spent, {MAX_SPENT} - excluded.spent) + excluded.spent
RETURNING budget_id, "user", starts_at, spent"""


class WindowsNotOpenError(LlmgwError):
    """A window is to be opened, and the transaction is not alone."""


def closed_windows(
    connection: Connection, amounts: Collection[tuple[Rule, str, Window]]
) -> set[tuple[Rule, Window]]:
    """Those that are not open yet. Raises SQLAlchemyError."""
    wanted = {(rule.id, window.starts_at): (rule, window) for rule, _, window in amounts}
    if not wanted:
        return set()
    ids, starts = zip(*wanted, strict=True)
    found = connection.exec_driver_sql(_CLOSED, (array_text(ids), array_text([*map(time_text, starts)])))
    return {wanted[budget_id, starts_at.replace(tzinfo=UTC)] for budget_id, starts_at in found}


def add_at_once(connection: Connection, amounts: Mapping[tuple[Rule, str, Window], int]) -> list[Spent]:
    """Add to opened windows; what they came to. Raises SQLAlchemyError.

    Rows are locked in the order of their keys, so that two appends wait for one another at most once.
    """
    if not amounts:
        return []
    rows = sorted(
        (rule.id, window.starts_at, user, amount) for (rule, user, window), amount in amounts.items()
    )
    ids, starts, users, spent = zip(*rows, strict=True)
    nothing = (0,) * len(rows)
    columns = (ids, [*map(time_text, starts)], users, spent, nothing, nothing)
    found = connection.exec_driver_sql(_addition(), tuple(map(array_text, columns)))
    return [Spent(budget_id, user, at.replace(tzinfo=UTC), total) for budget_id, user, at, total in found]


@cache
def _addition() -> str:
    return f"{insertion_of_arrays(BudgetWindow, _COLUMNS)} {_GROWTH}"
