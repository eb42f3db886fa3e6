"""Limits and reasoning when a replica takes a master's place: by sentinels, in a cluster, behind one name."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from redis.crc import key_slot

from llmgw.limits.redis import RedisLimits, SharedPlan, SharedReservation
from llmgw.limits.redis.keeper import SETTLE_S
from llmgw.limits.redis.plan import Hold, Rate
from llmgw.reasoning.redis import REDIS_PAUSE_S, RedisStore
from llmgw.reasoning.store import CacheError, KeptTurn, Patience
from llmgw.redis import connect
from tests.support.limits_redis import GENEROUS_S, ask, count_granted, granted, until, workers
from tests.support.processes import wait_until
from tests.support.redis import RedisServer
from tests.support.redis_proxy import RedisProxy
from tests.support.redis_topologies import Node, RedisCluster, Sentinels

SLOT = key_slot(b"llmgw")
A = b"a" * 32
KEYS = [bytes([number]) * 32 for number in range(60)]
RATES: list[Rate] = [("rpm:key:1", "requests", 100)]
TILT_S = 60.0
"""A sentinel whose clock seems to have jumped, as on a busy machine, does nothing for half a minute."""
HOLDS: list[Hold] = [("concurrent:key:1", "requests", 20, None), ("budget:1:0", "nano", 1000, None)]


@pytest.fixture
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with ExitStack() as stack:
        yield Sentinels(stack, tmp_path_factory.mktemp("sentinels"), password="hunter2")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with ExitStack() as stack:
        yield RedisCluster(stack, tmp_path_factory.mktemp("cluster"), SLOT)


def patient() -> Patience:
    """Where the cache is not to fail, a busy machine must not look as if it did."""
    patience = Patience()
    patience.left_s = GENEROUS_S
    return patience


async def replicated(server: RedisServer) -> None:
    """Its replica has all."""
    assert await asyncio.to_thread(server.run, "WAIT", 1, 5000) == 1


async def used_of(plan: SharedPlan, limit: int) -> int:
    """How much of the rate of requests is used, with the one that asks."""
    reservation = await granted(plan)
    standing = reservation.strictest[0]
    assert standing is not None
    reservation.cancel()
    return limit - standing[1]


async def over(made: list[RedisLimits], plans: list[SharedPlan], fail: "Failover") -> None:
    """A master dies with reservations open; what was granted is never granted again.

    Before 10 of 100 a minute, of 20 places and of 1000 are taken; meanwhile what each machine's half allows.
    """
    open_ = [await granted(plan, cost_nano=20) for plan in plans * 5]
    begun_s = time.monotonic()
    await fail.begin()
    await until(lambda: not any(limits.up for limits in made), "both notice")
    # Of half of the places, each has 5. The rest are refused, and no rate is taken by them.
    assert await count_granted(plans, 60, cost_nano=20) == 10
    assert all("1/2" in str(limits.warning) for limits in made)
    await fail.end()
    deadline_s = time.monotonic() + TILT_S
    while not all(limits.up for limits in made):
        assert time.monotonic() < deadline_s, "both are back"
        await asyncio.sleep(0.005)
    # All that is open was told again: no place is left, and of the money what nobody holds.
    assert await count_granted(plans, 20) == 0
    for each in open_:
        each.settle(time.monotonic_ns(), tokens=0, cost_nano=20)
    await until(lambda: not any(limits.keeper._changed for limits in made), "Redis knows")
    drained = (time.monotonic() - begun_s) * 100 / 60
    used = await used_of(plans[0], 100)
    assert 20 - drained <= used <= 21
    assert made[0].usage("budget:1:0", 0) == (0, 400, 0)
    assert await count_granted(plans, 40) == 10


class Failover:
    """What happens to the servers."""

    async def begin(self) -> None:
        """The master goes."""

    async def end(self) -> None:
        """Somebody else is the master."""


def test_sentinels_promote_a_replica(sentinels: Sentinels) -> None:
    class Killed(Failover):
        async def begin(self) -> None:
            await replicated(sentinels.master)
            sentinels.master.kill()

    async def run() -> None:
        async with workers(sentinels.url, 2, timeout_s=1) as made:
            await over(made, [limits.plan(RATES, HOLDS) for limits in made], Killed())
            assert sentinels.replica.run("ROLE")[0] == "master"

    begun_s = time.monotonic()
    asyncio.run(run())
    # The old one comes back, for a moment as a master with nothing: nobody asks it.
    sentinels.master.start()

    async def again() -> None:
        async with workers(sentinels.url, timeout_s=1) as [limits]:
            assert limits.up
            number = await count_granted([limits.plan(RATES, [])], 100)
            # Of about 30 that were used something is left, unless a busy machine has taken its time.
            assert number <= max(85, 70 + (time.monotonic() - begun_s) * 100 / 60)

    asyncio.run(again())


def test_a_master_that_hangs_is_left(sentinels: Sentinels) -> None:
    """It is stopped, and goes on as a master that nobody follows any more. It is asked for nothing."""

    class Stopped(Failover):
        async def begin(self) -> None:
            await replicated(sentinels.master)
            sentinels.master.pause()

    async def run() -> None:
        async with workers(sentinels.url, 2, timeout_s=0.5) as made:
            plans = [limits.plan(RATES, HOLDS) for limits in made]
            await over(made, plans, Stopped())
            sentinels.master.resume()
            assert await count_granted(plans, 10) == 0
            assert all(limits.up for limits in made)

    asyncio.run(run())


def test_sentinels_that_are_gone_are_asked_in_turn(sentinels: Sentinels) -> None:
    for sentinel in sentinels.sentinels[:2]:
        sentinel.kill()

    async def run() -> None:
        async with workers(sentinels.url) as [limits]:
            await until(lambda: limits.up, "the third one says it")
            # Without any, what is connected stays so.
            sentinels.sentinels[2].kill()
            assert await count_granted([limits.plan(RATES, [])], 10) == 10
            assert limits.up
        wrong = sentinels.url.replace("/mymaster/", "/other/")
        sentinels.sentinels[2].start()
        async with workers(wrong, timeout_s=5) as [limits]:
            assert "NoMasterError: no sentinel knows a master of that name" in str(limits.warning)
        async with workers(sentinels.url.replace("=hunter2", "=wrong"), timeout_s=5) as [limits]:
            assert "AuthenticationError: it refuses the user or the password" in str(limits.warning)

    asyncio.run(run())


def test_a_replica_that_lacks_the_last_writes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One name stands for both, as behind a balancer. Nothing is granted twice, whatever it lacks."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(RedisServer(tmp_path_factory.mktemp("redis"))) for _ in range(2))
        second.run("REPLICAOF", "127.0.0.1", first.port)
        proxy = stack.enter_context(RedisProxy(first.port))

        class Behind(Failover):
            async def begin(self) -> None:
                first.pause()

            async def end(self) -> None:
                proxy.target = second.port
                proxy.cut()

        async def run() -> None:
            url = f"redis://127.0.0.1:{proxy.port}/0"
            async with workers(url, 2, timeout_s=0.5) as made:
                plans = [limits.plan(RATES, HOLDS) for limits in made]
                (await granted(plans[0])).cancel()
                await until(lambda: not made[0].keeper._changed, "Redis knows")
                wait_until(
                    lambda: second.run("INFO", "replication").get("master_link_status") == "up",
                    "it follows",
                    timeout_s=GENEROUS_S,
                )
                await replicated(first)
                second.run("REPLICAOF", "NO", "ONE")
                # From here on it hears of nothing; it has the same epoch.
                assert first.run("GET", "{llmgw}:epoch") == second.run("GET", "{llmgw}:epoch")
                begun_s = time.monotonic()
                await over(made, plans, Behind())
                assert first.port != second.port
                assert time.monotonic() - begun_s > SETTLE_S

        asyncio.run(run())


def test_a_server_that_became_a_replica_is_left(tmp_path_factory: pytest.TempPathFactory) -> None:
    """READONLY: the name is another server's by now, so it is connected to anew."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(RedisServer(tmp_path_factory.mktemp("redis"))) for _ in range(2))
        proxy = stack.enter_context(RedisProxy(first.port))

        async def run() -> None:
            async with workers(f"redis://127.0.0.1:{proxy.port}/0", timeout_s=5) as [limits]:
                plan = limits.plan(RATES, [])
                store = RedisStore(limits.redis, ttl_s=60, max_bytes=10**6, clock=Later())
                await store.put(A, [KeptTurn(KEYS[0], (), b"x")], patient())
                assert await count_granted([plan], 10) == 10
                first.run("REPLICAOF", "127.0.0.1", second.port)
                proxy.target = second.port
                with pytest.raises(CacheError, match="ReadOnlyError"):
                    await store.put(A, [KeptTurn(KEYS[0], (), b"x")], patient())
                await store.put(A, [KeptTurn(KEYS[0], (), b"x")], patient())
                assert await count_granted([plan], 60) <= 50
                await until(lambda: limits.up, "it is asked")
                assert second.run("EXISTS", "{llmgw}:rpm:key:1") == 1

        asyncio.run(run())


