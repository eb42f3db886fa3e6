"""`usage`: what was used, by any grouping."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self, cast
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from llmgw.access.amounts import amount_text
from llmgw.admin.schemas.base import MAX_FILTER_CHARS, MAX_ID, Count, Page, PageQuery, Schema, Time, fault
from llmgw.ledger.latency import LatencySum, quantile_s
from llmgw.ledger.order import ALL, UsageOrder
from llmgw.ledger.usage import BUCKETS, DIMENSIONS, Dimension, Usage, UsageBy, UsageSum

_BY: Final = (*DIMENSIONS, *BUCKETS)
_LABELS: Final[Mapping[str, str]] = {
    "hour": "%Y-%m-%d %H:%M",
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m",
}


class Named(Schema):
    """A key or a project."""

    id: int
    name: str = Field(description="Empty where it is gone.")


class UsageRow(Schema):
    """The sums of one group. It has the members that it was grouped by, and all sums.

    What a request did not have, such as a user, is null.
    """

    key: Named | None = None
    project: Named | None = None
    user: str | None = None
    model: str | None = None
    upstream: str | None = None
    api: str | None = None
    starts_at: Time | None = Field(default=None, description="When the hour, day, week or month began.")
    hour: str | None = Field(default=None, description="In the configured time zone, as the next three.")
    day: str | None = None
    week: str | None = Field(default=None, description="Its Monday.")
    month: str | None = None
    requests: Count
    errors: Count = Field(description="Requests with an error status, or whose answer broke off.")
    unpriced: Count = Field(description="Requests that used tokens of a model without a price.")
    prompt_tokens: Count
    completion_tokens: Count
    reasoning_tokens: Count = Field(description="Part of `completion_tokens`.")
    cached_tokens: Count = Field(description="Part of `prompt_tokens`.")
    cache_write_tokens: Count = Field(description="Part of `prompt_tokens`.")
    costs: dict[str, str] = Field(description="An exact decimal number for each currency.")
    first_event_p50_s: float | None = Field(
        default=None,
        description="With `latency`, as the next three; null: above 60 s, or none.",
    )
    first_event_p95_s: float | None = None
    total_p50_s: float | None = None
    total_p95_s: float | None = None

    @classmethod
    def of(
        cls, by: list[UsageBy], each: UsageSum, usage: Usage, zone: ZoneInfo, latency: LatencySum | None
    ) -> Self:
        """From the ledger; as `llmgw usage --json` has it."""
        members: dict[str, Any] = {}
        for name, value in zip(by, each.group, strict=True):
            if isinstance(value, datetime):
                members["starts_at"] = value
                members[name] = value.astimezone(zone).strftime(_LABELS[name])
            elif name in ("key", "project"):
                names = usage.keys if name == "key" else usage.projects
                members[name] = Named(id=value, name=names.get(value, "")) if value else None
            else:
                members[name] = value or None
        costs = {currency: amount_text(cost, currency) for currency, cost in each.costs.items()}
        if latency is not None:
            for quantile, share in (("p50", 0.5), ("p95", 0.95)):
                members[f"first_event_{quantile}_s"] = quantile_s(latency.first_event, share)
                members[f"total_{quantile}_s"] = quantile_s(latency.total, share)
        return cls(**members, **each.totals._asdict(), costs=costs)


class UsagePage(Page[UsageRow]):
    """Groups, in the order that was asked for."""


class UsageQuery(PageQuery):
    """What is summed, and how it is grouped."""

    by: str = Field(
        default="key",
        pattern=f"^({ALL}|({'|'.join(_BY)})(,({'|'.join(_BY)})){{0,6}})$",
        description=(
            f"With commas: {', '.join(DIMENSIONS)}, and one of {', '.join(BUCKETS)}; "
            f"or `{ALL}`: one row of everything, even if there was nothing."
        ),
        examples=["model,day"],
    )
    order: UsageOrder = Field(
        default="group",
        description=(
            "`group`: by what they are grouped by. Otherwise the largest first, with `tokens` those of "
            "prompts and completions. A group that has grown meanwhile may be missing on the next page."
        ),
    )
    currency: str | None = Field(
        default=None,
        pattern="^[A-Z]{3}$",
        description="With `order=cost`: in which currency; the config's if it is left out.",
        examples=["CNY"],
    )
    since: Time | None = Field(default=None, description="All of the hour in which this lies is summed.")
    until: Time | None = Field(default=None, description="The same.")
    key_id: int | None = Field(default=None, ge=1, le=MAX_ID)
    project_id: int | None = Field(default=None, ge=1, le=MAX_ID)
    user: str | None = Field(default=None, max_length=MAX_FILTER_CHARS)
    model: str | None = Field(default=None, max_length=MAX_FILTER_CHARS)
    upstream: str | None = Field(default=None, max_length=MAX_FILTER_CHARS)
    api: str | None = Field(default=None, max_length=MAX_FILTER_CHARS)

    latency: bool = Field(
        default=False,
        description="Also say how long answers took: half of them, and 95 %.",
    )

    @field_validator("by")
    @classmethod
    def _check_by(cls, by: str) -> str:
        groups = by.split(",")
        if len(set(groups)) < len(groups):
            raise fault("names something twice")
        if sum(each in BUCKETS for each in groups) > 1:
            raise fault(f"has more than one of {', '.join(BUCKETS)}")
        return by

    @property
    def groups(self) -> list[UsageBy]:
        """What it is grouped by."""
        return [] if self.by == ALL else cast("list[UsageBy]", self.by.split(","))

    @property
    def only(self) -> dict[Dimension, list[int | str]]:
        """The filters."""
        wanted: dict[Dimension, int | str | None] = {
            "key": self.key_id,
            "project": self.project_id,
            "user": self.user,
            "model": self.model,
            "upstream": self.upstream,
            "api": self.api,
        }
        return {name: [value] for name, value in wanted.items() if value is not None}


def position_of(group: tuple[Any, ...]) -> list[int | str]:
    """A group in a cursor."""
    return [round(each.timestamp()) if isinstance(each, datetime) else each for each in group]


EXAMPLE: Final = {
    "model": "qwen3.6-plus",
    "starts_at": "2026-11-25T16:00:00Z",
    "day": "2026-11-26",
    "requests": 1804,
    "errors": 12,
    "unpriced": 0,
    "prompt_tokens": 2104210,
    "completion_tokens": 410300,
    "reasoning_tokens": 120400,
    "cached_tokens": 1804210,
    "cache_write_tokens": 0,
    "costs": {"CNY": "6.245284"},
}
