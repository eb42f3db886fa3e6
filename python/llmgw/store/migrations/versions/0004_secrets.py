"""Secrets of the gateway's own, which all of its processes share."""

import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SEAL_BYTES = 32


def upgrade() -> None:
    """Make the table, and the key that seals reasoning: once, under the migration's lock."""
    table = op.create_table(
        "secrets",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.bulk_insert(table, [{"name": "seal", "value": secrets.token_bytes(SEAL_BYTES)}])


def downgrade() -> None:
    op.drop_table("secrets")
