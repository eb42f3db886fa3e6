"""The ledger says how often upstreams were asked, and why more than once."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Add the columns. They stay empty in existing rows."""
    op.add_column("ledger", sa.Column("attempts", sa.Integer()))
    op.add_column("ledger", sa.Column("attempt_errors", sa.String()))


def downgrade() -> None:
    op.drop_column("ledger", "attempt_errors")
    op.drop_column("ledger", "attempts")
