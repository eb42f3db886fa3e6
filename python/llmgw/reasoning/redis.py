"""How reasoning is kept in Redis, shared by workers and machines."""

import asyncio
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from llmgw.reasoning.shares import Shares
from llmgw.reasoning.store import AMBIGUOUS, CacheError, KeptTurn, Patience
from llmgw.redis import Command, RedisClient, reason_of

REDIS_PAUSE_S: Final = 1.0
"""Pause after a failure: a Redis that hangs must not delay every request."""

REDIS_PREFIX: Final = b"llmgw:reasoning:"

READ_AT_ONCE: Final = 256
"""Values that are read in one round trip."""

MAX_READ_BYTES: Final = 16 * 1024 * 1024
"""More reasoning than this is not put back into one request, so no more is read for it."""

SEAL_BYTES: Final = 16


class RedisStore:
    """A `ReasoningStore` in Redis 6.2 or newer, which survives restarts.

    Whatever Redis does or answers, a request loses nothing but its reasoning, and half a second. A value that
    this gateway did not write for that client and key is no value: each is sealed. What this process has
    written is bounded as in memory (see `Shares`); `maxmemory` of Redis bounds what all write.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        ttl_s: float,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client`: not closed with it."""
        self._redis = client
        self._ttl_ms = max(1, round(ttl_s * 1000))
        self._clock = clock
        self._resume_s = 0.0
        self._shares = Shares(ttl_s=ttl_s, max_bytes=max_bytes, clock=clock)

    async def get(self, client: bytes, keys: Sequence[bytes], patience: Patience) -> list[bytes | None]:
        # A request may hold the same turn more than once. The last turns come first, should it be too much.
        wanted = list(dict.fromkeys(reversed(keys)))
        found: dict[bytes, bytes | None] = {}
        size_bytes = 0
        for start in range(0, len(wanted), READ_AT_ONCE):
            if size_bytes > MAX_READ_BYTES:
                break
            batch = wanted[start : start + READ_AT_ONCE]
            answers = await self._run([("GETEX", _name(key), "PX", self._ttl_ms) for key in batch], patience)
            for key, answer in zip(batch, answers, strict=True):
                found[key] = value = _opened(client, key, answer)
                size_bytes += len(value or b"")
                self._shares.use(key)
        return [found.get(key) for key in keys]

    async def find(self, client: bytes, hints: Sequence[bytes], patience: Patience) -> list[bytes | None]:
        return [key or None for key in await self.get(client, hints, patience)]

    async def put(self, client: bytes, turns: Sequence[KeptTurn], patience: Patience) -> None:
        commands: list[Command] = []
        leads: dict[int, tuple[bytes, bytes]] = {}
        for key, hints, reasoning in turns:
            commands.append(self._set(client, key, reasoning))
            for hint in hints:
                commands.append((*self._set(client, hint, key), "NX"))
                leads[len(commands)] = (hint, key)
                commands.append(("GET", _name(hint)))
        self._shares.expired()
        evicted = self._shares.evicted()
        # One each: they are in other slots of a cluster.
        commands += [("UNLINK", _name(key)) for key in evicted]
        answers = await self._run(commands, patience)
        ambiguous = [
            self._set(client, hint, AMBIGUOUS)
            for at, (hint, key) in leads.items()
            if _opened(client, hint, answers[at]) != key
        ]
        if ambiguous:
            await self._run(ambiguous, patience)

    async def close(self) -> None:
        """Nothing: the client is somebody else's."""

    def _set(self, client: bytes, key: bytes, value: bytes) -> tuple[str | bytes | int, ...]:
        self._shares.add(client, key, len(value))
        return ("SET", _name(key), _seal(client, key, value) + value, "PX", self._ttl_ms)

    async def _run(self, commands: Sequence[Command], patience: Patience) -> list[object]:
        """All commands in one round trip. Raises CacheError."""
        begun_s = self._clock()
        if begun_s < self._resume_s:
            raise CacheError("it failed just now")
        if patience.left_s <= 0:
            raise CacheError("it is slow")
        try:
            async with asyncio.timeout(patience.left_s):
                return await self._round_trip(commands)
        except CacheError:
            self._resume_s = self._clock() + REDIS_PAUSE_S
            raise
        except Exception as error:  # noqa: BLE001  (the package raises whatever it stumbles over in a reply)
            self._resume_s = self._clock() + REDIS_PAUSE_S
            self._redis.reset()
            # The error's text may quote a command, and so reasoning.
            raise CacheError(f"Redis: {reason_of(error)}") from None
        finally:
            patience.left_s -= self._clock() - begun_s

    async def _round_trip(self, commands: Sequence[Command]) -> list[object]:
        """One answer for each command; an error only if all are errors, or one of them could not write."""
        answers = await self._redis.run(commands)
        if len(answers) != len(commands):
            raise CacheError("Redis: not an answer for each command")
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        refused = [
            answer
            for command, answer in zip(commands, answers, strict=True)
            if isinstance(answer, Exception) and command[0] == "SET"
        ]
        if refused or len(errors) == len(answers):
            raise CacheError(f"Redis: {reason_of((refused or errors)[0])}")
        return answers


def _name(key: bytes) -> bytes:
    return REDIS_PREFIX + key.hex().encode()


def _seal(client: bytes, key: bytes, value: bytes) -> bytes:
    """Stands before a value. It takes the digest of the client's key, which is not in Redis."""
    return blake2b(key + value, digest_size=SEAL_BYTES, key=client).digest()


def _opened(client: bytes, key: bytes, answer: object) -> bytes | None:
    """The value without its seal; None if it is not one of ours."""
    if not isinstance(answer, bytes):
        return None
    seal, value = answer[:SEAL_BYTES], answer[SEAL_BYTES:]
    return value if compare_digest(seal, _seal(client, key, value)) else None
