"""`audit`: who changed what."""

from typing import Any

from pydantic import Field

from llmgw.admin.schemas.base import MAX_FILTER_CHARS, Id, Page, PageQuery, Schema, Time


class AuditEntrySchema(Schema):
    """One change."""

    id: Id
    time: Time
    actor: str = Field(description="`key 7 (ops)`, or `cli user@host`.")
    action: str = Field(description="Such as `key.create`.")
    target: str = Field(description="Such as `key 12`.")
    before: dict[str, Any] | None = Field(description="What was there before, as far as it changed.")
    after: dict[str, Any] | None = Field(description="What is there now, as far as it changed.")


class AuditPage(Page[AuditEntrySchema]):
    """Changes, newest first."""


class AuditQuery(PageQuery):
    """Which changes are wanted."""

    action: str | None = Field(default=None, max_length=MAX_FILTER_CHARS, description="Such as `key.create`.")
    target: str | None = Field(default=None, max_length=MAX_FILTER_CHARS, description="Such as `key 12`.")
    since: Time | None = None
    until: Time | None = Field(default=None, description="Changes before it.")


EXAMPLE = {
    "data": [
        {
            "id": 41,
            "time": "2026-11-26T08:00:00Z",
            "actor": "key 7 (ops)",
            "action": "key.block",
            "target": "key 12",
            "before": {"blocked_at": None},
            "after": {"blocked_at": "2026-11-26T08:00:00Z"},
        }
    ],
    "next_cursor": None,
}
