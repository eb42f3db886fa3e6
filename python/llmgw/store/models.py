"""What the tables hold. A change needs a new file in `migrations/versions`; a test compares the two."""

from datetime import UTC, datetime
from typing import ClassVar, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC, because SQLite drops the zone."""

    impl: TypeEngine[datetime] | type[TypeEngine[datetime]] = DateTime
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """An aware datetime becomes a naive one in UTC. Raises ValueError for a naive one."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a time without a zone can't be stored"
            raise ValueError(message)
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """A naive datetime in UTC becomes an aware one."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The migrations must produce this class's metadata."""

    type_annotation_map: ClassVar[dict[type, type[TypeEngine[datetime]] | TypeEngine[datetime]]] = {
        datetime: UtcDateTime
    }


class Project(Base):
    """A team or an application, which has keys. `default` is always there, as number 1."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime]
    blocked_at: Mapped[datetime | None]
    """Since when none of its keys is accepted; None: they are."""


class ApiKey(Base):
    """A client's or an admin's key. The key itself is never stored, only its SHA-256."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ux_api_keys_previous_digest", "previous_digest", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(32))
    """The first characters of the key, by which its owner recognises it."""
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Ids of the models that it may use; None: all."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    project_id: Mapped[int] = mapped_column(server_default="1")
    kind: Mapped[str] = mapped_column(String(16), server_default="model")
    """`model`: it calls models; `admin`: it may do everything below `/admin`; `admin_read`: only look."""
    owner: Mapped[str | None] = mapped_column(String(200))
    """Who answers for it, in the operator's words."""
    trusts_user_header: Mapped[bool] = mapped_column(server_default="0")
    """True: its clients may name the user behind a request in a header."""
    blocked_at: Mapped[datetime | None]
    """Since when it is not accepted; None: it is. Unlike a revocation, this can be undone."""
    rotated_at: Mapped[datetime | None]
    previous_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """SHA-256 of the secret before the last rotation."""
    previous_expires_at: Mapped[datetime | None]
    """Until when that secret is accepted beside the new one."""


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

    budget_id: Mapped[int] = mapped_column(ForeignKey("budgets.id"), primary_key=True)
    user: Mapped[str] = mapped_column(String(128), primary_key=True)
    """Empty: not of one user."""
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    """1970-01-01 where the period is `total`."""
    spent: Mapped[int] = mapped_column(BigInteger)
    """Tokens or 10⁻⁹ of the currency's unit. It only grows."""
    lifted: Mapped[int] = mapped_column(BigInteger)
    """What an admin has added to the amount, for this window."""
    forgiven: Mapped[int] = mapped_column(BigInteger)
    """What was spent when an admin reset the budget; it does not count."""
    warned_at: Mapped[datetime | None]
    exhausted_at: Mapped[datetime | None]
    """When the alerts about this window were sent."""


class Price(Base):
    """A price that rows of the ledger were made with."""

    __tablename__ = "prices"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of `document`, in hexadecimal digits."""
    document: Mapped[dict[str, object]] = mapped_column(JSON)
    first_seen_at: Mapped[datetime]


class AuditRow(Base):
    """One change that somebody made."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_time", "time"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    """`key 7 (ops)`, or `cli user@host`."""
    action: Mapped[str] = mapped_column(String(64))
    """Such as `key.create`."""
    target: Mapped[str] = mapped_column(String(200))
    """Such as `key 12`."""
    before: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))


class CaptureLease(Base):
    """For a while, the requests of one key are kept with their bodies, for debugging."""

    __tablename__ = "capture_leases"

    id: Mapped[int] = mapped_column(primary_key=True)
    key_id: Mapped[int] = mapped_column(ForeignKey("api_keys.id"))
    opened_by: Mapped[str] = mapped_column(String(200))
    opened_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    max_requests: Mapped[int]
    max_body_bytes: Mapped[int]


