"""`/admin/v1/audit`."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from llmgw.access.audit import list_audit
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes.common import Ctx, told
from llmgw.admin.schemas.audit import EXAMPLE, AuditEntrySchema, AuditPage, AuditQuery

router: Final = APIRouter(tags=["system"])


@router.get("/admin/v1/audit", **told("List changes", EXAMPLE, description="Newest first."))
def list_changes(context: Ctx, query: Annotated[AuditQuery, Query()]) -> AuditPage:
    after = read_cursor("audit", query.cursor, int)
    filters = query.model_dump(exclude={"limit", "cursor"})
    entries = list_audit(
        context.store, limit=query.limit + 1, before_id=None if after is None else after[0], **filters
    )
    has_more = len(entries) > query.limit
    entries = entries[: query.limit]
    data = [AuditEntrySchema.model_validate(entry._asdict()) for entry in entries]
    return AuditPage(data=data, next_cursor=make_cursor("audit", data[-1].id) if has_more else None)
