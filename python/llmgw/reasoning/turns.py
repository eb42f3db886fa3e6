"""How the reasoning of tool calls is kept, and restored in requests whose client dropped it.

DeepSeek and Kimi refuse the turn after a tool call unless the assistant message includes its reasoning. Most
clients drop it, and answers that are not streamed never carry it. So it is kept here, under a key that Rust
derives from the client's API key and the call's id (`_core.ChatRequest.lost_turn_keys`), and spliced into the
next request. One API key's reasoning can never reach another API key's request.

It is kept in this process's memory, or in Redis for several workers or machines. If the store fails, a
request is sent as the client wrote it, and the upstream may refuse it. Kept reasoning goes nowhere else: it
is in no log line and no ledger row.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from llmgw._core import ChatRequest, Exchange, PreparedRequest, Route
from llmgw.access.key import Key
from llmgw.config import CacheConfig, Config
from llmgw.reasoning.redis import RedisStore
from llmgw.reasoning.store import CacheError, MemoryStore, ReasoningStore

logger = logging.getLogger(__name__)

_SHOWN_MODELS: Final = 3

CountTurns = Callable[[str, int], None]


class Reasoning:
    """Keeps and restores reasoning, in one store."""

    def __init__(self, store: ReasoningStore, count: CountTurns) -> None:
        """`count(outcome, turns)`: `kept`, `too_long`, `restored`, `missing` or `failed`."""
        self._store = store
        self._count = count
        self._failing = False

    async def rewriter(
        self, request: ChatRequest, routes: Sequence[Route], key: Key
    ) -> Callable[[Route], PreparedRequest]:
        """`request.rewrite`, which also restores kept reasoning. Never raises.

        `routes`: all routes that the request may take.
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
        """Keep the reasoning of a complete answer. Call it before the client sees the end. Never raises."""
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
        """Close the store."""
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
    """A warning for the operator if several workers each keep reasoning in their own memory."""
    affected = [model.id for model in config.models if any(map(model.wants_reasoning_at, model.targets))]
    if workers == 1 or config.cache.url is not None or not affected:
        return None
    names = ", ".join([*affected[:_SHOWN_MODELS], *(["…"] if len(affected) > _SHOWN_MODELS else [])])
    return (
        f"each of the {workers} workers keeps the reasoning of tool calls for itself, so a model may refuse "
        f'the turn after a call ({names}); put url = "redis://…" into [cache], or use 1 worker'
    )


def open_cache(config: CacheConfig) -> ReasoningStore:
    """The configured store. It connects at its first use."""
    if config.url is None:
        return MemoryStore(ttl_s=config.reasoning_ttl_s, max_bytes=config.reasoning_max_bytes)
    return RedisStore(config.url.get_secret_value(), ttl_s=config.reasoning_ttl_s)
