"""`thinking`: what was asked for, sent and observed lately."""

from pydantic import Field

from llmgw.admin.schemas.base import Count, Schema, Time
from llmgw.ledger.thinking import MAX_ROWS


class ThinkingRow(Schema):
    """Answers of one model that have this in common."""

    model: str | None
    asked: str | None = Field(description="`on` or `off`; null: the requests had no switch.")
    sent: str | None = Field(
        description="The dialect in which the upstream was told, or `ignored`; null: not at all."
    )
    observed: bool = Field(description="Whether the upstream sent reasoning.")
    requests: Count


class ThinkingSchema(Schema):
    """What the newest rows of the ledger tell."""

    rows: Count = Field(description="How many were looked at, with those of requests that got no answer.")
    since: Time | None = Field(description="When the earliest of them arrived; null: there is none.")
    data: list[ThinkingRow] = Field(description="By model.")


class ThinkingQuery(Schema):
    """How far back."""

    rows: int = Field(default=MAX_ROWS, ge=1, le=MAX_ROWS, description="At most this many rows.")


THINKING = {
    "rows": 10000,
    "since": "2026-11-24T21:14:07Z",
    "data": [
        {
            "model": "qwen3.6-plus",
            "asked": "on",
            "sent": "enable_thinking",
            "observed": True,
            "requests": 7140,
        },
        {"model": "qwen3.6-plus", "asked": None, "sent": None, "observed": False, "requests": 2799},
    ],
}
