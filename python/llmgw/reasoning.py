"""The reasoning of answers that called tools, kept for a while and put back where a client lost it.

DeepSeek and Kimi refuse the turn after a tool call unless the assistant message brings its reasoning along.
Most clients drop it, and answers that are not streamed never carry it. So it is kept here, under a key that
Rust makes of the gateway's API key and the call's id (`_core.ChatRequest.lost_turn_keys`), and what is looked
up is spliced into the next request. One key's reasoning can never reach another key's request.

It is kept in this process's memory, or in Redis, where several workers or machines share it. A cache that
fails costs a request nothing but the reasoning: it goes on as the client sent it, and the upstream may refuse
it with its own words. What is kept goes nowhere else: not into logs, not into the ledger.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from llmgw._core import ChatRequest, Exchange, PreparedRequest, Route
from llmgw.config import CacheConfig, Config
from llmgw.families import wants_reasoning
from llmgw.keys import Key

logger = logging.getLogger(__name__)

ENTRY_OVERHEAD_BYTES: Final = 256
"""What an entry costs beside its text: key, times, places in the table."""
REDIS_TIMEOUT_S: Final = 0.5
"""For connecting, and for each answer."""
REDIS_PAUSE_S: Final = 1.0
"""After a failure nobody tries for so long: a Redis that hangs must not hold up every request."""
REDIS_PREFIX: Final = b"llmgw:reasoning:"

_SHOWN_MODELS: Final = 3

Count = Callable[[str, int], None]


class CacheError(Exception):
    """The cache can't be used right now."""


class ReasoningStore(Protocol):
    """Where reasoning is kept. An entry lives until it has not been asked for during the store's time."""

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What is kept, in the order of the keys. Raises CacheError."""

    async def put(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep keys with their reasoning. Raises CacheError."""

    async def close(self) -> None:
        """Let go of connections."""


class Reasoning:
    """Puts back what was lost and keeps what comes, with one store."""

    def __init__(self, store: ReasoningStore, count: Count) -> None:
        """`count(outcome, turns)`: `kept`, `too_long`, `restored`, `missing` or `failed`."""
        self._store = store
        self._count = count
        self._failing = False

    async def rewriter(
        self, request: ChatRequest, routes: Sequence[Route], key: Key
    ) -> Callable[[Route], PreparedRequest]:
        """`request.rewrite`, with what is kept of the turns that lost their reasoning. Never raises.

        `routes`: those that the request may take.
        """
        lost = max(request.lost_turns(route) for route in routes)
        if not lost:
            return request.rewrite
        try:
            kept = await self._store.get(request.lost_turn_keys(key.digest))
        except CacheError as error:
            self._failed(error, lost)
            return request.rewrite
        self._works()

        def rewrite(route: Route) -> PreparedRequest:
            prepared = request.rewrite(route, reasoning=kept)
            if prepared.restored:
                self._count("restored", prepared.restored)
            missing = request.lost_turns(route) - prepared.restored
            if missing:
                self._count("missing", missing)
            return prepared

        return rewrite

    async def keep(self, exchange: Exchange, request: ChatRequest, key: Key) -> None:
        """Keep the reasoning of an answer that is complete. Call it before the end is shown. Never raises."""
        turns = exchange.tool_turns(request, key.digest)
        entries = [(turn, reasoning) for turn, reasoning in turns if reasoning is not None]
        if len(entries) < len(turns):
            self._count("too_long", len(turns) - len(entries))
        if not entries:
            return
        try:
            await self._store.put(entries)
        except CacheError as error:
            self._failed(error, len(entries))
            return
        self._works()
        self._count("kept", len(entries))

    async def close(self) -> None:
        """Let go of connections."""
        await self._store.close()

    def _failed(self, error: CacheError, turns: int) -> None:
        self._count("failed", turns)
        if not self._failing:
            self._failing = True
            logger.error("the cache fails, reasoning is neither kept nor put back: %s", error)

    def _works(self) -> None:
        if self._failing:
            self._failing = False
            logger.warning("the cache works again")


