"""Limits in Redis as a worker uses them: exact while it is there, a share while it is gone, exact again."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from llmgw._core import LimitPlan, LimitTable, Reservation
from llmgw.limits.redis import RedisLimits, SharedRefusal, SharedReservation
from llmgw.limits.redis.keeper import SETTLE_S
from llmgw.limits.redis.plan import Hold, Rate
from llmgw.limits.redis.script import CONTROL_KEYS, EXACT
from llmgw.limits.redis.server import TIMEOUT_S
from llmgw.redis import connect
from tests.support.hostile_redis import REPLIES, hostile_redis
from tests.support.limits_redis import GENEROUS_S, ask, count_granted, granted, refused, until, workers
from tests.support.limits_worker import COUNTS
from tests.support.processes import ROOT
from tests.support.redis import RedisServer

RPM: Rate = ("rpm:key:1", "requests", 10)
TPM: Rate = ("tpm:key:1", "tokens", 1000)
PLACES: Hold = ("concurrent:key:1", "requests", 10, None)
BUDGET: Hold = ("budget:1:1795651200", "nano", 1000, None)


def drained(begun_s: float, limit: int) -> float:
    """What a rate has forgotten since then, at most: a busy machine may have taken long."""
    return (time.monotonic() - begun_s) * limit / 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.mark.parametrize(
    ("rates", "holds", "tokens", "cost_nano", "expected"),
    [
        ([RPM], [], 0, 0, 10),
        ([TPM], [], 300, 0, 3),
        ([RPM, ("rpm:model:m", "requests", 7)], [], 0, 0, 7),
        ([], [PLACES], 0, 0, 10),
        ([], [BUDGET], 0, 90, 11),
        ([], [("budget:2:1", "tokens", 1000, None)], 90, 0, 11),
        ([RPM, TPM], [PLACES, BUDGET], 100, 200, 5),
    ],
    ids=["requests", "tokens", "two rates", "concurrency", "money", "a budget of tokens", "all"],
)
def test_field_b1_parallel_requests_do_not_pass_a_limit(
    server: RedisServer, rates: list[Rate], holds: list[Hold], tokens: int, cost_nano: int, expected: int
) -> None:
    """LiteLLM#18730, #34732: many at once, of four workers on two machines."""

    async def run() -> int:
        async with workers(server.url, 4) as made:
            plans = [limits.plan(rates, holds) for limits in made]
            return await count_granted(plans, 200, tokens=tokens, cost_nano=cost_nano)

    assert asyncio.run(run()) == expected


def test_what_ends_gives_its_place_back_and_keeps_its_money(server: RedisServer) -> None:
    async def run() -> None:
        async with workers(server.url, 2) as [here, there]:
            place: Hold = ("concurrent:key:1", "requests", 1, None)
            rates = [("rpm:key:1", "requests", 1000), TPM]
            begun_s = time.monotonic()
            mine, theirs = (limits.plan(rates, [place, BUDGET]) for limits in (here, there))
            first = await granted(mine, tokens=900, cost_nano=900)
            assert (await refused(theirs)).index == 2
            first.settle(0, tokens=300, cost_nano=600)
            first.settle(0, tokens=0, cost_nano=0)  # only the first call counts
            second = None
            deadline_s = time.monotonic() + GENEROUS_S
            while second is None:
                assert time.monotonic() < deadline_s
                decision = await ask(theirs, tokens=0, cost_nano=400)
                second = decision if isinstance(decision, SharedReservation) else None
            assert second.strictest[1] is not None
            # 600 of the 900 tokens were not used.
            assert 700 <= second.strictest[1][1] < 720 + drained(begun_s, 1000)
            second.cancel()
            await until(lambda: not there.keeper._changed, "Redis knows")
            assert (await refused(theirs, cost_nano=401)).remaining == 400

            # The ledger's thread: first what the database has, then that the row is in it.
            def store() -> None:
                here.stored([(BUDGET[0], 600, None)], [first])

            storing = threading.Thread(target=store)
            storing.start()
            storing.join()
            await until(
                lambda: not (here.keeper._open or here.keeper._changed or here.keeper._bases), "it is stored"
            )
            assert (await refused(theirs, cost_nano=401)).remaining == 400
            assert there.usage(BUDGET[0], 0) == (600, 0, 0)
            third = await granted(theirs, cost_nano=400)
            assert theirs._limits.usage(BUDGET[0], 0) == (600, 400, 0)
            third.cancel()

    asyncio.run(run())


