"""Reasoning kept in Redis, shared by workers and machines."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from llmgw.reasoning.store import CacheError

REDIS_TIMEOUT_S: Final = 0.5
"""For connecting, and for each answer."""

REDIS_PAUSE_S: Final = 1.0
"""After a failure nobody tries for so long: a Redis that hangs must not hold up every request."""

REDIS_PREFIX: Final = b"llmgw:reasoning:"


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