class Capture(Base):
    """One captured request. It is deleted at `expires_at`."""

    __tablename__ = "captures"
    __table_args__ = (Index("ix_captures_expires_at", "expires_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    lease_id: Mapped[int] = mapped_column(ForeignKey("capture_leases.id"))
    request_id: Mapped[str]
    time: Mapped[datetime]
    expires_at: Mapped[datetime]
    request_body: Mapped[bytes] = mapped_column(LargeBinary)
    response_body: Mapped[bytes] = mapped_column(LargeBinary)
    is_cut: Mapped[bool]
    """True: at least one of the bodies was longer than the lease allows."""


class KeyEpoch(Base):
    """One row with a counter, so that a poll reads only one number.

    Each change of a key, a project, a limit, a budget or a capture lease raises it.
    """

    __tablename__ = "key_epoch"

    id: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int]


class Secret(Base):
    """A secret of the gateway's own, which all of its processes share."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    """`seal`: 32 bytes, under which reasoning is sealed that a client carries (`_core.Seal`)."""
    value: Mapped[bytes] = mapped_column(LargeBinary)


class LedgerRow(Base):
    """One request: what was asked, how it ended and what it used. Times are in seconds, counts in tokens."""

    __tablename__ = "ledger"
    __table_args__ = (
        Index("ix_ledger_time", "time"),
        # A row that is replayed twice from a journal is stored once.
        Index("ux_ledger_request_id", "request_id", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime]
    """When the request arrived."""
    request_id: Mapped[str]
    key_id: Mapped[int | None]
    model: Mapped[str | None]
    """The configured id; None if the request named an unknown model or none."""
    upstream: Mapped[str | None]
    status: Mapped[int]
    """The HTTP status of the answer."""
    stream: Mapped[bool]
    finish_reason: Mapped[str | None]
    error_kind: Mapped[str | None]
    """A code of `llmgw.errors` or a kind of `_core.ExchangeReport`; streams may fail after status 200."""
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    cached_tokens: Mapped[int | None]
    usage_source: Mapped[str]
    """`upstream`, `partial`, `estimated` or `none`."""
    thinking_asked: Mapped[str | None]
    """`on` or `off`; None: the request had no switch."""
    thinking_sent: Mapped[str | None]
    """The dialect in which the upstream was told, or `ignored`."""
    thinking_observed: Mapped[bool]
    """True if the upstream sent reasoning."""
    first_event_s: Mapped[float | None]
    total_s: Mapped[float]
    attempts: Mapped[int | None]
    """Number of attempts; None in rows that are older than this column."""
    attempt_errors: Mapped[str | None]
    """The failures before the last attempt: `a: first_event_timeout, b: status 503`."""
    api: Mapped[str | None]
    """The endpoint's name (`pipeline.body.Endpoint`); None in rows that are older than this column."""
    project_id: Mapped[int | None]
    """The key's project; None in rows that are older than projects."""
    user: Mapped[str | None] = mapped_column(String(128))
    """Who is behind the key, if it is known."""
    cache_write_tokens: Mapped[int | None]
    cost: Mapped[int | None] = mapped_column(BigInteger)
    """In 10⁻⁹ of the currency's unit, the sum of the five below; None: the model has no price."""
    cost_input: Mapped[int | None] = mapped_column(BigInteger)
    """Of the input that was neither read from a cache nor written to it."""
    cost_cached_input: Mapped[int | None] = mapped_column(BigInteger)
    cost_cache_write: Mapped[int | None] = mapped_column(BigInteger)
    cost_output: Mapped[int | None] = mapped_column(BigInteger)
    cost_other: Mapped[int | None] = mapped_column(BigInteger)
    """Per request and per image."""
    currency: Mapped[str | None] = mapped_column(String(3))
    price_digest: Mapped[str | None] = mapped_column(String(64))
    """See `prices`."""


LATENCY_BOUNDS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds of the latency counters of `usage_hours`; the last counter has all above."""


class UsageHour(Base):
    """The sums of the ledger's rows of one hour that have everything below `currency` in common.

    The ledger's writer keeps them in the transaction that inserts the rows; they stay when rows are pruned.
    What a row does not know is 0 or empty.
    """

    __tablename__ = "usage_hours"
    __table_args__ = ({"sqlite_with_rowid": False},)

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    """When it began; an hour of the configured time zone."""
    key_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user: Mapped[str] = mapped_column(String(128), primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    upstream: Mapped[str] = mapped_column(primary_key=True)
    api: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    unpriced: Mapped[int] = mapped_column(BigInteger)
    """Requests that used tokens of a model without a price."""
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int] = mapped_column(BigInteger)
    first_event_100ms: Mapped[int] = mapped_column(BigInteger)
    first_event_250ms: Mapped[int] = mapped_column(BigInteger)
    first_event_500ms: Mapped[int] = mapped_column(BigInteger)
    first_event_1s: Mapped[int] = mapped_column(BigInteger)
    first_event_2500ms: Mapped[int] = mapped_column(BigInteger)
    first_event_5s: Mapped[int] = mapped_column(BigInteger)
    first_event_10s: Mapped[int] = mapped_column(BigInteger)
    first_event_30s: Mapped[int] = mapped_column(BigInteger)
    first_event_60s: Mapped[int] = mapped_column(BigInteger)
    first_event_more: Mapped[int] = mapped_column(BigInteger)
    total_100ms: Mapped[int] = mapped_column(BigInteger)
    total_250ms: Mapped[int] = mapped_column(BigInteger)
    total_500ms: Mapped[int] = mapped_column(BigInteger)
    total_1s: Mapped[int] = mapped_column(BigInteger)
    total_2500ms: Mapped[int] = mapped_column(BigInteger)
    total_5s: Mapped[int] = mapped_column(BigInteger)
    total_10s: Mapped[int] = mapped_column(BigInteger)
    total_30s: Mapped[int] = mapped_column(BigInteger)
    total_60s: Mapped[int] = mapped_column(BigInteger)
    total_more: Mapped[int] = mapped_column(BigInteger)
