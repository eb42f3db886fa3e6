"""How much a project or a key may use."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from llmgw.store.tables.base import Base

HAS_EXTRA: Final = "lifted <> 0 OR forgiven <> 0"
"""In SQL: an admin has changed what is left of this window."""


class LimitRow(Base):
    """The limits of a project or a key; None: no limit of that kind."""

    __tablename__ = "limits"
    __table_args__ = (UniqueConstraint("scope", "scope_id", "model", "per_user"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(String(16))
    """`project` or `key`."""
    scope_id: Mapped[int]
    """The id of that project or key."""
    model: Mapped[str]
    """Of this model only; empty: of all together."""
    per_user: Mapped[bool]
    """True: for each user behind the key, one by one."""
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    concurrent_requests: Mapped[int | None]


class BudgetRow(Base):
    """So much money, or so many tokens, in each period."""

    __tablename__ = "budgets"
    __table_args__ = (Index("ix_budgets_scope", "scope", "scope_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(String(16))
    """`project` or `key`."""
    scope_id: Mapped[int]
    model: Mapped[str]
    """As in `limits`."""
    per_user: Mapped[bool]
    unit: Mapped[str] = mapped_column(String(16))
    """`tokens`, or the currency."""
    amount: Mapped[int] = mapped_column(BigInteger)
    """Tokens, or 10⁻⁹ of the currency's unit."""
    period: Mapped[str] = mapped_column(String(16))
    """`day`, `week` (from Monday), `month` or `total`, in the configured time zone."""
    warn_at_permille: Mapped[int | None]
    """A soft limit at this share of the amount; None: there is none."""
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class BudgetWindow(Base):
    """What a budget came to in one of its windows.

    The ledger's writer keeps it in the transaction that inserts the rows which it sums.
    """

    __tablename__ = "budget_windows"
    __table_args__ = (
        # Few have any of it, and each worker looks for those whenever a key or a limit was changed.
        # `store.postgres` adds the same for PostgreSQL: said here, it would load that dialect for everybody.
        Index("ix_budget_windows_extra", "starts_at", sqlite_where=text(HAS_EXTRA)),
    )

    budget_id: Mapped[int] = mapped_column(ForeignKey("budgets.id"), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    """1970-01-01 where the period is `total`. Before the user: it is what windows are looked for by."""
    user: Mapped[str] = mapped_column(String(128), primary_key=True)
    """Empty: not of one user."""
    spent: Mapped[int] = mapped_column(BigInteger)
    """Tokens or 10⁻⁹ of the currency's unit. It only grows."""
    lifted: Mapped[int] = mapped_column(BigInteger)
    """What an admin has added to the amount, for this window."""
    forgiven: Mapped[int] = mapped_column(BigInteger)
    """What was spent when an admin reset the budget; it does not count."""
    warned_at: Mapped[datetime | None]
    exhausted_at: Mapped[datetime | None]
    """When the alerts about this window were sent."""
