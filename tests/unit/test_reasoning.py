"""Keeping reasoning: the stores' bounds, what is counted and logged, and who is warned."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmgw import _core
from llmgw.access.key import Key
from llmgw.config import CacheConfig, Config, ResponsesConfig, parse_config
from llmgw.reasoning.redis import REDIS_PAUSE_S, RedisStore
from llmgw.reasoning.shares import ENTRY_OVERHEAD_BYTES, Shares
from llmgw.reasoning.store import CacheError, KeptTurn, MemoryStore, Patience, ReasoningStore
from llmgw.reasoning.turns import Reasoning, open_cache, sharing_problem
from llmgw.redis import connect
from tests.support.processes import free_port

KEYS = [bytes([number]) * 32 for number in range(4)]
KEY = Key(1, "", "", b"d" * 32, None, datetime.now(UTC), None, None)
OTHERS = b"e" * 32
WANTS = _core.Route("deepseek-v4-pro", restore_reasoning=True, provider="http://a.example")
LOST = (
    b'{"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"id": "call_0123456789",'
    b' "type": "function", "function": {"name": "f", "arguments": "{}"}}]}]}'
)


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Now."""
        return self.now_s


class Broken:
    """A store that fails until it is mended."""

    def __init__(self) -> None:
        self.broken = True

    async def get(self, client: bytes, keys: Sequence[bytes], patience: Patience) -> list[bytes | None]:
        """Always the same."""
        del client, patience
        if self.broken:
            raise CacheError("it is on fire")
        return [b"hm"] * len(keys)

    async def find(self, client: bytes, hints: Sequence[bytes], patience: Patience) -> list[bytes | None]:
        """Not asked for here."""
        raise NotImplementedError

    async def put(self, client: bytes, turns: Sequence[KeptTurn], patience: Patience) -> None:
        """Not asked for here."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing."""


def get(store: ReasoningStore, *keys: bytes) -> list[bytes | None]:
    return asyncio.run(store.get(KEY.digest, keys, Patience()))


def find(store: ReasoningStore, *hints: bytes) -> list[bytes | None]:
    return asyncio.run(store.find(KEY.digest, hints, Patience()))


def put(
    store: ReasoningStore,
    *entries: tuple[bytes, bytes],
    hints: Sequence[bytes] = (),
    client: bytes = KEY.digest,
) -> None:
    asyncio.run(store.put(client, [KeptTurn(key, hints, text) for key, text in entries], Patience()))


def test_memory_gives_what_it_got() -> None:
    store = MemoryStore(ttl_s=60, max_bytes=10_000)
    put(store, (KEYS[0], b"zero"), (KEYS[1], b"one"))
    put(store, (KEYS[0], b"anew"))
    assert get(store, KEYS[1], KEYS[2], KEYS[0], KEYS[1]) == [b"one", None, b"anew", b"one"]
    assert store.shares.bytes == len(b"anewone") + 2 * ENTRY_OVERHEAD_BYTES


def test_memory_forgets_what_was_not_used_for_its_time() -> None:
    clock = Clock()
    store = MemoryStore(ttl_s=60, max_bytes=10_000, clock=clock)
    put(store, (KEYS[0], b"used"), (KEYS[1], b"unused"))
    clock.now_s += 40
    assert get(store, KEYS[0]) == [b"used"]
    clock.now_s += 40
    assert get(store, KEYS[1], KEYS[0]) == [None, b"used"]
    assert store.shares.bytes == len(b"used") + ENTRY_OVERHEAD_BYTES
    clock.now_s += 60
    put(store)
    assert store.shares.bytes == 0


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    size = 1000
    store = MemoryStore(ttl_s=60, max_bytes=3 * (size + ENTRY_OVERHEAD_BYTES))
    put(store, *((key, b"x" * size) for key in KEYS[:3]))
    get(store, KEYS[0])
    put(store, (KEYS[3], b"y" * size))
    assert [text is not None for text in get(store, *KEYS)] == [True, False, True, True]
    put(store, (KEYS[1], b"z" * 100_000))
    assert get(store, KEYS[1]) == [None], "larger than all there is"
    assert store.shares.bytes == 0


