"""How capture leases are opened and closed, and what was captured is read. Whose bodies are read is audited.

Nothing else of the gateway ever stores a body. `observe.captures` does it for a key with an open lease.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from llmgw.access.keys import find_key_row
from llmgw.access.lease import Lease, lease_of, open_leases
from llmgw.access.refusals import BadValueError, NoCaptureError, StateError
from llmgw.errors import InputFault
from llmgw.store import Capture, CaptureLease, Store, raise_epoch, record

MAX_LEASE: Final = timedelta(minutes=60)
MAX_CAPTURED_REQUESTS: Final = 1000
"""Of one lease."""
MAX_CAPTURED_BODY_BYTES: Final = 1_048_576
"""Of a captured body; what is longer is cut."""
DEFAULT_LEASE: Final = timedelta(minutes=15)
DEFAULT_REQUESTS: Final = 100
DEFAULT_BODY_BYTES: Final = 262_144
KEPT: Final = timedelta(hours=24)
"""So long a captured request is there."""
_PURGED_AT_ONCE: Final = 200


class Captured(NamedTuple):
    """One request that was kept."""

    id: int
    lease_id: int
    request_id: str
    time: datetime
    expires_at: datetime
    request_bytes: int
    response_bytes: int
    is_cut: bool
    """At least one of the bodies was longer than the lease allows, or than there was memory for."""


class Bodies(NamedTuple):
    """What was sent and what was answered, as the client sent and got it."""

    captured: Captured
    request_body: bytes
    response_body: bytes


def open_lease(
    store: Store,
    key: str | int,
    *,
    actor: str,
    duration: timedelta = DEFAULT_LEASE,
    max_requests: int = DEFAULT_REQUESTS,
    max_body_bytes: int = DEFAULT_BODY_BYTES,
) -> Lease:
    """Have a key's requests kept from now on. Raises AccessError, SQLAlchemyError."""
    _check(duration, max_requests, max_body_bytes)
    now = datetime.now(UTC)
    with store.write() as session:
        row = find_key_row(session, key)
        if row.revoked_at is not None or row.kind != "model":
            raise StateError(f"the key {row.id} makes no requests: it was revoked, or is an admin's")
        if open_leases(session, key_id=row.id):
            raise StateError(f"a capture of the key {row.id} is open already; close it first")
        lease = CaptureLease(
            key_id=row.id,
            opened_by=actor,
            opened_at=now,
            expires_at=now + duration,
            closed_at=None,
            max_requests=max_requests,
            max_body_bytes=max_body_bytes,
        )
        session.add(lease)
        session.flush()
        after = {
            "lease_id": lease.id,
            "duration_s": int(duration.total_seconds()),
            "max_requests": max_requests,
            "max_body_bytes": max_body_bytes,
        }
        record(session, actor=actor, action="capture.open", target=f"key {row.id}", before=None, after=after)
        return _lease(lease, 0)


def close_lease(store: Store, key: str | int, *, actor: str) -> Lease:
    """Keep no further request of a key. Raises AccessError, SQLAlchemyError."""
    now = datetime.now(UTC)
    with store.write() as session:
        row = find_key_row(session, key)
        leases = open_leases(session, key_id=row.id)
        if not leases:
            raise NoCaptureError(f"no capture of the key {row.id} is open")
        for lease in leases:
            lease.closed_at = now
        after = {"lease_id": leases[0].id}
        record(session, actor=actor, action="capture.close", target=f"key {row.id}", before=None, after=after)
        return _lease(leases[0], _count(session, leases[0].id))