def test_refusals_and_headers_are_those_of_one_machine(server: RedisServer) -> None:
    """The same questions to the shared memory and to Redis; only times may differ by what has passed."""
    rates: list[Rate] = [("rpm:key:1", "requests", 7), TPM, ("tpm:model:m", "tokens", 800)]
    holds: list[Hold] = [
        ("concurrent:key:1", "requests", 5, None),
        BUDGET,
        ("budget:3:1", "tokens", 2500, None),
    ]
    questions = [
        (100, 10, 10),
        (900, 0, 0),
        (100, 2000, 10),
        (1001, 0, 0),
        (10, 0, 1001),
        (300, 0, 500),
        (1, 1, 1),
    ]

    async def run() -> None:
        async with workers(server.url) as [limits]:
            plan = limits.plan(rates, holds)
            one = LimitPlan(LimitTable.in_memory(), rates, holds)
            kept: list[object] = []
            begun_s = time.monotonic()
            for question in questions * 3:
                need = dict(zip(("input_tokens", "output_tokens", "cost_nano"), question, strict=True))
                here, there = one.reserve(time.monotonic_ns(), **need), await plan.reserve(**need)
                kept += [here, there]
                names_here = [name for name, _ in here.headers("openai", 0)]
                assert [name for name, _ in there.headers("openai", 0)] == names_here
                assert there.strictest[0] is not None
                assert here.strictest[0] is not None
                assert there.strictest[0][0] == here.strictest[0][0]
                differ = abs(there.strictest[0][1] - here.strictest[0][1])
                assert differ <= int(drained(begun_s, 7))  # none, for the first 8 s
                if isinstance(there, SharedRefusal):
                    assert not isinstance(here, Reservation)
                    assert (there.index, there.is_rate, there.limit) == (here.index, here.is_rate, here.limit)
                    passed_s = time.monotonic() - begun_s
                    assert there.retry_after_s == pytest.approx(here.retry_after_s, abs=1 + passed_s)
                    assert there.spent == here.spent
                    assert there.remaining == pytest.approx(here.remaining, abs=20 + drained(begun_s, 1000))
                else:
                    assert isinstance(here, Reservation)

    asyncio.run(run())


def test_a_budget_beyond_the_integers_of_lua(server: RedisServer) -> None:
    limit = 4 * 10**18
    assert limit > EXACT
    huge: Hold = ("budget:9:0", "nano", limit, None)

    async def run() -> None:
        async with workers(server.url) as [limits]:
            plan = limits.plan([], [huge])
            first = await granted(plan, cost_nano=3 * 10**18 + 1)
            # It is counted by thousands: what is held is rounded up.
            assert (await refused(plan, cost_nano=10**18)).remaining == 10**18 - 1000
            first.settle(0, tokens=0, cost_nano=10**18 + 1)
            limits.stored([(huge[0], 10**18 + 1, None)], [first])
            await until(lambda: not limits.keeper._changed, "Redis knows")
            await granted(plan, cost_nano=3 * 10**18 - 1000)
            await refused(plan, cost_nano=1)

    asyncio.run(run())


def test_a_script_that_the_server_forgot_is_sent_again(server: RedisServer) -> None:
    async def run() -> int:
        async with workers(server.url) as [limits]:
            plan = limits.plan([RPM], [])
            total = 0
            for _ in range(3):
                server.ask("SCRIPT FLUSH")
                total += await count_granted([plan], 4)
                assert limits.up
            return total

    assert asyncio.run(run()) == 10


