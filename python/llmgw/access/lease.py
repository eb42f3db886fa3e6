"""What a capture lease is: for a while, the requests of one key are kept with their bodies."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from llmgw.store import CaptureLease


class Lease(NamedTuple):
    """An admin's leave to keep a key's requests, for debugging."""

    id: int
    key_id: int
    opened_by: str
    opened_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    """When it was closed, or had its last request; None: it was not."""
    max_requests: int
    max_body_bytes: int
    """Of a request's body, and of its answer's; what is longer is cut."""
    captured: int = 0
    """Requests that are kept; they are deleted a day after they came."""

    def is_open(self, now: datetime | None = None) -> bool:
        """Requests may be kept."""
        return self.closed_at is None and (now or datetime.now(UTC)) < self.expires_at


def lease_of(row: CaptureLease) -> Lease:
    """From the database, without the number of its requests."""
    return Lease(
        id=row.id,
        key_id=row.key_id,
        opened_by=row.opened_by,
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        closed_at=row.closed_at,
        max_requests=row.max_requests,
        max_body_bytes=row.max_body_bytes,
    )


def open_leases(session: Session, *, key_id: int | None = None) -> Sequence[CaptureLease]:
    """Those that are open, of one key or of all."""
    now = datetime.now(UTC)
    query = select(CaptureLease).where(CaptureLease.closed_at.is_(None), CaptureLease.expires_at > now)
    return session.scalars(query if key_id is None else query.where(CaptureLease.key_id == key_id)).all()
