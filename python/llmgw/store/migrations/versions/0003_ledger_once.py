"""One ledger row per request, so that a journal can be replayed twice."""

from collections.abc import Sequence

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make request ids unique. With 48 bits of time and 80 random bits each, no two rows share one."""
    op.create_index("ux_ledger_request_id", "ledger", ["request_id"], unique=True)


def downgrade() -> None:
    op.drop_index("ux_ledger_request_id", "ledger")