def list_leases(
    store: Store, *, limit: int = 100, before_id: int | None = None, key_id: int | None = None
) -> list[Lease]:
    """The latest first, closed ones too. Raises SQLAlchemyError."""
    captured = select(func.count()).where(Capture.lease_id == CaptureLease.id).scalar_subquery()
    query = select(CaptureLease, captured).order_by(CaptureLease.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(CaptureLease.id < before_id)
    if key_id is not None:
        query = query.where(CaptureLease.key_id == key_id)
    with store.read() as session:
        return [_lease(row, number) for row, number in session.execute(query)]


def list_captured(
    store: Store, lease_id: int, *, limit: int = 100, after_id: int | None = None
) -> list[Captured]:
    """What a lease has kept, in its order, without the bodies. Raises AccessError, SQLAlchemyError."""
    query = _captured().where(Capture.lease_id == lease_id).order_by(Capture.id).limit(limit)
    if after_id is not None:
        query = query.where(Capture.id > after_id)
    with store.read() as session:
        if session.get(CaptureLease, lease_id) is None:
            raise NoCaptureError(f"there is no capture {lease_id}")
        return [Captured(*row) for row in session.execute(query)]


def read_captured(store: Store, lease_id: int, request_id: str, *, actor: str) -> Bodies:
    """The bodies of one request. The audit has it. Raises AccessError, SQLAlchemyError."""
    wanted = Capture.lease_id == lease_id, Capture.request_id == request_id
    with store.write() as session:
        row = session.execute(_captured().where(*wanted)).first()
        capture = None if row is None else session.get(Capture, row.id)
        if row is None or capture is None:
            raise NoCaptureError(
                f"the capture {lease_id} has no request {request_id!r}; it may be gone by now"
            )
        lease = session.get_one(CaptureLease, lease_id)
        after: dict[str, object] = {"lease_id": lease_id, "request_id": request_id}
        target = f"key {lease.key_id}"
        record(session, actor=actor, action="capture.read", target=target, before=None, after=after)
        return Bodies(Captured(*row), capture.request_body, capture.response_body)


def lease_that_kept(store: Store, request_id: str) -> int | None:
    """The id of the lease that has a request's bodies still. Raises SQLAlchemyError."""
    is_kept = Capture.expires_at > datetime.now(UTC)
    query = select(Capture.lease_id).where(is_kept, Capture.request_id == request_id).limit(1)
    with store.read() as session:
        return session.scalar(query)


def store_captured(
    store: Store, lease: Lease, request_id: str, time: datetime, *, bodies: tuple[bytes, bytes], is_cut: bool
) -> bool:
    """Keep a request; the last one that a lease allows closes it. False: it allows no more.

    Raises SQLAlchemyError.
    """
    with store.write() as session:
        row = session.get(CaptureLease, lease.id)
        if row is None or (row.closed_at is not None and row.closed_at <= time):
            return False
        number = _count(session, lease.id)
        if number >= row.max_requests:
            return False
        request_body, response_body = bodies
        session.add(
            Capture(
                lease_id=lease.id,
                request_id=request_id,
                time=time,
                expires_at=time + KEPT,
                request_body=request_body,
                response_body=response_body,
                is_cut=is_cut,
            )
        )
        if number + 1 == row.max_requests:
            row.closed_at = datetime.now(UTC)
            raise_epoch(session)
        return True


def purge_captured(store: Store) -> int:
    """Delete what is older than a day, some at once. How many there were. Raises SQLAlchemyError."""
    old = select(Capture.id).where(Capture.expires_at <= datetime.now(UTC)).limit(_PURGED_AT_ONCE)
    with store.read() as session:
        ids = session.scalars(old).all()
    if not ids:
        return 0
    with store.write() as session:
        session.execute(delete(Capture).where(Capture.id.in_(ids)))
    return len(ids)


def _captured() -> Select[int, int, str, datetime, datetime, int, int, bool]:
    """Without the bodies."""
    return select(
        Capture.id,
        Capture.lease_id,
        Capture.request_id,
        Capture.time,
        Capture.expires_at,
        func.length(Capture.request_body),
        func.length(Capture.response_body),
        Capture.is_cut,
    )


def _check(duration: timedelta, max_requests: int, max_body_bytes: int) -> None:
    faults = []
    if not timedelta(seconds=1) <= duration <= MAX_LEASE:
        faults.append(InputFault("duration_s", f"must be from 1 to {int(MAX_LEASE.total_seconds())}"))
    if not 1 <= max_requests <= MAX_CAPTURED_REQUESTS:
        faults.append(InputFault("max_requests", f"must be from 1 to {MAX_CAPTURED_REQUESTS}"))
    if not 1 <= max_body_bytes <= MAX_CAPTURED_BODY_BYTES:
        faults.append(InputFault("max_body_bytes", f"must be from 1 to {MAX_CAPTURED_BODY_BYTES}"))
    if faults:
        raise BadValueError(faults)


def _count(session: Session, lease_id: int) -> int:
    return session.scalars(select(func.count()).where(Capture.lease_id == lease_id)).one()


def _lease(row: CaptureLease, captured: int) -> Lease:
    return lease_of(row)._replace(captured=captured)
