"""Limits across the boundary: what a plan grants and refuses, what it says about it, who may use it."""

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import pytest

from llmgw._core import LimitPlan, LimitTable, Refusal, Reservation, budget_headers, limit_headers

S: Final = 1_000_000_000
MINUTE: Final = 60 * S
NOW: Final = 5_000 * S


def granted(
    plan: LimitPlan, now_ns: int = NOW, *, tokens: int = 0, output: int = 0, cost: int = 0
) -> Reservation:
    outcome = plan.reserve(now_ns, input_tokens=tokens, output_tokens=output, cost_nano=cost)
    assert isinstance(outcome, Reservation)
    return outcome


def refused(
    plan: LimitPlan, now_ns: int = NOW, *, tokens: int = 0, output: int = 0, cost: int = 0
) -> Refusal:
    outcome = plan.reserve(now_ns, input_tokens=tokens, output_tokens=output, cost_nano=cost)
    assert isinstance(outcome, Refusal)
    return outcome


def in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_rate_grants_its_limit_at_once_and_then_as_it_drains() -> None:
    plan = LimitPlan(LimitTable.in_memory(), [("rpm:key:1", "requests", 3)], [])
    kept = [granted(plan) for _ in range(3)]
    refusal = refused(plan)
    assert (refusal.index, refusal.is_rate, refusal.limit, refusal.remaining) == (0, True, 3, 0)
    assert refusal.retry_after_s == pytest.approx(20.0)
    for reservation in kept:
        reservation.settle(NOW, tokens=0, cost_nano=0)
    assert isinstance(refused(plan), Refusal), "a request that has ended stays counted"
    granted(plan, NOW + 20 * S)


def test_field_b1_tokens_are_reserved_then_settled_and_what_is_used_beyond_is_owed() -> None:
    plan = LimitPlan(LimitTable.in_memory(), [("tpm:key:1", "tokens", 1000)], [])
    first = granted(plan, tokens=100, output=700)
    assert refused(plan, tokens=201).remaining == 200
    first.settle(NOW, tokens=300, cost_nano=0)
    second = granted(plan, tokens=700)
    second.settle(NOW, tokens=1700, cost_nano=0)
    assert refused(plan, tokens=1).retry_after_s == pytest.approx(60.06), "what is used beyond is owed"


def test_field_b1_a_refusal_has_taken_nothing_of_any_limit() -> None:
    table = LimitTable.in_memory()
    rates = [("rpm:key:1", "requests", 5), ("tpm:key:1", "tokens", 100)]
    holds = [("concurrent:key:1", "requests", 9), ("budget:1:0", "nano", 50)]
    plan = LimitPlan(table, rates, holds)  # type: ignore[arg-type]
    for _ in range(20):
        assert refused(plan, cost=51).index == 3
    assert table.usage("concurrent:key:1", NOW) == (0, 0, 0)
    assert table.usage("rpm:key:1", NOW) == (0, 0, 0)
    assert plan.strictest(NOW) == ((5, 5, 0.0), (100, 100, 0.0))


@pytest.mark.parametrize(
    ("tokens", "output", "retry_after_s"),
    [(100, 0, 0), (10, 1_000_000, 0), (100, 1, 0), (101, 0, None)],
)
def test_a_reservation_larger_than_the_limit_is_cut_unless_its_input_alone_is(
    tokens: int, output: int, retry_after_s: float | None
) -> None:
    plan = LimitPlan(LimitTable.in_memory(), [("tpm:key:1", "tokens", 100)], [])
    outcome = plan.reserve(NOW, input_tokens=tokens, output_tokens=output, cost_nano=0)
    assert isinstance(outcome, Refusal) == (retry_after_s is None)
    if isinstance(outcome, Refusal):
        assert outcome.retry_after_s is None


def test_concurrency_is_given_back_when_the_request_ends_and_a_budget_when_it_is_stored() -> None:
    table = LimitTable.in_memory()
    plan = LimitPlan(table, [], [("concurrent:key:1", "requests", 1), ("budget:1:0", "nano", 100)])
    first = granted(plan, cost=60)
    assert (refused(plan, cost=0).index, refused(plan, cost=0).retry_after_s) == (0, 1.0)
    first.settle(NOW, tokens=5, cost_nano=80)
    refusal = refused(plan, cost=21)
    assert (refusal.index, refusal.is_rate, refusal.limit, refusal.remaining) == (1, False, 100, 20)
    assert refusal.retry_after_s is None
    with pytest.raises(RuntimeError, match="settle"):
        granted(plan, cost=0).stored()
    table.raise_base("budget:1:0", 80)
    first.stored()
    first.stored()
    assert table.usage("budget:1:0", NOW) == (80, 0, 0)
    table.raise_base("budget:1:0", 70)
    assert refused(plan, cost=21).remaining == 20, "a base is only ever raised"


