"""`/admin/v1/keys`."""

from datetime import timedelta
from itertools import islice
from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query

from llmgw.access.checks import Known
from llmgw.access.key import Key
from llmgw.access.keys import (
    block_key,
    create_key,
    each_key,
    get_key,
    revoke_key,
    rotate_key,
    unblock_key,
    update_key,
)
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes.common import Actor, Ctx, example_body, example_page, told
from llmgw.admin.schemas.base import MAX_ID
from llmgw.admin.schemas.key_examples import CHANGE, CREATE, KEY, KEY_DETAIL, NEW_KEY
from llmgw.admin.schemas.keys import (
    KeyChange,
    KeyCreate,
    KeyDetail,
    KeyPage,
    KeyQuery,
    KeySchema,
    NewKeySchema,
    RotateInput,
)
from llmgw.admin.schemas.standing import STANDING, StandingSchema

router: Final = APIRouter(tags=["keys"])
KeyId = Annotated[int, Path(ge=1, le=MAX_ID, description="The key's id.")]
_CHANGE_ERRORS: Final = ("unknown_key", "conflict")


@router.get("/admin/v1/keys", **told("List keys", example_page(KEY)))
def list_all(context: Ctx, query: Annotated[KeyQuery, Query()]) -> KeyPage:
    position = read_cursor("keys", query.cursor, int)
    after_id = 0 if position is None else position[0]
    keys = each_key(context.store, project=query.project, after_id=after_id)
    page = list(islice((key for key in keys if _is_wanted(key, query)), query.limit + 1))
    has_more = len(page) > query.limit
    page = page[: query.limit]
    cursor = make_cursor("keys", page[-1].id) if has_more else None
    return KeyPage(data=list(map(KeySchema.of, page)), next_cursor=cursor)


def _is_wanted(key: Key, query: KeyQuery) -> bool:
    if query.state not in {None, key.state} or query.kind not in {None, key.kind}:
        return False
    return query.name is None or any(query.name in (text or "") for text in (key.name, key.owner, key.prefix))


@router.post(
    "/admin/v1/keys",
    **told(
        "Create a key", NEW_KEY, status=201, errors=["conflict"], description="Its secret is shown this once."
    ),
)
def create(
    context: Ctx, actor: Actor, wanted: Annotated[KeyCreate, Body(openapi_examples=example_body(CREATE))]
) -> NewKeySchema:
    new = create_key(context.store, actor=actor, known=Known.of(context.config()), **wanted.fields())
    return NewKeySchema.of(new.key, secret=new.token)


@router.get("/admin/v1/keys/{key_id}", **told("Get a key", KEY_DETAIL, errors=["unknown_key"]))
def get_one(context: Ctx, key_id: KeyId) -> KeyDetail:
    return KeyDetail.with_inherited(get_key(context.store, key_id), context.config().limits)


@router.get(
    "/admin/v1/keys/{key_id}/standing",
    **told(
        "Show what is left of a key's limits",
        STANDING,
        errors=["unknown_key"],
        description="Of its own limits, its project's, the defaults, and those of models that it may use.",
    ),
)
def get_standing(context: Ctx, key_id: KeyId) -> StandingSchema:
    return StandingSchema.of(context.standings.of_key(get_key(context.store, key_id)))


@router.patch(
    "/admin/v1/keys/{key_id}",
    **told("Change a key", KEY, errors=_CHANGE_ERRORS, description="What is left out stays as it is."),
)
def change(
    context: Ctx,
    actor: Actor,
    key_id: KeyId,
    wanted: Annotated[KeyChange, Body(openapi_examples=example_body(CHANGE))],
) -> KeySchema:
    known = Known.of(context.config())
    return KeySchema.of(update_key(context.store, key_id, actor=actor, known=known, **wanted.fields()))


@router.post(
    "/admin/v1/keys/{key_id}/rotate",
    **told(
        "Rotate a key",
        {**NEW_KEY, "rotated_at": "2026-11-26T09:00:00Z", "previous_expires_at": "2026-11-27T09:00:00Z"},
        errors=_CHANGE_ERRORS,
        description="It gets a new secret, which is shown this once. The old one is accepted for a while.",
    ),
)
def rotate(
    context: Ctx,
    actor: Actor,
    key_id: KeyId,
    how: Annotated[RotateInput | None, Body(openapi_examples=example_body({"grace_s": 3600}))] = None,
) -> NewKeySchema:
    grace = timedelta(seconds=(how or RotateInput()).grace_s)
    new = rotate_key(context.store, key_id, actor=actor, grace=grace)
    return NewKeySchema.of(new.key, secret=new.token)


@router.post(
    "/admin/v1/keys/{key_id}/block",
    **told(
        "Block a key",
        {**KEY, "state": "blocked", "blocked_at": "2026-11-26T09:00:00Z"},
        errors=_CHANGE_ERRORS,
        description="It is refused within a second, until it is unblocked. A blocked one stays as it is.",
    ),
)
def block(context: Ctx, actor: Actor, key_id: KeyId) -> KeySchema:
    return KeySchema.of(block_key(context.store, key_id, actor=actor))


@router.post("/admin/v1/keys/{key_id}/unblock", **told("Unblock a key", KEY, errors=_CHANGE_ERRORS))
def unblock(context: Ctx, actor: Actor, key_id: KeyId) -> KeySchema:
    return KeySchema.of(unblock_key(context.store, key_id, actor=actor))


@router.post(
    "/admin/v1/keys/{key_id}/revoke",
    **told(
        "Revoke a key",
        {**KEY, "state": "revoked", "revoked_at": "2026-11-26T09:00:00Z"},
        errors=["unknown_key"],
        description="It ends for good, within a second. A revoked one stays as it is.",
    ),
)
def revoke(context: Ctx, actor: Actor, key_id: KeyId) -> KeySchema:
    return KeySchema.of(revoke_key(context.store, key_id, actor=actor))