def test_a_hint_leads_to_one_turn_or_nowhere() -> None:
    store = MemoryStore(ttl_s=60, max_bytes=10_000)
    put(store, (KEYS[0], b"zero"), hints=[KEYS[2], KEYS[3]])
    put(store, (KEYS[0], b"anew"), hints=[KEYS[2], KEYS[3]])
    assert find(store, KEYS[3], KEYS[2], b"?") == [KEYS[0], KEYS[0], None]
    put(store, (KEYS[1], b"one"), hints=[KEYS[3]])
    assert find(store, KEYS[2], KEYS[3]) == [KEYS[0], None]
    put(store, (KEYS[1], b"one"), hints=[KEYS[3]])
    assert find(store, KEYS[3]) == [None]


def test_whoever_holds_most_loses_first() -> None:
    cost_bytes = 100 + ENTRY_OVERHEAD_BYTES
    store = MemoryStore(ttl_s=60, max_bytes=10 * cost_bytes)
    put(store, (KEYS[0], b"x" * 100), (KEYS[1], b"x" * 100), client=OTHERS)
    flood = [bytes([number]) * 31 for number in range(200)]
    for key in flood:
        put(store, (key, b"y" * 100))
    assert store.shares.bytes == 10 * cost_bytes
    assert None not in get(store, KEYS[0], KEYS[1], *flood[-8:])
    assert get(store, *flood[:-8]) == [None] * 192
    # It has become the largest itself, and takes nothing from those that hold less now.
    for number in range(10):
        put(store, (bytes([number]) * 30, b"x" * 100), client=OTHERS)
    assert sum(text is not None for text in get(store, *flood[-8:])) == 5


def test_shares_of_many_clients_stay_cheap() -> None:
    shares = Shares(ttl_s=60, max_bytes=500 * ENTRY_OVERHEAD_BYTES)
    for number in range(5000):
        shares.add(b"%d" % (number % 1000), b"%d" % number, 0)
        shares.evicted()
    assert shares.bytes == 500 * ENTRY_OVERHEAD_BYTES
    assert shares.expired() == []


@pytest.mark.parametrize(("url", "kind"), [(None, MemoryStore), ("redis://127.0.0.1:1/0", RedisStore)])
def test_the_config_chooses(url: str | None, kind: type) -> None:
    async def run() -> None:
        store = open_cache(CacheConfig(), None if url is None else connect(url))
        assert isinstance(store, kind)
        await store.close()

    asyncio.run(run())


