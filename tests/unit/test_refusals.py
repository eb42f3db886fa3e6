"""What a client is told whose request is over a limit or a budget."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from llmgw.budgets.budget import Budget
from llmgw.budgets.windows import BEGINNING, END, Window
from llmgw.errors import ApiError, render_headers
from llmgw.limits import refusals
from llmgw.limits.plans import BudgetHere, LimitHere, Subject

CODEX = re.compile(r"(?i)try again in\s*(\d+(?:\.\d+)?)\s*(s|ms|seconds?)")
"""What Codex looks for in the message of an error `rate_limit_exceeded`."""
KEY = Subject("key", "key 'batch'")
ZONE = ZoneInfo("Asia/Shanghai")
DAY = Window(datetime(2026, 11, 25, 16, tzinfo=UTC), datetime(2026, 11, 26, 16, tzinfo=UTC))
NANO = 10**9


def here(window: Window = DAY, unit: str = "CNY", amount: int = 10 * NANO) -> BudgetHere:
    budget = Budget(1, "key", 7, "batch", None, False, unit, amount, "day", None)  # noqa: FBT003
    return BudgetHere("budget:1:0", amount, budget, window, KEY, "")


def test_a_rate() -> None:
    limit = LimitHere("rpm:key:7", "requests_per_minute", 1200, KEY)
    error = refusals.over_limit(limit, 1.4996, 12, [(b"x-ratelimit-limit-requests", b"1200")])
    assert (error.code, error.status, error.retriable) == ("rate_limit_exceeded", 429, True)
    assert error.message == (
        "Rate limit reached for key 'batch': 1,200 requests per minute. Please try again in 1.5s."
    )
    assert CODEX.search(error.message)
    assert dict(render_headers(error)) == {
        b"content-type": b"application/json",
        b"retry-after": b"2",
        b"x-should-retry": b"true",
        b"x-ratelimit-limit-requests": b"1200",
    }


def test_a_request_that_is_larger_than_the_limit() -> None:
    limit = LimitHere("tpm:key:7", "tokens_per_minute", 1000, KEY)
    error = refusals.over_limit(limit, None, 1500)
    assert (error.code, error.status, error.retriable) == ("rate_limit_exceeded", 429, False)
    assert "about 1,500 tokens" in error.message
    assert "key 'batch': 1,000 tokens per minute" in error.message
    headers = dict(render_headers(error))
    assert headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers


def test_requests_at_once_come_back_at_different_times() -> None:
    limit = LimitHere("concurrent:key:7", "concurrent_requests", 2, KEY)
    errors = [refusals.too_many_at_once(limit, turn) for turn in range(3)]
    assert len({error.retry_after_s for error in errors}) == 3
    for error in errors:
        assert error.message.startswith("Rate limit reached for key 'batch': 2 requests at once.")
        assert CODEX.search(error.message)


def over(budget: BudgetHere) -> ApiError:
    return refusals.over_budget(
        budget, used=9 * NANO, held=NANO // 2, now_s=DAY.ends_at.timestamp() - 60, zone=ZONE
    )


def test_a_budget() -> None:
    error = over(here())
    assert (error.code, error.type, error.status) == ("insufficient_quota", "insufficient_quota", 429)
    assert error.message == (
        "The budget of key 'batch' is used up: 10.00 CNY a day (9.00 CNY spent, 0.50 CNY held by running "
        "requests, 0.50 CNY left, too little for this request). It resets at 2026-11-27T00:00:00+08:00 "
        "(Asia/Shanghai)."
    )
    headers = dict(render_headers(error))
    assert (headers[b"x-should-retry"], headers[b"retry-after"]) == (b"false", b"60")


def test_a_budget_that_does_not_reset() -> None:
    error = over(here(Window(BEGINNING, END)))
    assert "It does not reset by itself; an admin can lift it." in error.message
    assert error.retry_after_s is None


def test_no_price() -> None:
    error = refusals.unpriced("m", here(), "CNY")
    assert (error.code, error.status, error.param) == ("unpriced_model", 403, "model")
    assert "'m' has no price" in error.message
    assert 'unpriced = "allow"' in error.message
    assert "in USD, but costs are counted in CNY" in refusals.unpriced("m", here(unit="USD"), "CNY").message


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "CNY", "0.00 CNY"),
        (3_200_000_000, "CNY", "3.20 CNY"),
        (3_219_999_999, "CNY", "3.2199 CNY"),
        (10_000_999, "CNY", "0.01 CNY"),
        (9_999_999, "CNY", "0.009999999 CNY"),
        (1_000, "CNY", "0.000001 CNY"),
        (1_234_500_000_000, "USD", "1234.50 USD"),
        (1_234_567, "tokens", "1,234,567 tokens"),
    ],
)
def test_amounts(value: int, unit: str, expected: str) -> None:
    assert refusals.amount(value, unit) == expected


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [(0.0, "0s"), (1.5, "1.5s"), (1.0, "1s"), (0.1204, "0.121s"), (75.25, "75.25s"), (0.1 + 0.2, "0.3s")],
)
def test_seconds_that_codex_reads(duration_s: float, expected: str) -> None:
    assert refusals.seconds(duration_s) == expected
    assert CODEX.search(f"Please try again in {expected}.")
