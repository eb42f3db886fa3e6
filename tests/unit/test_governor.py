"""Limits and budgets of requests, over the real table: reserved, settled, given back, refused."""

import asyncio
import random
import re
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from llmgw._core import LimitTable
from llmgw.budgets.budget import Budget
from llmgw.budgets.spend import Spent
from llmgw.budgets.windows import window_of
from llmgw.config import Config
from llmgw.errors import ApiError
from llmgw.limits.bases import Bases
from llmgw.limits.estimates import Need
from llmgw.limits.governor import MAX_PLANS, Governor
from llmgw.limits.grant import Grant
from llmgw.limits.rules import NO_LIMITS, LimitRule, Limits
from llmgw.prices.price import Price
from tests.support.configs import load, with_upstream

NANO = 10**9
SHANGHAI = ZoneInfo("Asia/Shanghai")


class Key(NamedTuple):
    """What the governor must know of one."""

    limits: tuple[LimitRule, ...] = ()
    budgets: tuple[Budget, ...] = ()
    id: int = 7
    name: str = "batch"


class Model(NamedTuple):
    """The same."""

    id: str = "m"
    limits: Limits = NO_LIMITS
    max_output_tokens: int | None = None
    writes: bool = True
    prices: Collection[Price | None] = ()


NO_TOKENS = Need(0, 0)
MODEL = Model()


class Clock:
    """A day whose windows the test chooses."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 26, 4, tzinfo=UTC)

    @property
    def at_s(self) -> float:
        """When requests arrive."""
        return self.at.timestamp()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(tmp_path, with_upstream(""))


@pytest.fixture
def price(tmp_path: Path) -> Price:
    """One yuan for a thousand tokens of output, nothing for input."""
    config = load(tmp_path, with_upstream("") + "price = {input = 0.0, output = 1000.0}\n")
    [target] = config.models[0].targets
    assert target.price is not None
    return Price(target.price, config.prices)


class Seen:
    """A governor with one model, and what it told the metrics."""

    def __init__(self, config: Config, table: LimitTable | None = None) -> None:
        self.refusals: list[tuple[str, str]] = []
        self.table = table or LimitTable.in_memory()
        self.governor = Governor(
            self.table, config, observe=lambda limit, scope: self.refusals.append((limit, scope))
        )
        self.clock = Clock()
        self.requests = 0

    def ask(
        self,
        key: Key,
        need: Need = NO_TOKENS,
        *,
        model: Model = MODEL,
        user: str | None = None,
    ) -> Grant | None:
        """One more request."""
        self.requests += 1
        return self.governor.reserve(
            key,
            model,
            need,
            images=0,
            user=user,
            at_s=self.clock.at_s,
            request_id=f"r{self.requests}",
            family="openai",
        )

    def granted(self, key: Key, need: Need = NO_TOKENS, **more: Any) -> Grant:  # noqa: ANN401 - as `ask` has them
        """One that something binds, and that is served."""
        grant = self.ask(key, need, **more)
        assert grant is not None
        return grant

    def refused(self, key: Key, need: Need = NO_TOKENS, **more: Any) -> ApiError:  # noqa: ANN401 - the same
        """One that is not."""
        with pytest.raises(ApiError) as caught:
            self.ask(key, need, **more)
        return caught.value


@pytest.fixture
def seen(config: Config) -> Seen:
    return Seen(config)


def of_key(limits: Limits, *, per_user: bool = False) -> Key:
    return Key((LimitRule("key", 7, "batch", None, per_user, limits),))


def budget(
    amount: int = 10 * NANO, unit: str = "CNY", *, extra: dict[tuple[str, datetime], int] | None = None
) -> Budget:
    """Of the key, for a day."""
    fixed = MappingProxyType(extra or {})
    return Budget(1, "key", 7, "batch", None, False, unit, amount, "day", None, fixed)  # noqa: FBT003


def today(seen: Seen) -> datetime:
    return window_of("day", seen.clock.at, SHANGHAI).starts_at


def test_where_nothing_is_limited_nothing_is_reserved(seen: Seen) -> None:
    assert seen.ask(Key()) is None
    assert seen.table.entries_used == 0


def test_requests_per_minute(seen: Seen) -> None:
    key = of_key(Limits(requests_per_minute=3))
    for left in (2, 1, 0):
        headers = dict(seen.granted(key).headers())
        assert headers[b"x-ratelimit-limit-requests"] == b"3"
        assert headers[b"x-ratelimit-remaining-requests"] == b"%d" % left
    error = seen.refused(key)
    assert error.code == "rate_limit_exceeded"
    assert "key 'batch': 3 requests per minute" in error.message
    assert error.retry_after_s == pytest.approx(20, abs=1)
    assert dict(error.headers)[b"x-ratelimit-remaining-requests"] == b"0"
    assert seen.refusals == [("requests_per_minute", "key")]


def test_field_b1_tokens_are_reserved_before_and_settled_after(seen: Seen) -> None:
    """LiteLLM#18730: parallel requests passed a limit of tokens that was only counted afterwards."""
    key = of_key(Limits(tokens_per_minute=1000))
    first = seen.granted(key, Need(100, 500))
    assert "about" not in seen.refused(key, Need(100, 500)).message
    first.settle(150, 0)
    second = seen.granted(key, Need(100, 500))
    second.settle(900, 0)
    assert seen.refused(key, Need(1, 0)).retry_after_s == pytest.approx(3, abs=0.5)


