"""`/admin/v1/keys/{key_id}/capture` and `/admin/v1/captures`."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query, Request

from llmgw.access.bearer import check_administers
from llmgw.access.captures import close_lease, list_captured, list_leases, open_lease, read_captured
from llmgw.admin.guard import KEY
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes.common import Actor, Ctx, example_body, example_page, told
from llmgw.admin.routes.keys import KeyId
from llmgw.admin.schemas.base import MAX_ID
from llmgw.admin.schemas.captures import (
    BODIES,
    CAPTURED,
    LEASE,
    BodiesSchema,
    CapturedPage,
    CapturedSchema,
    CaptureInput,
    LeasePage,
    LeaseQuery,
    LeaseSchema,
)
from llmgw.admin.schemas.system import ListQuery
from llmgw.errors import ApiError

router: Final = APIRouter(tags=["captures"])
LeaseId = Annotated[int, Path(ge=1, le=MAX_ID, description="The lease's id.")]


@router.post(
    "/admin/v1/keys/{key_id}/capture",
    **told(
        "Capture a key's requests",
        LEASE,
        status=201,
        errors=["capture_disabled", "unknown_key", "conflict"],
        description=(
            "For debugging: its requests are kept with their bodies, until the time or the number is "
            "reached, and deleted a day after they came. Only where the config has `[admin] capture`."
        ),
    ),
)
def open_capture(
    context: Ctx,
    actor: Actor,
    key_id: KeyId,
    how: Annotated[CaptureInput | None, Body(openapi_examples=example_body({"duration_s": 900}))] = None,
) -> LeaseSchema:
    if not context.config().admin.capture:
        message = (
            "Requests are captured only where the config allows it: set [admin] capture = true, and reload."
        )
        raise ApiError("capture_disabled", message)
    how = how or CaptureInput()
    lease = open_lease(
        context.store,
        key_id,
        actor=actor,
        duration=timedelta(seconds=how.duration_s),
        max_requests=how.max_requests,
        max_body_bytes=how.max_body_bytes,
    )
    return LeaseSchema.of(lease)


@router.delete(
    "/admin/v1/keys/{key_id}/capture",
    **told(
        "End the capture of a key",
        {**LEASE, "is_open": False, "closed_at": "2026-11-26T08:05:00Z"},
        errors=["unknown_key"],
        description="What was kept stays until its day is over.",
    ),
)
def close_capture(context: Ctx, actor: Actor, key_id: KeyId) -> LeaseSchema:
    return LeaseSchema.of(close_lease(context.store, key_id, actor=actor))


@router.get("/admin/v1/captures", **told("List captures", example_page(LEASE)))
def list_all(context: Ctx, query: Annotated[LeaseQuery, Query()]) -> LeasePage:
    after = read_cursor("captures", query.cursor, int)
    before_id = None if after is None else after[0]
    leases = list_leases(context.store, limit=query.limit + 1, before_id=before_id, key_id=query.key_id)
    data = [LeaseSchema.of(lease) for lease in leases[: query.limit]]
    more = len(leases) > query.limit
    return LeasePage(data=data, next_cursor=make_cursor("captures", data[-1].id) if more else None)


@router.get(
    "/admin/v1/captures/{lease_id}/requests",
    **told("List captured requests", example_page(CAPTURED), errors=["unknown_capture"]),
)
def list_requests(context: Ctx, lease_id: LeaseId, query: Annotated[ListQuery, Query()]) -> CapturedPage:
    after = read_cursor("captured", query.cursor, int)
    after_id = None if after is None else after[0]
    captured = list_captured(context.store, lease_id, limit=query.limit + 1, after_id=after_id)
    data = [CapturedSchema.of(each) for each in captured[: query.limit]]
    more = len(captured) > query.limit
    return CapturedPage(data=data, next_cursor=make_cursor("captured", data[-1].id) if more else None)


@router.get(
    "/admin/v1/captures/{lease_id}/requests/{request_id}",
    **told(
        "Read a captured request",
        BODIES,
        errors=["unknown_capture"],
        description="Not for keys that may only look. The audit has who read it.",
    ),
)
def read_one(
    context: Ctx,
    actor: Actor,
    request: Request,
    lease_id: LeaseId,
    request_id: Annotated[str, Path(max_length=128)],
) -> BodiesSchema:
    check_administers(request.scope[KEY], changes=True)
    return BodiesSchema.with_bodies(read_captured(context.store, lease_id, request_id, actor=actor))
