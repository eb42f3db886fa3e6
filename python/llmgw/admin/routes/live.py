"""`/admin/v1/live` and `/me`, which need no database."""

from typing import Final

from fastapi import APIRouter, Response

from llmgw.admin.routes.common import Asker, Ctx, told
from llmgw.admin.schemas.live import ASKER, LIVE, AskerSchema, LiveSchema

router: Final = APIRouter(tags=["live"])


@router.get(
    "/admin/v1/live",
    response_model=LiveSchema,
    **told(
        "Show what the gateway does now",
        LIVE,
        description=(
            "What all workers have counted since the gateway started, and how the upstreams are, without the "
            "database. Rates are differences of two answers, as long as `instance` stays the same. The "
            "workers are asked once a second at most, less often where there are many models: between two "
            "looks the same answer is given, with the same `at`. A gateway that can't be asked is "
            "`unavailable`, with nothing in the lists."
        ),
    ),
)
def show_live(context: Ctx) -> Response:
    return Response(context.live(), media_type="application/json")


@router.get("/admin/v1/me", **told("Show the key that asks", ASKER))
def show_asker(key: Asker) -> AskerSchema:
    may_change = key.kind == "admin"
    return AskerSchema(
        id=key.id,
        name=key.name,
        kind="admin" if may_change else "admin_read",
        may_change=may_change,
        expires_at=key.expires_at,
    )
