"""The way to one Redis: its connections, TLS, an ACL, and a line that is slow or breaks."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llmgw.limits.redis.keeper import OPERATOR_PAUSE_S
from llmgw.limits.redis.plan import Hold, Rate
from llmgw.limits.redis.server import LANES, TIMEOUT_S
from llmgw.reasoning.redis import RedisStore
from llmgw.reasoning.shares import ENTRY_OVERHEAD_BYTES
from llmgw.reasoning.store import CACHE_TIMEOUT_S, CacheError, KeptTurn, Patience
from llmgw.redis import CACHE_CONNECTIONS, RedisClient, connect
from tests.support.limits_redis import GENEROUS_S, count_granted, granted, until, workers
from tests.support.processes import NOISE, wait_until
from tests.support.redis import RedisServer
from tests.support.redis_proxy import CERTIFICATES, RedisProxy, server_tls

A = b"a" * 32
KEYS = [bytes([number]) * 32 for number in range(200)]
BUDGET: Hold = ("budget:1:0", "nano", 1000, None)
CA = f"ssl_ca_certs={CERTIFICATES / 'ca.pem'}"
SHOWN = f"ssl_certfile={CERTIFICATES / 'server.pem'}&ssl_keyfile={CERTIFICATES / 'server.key'}"
USER = [
    *("SETUSER", "llmgw", "on", ">hunter2", "resetkeys", "~{llmgw}:*", "~llmgw:reasoning:*"),
    *("resetchannels", "-@all", "+get", "+set", "+getex", "+unlink", "+evalsha", "+eval", "+time", "+info"),
    *("+del", "+exists", "+pexpire", "+hget", "+hset", "+hdel", "+hincrby", "+hmget", "+hgetall"),
    *("+zadd", "+zrem", "+zrangebyscore"),
]
"""What `llmgw.redis` says that a user needs."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[RedisProxy]:
    server.run("FLUSHALL")
    with RedisProxy(server.port) as proxy:
        yield proxy


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[RedisClient]:
    client = connect(url)
    try:
        yield client
    finally:
        await client.close()


def patient() -> Patience:
    """Where the cache is not to fail, a busy machine must not look as if it did."""
    patience = Patience()
    patience.left_s = GENEROUS_S
    return patience


