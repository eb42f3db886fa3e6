"""`/v1/organization/usage/completions` and `/v1/organization/costs`, in OpenAI's shape.

Ids of keys and projects are numbers as text. Hours and days are those of the configured time zone.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query

from llmgw.admin.faults import refusal
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes.common import Ctx, told
from llmgw.admin.schemas.base import MAX_ID
from llmgw.admin.schemas.organization import (
    COSTS,
    USAGE,
    CompletionsResult,
    CostAmount,
    CostBucketQuery,
    CostsBucket,
    CostsBuckets,
    CostsResult,
    UsageBucket,
    UsageBucketQuery,
    UsageBuckets,
)
from llmgw.budgets.windows import Window, hour_of, window_of
from llmgw.config import NANO
from llmgw.errors import InputFault
from llmgw.ledger.usage import Dimension, UsageBy, UsageSum, sum_usage

router: Final = APIRouter(tags=["organization"])
_APIS: Final = ("chat", "completions", "messages", "responses")
_DIMENSIONS: Final[dict[str, Dimension]] = {
    "project_id": "project",
    "user_id": "user",
    "api_key_id": "key",
    "model": "model",
    "line_item": "model",
}
_Bucket: TypeAlias = Literal["hour", "day"]
_WIDTHS: Final[dict[str, tuple[_Bucket, int, int]]] = {"1h": ("hour", 24, 168), "1d": ("day", 7, 31)}
"""The bucket, how many there are on a page, and how many there may be."""
_HOUR: Final = timedelta(hours=1)


@router.get(
    "/v1/organization/usage/completions",
    **told(
        "Usage in OpenAI's shape",
        USAGE,
        description="Of chat, completions, messages and responses, by hours and days of the configured zone.",
    ),
)
def completions(context: Ctx, query: Annotated[UsageBucketQuery, Query()]) -> UsageBuckets:
    bucket, usual, most = _WIDTHS[query.bucket_width]
    limit = usual if query.limit is None else query.limit
    if limit > most:
        raise refusal(
            [InputFault("limit", f"must be at most {most} where bucket_width is {query.bucket_width}")]
        )
    zone = ZoneInfo(context.config().prices.timezone)
    windows, next_page = _page(query, bucket, zone, limit)
    groups = [name for name in dict.fromkeys(query.group_by) if name in _DIMENSIONS]
    only: dict[Dimension, list[int | str]] = {"api": list(_APIS), **_only(query)}
    if query.user_ids:
        only["user"] = list(query.user_ids)
    if query.models:
        only["model"] = list(query.models)
    sums = [] if query.batch or not windows else _sums(context, bucket, groups, windows, zone, only)
    data = [
        UsageBucket(
            start_time=_seconds(window.starts_at),
            end_time=_seconds(window.ends_at),
            results=[_usage(groups, each) for each in sums if each.group[0] == window.starts_at],
        )
        for window in windows
    ]
    return UsageBuckets(data=data, has_more=next_page is not None, next_page=next_page)


@router.get(
    "/v1/organization/costs",
    **told(
        "Costs in OpenAI's shape",
        COSTS,
        description="What requests cost by the prices of the config. A line item is a model.",
    ),
)
def costs(context: Ctx, query: Annotated[CostBucketQuery, Query()]) -> CostsBuckets:
    zone = ZoneInfo(context.config().prices.timezone)
    windows, next_page = _page(query, "day", zone, query.limit)
    groups = list(dict.fromkeys(query.group_by))
    sums = _sums(context, "day", groups, windows, zone, _only(query)) if windows else []
    data = [
        CostsBucket(
            start_time=_seconds(window.starts_at),
            end_time=_seconds(window.ends_at),
            results=[
                result
                for each in sums
                if each.group[0] == window.starts_at
                for result in _costs(groups, each)
            ],
        )
        for window in windows
    ]
    return CostsBuckets(data=data, has_more=next_page is not None, next_page=next_page)


def _page(
    query: UsageBucketQuery | CostBucketQuery, bucket: _Bucket, zone: ZoneInfo, limit: int
) -> tuple[list[Window], str | None]:
    """The buckets of this page, and the cursor of the next."""
    begin = datetime.fromtimestamp(query.start_time, UTC)
    end = datetime.now(UTC) if query.end_time is None else datetime.fromtimestamp(query.end_time, UTC)
    if query.end_time is not None and end <= begin:
        raise refusal([InputFault("end_time", "must be after start_time")])
    name = f"{bucket} buckets"
    after = read_cursor(name, query.page, int, param="page")
    if after is not None:
        begin = max(
            begin, datetime.fromtimestamp(min(max(after[0], 0), query.end_time or _seconds(end)), UTC)
        )
    windows = list(islice(_windows(begin, end, bucket, zone), limit + 1))
    more = len(windows) > limit
    windows = windows[:limit]
    return windows, make_cursor(name, _seconds(windows[-1].ends_at)) if more else None


def _windows(begin: datetime, end: datetime, bucket: _Bucket, zone: ZoneInfo) -> Iterator[Window]:
    at = begin
    while at < end:
        window = window_of("day", at, zone) if bucket == "day" else _hour(at, zone)
        yield window
        at = window.ends_at


def _hour(at: datetime, zone: ZoneInfo) -> Window:
    hour = hour_of(at, zone)
    # An hour of a zone whose clock is set back or forward by a part of an hour is longer, or shorter.
    ends_at = hour_of(hour + _HOUR, zone)
    return Window(hour, ends_at if ends_at > hour else hour + 2 * _HOUR)


def _only(query: UsageBucketQuery | CostBucketQuery) -> dict[Dimension, list[int | str]]:
    only: dict[Dimension, list[int | str]] = {}
    if query.project_ids:
        only["project"] = _ids(query.project_ids)
    if query.api_key_ids:
        only["key"] = _ids(query.api_key_ids)
    return only


def _ids(texts: Sequence[str]) -> list[int | str]:
    """Those that are ids; no key or project has another one."""
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < len(str(MAX_ID))]


def _sums(
    context: Any,  # noqa: ANN401  (see Ctx)
    bucket: _Bucket,
    groups: Sequence[str],
    windows: Sequence[Window],
    zone: ZoneInfo,
    only: dict[Dimension, list[int | str]],
) -> list[UsageSum]:
    by: list[UsageBy] = [bucket, *dict.fromkeys(_DIMENSIONS[name] for name in groups)]
    since, until = windows[0].starts_at, windows[-1].ends_at
    return sum_usage(context.store, by, zone, since=since, until=until, only=only).sums


def _members(groups: Sequence[str], each: UsageSum) -> dict[str, str | None]:
    """What it was grouped by, in OpenAI's words."""
    return {name: str(value) if value else None for name, value in zip(groups, each.group[1:], strict=True)}


def _usage(groups: Sequence[str], each: UsageSum) -> CompletionsResult:
    members: dict[str, Any] = _members(groups, each)
    totals = each.totals
    return CompletionsResult(
        input_tokens=totals.prompt_tokens,
        output_tokens=totals.completion_tokens,
        input_cached_tokens=totals.cached_tokens,
        num_model_requests=totals.requests,
        **members,
    )


def _costs(groups: Sequence[str], each: UsageSum) -> Iterator[CostsResult]:
    for currency, cost in sorted(each.costs.items()):
        amount = CostAmount(value=float(Decimal(cost) / NANO), currency=currency.lower())
        members: dict[str, Any] = _members(groups, each)
        yield CostsResult(amount=amount, **members)


def _seconds(at: datetime) -> int:
    return round(at.timestamp())
