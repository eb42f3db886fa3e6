"""What admins did, and what they had captured."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from llmgw.store.tables.base import Base


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
