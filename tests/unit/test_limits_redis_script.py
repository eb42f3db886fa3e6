"""The script of the limits in Redis: against a model that was written without it, and at its edges."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from llmgw.limits.redis import script
from llmgw.limits.redis.script import (
    EXACT,
    PERIOD_PS,
    Call,
    Correction,
    HoldCost,
    Holding,
    Mark,
    RateCost,
    Reserved,
    cost_ps,
)
from tests.support.limit_model import Charge, Model
from tests.support.redis import RedisServer

MS_PS = 10**9
COSTS_PS = (300_000_001, MS_PS, 3 * MS_PS, 8 * MS_PS, 20_000 * MS_PS, PERIOD_PS)
"""From what drains between two steps to what never does."""
LEASES_US = (1_500, 60_000_000)
KEPT_MS = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


def run(redis: Redis, call: Call) -> Any:  # noqa: ANN401  (whatever the script says)
    return redis.eval(script.SCRIPT, len(call.keys), *call.keys, *call.arguments)


def reserve(
    redis: Redis, grant: str, rates: list[RateCost], holds: list[HoldCost], *, lease_us: int = 60_000_000
) -> Reserved:
    reply = run(redis, script.reserve(grant, rates, holds, epoch=0, lease_us=lease_us))
    return script.read_reserved(reply, len(rates), len(holds))


def budget(amount: int, limit: int, base: int = 0, key: str = "{llmgw}:budget:1:0") -> HoldCost:
    return HoldCost(Holding(key, amount, KEPT_MS), limit, base)


def test_the_whole_limit_fits_at_once_and_not_one_more(redis: Redis) -> None:
    for limit in (1, 2, 3, 7, 11, 13, 60, 97):
        key = f"{{llmgw}}:rpm:key:{limit}"
        states = [
            reserve(redis, "{llmgw}:grant:x", [RateCost(key, cost_ps(1, limit))], []).state
            for _ in range(limit + 1)
        ]
        assert states == [1] * limit + [0], limit


def test_integers_are_exact_up_to_two_to_the_53(redis: Redis) -> None:
    assert reserve(redis, "{llmgw}:grant:a", [], [budget(1, EXACT, EXACT - 2)]).used == [(EXACT - 2, 1)]
    assert reserve(redis, "{llmgw}:grant:b", [], [budget(2, EXACT)]).state == 0
    assert reserve(redis, "{llmgw}:grant:c", [], [budget(1, EXACT)]).used == [(EXACT - 2, 2)]
    assert reserve(redis, "{llmgw}:grant:d", [], [budget(0, EXACT)]).state == 1
    assert reserve(redis, "{llmgw}:grant:e", [], [budget(0, EXACT - 1)]).state == 0
    assert reserve(redis, "{llmgw}:grant:f", [], [budget(EXACT, EXACT, 0, "{llmgw}:budget:2:0")]).state == 1
    assert reserve(redis, "{llmgw}:grant:g", [], [budget(1, EXACT, 0, "{llmgw}:budget:2:0")]).state == 0


def test_a_refusal_has_changed_nothing(redis: Redis) -> None:
    """field.md B.1: a script that counted before it checked, and gave nothing back."""
    rates = [
        RateCost("{llmgw}:rpm:key:1", cost_ps(1, 100)),
        RateCost("{llmgw}:tpm:key:1", cost_ps(900, 1000)),
    ]
    assert reserve(redis, "{llmgw}:grant:a", rates, [budget(60, 100)]).state == 1

    def everything() -> dict[object, object]:
        return {key: redis.dump(key) for key in redis.scan_iter()}

    before = everything()
    for refused in (
        (rates, [budget(1, 100)]),  # the second rate
        (rates[:1], [budget(41, 100)]),  # the budget
        (rates[:1], [budget(1, 100, key="{llmgw}:budget:9:0"), budget(41, 100)]),  # the second budget
        ([RateCost("{llmgw}:rpm:key:9", PERIOD_PS + 1)], []),
        (rates[:1], [budget(1, 100, 100)]),  # what the caller knows of the base
    ):
        assert reserve(redis, "{llmgw}:grant:b", *refused).state == 0
        assert everything() == before


def test_nothing_is_taken_for_those_who_wait_no_more(redis: Redis) -> None:
    [now_us, epoch] = run(redis, script.renew([], lease_us=1))
    for until_us, known, state in [
        (now_us - 1, 0, script.TOO_LATE),
        (now_us + 60_000_000, epoch, script.GRANTED),
        (now_us + 60_000_000, epoch + 1, script.OTHER_EPOCH),
    ]:
        rates = [RateCost("{llmgw}:rpm:key:1", PERIOD_PS)]
        call = script.reserve("{llmgw}:grant:a", rates, [], epoch=known, lease_us=1, until_us=until_us)
        reply = script.read_reserved(run(redis, call), 1, 0)
        assert (reply.state, reply.epoch) == (state, epoch)
        assert redis.exists("{llmgw}:rpm:key:1") == (reply.state == script.GRANTED or known == epoch + 1)


def test_every_key_expires(redis: Redis) -> None:
    reserve(redis, "{llmgw}:grant:a", [RateCost("{llmgw}:rpm:key:1", 10**12)], [budget(60, 100)])
    run(redis, script.store([("{llmgw}:budget:7:0", 5)], []))
    run(redis, script.put("{llmgw}:grant:b", [], [Holding("{llmgw}:budget:8:0", 3, KEPT_MS)], lease_us=10**6))
    run(redis, script.renew(["{llmgw}:grant:a"], lease_us=10**6))
    kept_ms = {key: redis.pttl(key) for key in redis.scan_iter()}
    assert len(kept_ms) == 9
    assert [key for key, left_ms in kept_ms.items() if int(left_ms) <= 0] == []


def test_what_nobody_holds_is_not_kept(redis: Redis) -> None:
    hold = HoldCost(Holding("{llmgw}:concurrent:key:1", 1, KEPT_MS), 5, 0)
    reserve(redis, "{llmgw}:grant:a", [], [hold])
    run(redis, script.put("{llmgw}:grant:a", [], [], lease_us=10**6))
    assert redis.keys() == [b"{llmgw}:epoch"]


def test_a_lease_that_nobody_renews_is_given_back(redis: Redis) -> None:
    """field.md B.1: a killed machine must not leak places."""
    hold = HoldCost(Holding("{llmgw}:concurrent:key:1", 1, KEPT_MS), 2, 0)
    assert reserve(redis, "{llmgw}:grant:dead", [], [hold], lease_us=2_000_000).state == 1
    assert reserve(redis, "{llmgw}:grant:alive", [], [hold], lease_us=2_000_000).state == 1
    assert reserve(redis, "{llmgw}:grant:new", [], [hold]).state == 0
    run(redis, script.renew(["{llmgw}:grant:alive"], lease_us=60_000_000))
    deadline_s = time.monotonic() + 20
    while reserve(redis, "{llmgw}:grant:new", [], [hold]).state == 0:
        assert time.monotonic() < deadline_s
    assert reserve(redis, "{llmgw}:grant:more", [], [hold]).state == 0
    unknown = run(redis, script.renew(["{llmgw}:grant:alive", "{llmgw}:grant:dead"], lease_us=60_000_000))
    assert script.read_renewed(unknown).unknown == [1]


def test_a_put_may_be_repeated(redis: Redis) -> None:
    reserve(redis, "{llmgw}:grant:a", [], [budget(60, 100)])
    for amount in (40, 40, 70, 70):
        call = script.put(
            "{llmgw}:grant:a", [], [Holding("{llmgw}:budget:1:0", amount, KEPT_MS)], lease_us=10**7
        )
        for _ in range(2):
            run(redis, call)
        assert redis.hget("{llmgw}:budget:1:0", "held") == str(amount).encode()
    for _ in range(2):
        run(redis, script.put("{llmgw}:grant:a", [], [], lease_us=10**7))
    assert not redis.exists("{llmgw}:budget:1:0")


def test_a_hold_that_is_left_out_is_given_back_once(redis: Redis) -> None:
    place = HoldCost(Holding("{llmgw}:concurrent:key:1", 1, KEPT_MS), 5, 0)
    for grant in "abc":
        reserve(redis, f"{{llmgw}}:grant:{grant}", [], [place, budget(10, 100)])
    for holds in ([Holding("{llmgw}:budget:1:0", 7, KEPT_MS)], []):
        run(redis, script.put("{llmgw}:grant:a", [], holds, lease_us=10**7))
    assert redis.hget("{llmgw}:concurrent:key:1", "held") == b"2"
    assert redis.hget("{llmgw}:budget:1:0", "held") == b"20"


def test_a_clock_that_is_set_back_stops_nothing(redis: Redis) -> None:
    """As far as the data can tell: the rate's last change is an hour in the future."""
    seconds, micros = redis.time()
    later_us = (seconds + 3600) * 10**6 + micros
    redis.set("{llmgw}:rpm:key:1", f"{later_us} {PERIOD_PS // 2} 0 {later_us}")
    rate = RateCost("{llmgw}:rpm:key:1", PERIOD_PS // 4)
    assert [reserve(redis, "{llmgw}:grant:x", [rate], []).state for _ in range(3)] == [1, 1, 0]


def test_debts_are_capped_at_an_hour(redis: Redis) -> None:
    for _ in range(3):
        run(redis, script.put("{llmgw}:grant:a", [Correction("{llmgw}:tpm:key:1", EXACT)], [], lease_us=1))
    [mark] = reserve(redis, "{llmgw}:grant:b", [RateCost("{llmgw}:tpm:key:1", 1)], []).marks
    assert 0.99 < mark.ahead_ps / (61 * PERIOD_PS) <= 1


def test_what_has_drained_is_not_given_back(redis: Redis) -> None:
    """Reserve all, let it drain, let another reserve all: what the first gives back is not the other's."""
    limit = 60_000_000
    rate = RateCost("{llmgw}:tpm:key:1", cost_ps(20_000, limit))
    first = reserve(redis, "{llmgw}:grant:a", [rate], [])
    begun_us = first.now_us
    while (second := reserve(redis, "{llmgw}:grant:b", [RateCost(rate.key, PERIOD_PS)], [])).state == 0:
        assert second.now_us - begun_us < 5_000_000
    run(
        redis,
        script.put("{llmgw}:grant:a", [Correction(rate.key, -rate.cost_ps, first.marks[0])], [], lease_us=1),
    )
    third = reserve(redis, "{llmgw}:grant:c", [RateCost(rate.key, PERIOD_PS)], [])
    assert third.state == 0
    assert third.marks[0].ahead_ps == PERIOD_PS - (third.now_us - second.now_us) * 10**6


def give_back(redis: Redis, grant: str, rate: RateCost, mark: Mark) -> None:
    run(redis, script.put(grant, [Correction(rate.key, -rate.cost_ps, mark)], [], lease_us=1))


def test_what_has_drained_before_others_is_not_given_back(redis: Redis) -> None:
    """The rate is never empty here; what is left in it is another's."""
    small, large = (RateCost("{llmgw}:tpm:key:1", cost) for cost in (3 * MS_PS, 30_000 * MS_PS))
    first = reserve(redis, "{llmgw}:grant:a", [small], [])
    reserve(redis, "{llmgw}:grant:b", [large], [])
    time.sleep(0.004)
    before = reserve(redis, "{llmgw}:grant:c", [RateCost(small.key, 0)], [])
    give_back(redis, "{llmgw}:grant:a", small, first.marks[0])
    after = reserve(redis, "{llmgw}:grant:c", [RateCost(small.key, 0)], [])
    assert before.marks[0].ahead_ps - after.marks[0].ahead_ps == (after.now_us - before.now_us) * 10**6


@pytest.mark.parametrize("empties", [False, True], ids=["never empty", "empty in between"])
def test_what_others_got_back_has_drained_ours_earlier(redis: Redis, *, empties: bool) -> None:
    first_rate, second_rate = (RateCost("{llmgw}:tpm:key:1", cost * MS_PS) for cost in (30_000, 3))
    first = reserve(redis, "{llmgw}:grant:a", [first_rate], [])
    second = reserve(redis, "{llmgw}:grant:b", [second_rate], [])
    give_back(redis, "{llmgw}:grant:a", first_rate, first.marks[0])
    # The second one drains in 3 ms, though its mark was 30 s ahead.
    if empties:
        time.sleep(0.004)
    third = reserve(redis, "{llmgw}:grant:c", [first_rate], [])
    assert third.state == 1
    time.sleep(0.004)
    give_back(redis, "{llmgw}:grant:b", second_rate, second.marks[0])
    after = reserve(redis, "{llmgw}:grant:d", [RateCost(first_rate.key, 0)], [])
    assert third.marks[0].ahead_ps - after.marks[0].ahead_ps == (after.now_us - third.now_us) * 10**6


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("reserve"),
            st.lists(
                st.tuples(st.integers(0, 2), st.sampled_from(COSTS_PS)),
                max_size=3,
                unique_by=lambda rate: rate[0],
            ),
            st.lists(
                st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 60)),
                max_size=3,
                unique_by=lambda h: h[0],
            ),
            st.sampled_from(LEASES_US),
        ),
        st.tuples(
            st.just("settle"), st.integers(0, 9), st.sampled_from((-100, -60, 0, 70)), st.integers(0, 40)
        ),
        st.tuples(st.just("close"), st.integers(0, 9), st.sampled_from((-100, -30)), st.integers(0, 100)),
        st.tuples(st.just("renew"), st.sampled_from(LEASES_US)),
        st.tuples(st.just("wait"), st.sampled_from((0.0005, 0.002, 0.004))),
    ),
    max_size=40,
)


