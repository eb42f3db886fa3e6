"""Who may use how much: projects, more about keys, limits, budgets, prices, hourly sums, the audit."""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COUNTERS = (
    "requests", "errors", "unpriced", "prompt_tokens", "completion_tokens", "reasoning_tokens",
    "cached_tokens", "cache_write_tokens", "cost",
)  # fmt: skip
BUCKETS = ("100ms", "250ms", "500ms", "1s", "2500ms", "5s", "10s", "30s", "60s", "more")


def upgrade() -> None:
    """Every key belongs to the project `default`. Existing rows of the ledger stay as they are: unpriced."""
    projects = op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("blocked_at", sa.DateTime()),
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    op.bulk_insert(projects, [{"id": 1, "name": "default", "created_at": now, "blocked_at": None}])
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if not is_sqlite:
        op.execute("SELECT setval(pg_get_serial_sequence('projects', 'id'), 1)")
    _keys()
    _limits()
    _ledger()
    if is_sqlite:  # the only one that was there before this revision, with rows
        _sum_up()
    _records()


def _keys() -> None:
    for column in (
        # SQLite adds no column that refers to another table unless it copies the whole one.
        sa.Column("project_id", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("kind", sa.String(16), nullable=False, server_default="model"),
        sa.Column("owner", sa.String(200)),
        sa.Column("trusts_user_header", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("blocked_at", sa.DateTime()),
        sa.Column("rotated_at", sa.DateTime()),
        sa.Column("previous_digest", sa.LargeBinary(32)),
        sa.Column("previous_expires_at", sa.DateTime()),
        sa.Column("first_digest", sa.LargeBinary(32)),
    ):
        op.add_column("api_keys", column)
    op.create_index("ux_api_keys_previous_digest", "api_keys", ["previous_digest"], unique=True)


def _limits() -> None:
    op.create_table(
        "limits",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("scope_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("per_user", sa.Boolean(), nullable=False),
        sa.Column("requests_per_minute", sa.Integer()),
        sa.Column("tokens_per_minute", sa.BigInteger()),
        sa.Column("concurrent_requests", sa.Integer()),
        sa.UniqueConstraint("scope", "scope_id", "model", "per_user"),
    )
    op.create_table(
        "budgets",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("scope_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("per_user", sa.Boolean(), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("warn_at_permille", sa.Integer()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("removed_at", sa.DateTime()),
    )
    op.create_index("ix_budgets_scope", "budgets", ["scope", "scope_id"])
    op.create_table(
        "budget_windows",
        sa.Column("budget_id", sa.Integer(), sa.ForeignKey("budgets.id"), nullable=False),
        sa.Column("starts_at", sa.DateTime(), nullable=False),
        sa.Column("user", sa.String(128), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("lifted", sa.BigInteger(), nullable=False),
        sa.Column("forgiven", sa.BigInteger(), nullable=False),
        sa.Column("warned_at", sa.DateTime()),
        sa.Column("exhausted_at", sa.DateTime()),
        sa.PrimaryKeyConstraint("budget_id", "starts_at", "user"),
    )
    op.create_index(
        "ix_budget_windows_extra",
        "budget_windows",
        ["starts_at"],
        sqlite_where=sa.text("lifted <> 0 OR forgiven <> 0"),
        postgresql_where=sa.text("lifted <> 0 OR forgiven <> 0"),
    )


def _ledger() -> None:
    columns: list[sa.Column[int] | sa.Column[str]] = [
        sa.Column("project_id", sa.Integer()),
        sa.Column("user", sa.String(128)),
        sa.Column("cache_write_tokens", sa.Integer()),
        *(sa.Column(name, sa.BigInteger()) for name in ("cost", *_PARTS)),
        sa.Column("currency", sa.String(3)),
        sa.Column("price_digest", sa.String(64)),
    ]
    for column in columns:
        op.add_column("ledger", column)
    op.create_table(
        "usage_hours",
        sa.Column("hour", sa.DateTime(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("user", sa.String(128), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("model", "upstream", "api")),
        sa.Column("currency", sa.String(3), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTERS),
        *(
            sa.Column(f"{kind}_{bucket}", sa.BigInteger(), nullable=False)
            for kind in ("first_event", "total")
            for bucket in BUCKETS
        ),
        sa.PrimaryKeyConstraint(
            "hour", "key_id", "project_id", "user", "model", "upstream", "api", "currency"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "usage_days",
        sa.Column("day", sa.DateTime(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("model", "upstream", "api")),
        sa.Column("currency", sa.String(3), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTERS),
        sa.PrimaryKeyConstraint("day", "key_id", "project_id", "model", "upstream", "api", "currency"),
        sqlite_with_rowid=False,
    )


def _sum_up() -> None:
    """Make the hourly sums of the rows that there are.

    The configured time zone isn't known here, so these are hours of UTC. They lie within the days of every
    zone whose offset is whole hours; elsewhere, an hour at the edge of a day belongs to the day it began in.
    `usage_days` is made at the next start (`ledger.days`).
    """
    unpriced = "coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0) > 0"
    tokens = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")
    sums = [
        "count(*)",
        "sum(error_kind IS NOT NULL OR status >= 400)",
        f"sum({unpriced})",
        *(f"coalesce(sum(max({name}, 0)), 0)" for name in tokens),
        *("0", "0"),
        *_histogram("first_event_s"),
        *_histogram("total_s"),
    ]
    hour = "strftime('%Y-%m-%d %H:00:00.000000', time)"
    common = [hour, "coalesce(key_id, 0)", "0", "''", *(f"coalesce({name}, '')" for name in _TEXTS), "''"]
    op.execute(
        f"INSERT INTO usage_hours SELECT {', '.join([*common, *sums])} FROM ledger"  # noqa: S608
        " GROUP BY 1, 2, 5, 6, 7"
    )


def _histogram(column: str) -> list[str]:
    bounds = ("0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0")
    edges = zip(("-1.0e308", *bounds), (*bounds, "1.0e308"), strict=True)
    return [f"coalesce(sum({column} > {low} AND {column} <= {high}), 0)" for low, high in edges]


_TEXTS = ("model", "upstream", "api")
_PARTS = ("cost_input", "cost_cached_input", "cost_cache_write", "cost_output", "cost_other")


def _records() -> None:
    op.create_table(
        "prices",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("time", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("target", sa.String(200), nullable=False),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
    )
    op.create_index("ix_audit_time", "audit", ["time"])
    op.create_table(
        "capture_leases",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("key_id", sa.Integer(), sa.ForeignKey("api_keys.id"), nullable=False),
        sa.Column("opened_by", sa.String(200), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("closed_at", sa.DateTime()),
        sa.Column("max_requests", sa.Integer(), nullable=False),
        sa.Column("max_body_bytes", sa.Integer(), nullable=False),
    )
    op.create_table(
        "captures",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("lease_id", sa.Integer(), sa.ForeignKey("capture_leases.id"), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("time", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("request_body", sa.LargeBinary(), nullable=False),
        sa.Column("response_body", sa.LargeBinary(), nullable=False),
        sa.Column("is_cut", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_captures_expires_at", "captures", ["expires_at"])


def downgrade() -> None:
    """Projects, limits, budgets, sums and the audit are lost; keys and the ledger's older columns stay."""
    for table in (
        "captures", "capture_leases", "audit", "prices", "usage_days", "usage_hours", "budget_windows",
        "budgets", "limits",
    ):  # fmt: skip
        op.drop_table(table)
    with op.batch_alter_table("ledger") as ledger:
        for name in ("project_id", "user", "cache_write_tokens", "cost", *_PARTS, "currency", "price_digest"):
            ledger.drop_column(name)
    op.drop_index("ux_api_keys_previous_digest", "api_keys")
    with op.batch_alter_table("api_keys") as keys:
        for name in (
            "project_id", "kind", "owner", "trusts_user_header", "blocked_at", "rotated_at",
            "previous_digest", "previous_expires_at", "first_digest",
        ):  # fmt: skip
            keys.drop_column(name)
    op.drop_table("projects")