def by(proxy: RedisProxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


def test_a_worker_has_few_connections(proxy: RedisProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at rest; under load, those of limits and those of reasoning, and no more."""
    monkeypatch.setattr("llmgw.redis.pool.IDLE_S", 0.5)

    async def run() -> None:
        async with workers(by(proxy)) as [limits]:
            assert proxy.now == 1
            store = RedisStore(limits.redis, ttl_s=60, max_bytes=10**7)
            proxy.delay_s = 0.01
            holds: list[Hold] = [("concurrent:1", "requests", 10_000, None)]
            plan = limits.plan([("rpm:key:1", "requests", 10_000)], holds)

            async def load(number: int) -> None:
                decision = await granted(plan)
                await store.put(A, [KeptTurn(KEYS[number], (), b"x" * 1000)], patient())
                decision.settle(0, tokens=0, cost_nano=0)

            for start in range(0, 200, 40):
                await asyncio.gather(*(load(number) for number in range(start, start + 40)))
            assert CACHE_CONNECTIONS < proxy.most <= LANES + 1 + CACHE_CONNECTIONS
            proxy.delay_s = 0
            await until(lambda: proxy.now == 1, "it comes to rest")

    asyncio.run(run())
    wait_until(lambda: proxy.now == 0, "all are closed", timeout_s=GENEROUS_S)


def test_a_closed_connection_costs_nothing(server: RedisServer, proxy: RedisProxy) -> None:
    """The server has closed it while nobody used it, as after a restart: seen before anything is sent."""

    async def run() -> None:
        async with client_of(by(proxy)) as client:
            for once in (True, False):
                assert await client.run([("INCR", "times")], once=once)
                server.run("CLIENT", "KILL", "TYPE", "normal")
                [(_, connection)] = client._pool._free  # type: ignore[attr-defined]
                await until(connection._reader.at_eof, "it is closed")
            assert await client.run([("INCR", "times")], once=True) == [3]

    asyncio.run(run())


def test_what_may_have_been_executed_is_sent_once(proxy: RedisProxy) -> None:
    """The connection breaks in the midst of an answer."""

    async def run() -> None:
        async with client_of(by(proxy)) as client:
            for once, times in ((True, 1), (False, 2)):
                await client.run([("SET", "times", "0")])
                proxy.cut_after = 2
                if once:
                    with pytest.raises(Exception, match="Connection"):
                        await client.run([("INCR", "times"), ("GET", "times")], once=True)
                else:
                    assert await client.run([("INCR", "times"), ("GET", "times")]) == [2, b"2"]
                assert await client.run([("GET", "times")]) == [str(times).encode()]

    asyncio.run(run())


def test_an_answer_that_nobody_waited_for_is_nobody_elses(proxy: RedisProxy) -> None:
    async def run() -> None:
        async with client_of(by(proxy)) as client:
            await client.run([("SET", "mine", "mine"), ("SET", "yours", "yours")])
            proxy.delay_s = 0.1
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await client.run([("GET", "mine")])
            proxy.delay_s = 0
            assert await client.run([("GET", "yours")]) == [b"yours"]

    asyncio.run(run())


@pytest.mark.parametrize("once", [True, False])
def test_a_failure_is_raised_and_the_next_one_works(proxy: RedisProxy, *, once: bool) -> None:
    async def run() -> None:
        async with client_of(by(proxy)) as client:
            target, proxy.target = proxy.target, 1
            with pytest.raises(Exception, match="Connection"):
                await client.run([("PING",)], once=once)
            proxy.target = target
            assert await client.run([("ECHO", "x")], once=once) == [b"x"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("delay_s", "drip_s", "timeout_s", "up"),
    [(0.15, 0.0, 5.0, True), (0.4, 0.0, TIMEOUT_S, False), (0.0, 0.05, TIMEOUT_S, False)],
    ids=["slow", "too slow", "drips"],
)
def test_a_slow_redis(
    proxy: RedisProxy, delay_s: float, drip_s: float, timeout_s: float, *, up: bool
) -> None:
    """Nobody waits for longer than the time-out, and it is used again as soon as it is fast enough.

    Where it is fast enough, there is more time than the real time-out leaves for the noise of a busy machine.
    """

    async def run() -> None:
        async with workers(by(proxy), timeout_s=timeout_s) as [limits]:
            plan = limits.plan([("rpm:key:1", "requests", 1000)], [])
            store = RedisStore(limits.redis, ttl_s=60, max_bytes=10**6)
            proxy.delay_s, proxy.drip_s = delay_s, drip_s
            worst_s = 0.0
            for _ in range(5):
                begun_s = time.monotonic()
                assert await count_granted([plan], 20) == 20
                worst_s = max(worst_s, time.monotonic() - begun_s)
            assert up or worst_s < TIMEOUT_S + 0.5 * NOISE
            assert limits.up == up
            begun_s = time.monotonic()
            try:
                patience = patient() if up else Patience()
                await store.put(A, [KeptTurn(KEYS[0], (), b"x" * 100)], patience)
            except CacheError:
                assert not up
            assert up or time.monotonic() - begun_s < CACHE_TIMEOUT_S + 0.5 * NOISE
            proxy.delay_s = proxy.drip_s = 0
            await until(lambda: limits.up, "it is fast again")
            assert await count_granted([plan], 5) == 5

    asyncio.run(run())


def test_a_line_that_breaks_again_and_again(proxy: RedisProxy) -> None:
    """Places are counted once, however often it is not known whether Redis has heard of them."""

    async def run() -> None:
        async with workers(by(proxy)) as [limits]:
            plan = limits.plan([], [("concurrent:key:1", "requests", 10, None)])
            for cut in range(0, 40, 8):
                held = [await granted(plan) for _ in range(2)]
                proxy.cut_after = cut
                held += [await granted(plan) for _ in range(2)]  # of 10, or of 5 without it
                for each in held:
                    each.settle(0, tokens=0, cost_nano=0)
                await until(lambda: limits.up and not limits.keeper._changed, "Redis knows")
            assert await count_granted([plan], 20) == 10

    asyncio.run(run())


@pytest.fixture
def tls(request: pytest.FixtureRequest, server: RedisServer) -> Iterator[RedisProxy]:
    with RedisProxy(server.port, server_tls(client_ca=getattr(request, "param", False))) as proxy:
        yield proxy


async def asked(url: str) -> object:
    async with client_of(url) as client:
        return await client.run([("ECHO", "x")])


def test_tls_knows_the_server(tls: RedisProxy) -> None:
    """The server of the tests has no TLS itself; a proxy has it."""
    port = tls.port
    assert asyncio.run(asked(f"rediss://localhost:{port}?{CA}")) == [b"x"]
    assert asyncio.run(asked(f"rediss://127.0.0.1:{port}?{CA}&ssl_check_hostname=false")) == [b"x"]
    assert asyncio.run(asked(f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none")) == [b"x"]
    other = f"ssl_ca_certs={CERTIFICATES / 'other-ca.pem'}"
    for wrong in (
        f"rediss://127.0.0.1:{port}?{CA}",  # its certificate is of another name
        f"rediss://localhost:{port}?{other}",
        f"rediss://localhost:{port}",  # no authority that the system trusts
        f"redis://localhost:{port}",
    ):
        with pytest.raises(Exception, match=r"(?i)certificate|connection"):
            asyncio.run(asked(wrong))


@pytest.mark.parametrize("tls", [True], indirect=True)
def test_tls_shows_a_certificate(tls: RedisProxy) -> None:
    assert asyncio.run(asked(f"rediss://localhost:{tls.port}?{CA}&{SHOWN}")) == [b"x"]
    with pytest.raises(Exception, match=r"(?i)connection|ssl"):
        asyncio.run(asked(f"rediss://localhost:{tls.port}?{CA}"))


def test_a_file_that_is_no_certificate_is_said(tmp_path: Path, tls: RedisProxy) -> None:
    (tmp_path / "ca.pem").write_text("nothing", "utf-8")
    with pytest.raises(ssl.SSLError):
        asyncio.run(asked(f"rediss://localhost:{tls.port}?ssl_ca_certs={tmp_path / 'ca.pem'}"))


def everything(url: str) -> None:
    """All that limits, reasoning and kept responses do."""

    async def run() -> None:
        async with workers(url, lease_s=0.3) as [limits]:
            assert limits.warning is None
            rates: list[Rate] = [("rpm:key:1", "requests", 10)]
            holds: list[Hold] = [BUDGET, ("concurrent:key:1", "requests", 5, None)]
            plan = limits.plan(rates, holds)
            for cost in (10, 20):
                reservation = await granted(plan, cost_nano=cost)
                reservation.settle(0, tokens=0, cost_nano=cost // 2)
                limits.stored([(BUDGET[0], cost, None)], [reservation])
            held = await granted(plan)
            renewed_s = limits.keeper._renew_at_s
            await until(
                lambda: limits.keeper._renew_at_s > renewed_s or not limits.up, "its lease is renewed"
            )
            held.cancel()
            await until(lambda: not limits.keeper._changed or not limits.up, "Redis knows")
            assert limits.up, limits.warning
            store = RedisStore(limits.redis, ttl_s=60, max_bytes=4 * ENTRY_OVERHEAD_BYTES)
            for at in range(3):
                for key in (KEYS[at], KEYS[at + 10]):
                    await store.put(A, [KeptTurn(key, [KEYS[at + 20]], b"x")], patient())
            assert (await store.get(A, [KEYS[12]], patient())) == [b"x"]
            assert (await store.find(A, [KEYS[22]], patient())) == [None]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmgw.limits.redis.keeper.BEAT_S", 0.05)
        asyncio.run(run())


def test_the_user_of_the_documentation_is_enough(server: RedisServer) -> None:
    """And none of its rights is too much."""
    server.run("FLUSHALL")
    url = f"redis://llmgw:hunter2@127.0.0.1:{server.port}/0"
    server.run("SCRIPT", "FLUSH")
    server.run("ACL", *USER)
    server.run("ACL", "LOG", "RESET")
    everything(url)
    assert server.run("ACL", "LOG") == []
    for right in [right for right in USER if right.startswith("+")]:
        server.run("FLUSHALL")
        server.run("SCRIPT", "FLUSH")
        server.run("ACL", "SETUSER", "llmgw", f"-{right[1:]}")
        with contextlib.suppress(AssertionError, CacheError):
            everything(url)
        assert server.run("ACL", "LOG") != [], f"{right} is not needed"
        server.run("ACL", *USER)
        server.run("ACL", "LOG", "RESET")


REFUSALS = {
    "a wrong password": (["SETUSER", "llmgw", "resetpass", ">other"], "AuthenticationError"),
    "a command too few": (["SETUSER", "llmgw", "-evalsha"], "NoPermissionError"),
    "a command of the script too few": (["SETUSER", "llmgw", "-hdel"], "ResponseError"),
    "a key too few": (["SETUSER", "llmgw", "resetkeys", "~llmgw:reasoning:*"], "NoPermissionError"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_is_said_once_and_asked_seldom(
    server: RedisServer,
    proxy: RedisProxy,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    assert OPERATOR_PAUSE_S > 2
    monkeypatch.setattr("llmgw.limits.redis.keeper.OPERATOR_PAUSE_S", 2.0)
    change, error = REFUSALS[what]
    server.run("ACL", *USER)
    caplog.set_level("INFO", "llmgw.limits.redis.limits")

    async def run() -> None:
        url = f"redis://llmgw:hunter2@127.0.0.1:{proxy.port}/0"
        async with workers(url) as [limits]:
            plan = limits.plan([("rpm:key:1", "requests", 1000)], [("concurrent:1", "requests", 100, None)])
            server.run("ACL", *change)
            proxy.cut()
            await until(lambda: not limits.up and error in str(limits.warning), "it is noticed")
            accepted, begun_s = proxy.accepted, time.monotonic()
            assert await count_granted([plan], 60) == 50
            assert limits._server.is_for_the_operator
            while time.monotonic() < begun_s + 1.5:
                assert not limits.up
                assert proxy.accepted <= accepted + 1
                await asyncio.sleep(0.05)
            server.run("ACL", *USER, ">hunter2")
            await until(lambda: limits.up, "the right is given")

    asyncio.run(run())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) <= 4
    assert any(error in line for line in said)
    assert "hunter2" not in "".join(said)
