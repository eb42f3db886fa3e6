"""`/admin/v1/usage`."""

from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query

from llmgw.admin.faults import refusal
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes.common import Ctx, example_page, told
from llmgw.admin.schemas.usage import EXAMPLE, UsagePage, UsageQuery, UsageRow, position_of
from llmgw.errors import InputFault
from llmgw.ledger.latency import LatencySum, sum_latency
from llmgw.ledger.order import ordered, size_of
from llmgw.ledger.usage import BUCKETS, UsageSum, sum_usage

router: Final = APIRouter(tags=["usage"])
_NUMBERS: Final = frozenset({"key", "project", *BUCKETS})


@router.get(
    "/admin/v1/usage",
    response_model_exclude_unset=True,
    **told(
        "Sum usage",
        example_page(EXAMPLE),
        description=(
            "Requests, tokens and costs by any grouping, out of sums that are kept by hour. Hours, days, "
            "weeks and months are those of the configured time zone."
        ),
    ),
)
def sum_all(context: Ctx, query: Annotated[UsageQuery, Query()]) -> UsagePage:
    prices = context.config().prices
    by, order, zone = query.groups, query.order, ZoneInfo(prices.timezone)
    if query.currency is not None and order != "cost":
        raise refusal([InputFault("currency", "goes with order=cost only")])
    currency = query.currency or prices.currency
    name = f"usage by {query.by}, {order}" + (f" in {currency}" if order == "cost" else "")
    after = read_cursor(name, query.cursor, int, *(int if each in _NUMBERS else str for each in by))

    def position(each: UsageSum) -> tuple[int | str, ...]:
        return -size_of(each, order, currency), *position_of(each.group)

    usage = sum_usage(context.store, by, zone, since=query.since, until=query.until, only=query.only)
    latency: dict[tuple[Any, ...], LatencySum] = {}
    if query.latency:
        found = sum_latency(context.store, by, zone, since=query.since, until=query.until, only=query.only)
        latency = {each.group: each for each in found}
    sums = ordered(usage, by, order, currency)
    if after is not None:
        sums = [each for each in sums if position(each) > after]
    page = sums[: query.limit]
    none = LatencySum((), (), ()) if query.latency else None
    data = [UsageRow.of(by, each, usage, zone, latency.get(each.group, none)) for each in page]
    cursor = make_cursor(name, *position(page[-1])) if len(sums) > len(page) else None
    return UsagePage(data=data, next_cursor=cursor)
