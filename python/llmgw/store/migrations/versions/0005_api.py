"""The ledger says through which API a request came."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Add the column. It stays empty in existing rows: whether they were chat is not known."""
    op.add_column("ledger", sa.Column("api", sa.String()))


def downgrade() -> None:
    op.drop_column("ledger", "api")