def test_field_b2_what_is_stored_never_counts_twice() -> None:
    table = LimitTable.in_memory()
    plan = LimitPlan(table, [], [("budget:1:0", "nano", 100), ("budget:2:0", "tokens", 100)])
    kept = [granted(plan, tokens=10, cost=10) for _ in range(5)]
    with pytest.raises(RuntimeError, match="settle"):
        table.stored([("budget:1:0", 50)], kept)
    assert table.usage("budget:1:0", NOW) == (0, 50, 0)
    for reservation in kept:
        reservation.settle(NOW, tokens=8, cost_nano=12)
    table.stored([("budget:1:0", 60), ("budget:2:0", 40, NOW)], [*kept, kept[0]])
    table.stored([], kept)
    assert table.usage("budget:1:0", NOW) == (60, 0, 0)
    assert table.usage("budget:2:0", NOW) == (40, 0, 0)
    held = granted(plan, cost=30)
    refusal = refused(plan, cost=20)
    assert (refusal.spent, refusal.remaining) == (60, 10)
    held.settle(NOW, tokens=0, cost_nano=3)
    table.stored([("budget:1:0", 50)], [held])
    assert table.usage("budget:1:0", NOW) == (60, 0, 0), "a base is only ever raised"


def test_cancelled_reservations_give_back_all_but_the_request_and_dropped_ones_what_they_hold() -> None:
    table = LimitTable.in_memory()
    rates = [("rpm:key:1", "requests", 10), ("tpm:key:1", "tokens", 100)]
    plan = LimitPlan(table, rates, [("concurrent:key:1", "requests", 2), ("budget:1:0", "tokens", 100)])  # type: ignore[arg-type]
    cancelled = granted(plan, tokens=60)
    dropped = granted(plan, tokens=40)
    cancelled.cancel(NOW)
    cancelled.settle(NOW, tokens=99, cost_nano=99)
    cancelled.stored()
    del dropped
    gc.collect()
    assert plan.strictest(NOW) == ((10, 8, 12.0), (100, 60, 24.0))
    assert table.usage("concurrent:key:1", NOW) == (0, 0, 0)
    assert table.usage("budget:1:0", NOW) == (0, 0, 0)


def test_headers_of_the_strictest_rate_of_each_unit() -> None:
    table = LimitTable.in_memory()
    rates = [
        ("rpm:key:1", "requests", 100),
        ("rpm:project:1", "requests", 60),
        ("tpm:key:1", "tokens", 1000),
    ]
    plan = LimitPlan(table, rates, [])  # type: ignore[arg-type]
    reservation = granted(plan, tokens=100)
    granted(plan, tokens=100)
    openai = [
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-reset-requests", b"1s"),
        (b"x-ratelimit-limit-tokens", b"1000"),
        (b"x-ratelimit-remaining-tokens", b"900"),
        (b"x-ratelimit-reset-tokens", b"6s"),
    ]
    assert reservation.headers("openai", 0.0) == openai
    assert (
        dict(reservation.headers("anthropic", 0.0))[b"anthropic-ratelimit-tokens-reset"]
        == b"1970-01-01T00:00:06Z"
    )
    assert reservation.strictest == ((60, 59, 1.0), (1000, 900, 6.0))
    only_tokens = LimitPlan(table, [("tpm:key:2", "tokens", 10)], [])
    names = [name for name, _ in refused(only_tokens, tokens=11).headers("openai", 0.0)]
    assert names == [
        b"x-ratelimit-limit-tokens",
        b"x-ratelimit-remaining-tokens",
        b"x-ratelimit-reset-tokens",
    ]
    with pytest.raises(ValueError, match="family"):
        reservation.headers("other", 0.0)  # type: ignore[arg-type]


def test_headers_tell_of_the_budget_of_which_least_is_left() -> None:
    table = LimitTable.in_memory()
    table.raise_base("budget:2:0", 30)
    of_money: tuple[str, Literal["nano"], int] = "budget:1:0", "nano", 4 * S
    told = [(of_money, "CNY; day"), (("budget:2:0", "tokens", 100), "tokens; month")]
    plan = LimitPlan(table, [], [of_money], told=told)  # type: ignore[arg-type]
    first = granted(plan, cost=S)
    assert first.headers("openai", 0.0) == [(b"x-llmgw-budget-remaining", b"70 tokens; month")]
    second = granted(plan, cost=1_234_560_000)
    for each in (first, second):  # what is left now, whoever holds it
        assert each.headers("anthropic", 0.0) == [(b"x-llmgw-budget-remaining", b"1.7654 CNY; day")]
    first.settle(NOW, 0, 0)
    assert second.headers("openai", 0.0) == [(b"x-llmgw-budget-remaining", b"2.7654 CNY; day")]
    refusal = refused(plan, cost=3 * S)
    assert refusal.headers("openai", 0.0) == plan.headers(NOW, "openai", 0.0) == second.headers("openai", 0.0)
    elsewhere = [(4, 3, False, "tokens; day"), (10 * S, 7 * S, True, "CNY; month")]
    assert budget_headers(elsewhere) == [(b"x-llmgw-budget-remaining", b"7.00 CNY; month")]
    assert budget_headers([]) == []


