"""Capture leases, and what they kept."""

from typing import Final, Self

from pydantic import Field, StrictInt

from llmgw.access.captures import (
    DEFAULT_BODY_BYTES,
    DEFAULT_LEASE,
    DEFAULT_REQUESTS,
    MAX_CAPTURED_BODY_BYTES,
    MAX_CAPTURED_REQUESTS,
    MAX_LEASE,
    Bodies,
    Captured,
)
from llmgw.access.lease import Lease
from llmgw.admin.schemas.base import MAX_ID, Count, Id, Page, PageQuery, Schema, Time


class CaptureInput(Schema):
    """How long, and how much of it, a key's requests are kept."""

    duration_s: StrictInt = Field(
        default=int(DEFAULT_LEASE.total_seconds()), ge=1, le=int(MAX_LEASE.total_seconds())
    )
    max_requests: StrictInt = Field(default=DEFAULT_REQUESTS, ge=1, le=MAX_CAPTURED_REQUESTS)
    max_body_bytes: StrictInt = Field(
        default=DEFAULT_BODY_BYTES, ge=1, le=MAX_CAPTURED_BODY_BYTES, description="Longer bodies are cut."
    )


class LeaseSchema(Schema):
    """For a while, a key's requests are kept with their bodies. Each answer says `x-llmgw-captured: 1`."""

    id: Id
    key_id: Id
    opened_by: str
    opened_at: Time
    expires_at: Time
    closed_at: Time | None = Field(description="When it was closed, or had its last request.")
    is_open: bool
    max_requests: Count
    max_body_bytes: Count
    captured_requests: Count = Field(description="Those that are still there: each is deleted after a day.")

    @classmethod
    def of(cls, lease: Lease) -> Self:
        """From `access`."""
        members = lease._asdict()
        return cls(captured_requests=members.pop("captured"), is_open=lease.is_open(), **members)


class LeasePage(Page[LeaseSchema]):
    """Leases, newest first, closed ones too."""


class LeaseQuery(PageQuery):
    """Which leases are wanted."""

    key_id: int | None = Field(default=None, ge=1, le=MAX_ID)


class CapturedSchema(Schema):
    """A request that was kept, without its bodies."""

    id: Id
    lease_id: Id
    request_id: str
    time: Time
    expires_at: Time = Field(description="When it is deleted.")
    request_bytes: Count
    response_bytes: Count
    is_cut: bool = Field(description="At least one body was longer than the lease allows.")

    @classmethod
    def of(cls, captured: Captured) -> Self:
        """From `access`."""
        return cls(**captured._asdict())


class CapturedPage(Page[CapturedSchema]):
    """What a lease kept, in its order."""


class BodiesSchema(CapturedSchema):
    """A request that was kept. Bytes that are not UTF-8 are replaced."""

    request_body: str = Field(description="As it was sent, without its content-encoding.")
    response_body: str = Field(description="As the client got it, events and all.")

    @classmethod
    def with_bodies(cls, bodies: Bodies) -> Self:
        """From `access`."""
        return cls(
            **bodies.captured._asdict(),
            request_body=bodies.request_body.decode("utf-8", "replace"),
            response_body=bodies.response_body.decode("utf-8", "replace"),
        )


LEASE: Final = {
    "id": 2,
    "key_id": 12,
    "opened_by": "key 7 (ops)",
    "opened_at": "2026-11-26T08:00:00Z",
    "expires_at": "2026-11-26T08:15:00Z",
    "closed_at": None,
    "is_open": True,
    "max_requests": 100,
    "max_body_bytes": 262144,
    "captured_requests": 1,
}
CAPTURED: Final = {
    "id": 31,
    "lease_id": 2,
    "request_id": "req_019ac0ffee00d1c0ffee1234567890abcd",
    "time": "2026-11-26T08:01:00Z",
    "expires_at": "2026-11-27T08:01:00Z",
    "request_bytes": 41,
    "response_bytes": 14,
    "is_cut": False,
}
BODIES: Final = {
    **CAPTURED,
    "request_body": '{"model":"qwen3.6-plus","messages":[]}',
    "response_body": "data: [DONE]\n\n",
}
