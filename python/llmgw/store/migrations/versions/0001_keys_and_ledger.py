"""Keys, their epoch and the ledger."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("prefix", sa.String(32), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("models", sa.JSON()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime()),
        sa.Column("revoked_at", sa.DateTime()),
    )
    epoch = op.create_table(
        "key_epoch",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
    )
    op.bulk_insert(epoch, [{"id": 1, "epoch": 0}])
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("time", sa.DateTime(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.Integer()),
        sa.Column("model", sa.String()),
        sa.Column("upstream", sa.String()),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("stream", sa.Boolean(), nullable=False),
        sa.Column("finish_reason", sa.String()),
        sa.Column("error_kind", sa.String()),
        sa.Column("prompt_tokens", sa.Integer()),
        sa.Column("completion_tokens", sa.Integer()),
        sa.Column("reasoning_tokens", sa.Integer()),
        sa.Column("cached_tokens", sa.Integer()),
        sa.Column("usage_source", sa.String(), nullable=False),
        sa.Column("thinking_asked", sa.String()),
        sa.Column("thinking_sent", sa.String()),
        sa.Column("thinking_observed", sa.Boolean(), nullable=False),
        sa.Column("first_event_s", sa.Double()),
        sa.Column("total_s", sa.Double(), nullable=False),
    )
    op.create_index("ix_ledger_time", "ledger", ["time"])


def downgrade() -> None:
    """Drop everything: keys and ledger are lost."""
    op.drop_index("ix_ledger_time", "ledger")
    op.drop_table("ledger")
    op.drop_table("key_epoch")
    op.drop_table("api_keys")
