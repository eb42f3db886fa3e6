"""What a client is told whose request is over a limit or a budget: which one, whose, when to come back."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias
from zoneinfo import ZoneInfo

from llmgw.budgets.budget import TOKENS
from llmgw.budgets.windows import END
from llmgw.errors import ApiError

if TYPE_CHECKING:
    from llmgw.limits.places import NoPlace
    from llmgw.limits.plans import BudgetHere, LimitHere

Header: TypeAlias = tuple[bytes, bytes]

_NANO: Final = 10**9
_EXACT_BELOW: Final = _NANO // 100
_SHOULD_RETRY: Final = (b"x-should-retry", b"true")
_WHAT: Final = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute",
    "concurrent_requests": "requests at once",
}
_BUSY_S: Final = (1.0, 1.5, 2.0)
"""When another request will be over, nobody knows. Used in turn, so that not all come back at once."""
_PERIODS: Final = {"day": "a day", "week": "a week", "month": "a month", "total": "in total"}


def over_limit(
    limit: "LimitHere", retry_after_s: float | None, wanted: int, headers: Sequence[Header] = ()
) -> ApiError:
    """A limit of requests or tokens a minute. `wanted`: so many of them the request needs, as estimated.

    `retry_after_s` None: it needs more than the whole limit, so no time will do.
    """
    which = f"{limit.subject.words}: {limit.limit:,} {_WHAT[limit.kind]}"
    if retry_after_s is None:
        message = (
            f"The request has about {wanted:,} tokens, more than one may have under the limit of {which}. "
            "Make it shorter."
        )
        return ApiError("rate_limit_exceeded", message, retriable=False, headers=headers)
    message = f"Rate limit reached for {which}. Please try again in {seconds(retry_after_s)}."
    return ApiError(
        "rate_limit_exceeded", message, retry_after_s=retry_after_s, headers=[*headers, _SHOULD_RETRY]
    )


def too_many_at_once(limit: "LimitHere", turn: int, headers: Sequence[Header] = ()) -> ApiError:
    """A limit of concurrent requests. `turn`: counts such refusals."""
    wait_s = _BUSY_S[turn % len(_BUSY_S)]
    which = f"{limit.subject.words}: {limit.limit:,} {_WHAT[limit.kind]}"
    message = f"Rate limit reached for {which}. Please try again in {seconds(wait_s)}."
    return ApiError("rate_limit_exceeded", message, retry_after_s=wait_s, headers=[*headers, _SHOULD_RETRY])


def over_upstream(why: "NoPlace") -> ApiError:
    """What the provider grants the gateway is used up, whoever asks."""
    what = f"The model's upstream grants no more {_WHAT[why.reason]} now."
    if why.retry_after_s is None:
        message = f"{what} The request has more tokens than it ever grants in a minute."
        return ApiError("upstream_rate_limited", message, retriable=False)
    message = f"{what} Please try again in {seconds(why.retry_after_s)}."
    return ApiError("upstream_rate_limited", message, retry_after_s=why.retry_after_s)


def over_budget(
    here: "BudgetHere", *, used: int, held: int, now_s: float, zone: ZoneInfo, headers: Sequence[Header] = ()
) -> ApiError:
    """A budget. `used` of it is in the ledger, `held` belongs to requests that are running."""
    budget, ends_at = here.budget, here.window.ends_at
    left = max(here.limit - used - held, 0)
    running = f", {amount(held, budget.unit)} held by running requests" if held else ""
    message = (
        f"The budget of {here.subject.words} is used up: {amount(here.limit, budget.unit)} "
        f"{_PERIODS[budget.period]} ({amount(used, budget.unit)} spent{running}, {amount(left, budget.unit)} "
        f"left, too little for this request). {_resets(ends_at, zone)}"
    )
    retry_after_s = None if ends_at >= END else ends_at.timestamp() - now_s
    return ApiError("insufficient_quota", message, retry_after_s=retry_after_s, headers=headers)


def unpriced(model: str, here: "BudgetHere", currency: str) -> ApiError:
    """A budget of money can't be kept where nobody knows what a request costs."""
    unit = here.budget.unit
    if unit != currency:
        message = (
            f"The budget of {here.subject.words} is in {unit}, but costs are counted in {currency}. The "
            "gateway's operator must give it one in that currency."
        )
    else:
        message = (
            f"The model {model!r} has no price, so the budget of {here.subject.words} can't be kept. Use "
            'another model. The gateway\'s operator may give it a price, or set unpriced = "allow" under '
            "[prices]."
        )
    return ApiError("unpriced_model", message, param="model")


def amount(value: int, unit: str) -> str:
    """`3.20 CNY`, `1,200 tokens`. Money is rounded down to four places, of which two are always there.

    Less than a hundredth is told exactly: a budget that was meant per million must not look like nothing.
    """
    if unit == TOKENS:
        return f"{value:,} tokens"
    whole, rest = divmod(value, _NANO)
    places = f"{rest:09d}"[: 4 if value >= _EXACT_BELOW else 9]
    return f"{whole}.{places[:2]}{places[2:].rstrip('0')} {unit}"


def seconds(duration_s: float) -> str:
    """Such as `1.5s`, rounded up to a millisecond: what Codex looks for behind "try again in"."""
    rounded = math.ceil(round(max(duration_s, 0.0) * 1000, 3)) / 1000
    return f"{rounded:.3f}".rstrip("0").rstrip(".") + "s"


def _resets(ends_at: datetime, zone: ZoneInfo) -> str:
    if ends_at >= END:
        return "It does not reset by itself; an admin can lift it."
    return f"It resets at {ends_at.astimezone(zone).isoformat(timespec='seconds')} ({zone.key})."