def sharing_problem(config: Config, workers: int) -> str | None:
    """What an operator must know of several workers that each keep reasoning for themselves."""
    affected = [
        model.id for model in config.models if any(wants_reasoning(model, target) for target in model.targets)
    ]
    if workers == 1 or config.cache.url is not None or not affected:
        return None
    names = ", ".join([*affected[:_SHOWN_MODELS], *(["…"] if len(affected) > _SHOWN_MODELS else [])])
    return (
        f"each of the {workers} workers keeps the reasoning of tool calls for itself, so a model may refuse "
        f'the turn after a call ({names}); put url = "redis://…" into [cache], or use 1 worker'
    )


def open_store(config: CacheConfig) -> ReasoningStore:
    """The configured store. Connects to nothing yet."""
    if config.url is None:
        return MemoryStore(ttl_s=config.reasoning_ttl_s, max_bytes=config.reasoning_max_bytes)
    return RedisStore(config.url.get_secret_value(), ttl_s=config.reasoning_ttl_s)


class MemoryStore:
    """In this process, for one event loop. What has not been used for longest goes first."""

    def __init__(self, *, ttl_s: float, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`max_bytes` bounds texts and their overhead together."""
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._clock = clock
        # By last use, which is also by expiry.
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self.bytes = 0
        """What is held, overhead included."""

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `ReasoningStore`."""
        self._expire()
        expires_s = self._clock() + self._ttl_s
        found: list[bytes | None] = []
        for key in keys:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries[key] = (expires_s, entry[1])
                self._entries.move_to_end(key)
            found.append(None if entry is None else entry[1])
        return found

    async def put(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """See `ReasoningStore`."""
        self._expire()
        expires_s = self._clock() + self._ttl_s
        for key, reasoning in entries:
            self._drop(key)
            self._entries[key] = (expires_s, reasoning)
            self.bytes += len(reasoning) + ENTRY_OVERHEAD_BYTES
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _expire(self) -> None:
        now_s = self._clock()
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key][0] > now_s:
                return
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= len(entry[1]) + ENTRY_OVERHEAD_BYTES


class RedisStore:
    """In Redis 6.2 or newer, for all workers and machines that name it, across restarts.

    Its memory is bounded by its own `maxmemory`; every entry expires.
    """

    def __init__(self, url: str, *, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Connects at the first use. `load_config` has seen to the package and the URL."""
        from redis.asyncio import Redis  # noqa: PLC0415  (an extra: only who configures it needs it)
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            # One more try: a pooled connection may have died with a Redis that is long back.
            retry=Retry(NoBackoff(), 1),
        )
        self._ttl_ms = max(1, round(ttl_s * 1000))
        self._clock = clock
        self._resume_s = 0.0

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `ReasoningStore`."""
        # The same turn may stand in a request more than once.
        wanted = list(dict.fromkeys(keys))
        answers = await self._run(
            [("GETEX", REDIS_PREFIX + key.hex().encode(), "PX", self._ttl_ms) for key in wanted]
        )
        found = dict(zip(wanted, answers, strict=True))
        return [found[key] for key in keys]

    async def put(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """See `ReasoningStore`."""
        await self._run(
            [("SET", REDIS_PREFIX + key.hex().encode(), text, "PX", self._ttl_ms) for key, text in entries]
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _run(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """All commands in one round trip. Raises CacheError."""
        from redis.exceptions import RedisError  # noqa: PLC0415  (as above)

        if self._clock() < self._resume_s:
            raise CacheError("it failed just now")
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return list(await pipeline.execute())
        except (RedisError, OSError, TimeoutError) as error:
            self._resume_s = self._clock() + REDIS_PAUSE_S
            # The error's text may quote a command, and with it what is kept.
            raise CacheError(f"Redis: {type(error).__name__}") from None