@given(steps=STEPS)
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_script_does_what_the_model_does(redis: Redis, steps: list[tuple[Any, ...]]) -> None:
    redis.flushall()
    model = Model()
    names = itertools.count()
    open_: list[tuple[str, list[tuple[Mark, Charge, int]], list[str]]] = []
    for step in steps:
        match step:
            case ("reserve", wanted_rates, wanted_holds, lease_us):
                grant = f"{{llmgw}}:grant:{next(names)}"
                rates = [RateCost(f"{{llmgw}}:rpm:key:{at}", cost) for at, cost in wanted_rates]
                holds = [
                    budget(amount, 60, base, f"{{llmgw}}:budget:{at}:0") for at, amount, base in wanted_holds
                ]
                reply = reserve(redis, grant, rates, holds, lease_us=lease_us)
                charges = model.reserve(
                    grant,
                    {rate.key: rate.cost_ps for rate in rates},
                    {hold.holding.key: (hold.holding.amount, hold.limit, hold.base) for hold in holds},
                    now_us=reply.now_us,
                    lease_us=lease_us,
                )
                assert reply.state == (charges is not None)
                assert [mark.ahead_ps for mark in reply.marks] == [
                    model.level(rate.key, reply.now_us) for rate in rates
                ]
                assert [(base, held) for base, held in reply.used] == [
                    (max(model.hold(hold.holding.key).base, hold.base), model.hold(hold.holding.key).held)
                    for hold in holds
                ]
                if charges is not None:
                    costs = [rate.cost_ps for rate in rates]
                    open_.append(
                        (
                            grant,
                            list(zip(reply.marks, charges, costs, strict=True)),
                            [h.holding.key for h in holds],
                        )
                    )
            case ("settle" | "close" as kind, at, percent, amount) if open_:
                place = at % len(open_)
                grant, taken, keys = open_[place]
                differences = [cost * percent // 100 for _, _, cost in taken]
                corrections = [
                    Correction(charge.bucket, difference, mark)
                    for (mark, charge, _), difference in zip(taken, differences, strict=True)
                ]
                kept = dict.fromkeys(keys[1:], amount)
                call = script.put(
                    grant,
                    corrections,
                    [Holding(key, held, KEPT_MS) for key, held in kept.items()],
                    lease_us=10**7,
                )
                [now_us] = run(redis, call)
                charged = [charge for _, charge, _ in taken]
                model.put(grant, zip(charged, differences, strict=True), kept, now_us=now_us, lease_us=10**7)
                if kind == "settle":
                    open_[place] = (grant, [], keys[1:])
                else:
                    del open_[place]
                    run(redis, script.store([(key, amount) for key in keys], [grant, "{llmgw}:grant:none"]))
                    model.release(grant)
                    for key in keys:
                        model.hold(key).base = max(model.hold(key).base, amount)
            case ("renew", lease_us):
                grants = [grant for grant, _, _ in open_]
                renewed = script.read_renewed(run(redis, script.renew(grants, lease_us=lease_us)))
                unknown = model.renew(grants, now_us=renewed.now_us, lease_us=lease_us)
                assert {grants[place] for place in renewed.unknown} == unknown
            case ("wait", duration_s):
                time.sleep(duration_s)