def test_redis_that_is_not_there_is_left_in_peace_for_a_while() -> None:
    clock = Clock()

    async def run() -> list[str]:
        client = connect(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
        store = RedisStore(client, ttl_s=60, max_bytes=1000, clock=clock)
        said = []
        for wait_s in (0.0, REDIS_PAUSE_S / 2, REDIS_PAUSE_S):
            clock.now_s += wait_s
            with pytest.raises(CacheError) as caught:
                await store.put(KEY.digest, [KeptTurn(KEYS[0], [], b"secret")], Patience())
            said.append(str(caught.value))
        await client.close()
        return said

    assert asyncio.run(run()) == ["Redis: ConnectionError", "it failed just now", "Redis: ConnectionError"]


def test_a_broken_store_costs_nothing_but_the_reasoning(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[tuple[str, int]] = []
    store = Broken()
    reasoning = Reasoning(store, lambda outcome, turns: counted.append((outcome, turns)))
    request = _core.ChatRequest(LOST)

    def rewrite() -> _core.PreparedRequest:
        return asyncio.run(reasoning.of(request, [WANTS], KEY).rewriter())(WANTS)

    with caplog.at_level(logging.WARNING, "llmgw"):
        plain = request.rewrite(WANTS).body
        assert [rewrite().body for _ in range(3)] == [plain] * 3
        store.broken = False
        assert b'"reasoning_content": "hm"' in rewrite().body
        rewrite()
    assert counted == [("failed", 1)] * 3 + [("restored", 1)] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "the cache fails, reasoning is neither kept nor put back: it is on fire",
        "the cache works again",
    ]


def test_what_is_not_kept_is_counted_as_missing() -> None:
    counted: list[tuple[str, int]] = []
    store = MemoryStore(ttl_s=60, max_bytes=10_000)
    reasoning = Reasoning(store, lambda outcome, turns: counted.append((outcome, turns)))
    request = _core.ChatRequest(LOST)
    prepared = asyncio.run(reasoning.of(request, [WANTS], KEY).rewriter())(WANTS)
    assert (prepared.restored, counted) == (0, [("missing", 1)])
    [([key], [])] = request.lost_turn_keys(KEY.digest, [WANTS])
    put(store, (key, b"hm"))
    prepared = asyncio.run(reasoning.of(request, [WANTS], KEY).rewriter())(WANTS)
    assert (prepared.restored, counted[1:]) == (1, [("restored", 1)])


def test_only_the_target_that_wants_it_gets_it() -> None:
    counted: list[tuple[str, int]] = []
    store = MemoryStore(ttl_s=60, max_bytes=10_000)
    reasoning = Reasoning(store, lambda outcome, turns: counted.append((outcome, turns)))
    request = _core.ChatRequest(LOST)
    [([key], _)] = request.lost_turn_keys(KEY.digest, [WANTS])
    put(store, (key, b"hm"))
    other = _core.Route("glm-5")
    rewrite = asyncio.run(reasoning.of(request, [other, WANTS], KEY).rewriter())
    assert b"reasoning_content" not in rewrite(other).body
    assert counted == []
    assert b'"reasoning_content": "hm"' in rewrite(WANTS).body
    assert counted == [("restored", 1)]


def test_the_boundary_of_lost_turns() -> None:
    request = _core.ChatRequest(LOST)
    assert (request.lost_turns(WANTS), request.lost_turns(_core.Route("m"))) == (1, 0)
    [([one], hints)] = request.lost_turn_keys(b"a", [WANTS])
    assert (len(one), hints) == (32, [])
    assert request.lost_turn_keys(b"b", [WANTS]) != [([one], [])]
    elsewhere = _core.Route("deepseek-v4-pro", restore_reasoning=True, provider="http://b.example")
    [([same, other], _)] = request.lost_turn_keys(b"a", [WANTS, elsewhere, WANTS, _core.Route("m")])
    assert same == one
    assert other != one
    assert request.rewrite(WANTS).keeps_reasoning
    assert not request.rewrite(_core.Route("m")).keeps_reasoning
    for bad in (b'x", "y": "', b"\xff"):
        assert request.rewrite(WANTS, reasoning=[bad]).restored == 0


def config(model: dict[str, Any], cache: dict[str, Any] | None = None) -> Config:
    table = {"upstream": "u", **model}
    data = {"upstreams": {"u": {"base_url": "http://h"}}, "models": [table], "cache": cache or {}}
    return parse_config(data, Path("llmgw.toml"))


@pytest.mark.parametrize(
    ("model", "cache", "workers", "warned"),
    [
        ({"id": "deepseek-v4-pro"}, {}, 2, True),
        ({"id": "kimi-k2.6"}, {}, 2, True),
        ({"id": "m", "restore_reasoning": True}, {}, 2, True),
        ({"id": "kimi-k2.6", "restore_reasoning": False}, {}, 2, False),
        ({"id": "qwen3.6-plus"}, {}, 2, False),
        ({"id": "kimi-k2.6"}, {}, 1, False),
        ({"id": "kimi-k2.6"}, {"url": "redis://h:6379"}, 2, False),
    ],
)
def test_who_is_warned(model: dict[str, Any], cache: dict[str, Any], workers: int, *, warned: bool) -> None:
    problem = sharing_problem(config(model, cache), workers)
    assert (problem is not None) == warned
    if problem:
        assert model["id"] in problem
        assert "[cache]" in problem


def test_who_keeps_conversations_is_warned() -> None:
    """Whatever the models."""
    told = {"responses": {"keep_s": 60}}
    for workers, cache, warned in [(2, {}, True), (1, {}, False), (2, {"url": "redis://127.0.0.1/0"}, False)]:
        kept = config({"id": "m"}, cache).model_copy(
            update={"responses": ResponsesConfig.model_validate(told["responses"])}
        )
        problem = sharing_problem(kept, workers)
        assert (problem is not None and "previous_response_id" in problem) == warned