class Later:
    """A clock by which every pause is over."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Each time later."""
        self.now_s += 2 * REDIS_PAUSE_S
        return self.now_s


def test_a_cluster_has_reasoning_everywhere(cluster: RedisCluster) -> None:
    """One round trip to each node, however many keys there are."""
    for node in cluster.nodes:
        node.calls()

    async def run() -> None:
        client = connect(cluster.url)
        store = RedisStore(client, ttl_s=60, max_bytes=10**6)
        turns = [KeptTurn(key, [bytes([at + 100]) * 32], b"x%d" % at) for at, key in enumerate(KEYS)]
        await store.put(A, turns, patient())
        assert await store.get(A, KEYS, patient()) == [b"x%d" % at for at in range(len(KEYS))]
        found = await store.find(A, [bytes([at + 100]) * 32 for at in range(len(KEYS))], patient())
        assert found == KEYS
        await client.close()

    asyncio.run(run())
    counts = [node.calls() for node in cluster.nodes]
    assert sum(each.get("getex", 0) for each in counts) == 2 * len(KEYS)
    assert all(each.get("getex", 0) > 20 for each in counts[:3])
    assert sum(each.get("cluster|slots", 0) for each in counts) == 1


def test_a_slot_moves_under_load(cluster: RedisCluster) -> None:
    """While it moves, the script can't run, so that each machine has its share. Nothing is granted twice."""

    async def run() -> None:
        async with workers(cluster.url, 2, timeout_s=0.5) as made:
            plans = [limits.plan([("rpm:key:2", "requests", 100)], HOLDS) for limits in made]
            held = [await granted(plan, cost_nano=10) for plan in plans]
            total = 2
            done = threading.Event()

            def move() -> None:
                cluster.move_slot(cluster.owner, cluster.others[1], between=lambda: time.sleep(0.3))
                done.set()

            moving = threading.Thread(target=move)
            moving.start()
            begun_s = time.monotonic()
            while not done.is_set() or not all(limits.up for limits in made):
                assert time.monotonic() < begun_s + GENEROUS_S
                for plan in plans:
                    decision = await ask(plan, cost_nano=1)
                    if isinstance(decision, SharedReservation):
                        total += 1
                        decision.settle(0, tokens=0, cost_nano=0)
                await asyncio.sleep(0.01)
            moving.join()
            drained = (time.monotonic() - begun_s) * 100 / 60
            total += await count_granted([made[0].plan([("rpm:key:2", "requests", 100)], [])], 100)
            # The limit, and what one machine's share may be too much.
            assert total <= 100 + drained + 50
            assert cluster.others[1].run("EXISTS", "{llmgw}:rpm:key:2") == 1
            for each in held:
                each.cancel()
            await until(lambda: not any(limits.keeper._changed for limits in made), "Redis knows")
            assert await count_granted([limits.plan([], HOLDS) for limits in made], 40) == 20

    asyncio.run(run())
    # And back: all at once, as Valkey 9 does it.
    cluster.others[1].run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE", cluster.owner.id)
    wait_until(lambda: owner_of(cluster) is cluster.owner, "it is back", timeout_s=GENEROUS_S)
    wait_until(cluster.is_whole, "all know", timeout_s=GENEROUS_S)


def owner_of(cluster: RedisCluster) -> Node | None:
    """Who has the slot of the limits, as another node says."""
    for first, last, (_, port, *_), *_ in cluster.others[0].run("CLUSTER", "SLOTS"):
        if first <= SLOT <= last:
            return next(node for node in cluster.nodes if node.port == port)
    return None


def test_a_cluster_promotes_a_replica(cluster: RedisCluster) -> None:
    """The last test of this cluster."""
    cluster.owner.run("FLUSHALL")

    class Killed(Failover):
        async def begin(self) -> None:
            await replicated(cluster.owner)
            cluster.owner.kill()

    async def run() -> None:
        async with workers(cluster.url, 2, timeout_s=1) as made:
            store = RedisStore(made[0].redis, ttl_s=60, max_bytes=10**6, clock=Later())
            await store.put(A, [KeptTurn(key, (), b"x") for key in KEYS], patient())
            await over(made, [limits.plan(RATES, HOLDS) for limits in made], Killed())
            assert await store.get(A, KEYS, patient()) == [b"x"] * len(KEYS)

    asyncio.run(run())
    assert owner_of(cluster) is cluster.replica