def test_field_b1_a_refusal_has_reserved_nothing_anywhere(seen: Seen) -> None:
    """LiteLLM PR#27001: the first script counted before it checked, and never gave back."""
    key = of_key(Limits(requests_per_minute=10, tokens_per_minute=100, concurrent_requests=5))
    for _ in range(50):
        seen.refused(key, Need(101, 0))
    headers = dict(seen.granted(key, Need(100, 0)).headers())
    assert headers[b"x-ratelimit-remaining-requests"] == b"9"


def test_a_request_that_never_fits_is_told_so(seen: Seen) -> None:
    error = seen.refused(of_key(Limits(tokens_per_minute=100)), Need(101, 0))
    assert (error.retriable, error.retry_after_s) == (False, None)
    assert "about 101 tokens" in error.message


def test_more_output_than_the_limit_is_no_reason_to_refuse(seen: Seen) -> None:
    assert seen.ask(of_key(Limits(tokens_per_minute=100)), Need(50, 100_000)) is not None


def test_requests_at_once(seen: Seen) -> None:
    key = of_key(Limits(concurrent_requests=2))
    first, second = seen.granted(key), seen.granted(key)
    assert "key 'batch': 2 requests at once" in seen.refused(key).message
    first.settle(0, 0)
    third = seen.granted(key)
    second.cancel()
    third.cancel()
    for _ in range(2):
        seen.granted(key)


def test_a_grant_that_is_lost_leaks_nothing(seen: Seen) -> None:
    key = of_key(Limits(concurrent_requests=1))
    for _ in range(5):
        seen.granted(key)  # dropped at once


def test_the_strictest_limit_is_named_and_told(seen: Seen) -> None:
    rules = (
        LimitRule("key", 7, "batch", None, False, Limits(requests_per_minute=10)),  # noqa: FBT003
        LimitRule("project", 3, "research", None, False, Limits(requests_per_minute=1)),  # noqa: FBT003
    )
    key = Key(rules)
    assert dict(seen.granted(key).headers())[b"x-ratelimit-limit-requests"] == b"1"
    assert "project 'research': 1 requests per minute" in seen.refused(key).message


def test_each_user_has_a_limit_of_his_own(seen: Seen) -> None:
    key = of_key(Limits(requests_per_minute=1), per_user=True)
    for user in ("anna", "bert", None, "rpm:key:7"):
        seen.granted(key, user=user)
        assert "key 'batch'" in seen.refused(key, user=user).message
    assert "user 'anna' of key 'batch'" in seen.refused(key, user="anna").message


def test_all_keys_together_at_a_model(seen: Seen) -> None:
    model = Model(limits=Limits(requests_per_minute=2))
    seen.granted(Key(id=1), model=model)
    seen.granted(Key(id=2), model=model)
    assert "model 'm', for all keys together" in seen.refused(Key(id=3), model=model).message


def test_what_counts_no_tokens_counts_as_a_request(seen: Seen) -> None:
    key = of_key(Limits(requests_per_minute=2, tokens_per_minute=10, concurrent_requests=1))
    key = key._replace(budgets=(budget(0),))
    more: dict[str, Any] = {"user": None, "at_s": seen.clock.at_s, "family": "anthropic"}
    grant = asyncio.run(seen.governor.count(key, Model(), **more))
    assert grant is not None
    assert dict(grant.headers())[b"anthropic-ratelimit-requests-remaining"] == b"1"
    with pytest.raises(ApiError, match="1 requests at once"):
        asyncio.run(seen.governor.count(key, Model(), **more))
    grant.cancel()
    assert asyncio.run(seen.governor.count(Key(), Model(), **more)) is None


