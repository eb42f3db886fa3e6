"""`requests`: rows of the ledger."""

from typing import Literal, Self

from pydantic import Field

from llmgw.admin.schemas.base import (
    MAX_FILTER_CHARS,
    MAX_ID,
    Id,
    Money,
    Page,
    PageQuery,
    Schema,
    Time,
    money_or_none,
)
from llmgw.ledger.requests import RequestPage
from llmgw.store import LedgerRow


class RequestRow(Schema):
    """One request, without its body. Tokens and cost are null where they are not known."""

    id: Id
    request_id: str = Field(description="As in the header `x-request-id` of its answer.")
    time: Time = Field(description="When the request arrived.")
    key_id: int | None
    key_name: str | None = Field(description="As it is called now; null: it is gone, or there was none.")
    project_id: int | None
    project_name: str | None = Field(description="The same.")
    user: str | None = Field(description="Who is behind the key, if it is known.")
    model: str | None = Field(description="The configured id; null: the request named none that is known.")
    upstream: str | None
    api: str | None = Field(
        description="`chat`, `completions`, `messages`, `responses`, `embeddings`, `rerank`."
    )
    status: int = Field(description="The HTTP status of the answer; 499: the client left before it began.")
    stream: bool
    finish_reason: str | None
    error_kind: str | None
    attempts: int | None
    attempt_errors: str | None = Field(description="The failures before the last attempt.")
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None = Field(description="Part of `completion_tokens`.")
    cached_tokens: int | None = Field(description="Part of `prompt_tokens`.")
    cache_write_tokens: int | None = Field(description="Part of `prompt_tokens`.")
    usage_source: str = Field(description="`upstream`, `partial`, `estimated` or `none`.")
    thinking_asked: str | None
    thinking_sent: str | None
    thinking_observed: bool
    first_event_s: float | None
    total_s: float
    cost: Money | None = Field(description="Null: the model has no price.")
    cost_input: Money | None
    cost_cached_input: Money | None
    cost_cache_write: Money | None
    cost_output: Money | None
    cost_other: Money | None = Field(description="Per request and per image.")
    currency: str | None
    price_digest: str | None

    @classmethod
    def of(cls, row: LedgerRow, page: RequestPage, **more: object) -> Self:
        """From the database; `page`: in which it was. `more`: members that the row does not have."""
        more |= {
            "key_name": None if row.key_id is None else page.keys.get(row.key_id),
            "project_name": None if row.project_id is None else page.projects.get(row.project_id),
        }
        members = {name: getattr(row, name) for name in cls.model_fields if name not in more}
        costs = {name: money_or_none(value) for name, value in members.items() if name.startswith("cost")}
        return cls(**members | costs | more)


class RequestDetail(RequestRow):
    """A request, and where its bodies are."""

    captured_in: int | None = Field(
        description="The capture lease that keeps its bodies now; null: none does.", examples=[2]
    )


class RequestPageSchema(Page[RequestRow]):
    """Requests, newest first. A page may be short, even empty, and not be the last."""

    scanned_until: Time | None = Field(
        description=(
            "All that is wanted and younger than this is on this page or one before; `next_cursor` goes on "
            "from here. Null: this is the last page."
        )
    )


class RequestQuery(PageQuery):
    """Which requests are wanted. What is left out does not matter."""

    model: str | None = Field(default=None, max_length=MAX_FILTER_CHARS)
    key_id: int | None = Field(default=None, ge=1, le=MAX_ID)
    project_id: int | None = Field(default=None, ge=1, le=MAX_ID)
    user: str | None = Field(default=None, max_length=MAX_FILTER_CHARS)
    status: int | None = Field(default=None, ge=100, le=599)
    status_class: int | None = Field(
        default=None, ge=1, le=5, description="The first digit of the status: 4 are those from 400 to 499."
    )
    error_kind: str | None = Field(default=None, max_length=MAX_FILTER_CHARS)
    api: Literal["chat", "completions", "messages", "responses", "embeddings", "rerank"] | None = None
    request_id: str | None = Field(default=None, max_length=MAX_FILTER_CHARS)
    failed: bool | None = Field(
        default=None, description="Whether the request failed, or an answer broke off."
    )
    since: Time | None = Field(default=None, description="Requests that arrived then or later.")
    until: Time | None = Field(default=None, description="Requests that arrived before.")


def example_row() -> dict[str, object]:
    """For the document."""
    return {
        "id": 90211,
        "request_id": "req_019ac0ffee00d1c0ffee1234567890abcd",
        "time": "2026-11-26T08:00:00.125Z",
        "key_id": 7,
        "key_name": "search",
        "project_id": 3,
        "project_name": "web",
        "user": "zhang.wei",
        "model": "qwen3.6-plus",
        "upstream": "dashscope",
        "api": "chat",
        "status": 200,
        "stream": True,
        "finish_reason": "stop",
        "error_kind": None,
        "attempts": 1,
        "attempt_errors": None,
        "prompt_tokens": 1204,
        "completion_tokens": 310,
        "reasoning_tokens": 122,
        "cached_tokens": 1024,
        "cache_write_tokens": None,
        "usage_source": "upstream",
        "thinking_asked": "on",
        "thinking_sent": "enable_thinking",
        "thinking_observed": True,
        "first_event_s": 0.412,
        "total_s": 5.108,
        "cost": "0.0044896",
        "cost_input": "0.00036",
        "cost_cached_input": "0.0004096",
        "cost_cache_write": "0.00",
        "cost_output": "0.00372",
        "cost_other": "0.00",
        "currency": "CNY",
        "price_digest": "5f0c1e",
    }
