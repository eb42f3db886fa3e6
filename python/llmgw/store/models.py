"""What the tables hold. A change needs a new file in `migrations/versions`; a test compares the two."""

from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import JSON, DateTime, Dialect, Index, LargeBinary, String
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


class ApiKey(Base):
    """A client's key. The key itself is never stored, only its SHA-256."""

    __tablename__ = "api_keys"

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


class KeyEpoch(Base):
    """One row with a counter that each change of a key raises, so that a poll reads only one number."""

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
    """`upstream`, `partial` or `none`."""
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
