"""Reasoning in Redis: what is written there, and what a Redis that is none costs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from llmgw.reasoning.redis import REDIS_PAUSE_S, REDIS_PREFIX, RedisStore
from llmgw.reasoning.shares import ENTRY_OVERHEAD_BYTES
from llmgw.reasoning.store import CACHE_TIMEOUT_S, CacheError, KeptTurn, Patience
from llmgw.redis import connect
from tests.support.hostile_redis import REPLIES, HostileRedis, hostile_redis

A, B = b"a" * 32, b"b" * 32
KEYS = [bytes([number]) * 32 for number in range(30)]
GENEROUS = 10
Result = TypeVar("Result")


class Clock:
    """The time, and what was added to it."""

    def __init__(self) -> None:
        self.added_s = 0.0

    def __call__(self) -> float:
        """Now."""
        return time.monotonic() + self.added_s


def with_store(
    test: Callable[[HostileRedis, RedisStore, Clock], Awaitable[Result]], *, max_bytes: int = 10**6
) -> Result:
    async def run() -> Result:
        async with hostile_redis() as redis:
            clock = Clock()
            client = connect(redis.url)
            store = RedisStore(client, ttl_s=60, max_bytes=max_bytes, clock=clock)
            try:
                return await test(redis, store, clock)
            finally:
                await client.close()

    return asyncio.run(run())


async def put(store: RedisStore, key: bytes, text: bytes, *hints: bytes, client: bytes = A) -> None:
    await store.put(client, [KeptTurn(key, hints, text)], Patience())


async def get(store: RedisStore, *keys: bytes, client: bytes = A) -> list[bytes | None]:
    return await store.get(client, keys, Patience())


def test_redis_gives_what_it_got_to_whom_it_is_from() -> None:
    async def test(redis: HostileRedis, store: RedisStore, _: Clock) -> None:
        await put(store, KEYS[0], b"zero")
        await put(store, KEYS[1], b"")
        assert await get(store, KEYS[1], KEYS[2], KEYS[0], KEYS[0]) == [b"", None, b"zero", b"zero"]
        assert await get(store, KEYS[0], client=B) == [None]
        # Neither another key's value nor another program's.
        names = [REDIS_PREFIX + key.hex().encode() for key in KEYS]
        redis.values[names[2]] = redis.values[names[0]]
        redis.values[names[0]] = b"zero"
        assert await get(store, KEYS[2], KEYS[0]) == [None, None]

    with_store(test)


def test_a_hint_leads_to_one_turn_or_nowhere() -> None:
    async def test(redis: HostileRedis, store: RedisStore, _: Clock) -> None:
        for _turn in range(2):
            await put(store, KEYS[0], b"zero", KEYS[2], KEYS[3])
        assert await store.find(A, [KEYS[3], KEYS[2], KEYS[4]], Patience()) == [KEYS[0], KEYS[0], None]
        await put(store, KEYS[1], b"one", KEYS[3])
        assert await store.find(A, [KEYS[3], KEYS[2]], Patience()) == [None, KEYS[0]]
        await put(store, KEYS[1], b"one", KEYS[3])
        assert await store.find(A, [KEYS[3]], Patience()) == [None]
        assert redis.commands.count(b"SET") == 2 + 2 * 2 + 2 * 3

    with_store(test)


def test_whoever_holds_most_loses_first_in_redis_too() -> None:
    async def test(redis: HostileRedis, store: RedisStore, _: Clock) -> None:
        await put(store, KEYS[0], b"mine", client=B)
        for key in KEYS[1:]:
            await put(store, key, b"y" * 100)
        assert await get(store, KEYS[0], client=B) == [b"mine"]
        assert len(redis.values) == 5
        assert None not in await get(store, *KEYS[-4:])

    with_store(test, max_bytes=5 * (100 + ENTRY_OVERHEAD_BYTES))


@pytest.mark.parametrize("mode", [*REPLIES, "drips", "trickles", "endless", "closes"])
def test_whatever_redis_does_a_request_loses_half_a_second_at_most(mode: str) -> None:
    async def test(redis: HostileRedis, store: RedisStore, clock: Clock) -> None:
        await put(store, KEYS[0], b"zero")
        redis.mode = mode
        patience = Patience()
        begun_s = time.monotonic()
        said: list[str] = []
        for key in KEYS[:5]:
            # No pause for one that has failed: only its patience bounds what the request waits.
            clock.added_s += 2 * REDIS_PAUSE_S
            try:
                assert await store.get(A, [key], patience) == [None]
                await store.put(A, [KeptTurn(key, [KEYS[9]], b"x")], patience)
            except CacheError as error:
                said.append(str(error))
        assert time.monotonic() - begun_s < CACHE_TIMEOUT_S * GENEROUS
        assert "hunter2" not in "".join(said)
        # As soon as it behaves, nothing is left of what it said.
        redis.mode = None
        clock.added_s += 2 * REDIS_PAUSE_S
        await put(store, KEYS[7], b"seven")
        assert await get(store, KEYS[7], KEYS[8], KEYS[0]) == [b"seven", None, b"zero"]

    with_store(test)


def test_a_request_waits_once_and_the_next_ones_not_at_all() -> None:
    async def test(redis: HostileRedis, store: RedisStore, clock: Clock) -> list[str]:
        redis.mode = "nothing"
        patience = Patience()
        said = []
        for wait_s in (0.0, 0.0, 2 * REDIS_PAUSE_S):
            clock.added_s += wait_s
            with pytest.raises(CacheError) as caught:
                await store.get(A, [KEYS[0]], patience)
            said.append(str(caught.value))
        return said

    assert with_store(test) == ["Redis: TimeoutError", "it failed just now", "it is slow"]


def test_one_key_of_another_type_costs_the_others_nothing() -> None:
    async def test(redis: HostileRedis, store: RedisStore, _: Clock) -> None:
        await put(store, KEYS[0], b"zero")
        behave = redis.behave

        def odd(name: bytes, *arguments: bytes) -> bytes:
            wrong = name == b"GETEX" and arguments[0].endswith(KEYS[1].hex().encode())
            return REPLIES["a wrong type"] if wrong else behave(name, *arguments)

        redis.behave = odd  # type: ignore[method-assign]
        assert await get(store, KEYS[0], KEYS[1]) == [b"zero", None]

    with_store(test)


def test_no_more_is_read_than_a_request_can_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.reasoning.redis.READ_AT_ONCE", 2)
    monkeypatch.setattr("llmgw.reasoning.redis.MAX_READ_BYTES", 100)

    async def test(redis: HostileRedis, store: RedisStore, _: Clock) -> None:
        for key in KEYS[:6]:
            await put(store, key, b"x" * 60)
        found = await get(store, *KEYS[:6])
        assert [text is not None for text in found] == [False] * 4 + [True] * 2
        assert redis.commands.count(b"GETEX") == 2

    with_store(test)
