"""Each request once in the ledger: what the replay of a journal stands on."""

from collections.abc import Sequence

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Index the requests by their id. Ids are 128 random bits: none is there twice."""
    op.create_index("ux_ledger_request_id", "ledger", ["request_id"], unique=True)


def downgrade() -> None:
    """Without the index."""
    op.drop_index("ux_ledger_request_id", "ledger")
