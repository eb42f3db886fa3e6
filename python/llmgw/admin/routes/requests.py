"""`/admin/v1/requests`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes.common import Ctx, example_page, told
from llmgw.admin.schemas.requests import RequestPageSchema, RequestQuery, RequestRow, example_row
from llmgw.errors import ApiError
from llmgw.ledger.requests import Position, RequestFilter, list_requests

router: Final = APIRouter(tags=["requests"])
_OF: Final = "requests"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
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
        example_page(example_row()),
        description=(
            "Rows of the ledger, newest first. Filters are combined. For one page, a filter looks at 100,000 "
            "rows at most: the page may then be short, even empty, and `next_cursor` goes on."
        ),
    ),
)
def list_all(context: Ctx, query: Annotated[RequestQuery, Query()]) -> RequestPageSchema:
    asked = query.model_dump(exclude={"limit", "cursor"})
    page = list_requests(
        context.store, RequestFilter(**asked), limit=query.limit, after=position_of(query.cursor)
    )
    following = None if page.next is None else cursor_of(page.next)
    return RequestPageSchema(data=[RequestRow.of(row) for row in page.rows], next_cursor=following)


@router.get("/admin/v1/requests/{request_id}", **told("Get a request", example_row(), errors=["not_found"]))
def get_one(context: Ctx, request_id: Annotated[str, Path(max_length=128)]) -> RequestRow:
    page = list_requests(context.store, RequestFilter(request_id=request_id), limit=1)
    if not page.rows:
        raise ApiError("not_found", "There is no request of this id in the ledger.")
    return RequestRow.of(page.rows[0])
