"""What a store of reasoning must do, and the one in this process's memory."""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from llmgw.errors import LlmgwError
from llmgw.reasoning.shares import Shares

CACHE_TIMEOUT_S: Final = 0.5
"""How long one request may wait for the cache, all in all."""

AMBIGUOUS: Final = b""
"""What a hint leads to that has led to two turns."""


class CacheError(LlmgwError):
    """The cache can't be used right now."""


class Patience:
    """How long a request may still wait for the cache."""

    __slots__ = ("left_s",)

    def __init__(self) -> None:
        """A request has one, from its beginning to its end."""
        self.left_s = CACHE_TIMEOUT_S


class KeptTurn(NamedTuple):
    """The reasoning of one turn."""

    key: bytes
    hints: Sequence[bytes]
    """Further keys, which lead to `key` unless another turn has the same."""
    reasoning: bytes


class ReasoningStore(Protocol):
    """Where reasoning is kept. An entry expires when it has not been used for the store's TTL.

    `client` says whose it is; keys of two clients are never the same. All methods raise CacheError.
    """

    async def get(self, client: bytes, keys: Sequence[bytes], patience: Patience) -> list[bytes | None]:
        """The reasoning of each key, None where there is none."""

    async def find(self, client: bytes, hints: Sequence[bytes], patience: Patience) -> list[bytes | None]:
        """The key that each hint leads to, None where it leads nowhere or to several."""

    async def put(self, client: bytes, turns: Sequence[KeptTurn], patience: Patience) -> None:
        """Keep the reasoning of turns."""

    async def close(self) -> None:
        """Close connections."""


class MemoryStore:
    """In this process, for one event loop. Who holds most is the first to lose something (see `Shares`)."""

    def __init__(self, *, ttl_s: float, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`max_bytes` bounds texts and their overhead together."""
        self._values: dict[bytes, bytes] = {}
        self.shares = Shares(ttl_s=ttl_s, max_bytes=max_bytes, clock=clock)

    async def get(self, client: bytes, keys: Sequence[bytes], patience: Patience) -> list[bytes | None]:
        del client, patience
        self._forget(self.shares.expired())
        for key in keys:
            self.shares.use(key)
        return [self._values.get(key) for key in keys]

    async def find(self, client: bytes, hints: Sequence[bytes], patience: Patience) -> list[bytes | None]:
        return [key or None for key in await self.get(client, hints, patience)]

    async def put(self, client: bytes, turns: Sequence[KeptTurn], patience: Patience) -> None:
        del patience
        self._forget(self.shares.expired())
        for key, hints, reasoning in turns:
            self._set(client, key, reasoning)
            for hint in hints:
                known = self._values.get(hint, key)
                self._set(client, hint, key if known == key else AMBIGUOUS)
        self._forget(self.shares.evicted())

    async def close(self) -> None:
        """There are no connections."""

    def _set(self, client: bytes, key: bytes, value: bytes) -> None:
        self._values[key] = value
        self.shares.add(client, key, len(value))

    def _forget(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            del self._values[key]