def test_a_changed_limit_is_in_force_at_once(seen: Seen) -> None:
    seen.granted(of_key(Limits(requests_per_minute=10)))
    assert seen.refused(of_key(Limits(requests_per_minute=1))).retry_after_s == pytest.approx(6, abs=1)
    seen.granted(of_key(Limits(requests_per_minute=4)))
    assert seen.ask(Key()) is None


def test_a_changed_config_is_in_force_at_once(seen: Seen, tmp_path: Path) -> None:
    assert seen.ask(Key()) is None
    seen.governor.use(load(tmp_path, "[limits]\nrequests_per_minute = 1\n" + with_upstream("")))
    seen.granted(Key())
    seen.refused(Key())


def test_users_without_number_do_not_fill_the_memory(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.limits.governor.MAX_PLANS", 10)
    key = of_key(Limits(requests_per_minute=5), per_user=True)
    for number in range(100):
        seen.granted(key, user=f"user {number}")
        assert len(seen.governor._plans) <= 10
    assert MAX_PLANS > 1000


# Budgets


def test_field_b2_parallel_requests_do_not_overspend(seen: Seen, price: Price) -> None:
    """LiteLLM#34732, sub2api#7002: check, then add after the answer, and N at once all pass."""
    key, model = Key(budgets=(budget(),)), Model(prices=(price,))
    answers = random.Random(1).choices(range(300, 550), k=20)
    grants = [seen.granted(key, Need(100, 500), model=model) for _ in range(20)]
    refusals = [seen.refused(key, Need(100, 500), model=model) for _ in range(180)]
    assert {error.code for error in refusals} == {"insufficient_quota"}
    spent = 0
    for grant, tokens in zip(grants, answers, strict=True):
        spent += tokens * NANO // 1000
        grant.settle(tokens, tokens * NANO // 1000)
    beyond_estimates = sum(max(used - 500, 0) for used in answers) * NANO // 1000
    assert spent <= 10 * NANO + beyond_estimates
    assert seen.refusals == [("budget", "key")] * 180


def test_field_b2_nothing_is_refused_for_money_that_was_never_spent(seen: Seen, price: Price) -> None:
    """LiteLLM#36926, new-api#4429: phantom spend, and reservations that never come back."""
    key, model = Key(budgets=(budget(),)), Model(prices=(price,))
    for number in range(1000):
        grant = seen.granted(key, Need(0, 9000), model=model)
        if number % 3 == 0:
            grant.cancel()
        elif number % 3 == 1:
            grant.settle(0, 0)
        else:
            del grant
    seen.granted(key, Need(0, 10_000), model=model)


def test_a_budget_holds_what_was_used_until_it_is_stored(seen: Seen, price: Price) -> None:
    key, model = Key(budgets=(budget(),)), Model(prices=(price,))
    seen.governor._bases = Bases({}, {1: "day"})
    for total in range(1, 11):
        seen.granted(key, Need(0, 500), model=model).settle(1000, NANO)
        if total % 2:
            continue
        starts_at = today(seen)
        ids = [f"r{seen.requests - 1}", f"r{seen.requests}", "another worker's"]
        seen.governor.stored(ids, [Spent(1, "", starts_at, total * NANO)])
        seen.governor.stored(ids, [])
        descriptor = f"budget:1:{int(starts_at.timestamp())}"
        assert seen.table.usage(descriptor, time.monotonic_ns()) == (total * NANO, 0, 0)
    error = seen.refused(key, Need(0, 1), model=model)
    assert "10.00 CNY spent, 0.00 CNY left" in error.message
    assert not seen.governor._unstored


def test_a_budget_admits_nothing_before_it_knows_what_is_spent(seen: Seen, price: Price) -> None:
    seen.governor._bases = Bases({(1, "", today(seen)): 10 * NANO}, {1: "day"})
    key, model = Key(budgets=(budget(),)), Model(prices=(price,))
    seen.refused(key, Need(0, 1), model=model)


def test_a_lifted_budget(seen: Seen, price: Price) -> None:
    seen.governor._bases = Bases({(1, "", today(seen)): 10 * NANO}, {1: "day"})
    key = Key(budgets=(budget(extra={("", today(seen)): NANO}),))
    model = Model(prices=(price,))
    seen.granted(key, Need(0, 1000), model=model).settle(1000, NANO)
    assert "11.00 CNY" in seen.refused(key, Need(0, 1), model=model).message


def test_the_next_day_is_another_window(seen: Seen, price: Price) -> None:
    key, model = Key(budgets=(budget(),)), Model(prices=(price,))
    seen.granted(key, Need(0, 10_000), model=model).settle(10_000, 10 * NANO)
    seen.refused(key, Need(0, 1), model=model)
    seen.clock.at = datetime(2026, 11, 26, 15, 59, 59, tzinfo=UTC)
    seen.refused(key, Need(0, 1), model=model)
    seen.clock.at = datetime(2026, 11, 26, 16, tzinfo=UTC)
    seen.granted(key, Need(0, 10_000), model=model)
    # A request that arrived before midnight belongs there, whenever it comes to this point.
    seen.clock.at = datetime(2026, 11, 26, 15, 59, 59, tzinfo=UTC)
    seen.refused(key, Need(0, 1), model=model)


def test_a_budget_of_tokens_needs_no_price(seen: Seen) -> None:
    key = Key(budgets=(budget(1000, "tokens"),))
    model = Model(prices=(None,))
    seen.granted(key, Need(400, 600), model=model).settle(900, 0)
    seen.granted(key, Need(50, 50), model=model)
    assert "1,000 tokens a day" in seen.refused(key, Need(50, 51), model=model).message


def test_a_model_without_a_price_is_refused_under_a_budget_of_money(
    seen: Seen, price: Price, tmp_path: Path
) -> None:
    """cliproxyapi-dashboard#236, sub2api#7523: what is unknown cost nothing."""
    key = Key(budgets=(budget(),))
    for prices in ((None,), (price, None)):
        assert seen.refused(key, Need(1, 1), model=Model(prices=prices)).code == "unpriced_model"
    seen.governor.use(load(tmp_path, '[prices]\nunpriced = "allow"\n' + with_upstream("")))
    seen.granted(key, Need(1, 1), model=Model(prices=(None,)))


def test_what_is_left_of_the_budget_that_ends_first(seen: Seen, price: Price) -> None:
    few = budget(1000, "tokens")
    many = Budget(2, "project", 3, "research", None, False, "CNY", 9 * NANO, "month", None)  # noqa: FBT003
    model = Model(prices=(price,))
    grant = seen.granted(Key(budgets=(few, many)), Need(100, 100), model=model)
    assert dict(grant.headers())[b"x-llmgw-budget-remaining"] == b"800 tokens; day"
    grant = seen.granted(Key(budgets=(budget(10_000, "tokens"), many)), Need(0, 5800), model=model)
    assert dict(grant.headers())[b"x-llmgw-budget-remaining"] == b"3.20 CNY; month"


def test_while_the_database_fails_budgets_stop_before_the_memory_is_full(
    seen: Seen, price: Price, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmgw.limits.governor.MAX_UNSTORED", 5)
    key, model = Key(budgets=(budget(),)), Model(prices=(price,))
    for _ in range(5):
        seen.granted(key, Need(0, 1), model=model).settle(1, 1)
    error = seen.refused(key, Need(0, 1), model=model)
    assert (error.code, error.retriable) == ("overloaded", True)
    assert seen.ask(Key(id=8), model=model) is None
    seen.governor.stored(["r1"], [])
    seen.granted(key, Need(0, 1), model=model)


def test_two_workers_at_the_last_yuan(config: Config, price: Price) -> None:
    table = LimitTable.in_memory()
    first, second = Seen(config, table), Seen(config, table.another_slot())
    key, model = Key(budgets=(budget(NANO),)), Model(prices=(price,))
    kept = first.granted(key, Need(0, 1000), model=model)
    second.refused(key, Need(0, 1000), model=model)
    kept.cancel()
    second.granted(key, Need(0, 1000), model=model)


def test_a_killed_worker_leaks_nothing(config: Config, price: Price) -> None:
    table = LimitTable.in_memory()
    killed, other = Seen(config, table.another_slot()), Seen(config, table)
    key = of_key(Limits(concurrent_requests=1))._replace(budgets=(budget(NANO),))
    model = Model(prices=(price,))
    kept = killed.granted(key, Need(0, 1000), model=model)
    other.refused(key, Need(0, 1000), model=model)
    killed.table.abandon()
    other.governor.tick()
    other.granted(key, Need(0, 1000), model=model)
    del kept


def test_the_message_has_no_line_of_a_user_s_own(seen: Seen) -> None:
    key = of_key(Limits(requests_per_minute=1), per_user=True)
    seen.granted(key, user="a'b")
    assert re.search(r"user \"a'b\" of key 'batch'", seen.refused(key, user="a'b").message)