def test_a_client_that_leaves_takes_its_place_along(server: RedisServer) -> None:
    async def run() -> None:
        async with workers(server.url) as [limits]:
            plan = limits.plan([], [("concurrent:key:1", "requests", 1, None)])
            for _ in range(20):
                asking = asyncio.create_task(ask(plan))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
            deadline_s = time.monotonic() + GENEROUS_S
            while isinstance(await ask(plan), SharedRefusal):
                assert time.monotonic() < deadline_s

    asyncio.run(run())


def test_a_killed_worker_leaks_nothing(server: RedisServer) -> None:
    async def run() -> None:
        async with workers(server.url, lease_s=60) as [alive]:
            dead = RedisLimits(
                connect(server.url), LimitTable.in_memory(), machines=2, lease_s=3, timeout_s=5
            )
            await dead.start()
            await granted(dead.plan([], [PLACES, BUDGET]), cost_nano=1000)
            assert dead.keeper._task is not None
            dead.keeper._task.cancel()  # no more renewals, and no goodbye
            plan = alive.plan([], [PLACES, BUDGET])
            assert (await refused(plan, cost_nano=1)).index == 1
            deadline_s = time.monotonic() + GENEROUS_S
            while isinstance(decision := await ask(plan, cost_nano=1000), SharedRefusal):
                assert time.monotonic() < deadline_s
            decision.cancel()
            await dead._server.close()

    asyncio.run(run())


def test_a_lease_is_renewed_as_long_as_the_request_runs(server: RedisServer) -> None:
    async def run() -> None:
        async with workers(server.url, 2, lease_s=6) as [here, there]:
            held = await granted(here.plan([], [("concurrent:key:1", "requests", 1, None)]))
            plan = there.plan([], [("concurrent:key:1", "requests", 1, None)])

            def ends_us() -> float:
                return float(server.run("ZSCORE", CONTROL_KEYS[1], held.key))

            until_us, deadline_s = ends_us() + 1e6, time.monotonic() + GENEROUS_S
            while ends_us() < until_us:  # ten renewals
                assert time.monotonic() < deadline_s
                await refused(plan)
                await asyncio.sleep(0.02)

    # Each 0.1 s, of a lease that outlasts what a busy machine makes of that. Leases are looked after once a
    # second, which is too seldom for it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmgw.limits.redis.keeper.RENEWALS", 60)
        patch.setattr("llmgw.limits.redis.keeper.BEAT_S", 0.05)
        asyncio.run(run())


def kill(server: RedisServer) -> None:
    server.kill()


def start(server: RedisServer) -> None:
    server.start()


def pause(server: RedisServer) -> None:
    server.pause()


def resume(server: RedisServer) -> None:
    server.resume()


def fill_memory(server: RedisServer) -> None:
    assert server.ask("CONFIG SET maxmemory 1") == "+OK"


def free_memory(server: RedisServer) -> None:
    assert server.ask("CONFIG SET maxmemory 0") == "+OK"


def become_replica(server: RedisServer) -> None:
    assert server.ask("REPLICAOF 127.0.0.1 1") == "+OK"


def become_primary(server: RedisServer) -> None:
    assert server.ask("REPLICAOF NO ONE") == "+OK"


def forbid_scripts(server: RedisServer) -> None:
    assert server.ask("ACL SETUSER default -@scripting") == "+OK"


def allow_scripts(server: RedisServer) -> None:
    assert server.ask("ACL SETUSER default +@scripting") == "+OK"