def test_field_b2_what_a_killed_worker_had_reserved_comes_back_with_a_sweep() -> None:
    table = LimitTable.in_memory()
    other = table.another_slot()
    holds = [("concurrent:key:1", "requests", 2)]
    mine, theirs = LimitPlan(table, [], holds), LimitPlan(other, [], holds)  # type: ignore[arg-type]
    kept = [granted(mine), granted(theirs)]
    refused(mine)
    assert table.sweep() == 0
    other.abandon()
    del kept[1]
    refused(mine)
    assert table.sweep() == 1
    granted(mine)
    with pytest.raises(RuntimeError, match="abandoned"):
        theirs.reserve(NOW, input_tokens=0, output_tokens=0, cost_nano=0)


@pytest.mark.parametrize(
    ("rates", "holds", "error"),
    [
        ([("a", "requests", -1)], [], OverflowError),
        ([("a", "nano", 1)], [], ValueError),
        ([], [("a", "minutes", 1)], ValueError),
        ([], [("a", "requests", 2**64)], OverflowError),
        ([("a", "requests")], [], ValueError),
    ],
)
def test_limits_that_are_none(rates: object, holds: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        LimitPlan(LimitTable.in_memory(), rates, holds)  # type: ignore[arg-type]


def test_a_forked_child_can_use_nothing_and_gives_back_nothing(tmp_path: Path) -> None:
    table = LimitTable.open(str(tmp_path))
    plan = LimitPlan(table, [], [("concurrent:key:1", "requests", 1)])
    reservation = granted(plan)
    child = os.fork()
    if child == 0:
        status = 0
        for call in (reservation.cancel, table.sweep, lambda: plan.strictest(0)):
            try:
                call()
                status = 1
            except RuntimeError:
                pass
        del reservation, plan, table
        gc.collect()
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert table.usage("concurrent:key:1", NOW) == (0, 1, 0)
    reservation.cancel()


def test_field_b1_parallel_requests_do_not_pass_the_limit_on_tokens() -> None:
    table = LimitTable.in_memory()
    plan = LimitPlan(table, [("tpm:key:1", "tokens", 100)], [])
    kept: list[Reservation] = []

    def ask() -> None:
        for _ in range(50):
            outcome = plan.reserve(NOW, input_tokens=3, output_tokens=4, cost_nano=0)
            if isinstance(outcome, Reservation):
                kept.append(outcome)

    in_threads(ask, 4)
    assert len(kept) == 14
    for reservation in kept:
        reservation.settle(NOW, tokens=7, cost_nano=0)
    assert refused(plan, tokens=3).remaining == 2


def test_threads_share_a_slot() -> None:
    table = LimitTable.in_memory()
    plan = LimitPlan(table, [], [("concurrent:key:1", "requests", 5)])
    kept: list[Reservation] = []

    def ask() -> None:
        for _ in range(200):
            outcome = plan.reserve(NOW, input_tokens=0, output_tokens=0, cost_nano=0)
            if isinstance(outcome, Reservation):
                kept.append(outcome)

    in_threads(ask, 4)
    assert len(kept) == 5


def test_the_clock_of_a_cancellation_is_the_monotonic_one_by_default() -> None:
    plan = LimitPlan(LimitTable.in_memory(), [("tpm:key:1", "tokens", 100)], [])
    now_ns = time.monotonic_ns()
    granted(plan, now_ns, tokens=100).cancel()
    _, tokens = plan.strictest(now_ns)
    assert tokens is not None
    assert tokens[1] >= 99


def test_a_rate_that_was_counted_elsewhere_begins_as_full() -> None:
    table, now = LimitTable.in_memory(), 10**12
    plan = LimitPlan(table, [("rpm:key:1", "requests", 10)], [])
    for level_s, left in [(30, 5), (6, 5), (600, 0)]:  # never less full than before, a minute at most
        table.fill_rate("rpm:key:1", now, level_s * 10**9)
        requests, _ = plan.strictest(now)
        assert requests is not None
        assert requests[:2] == (10, left)


def test_headers_of_what_was_counted_elsewhere() -> None:
    assert limit_headers(((10, 4, 36.0), None), "openai", 0.0) == [
        (b"x-ratelimit-limit-requests", b"10"),
        (b"x-ratelimit-remaining-requests", b"4"),
        (b"x-ratelimit-reset-requests", b"36s"),
    ]
    assert [name for name, _ in limit_headers((None, (10, 4, 36.0)), "anthropic", 0.0)] == [
        b"anthropic-ratelimit-tokens-limit",
        b"anthropic-ratelimit-tokens-remaining",
        b"anthropic-ratelimit-tokens-reset",
    ]
    with pytest.raises(ValueError, match="no family"):
        limit_headers((None, None), "other", 0.0)  # type: ignore[arg-type]
