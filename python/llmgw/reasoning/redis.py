"""How reasoning is kept in Redis, shared by workers and machines."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from llmgw.reasoning.store import CacheError

REDIS_TIMEOUT_S: Final = 0.5
"""For connecting, and for each reply."""

REDIS_PAUSE_S: Final = 1.0
"""Pause after a failure: a Redis that hangs must not delay every request."""

REDIS_PREFIX: Final = b"llmgw:reasoning:"


class RedisStore:
    """A `ReasoningStore` in Redis 6.2 or newer, which survives restarts.

    Redis bounds its memory itself (`maxmemory`); every entry expires.
    """

    def __init__(self, url: str, *, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Connects at the first use. `load_config` has checked the package and the URL."""
        from redis.asyncio import Redis  # noqa: PLC0415  (an optional dependency)
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            # One retry: a pooled connection may be from before a restart of Redis.
            retry=Retry(NoBackoff(), 1),
        )
        self._ttl_ms = max(1, round(ttl_s * 1000))
        self._clock = clock
        self._resume_s = 0.0

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        # A request may hold the same turn more than once.
        wanted = list(dict.fromkeys(keys))
        answers = await self._run(
            [("GETEX", REDIS_PREFIX + key.hex().encode(), "PX", self._ttl_ms) for key in wanted]
        )
        found = dict(zip(wanted, answers, strict=True))
        return [found[key] for key in keys]

    async def put(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        await self._run(
            [("SET", REDIS_PREFIX + key.hex().encode(), text, "PX", self._ttl_ms) for key, text in entries]
        )

    async def close(self) -> None:
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
            # The error's text may quote a command, and so reasoning.
            raise CacheError(f"Redis: {type(error).__name__}") from None
