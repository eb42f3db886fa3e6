"""`/admin/v1/thinking`."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from llmgw.admin.routes.common import Ctx, told
from llmgw.admin.schemas.thinking import THINKING, ThinkingQuery, ThinkingRow, ThinkingSchema
from llmgw.ledger.thinking import sum_thinking

router: Final = APIRouter(tags=["usage"])


@router.get(
    "/admin/v1/thinking",
    **told(
        "Sum what happened to thinking",
        THINKING,
        description=(
            "Of the newest rows of the ledger: whether thinking was asked for, what the upstream was told, "
            "and whether it thought. It costs the same in a ledger of any size."
        ),
    ),
)
def sum_lately(context: Ctx, query: Annotated[ThinkingQuery, Query()]) -> ThinkingSchema:
    thinking = sum_thinking(context.store, query.rows)
    data = [ThinkingRow(**each._asdict()) for each in thinking.sums]
    return ThinkingSchema(rows=thinking.rows, since=thinking.since, data=data)
