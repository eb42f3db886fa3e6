"""OpenAI's usage and costs, for exporters that know them. Names and shapes are OpenAI's."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from llmgw.admin.paging import MAX_CURSOR_CHARS
from llmgw.admin.schemas.base import Schema

MAX_UNIX_S: Final = 2**33
"""In the year 2242."""
_MAX_VALUES: Final = 100
Value = Annotated[str, StringConstraints(max_length=512)]
Values = Annotated[list[Value], Field(max_length=_MAX_VALUES)]
Second = Annotated[int, Field(ge=0, le=MAX_UNIX_S)]


class _BucketQuery(Schema):
    start_time: Second = Field(description="In seconds since the epoch, inclusive.")
    end_time: Second | None = Field(default=None, description="Exclusive; now, where it is left out.")
    project_ids: Values = Field(default=[])
    api_key_ids: Values = Field(default=[])
    page: str | None = Field(
        default=None, max_length=MAX_CURSOR_CHARS, description="`next_page` of the page before."
    )


class UsageBucketQuery(_BucketQuery):
    """Which usage is wanted."""

    bucket_width: Literal["1h", "1d"] = Field(default="1d", description="Minutes are not kept.")
    user_ids: Values = Field(default=[])
    models: Values = Field(default=[])
    batch: bool | None = Field(default=None, description="There are no batches: true finds nothing.")
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"]] = Field(
        default=[], max_length=6
    )
    limit: int | None = Field(
        default=None, ge=1, le=168, description="Buckets. By day: 7, at most 31; by hour: 24, at most 168."
    )


class CostBucketQuery(_BucketQuery):
    """Which costs are wanted."""

    bucket_width: Literal["1d"] = "1d"
    group_by: list[Literal["project_id", "line_item", "api_key_id"]] = Field(default=[], max_length=3)
    limit: int = Field(default=7, ge=1, le=180, description="Buckets.")


class CompletionsResult(Schema):
    """What chat, text completions, messages and responses used."""

    object: Literal["organization.usage.completions.result"] = "organization.usage.completions.result"
    input_tokens: int
    output_tokens: int
    input_cached_tokens: int
    input_audio_tokens: Literal[0] = 0
    output_audio_tokens: Literal[0] = 0
    num_model_requests: int
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    batch: bool | None = None
    service_tier: None = None


class CostAmount(Schema):
    """Money."""

    value: float = Field(description="As OpenAI has it; `GET /admin/v1/usage` has exact numbers.")
    currency: str = Field(description="ISO 4217, in small letters.", examples=["cny"])


class CostsResult(Schema):
    """What was spent."""

    object: Literal["organization.costs.result"] = "organization.costs.result"
    amount: CostAmount
    line_item: str | None = Field(default=None, description="The model.")
    project_id: str | None = None
    api_key_id: str | None = None
    quantity: None = None


class _Bucket(Schema):
    object: Literal["bucket"] = "bucket"
    start_time: int = Field(description="In seconds since the epoch; in the configured time zone.")
    end_time: int


class UsageBucket(_Bucket):
    """An hour or a day."""

    results: list[CompletionsResult]


class CostsBucket(_Bucket):
    """A day."""

    results: list[CostsResult]


class _BucketPage(Schema):
    object: Literal["page"] = "page"
    has_more: bool
    next_page: str | None


class UsageBuckets(_BucketPage):
    """Buckets in their order, empty ones too."""

    data: list[UsageBucket]


class CostsBuckets(_BucketPage):
    """Buckets in their order, empty ones too."""

    data: list[CostsBucket]


_BUCKET: Final = {"object": "bucket", "start_time": 1795622400, "end_time": 1795708800}
_PAGE: Final = {"object": "page", "has_more": False, "next_page": None}
USAGE: Final = {
    **_PAGE,
    "data": [
        {
            **_BUCKET,
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": 2104210,
                    "output_tokens": 410300,
                    "input_cached_tokens": 1804210,
                    "input_audio_tokens": 0,
                    "output_audio_tokens": 0,
                    "num_model_requests": 1804,
                    "project_id": None,
                    "user_id": None,
                    "api_key_id": None,
                    "model": "qwen3.6-plus",
                    "batch": None,
                    "service_tier": None,
                }
            ],
        }
    ],
}
COSTS: Final = {
    **_PAGE,
    "data": [
        {
            **_BUCKET,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": 6.245284, "currency": "cny"},
                    "line_item": None,
                    "project_id": "3",
                    "api_key_id": None,
                    "quantity": None,
                }
            ],
        }
    ],
}
