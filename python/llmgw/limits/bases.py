"""What the budgets' windows have come to, as the database has it: read with every snapshot of the keys.

After that the ledger's writer says what each of its transactions adds. A budget whose base nobody has read
must admit nothing: it might be spent already.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias, cast

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from llmgw.budgets.budget import Period
from llmgw.store import BudgetRow, BudgetWindow

WindowKey: TypeAlias = tuple[int, str, datetime]
"""A budget's id, the user (empty: everybody, or nobody named), and when the window began."""

_LONGEST: Final[dict[Period, timedelta]] = {
    "day": timedelta(days=2),
    "week": timedelta(days=8),
    "month": timedelta(days=32),
}
"""Longer than any such window, whatever clocks do; a `total` never ends."""


class Bases(NamedTuple):
    """One reading. It is replaced as a whole."""

    spent: Mapping[WindowKey, int]
    """Of windows that may be current; one that is missing has spent nothing."""
    periods: Mapping[int, Period]
    """Of each budget that is in force."""


NO_BASES: Final = Bases({}, {})


def read_bases(session: Session) -> Bases:
    """From the database. Raises SQLAlchemyError."""
    now = datetime.now(UTC)
    periods = {
        budget_id: cast("Period", period)
        for budget_id, period in session.execute(
            select(BudgetRow.id, BudgetRow.period).where(BudgetRow.removed_at.is_(None))
        )
    }
    if not periods:
        return NO_BASES
    is_current = or_(
        BudgetRow.period == "total",
        *(
            and_(BudgetRow.period == period, BudgetWindow.starts_at >= now - longest)
            for period, longest in _LONGEST.items()
        ),
    )
    query = (
        select(BudgetWindow.budget_id, BudgetWindow.user, BudgetWindow.starts_at, BudgetWindow.spent)
        .join(BudgetRow, BudgetRow.id == BudgetWindow.budget_id)
        .where(BudgetRow.removed_at.is_(None), is_current)
    )
    return Bases({(row[0], row[1], row[2]): row[3] for row in session.execute(query)}, periods)