OUTAGES = {
    "killed": (kill, start),
    "paused": (pause, resume),
    "memory full": (fill_memory, free_memory),
    "read-only replica": (become_replica, become_primary),
    "no scripts": (forbid_scripts, allow_scripts),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_field_b1_redis_gone_is_not_each_machine_alone(server: RedisServer, outage: str) -> None:
    """LiteLLM#35533: each pod counted alone, limit times pods."""
    begin, end = OUTAGES[outage]
    rates: list[Rate] = [("rpm:key:1", "requests", 100)]
    holds: list[Hold] = [("concurrent:key:1", "requests", 10, None), ("budget:1:0", "nano", 1000, None)]

    async def run() -> None:
        # Two machines of two workers, as far as the tables tell.
        async with (
            workers(server.url, 2, one_machine=True, timeout_s=1) as left,
            workers(server.url, 2, one_machine=True, timeout_s=1) as right,
        ):
            made = [*left, *right]
            plans = [limits.plan(rates, holds) for limits in made]
            begun_s = time.monotonic()
            open_ = [await granted(plan, cost_nano=10) for plan in plans]  # one on each
            begin(server)
            began_s = time.monotonic()
            decisions = await asyncio.gather(*(ask(plan, cost_nano=10) for plan in plans * 10))
            # The first time-out, and nothing more of anybody.
            assert time.monotonic() - began_s < 5
            assert [limits.up for limits in made] == [False] * 4
            open_ += [each for each in decisions if isinstance(each, SharedReservation)]
            # A machine's share is 5 at once; what it had before counts.
            assert len(open_) == 10
            for plan in plans:
                refusal = await refused(plan, cost_nano=10)
                assert (refusal.limit, refusal.is_rate) == (5, False)
            ended, open_ = open_[:6], open_[6:]
            for each in ended:
                each.settle(time.monotonic_ns(), tokens=0, cost_nano=100)
            end(server)
            await until(lambda: all(limits.up for limits in made), "Redis is back")
            await until(lambda: not any(limits.keeper._changed for limits in made), "Redis knows")
            # 4 are still open, with 40; 600 are spent: exact again, over all.
            assert await count_granted(plans, 40, cost_nano=0) == 6
            assert (await refused(plans[0], cost_nano=361)).remaining == 360
            assert made[0].usage("budget:1:0", 0) == (0, 640, 0)
            # Of the 100 a minute, 10 + 6 were granted, and the refused took none.
            standing = (await refused(plans[0], cost_nano=10**6)).strictest[0]
            assert standing is not None
            # What came too late for those who had asked was not counted; some has drained meanwhile.
            assert 16 - max(8, drained(begun_s, 100) + 1) <= 100 - standing[1] <= 16

    asyncio.run(run())


def test_a_restart_that_loses_the_data_is_no_second_helping(server: RedisServer) -> None:
    """All have told what they have before anybody is granted anything by a server that knows nothing."""

    async def run() -> None:
        async with workers(server.url, 3, machines=3) as made:
            rates: list[Rate] = [("rpm:key:1", "requests", 30), ("tpm:key:1", "tokens", 10_000)]
            holds: list[Hold] = [("concurrent:key:1", "requests", 24, None)]
            plans = [limits.plan(rates, holds) for limits in made]
            begun_s = time.monotonic()
            for plan in plans * 7:
                await granted(plan, tokens=100)
            server.kill()
            server.start()
            # Nobody has noticed. The first who asks does; until all have, each has its share.
            assert await count_granted(plans[:1], 20, tokens=100) == 1
            assert not made[0].up
            began_s = time.monotonic()
            await until(lambda: all(limits.up for limits in made), "Redis is back")
            assert time.monotonic() - began_s < SETTLE_S + 10
            assert await count_granted(plans, 30, tokens=0) == 2
            standing = (await refused(plans[0])).strictest
            assert standing[1] is not None
            # 2,200 tokens, less what has drained meanwhile.
            assert 10_000 - standing[1][1] > 2200 - max(1500, drained(begun_s, 10_000) + 1)

    asyncio.run(run())


def test_a_flush_under_load_is_noticed(server: RedisServer) -> None:
    async def run() -> None:
        async with workers(server.url, 2) as made:
            plans = [limits.plan([], [PLACES]) for limits in made]
            assert await count_granted(plans, 20) == 10
            server.ask("FLUSHALL")
            # Until it is settled, each machine has its share, whatever the others had of theirs.
            assert await count_granted(plans, 20) <= 5
            await until(lambda: all(limits.up for limits in made), "Redis is back")
            assert await count_granted(plans, 20) == 0

    asyncio.run(run())


def test_a_dead_redis_costs_one_time_out_and_says_so_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    timeout_s = 2.0  # a busy machine must not look like an outage before there is one

    async def run() -> None:
        async with workers(server.url, timeout_s=timeout_s) as [limits]:
            plan = limits.plan([("rpm:key:1", "requests", 10_000)], [])
            await granted(plan)
            server.pause()
            began_s = time.monotonic()
            await granted(plan)
            assert timeout_s * 0.9 <= time.monotonic() - began_s < timeout_s + 5
            began_s = time.monotonic()
            for _ in range(1000):
                await granted(plan)
            assert time.monotonic() - began_s < 20
            assert (
                limits.warning == "the limits' Redis is gone (TimeoutError): this machine takes 1/2 of each"
            )
            server.resume()
            await until(lambda: limits.warning is None, "Redis is back")

    caplog.set_level("INFO", "llmgw.limits.redis.limits")
    asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == [
        "the limits' Redis is there: all machines share the limits",
        "the limits' Redis is gone (TimeoutError): this machine takes 1/2 of each",
        "the limits' Redis is there: all machines share the limits",
    ]


def test_a_wrong_password_is_an_outage_that_names_no_password(tmp_path: Path) -> None:
    async def run(url: str) -> str | None:
        async with workers(url) as [limits]:
            await granted(limits.plan([RPM], []))
            return limits.warning

    with RedisServer(tmp_path) as server:
        server.ask("CONFIG SET requirepass right")
        right, wrong = (f"redis://:{word}@127.0.0.1:{server.port}/0" for word in ("right", "hunter2"))
        assert asyncio.run(run(right)) is None
        said = asyncio.run(run(wrong))
    why = "AuthenticationError: it refuses the user or the password"
    assert said == f"the limits' Redis is gone ({why}): this machine takes 1/2 of each"


@pytest.mark.parametrize("mode", [*REPLIES, "drips", "trickles", "endless", "closes"])
def test_whatever_redis_answers_a_request_is_decided(mode: str) -> None:
    async def run() -> None:
        async with hostile_redis() as redis:
            redis.mode = mode
            async with workers(redis.url, timeout_s=TIMEOUT_S) as [limits]:
                plan = limits.plan([RPM], [PLACES])
                limits._server.back()  # as if it had worked until now
                began_s = time.monotonic()
                assert await count_granted([plan], 20) == 5
                assert time.monotonic() - began_s < 4.5
                assert "hunter2" not in str(limits.warning)

    asyncio.run(run())


def test_what_others_have_spent_is_read_while_redis_is_gone(server: RedisServer) -> None:
    spent = 0

    async def run() -> None:
        nonlocal spent
        limits = RedisLimits(
            connect(server.url),
            LimitTable.in_memory(),
            machines=2,
            timeout_s=5,
            read_bases=lambda: [("budget:1:0", spent), ("budget:2:0", 7)],
        )
        await limits.start()
        plan = limits.plan([], [("budget:1:0", "nano", 1000, None)])
        await granted(plan, cost_nano=100)
        server.kill()
        assert (await refused(plan, cost_nano=401)).remaining == 400  # half of it, less the 100 of before
        spent = 800
        deadline_s = time.monotonic() + GENEROUS_S
        while (await refused(plan, cost_nano=401)).remaining != 0:  # half of 200, less the 100 of before
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.05)
        server.start()
        await until(lambda: limits.up, "Redis is back")
        assert (await refused(plan, cost_nano=101)).remaining == 100
        await limits.close()

    asyncio.run(run())


