"""Until when rows of the ledger were deleted, so that no journal brings them back."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """One row. What was deleted before is not known: on a single machine, no journal had any of it."""
    pruned = op.create_table(
        "ledger_pruned",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("until", sa.DateTime()),
        sa.Column("machine", sa.String()),
        sa.Column("at", sa.DateTime()),
    )
    op.bulk_insert(pruned, [{"id": 1, "until": None, "machine": None, "at": None}])


def downgrade() -> None:
    op.drop_table("ledger_pruned")
