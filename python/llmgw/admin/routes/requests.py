"""`/admin/v1/requests`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from llmgw.access.captures import lease_that_kept
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes.common import Ctx, example_page, told
from llmgw.admin.schemas.requests import (
    RequestDetail,
    RequestPageSchema,
    RequestQuery,
    RequestRow,
    example_row,
)
from llmgw.errors import ApiError
from llmgw.ledger.requests import Position, RequestFilter, list_requests

router: Final = APIRouter(tags=["requests"])
_OF: Final = "requests"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ROUNDED_UP: Final = timedelta(microseconds=999)
"""Times are told in milliseconds."""
_LAST_US: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def cursor_of(position: Position) -> str:
    """The cursor behind a row."""
    return make_cursor(_OF, (position.time - _EPOCH) // _MICROSECOND, position.id)


def position_of(cursor: str | None) -> Position | None:
    """The row that a cursor stands behind. Raises ApiError."""
    read = read_cursor(_OF, cursor, int, int)
    if read is None:
        return None
    return Position(_EPOCH + min(max(read[0], 0), _LAST_US) * _MICROSECOND, read[1])


@router.get(
    "/admin/v1/requests",
    **told(
        "List requests",
        example_page(example_row(), scanned_until=None),
        description=(
            "Rows of the ledger, newest first. Filters are combined. For one page, a filter looks at 100,000 "
            "rows at most: the page may then be short, even empty, `scanned_until` says how far it got, and "
            "`next_cursor` goes on."
        ),
    ),
)
def list_all(context: Ctx, query: Annotated[RequestQuery, Query()]) -> RequestPageSchema:
    asked = query.model_dump(exclude={"limit", "cursor"})
    page = list_requests(
        context.store, RequestFilter(**asked), limit=query.limit, after=position_of(query.cursor)
    )
    following = page.next
    return RequestPageSchema(
        data=[RequestRow.of(row, page) for row in page.rows],
        next_cursor=None if following is None else cursor_of(following),
        scanned_until=None if following is None else following.time + _ROUNDED_UP,
    )


@router.get(
    "/admin/v1/requests/{request_id}",
    **told("Get a request", {**example_row(), "captured_in": None}, errors=["not_found"]),
)
def get_one(context: Ctx, request_id: Annotated[str, Path(max_length=128)]) -> RequestDetail:
    page = list_requests(context.store, RequestFilter(request_id=request_id), limit=1)
    if not page.rows:
        raise ApiError("not_found", "There is no request of this id in the ledger.")
    row = page.rows[0]
    return RequestDetail.of(row, page, captured_in=lease_that_kept(context.store, row.request_id))
