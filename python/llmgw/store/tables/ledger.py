"""What was used: one row for each request, hourly sums of them, and the prices that they were made with."""

from datetime import datetime
from typing import Final

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from llmgw.store.tables.base import Base


class LedgerRow(Base):
    """One request: what was asked, how it ended and what it used. Times are in seconds, counts in tokens."""

    __tablename__ = "ledger"
    __table_args__ = (
        Index("ix_ledger_time", "time"),
        # A row that is replayed twice from a journal is stored once. On PostgreSQL `time` is in it too, by
        # which the table is partitioned.
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


class UsageDay(Base):
    """The same sums by day, without users and latencies: so few that a month is summed in milliseconds.

    They follow from `usage_hours`; the ledger's writer keeps both.
    """

    __tablename__ = "usage_days"
    __table_args__ = ({"sqlite_with_rowid": False},)

    day: Mapped[datetime] = mapped_column(primary_key=True)
    """When it began, in the configured time zone."""
    key_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str] = mapped_column(primary_key=True)
    upstream: Mapped[str] = mapped_column(primary_key=True)
    api: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    unpriced: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int] = mapped_column(BigInteger)


class Pruned(Base):
    """One row: what was deleted of the ledger, and who does it."""

    __tablename__ = "ledger_pruned"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    until: Mapped[datetime | None]
    """Of the latest row that was deleted; None: none was. No journal brings back a row that is not later."""
    machine: Mapped[str | None]
    """Which one deleted last; others leave it to that one for a while."""
    at: Mapped[datetime | None]
    """When it did."""


class Price(Base):
    """A price that rows of the ledger were made with."""

    __tablename__ = "prices"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of `document`, in hexadecimal digits."""
    document: Mapped[dict[str, object]] = mapped_column(JSON)
    first_seen_at: Mapped[datetime]