def test_what_has_ended_is_told_at_the_end(server: RedisServer) -> None:
    async def run() -> None:
        async with workers(server.url) as [limits]:
            for _ in range(5):
                (await granted(limits.plan([], [PLACES]))).settle(0, tokens=0, cost_nano=0)

    asyncio.run(run())
    with Redis.from_url(server.url) as redis:
        assert redis.keys("*concurrent*") == []


def test_four_processes_never_have_more_places_than_there_are(server: RedisServer, tmp_path: Path) -> None:
    file, limit = tmp_path / "counts", 5
    file.write_bytes(COUNTS.pack(0, 0))
    command = [sys.executable, "-m", "tests.support.limits_worker", server.url, "1.5", str(limit), str(file)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'python'}"}
    processes = [
        subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    granted = [int(process.communicate(timeout=60)[0]) for process in processes]
    now, most = COUNTS.unpack(file.read_bytes())
    assert (now, most) == (0, limit)
    assert min(granted) > 0
    with Redis.from_url(server.url) as redis:
        assert redis.keys("*concurrent*") == []


def test_field_b2_a_flush_forgets_no_spend(server: RedisServer) -> None:
    """What others have spent since this worker has read it is read again when Redis has lost it."""
    spent = 100

    async def run() -> None:
        limits = RedisLimits(
            connect(server.url),
            LimitTable.in_memory(),
            machines=2,
            timeout_s=5,
            read_bases=lambda: [("budget:1:0", spent)],
        )
        await limits.start()
        plan = limits.plan([], [("budget:1:0", "nano", 1000, None)])
        assert (await refused(plan, cost_nano=1001)).spent == 0
        server.ask("FLUSHALL")
        assert (await refused(plan, cost_nano=1001)).limit == 500
        await until(lambda: limits.up, "Redis is back")
        assert (await refused(plan, cost_nano=901)).spent == 100
        await limits.close()

    asyncio.run(run())


def test_what_redis_is_not_told_is_counted(server: RedisServer) -> None:
    lost: list[int] = []

    async def run() -> None:
        limits = RedisLimits(
            connect(server.url), LimitTable.in_memory(), machines=2, timeout_s=2, on_lost=lost.append
        )
        await limits.start()
        reservation = await granted(limits.plan([TPM], []), tokens=100)
        server.pause()
        reservation.settle(0, tokens=10, cost_nano=0)
        await until(lambda: not limits.up, "it has noticed")
        server.resume()
        await until(lambda: limits.up, "Redis is back")
        await limits.close()

    asyncio.run(run())
    assert sum(lost) == 1


@pytest.mark.parametrize(
    "first", [0, 1], ids=["the one who saw less is first", "the one who saw more is first"]
)
def test_what_one_has_seen_hides_nothing_of_what_another_has_used(server: RedisServer, first: int) -> None:
    rates: list[Rate] = [("rpm:key:1", "requests", 40)]

    async def run() -> tuple[int, float]:
        async with workers(server.url, 2) as made:
            begun_s = time.monotonic()
            plans = [limits.plan(rates, []) for limits in made]
            for plan in plans:  # the first one sees 5 of 10
                assert await count_granted([plan], 5) == 5
            server.ask("FLUSHALL")
            assert await count_granted([plans[first]], 5) == 5
            assert await count_granted([plans[1 - first]], 5) == 5
            await until(lambda: all(limits.up for limits in made), "Redis is back")
            standing = (await granted(plans[0])).strictest[0]
            assert standing is not None
            return 40 - standing[1], drained(begun_s, 40)

    used, less = asyncio.run(run())
    assert 21 - max(4, less + 1) <= used <= 21, (
        "10 before and 10 meanwhile, and one, but for what has drained"
    )
