"""How the reasoning of answers is kept, and restored in requests whose client dropped it.

DeepSeek and Kimi refuse a request with tools if its assistant messages lack their reasoning. Most clients
drop it, and answers that are not streamed never carry it. So it is kept here, under a key that Rust derives
from the client's API key, the provider that answered, and what the answer says
(`_core.ChatRequest.lost_turn_keys`), and spliced into the next request. One API key's reasoning can never
reach another API key's request. It goes back to the provider it came from, or to another one only if the
operator has made both targets of the model that is asked, so that they stand in for each other.

It is kept in this process's memory, or in Redis for several workers or machines. If the store fails, a
request is sent as the client wrote it, and the upstream may refuse it. Kept reasoning goes nowhere else: it
is in no log line and no ledger row.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeAlias, TypeVar

from llmgw._core import ChatRequest, Exchange, PreparedRequest, Route
from llmgw.access.key import Key
from llmgw.config import CacheConfig, Config
from llmgw.reasoning.redis import RedisStore
from llmgw.reasoning.store import CacheError, KeptTurn, MemoryStore, Patience, ReasoningStore
from llmgw.redis import RedisClient

logger = logging.getLogger(__name__)

_SHOWN_MODELS: Final = 3

CountTurns = Callable[[str, int], None]
LostTurn: TypeAlias = tuple[list[bytes], list[bytes]]
Result = TypeVar("Result")


class OffLoop(Protocol):
    """Does something in a thread."""

    def __call__(self, work: Callable[[], Result], /) -> Awaitable[Result]: ...


class Reasoning:
    """Keeps and restores reasoning, in one store."""

    def __init__(self, store: ReasoningStore, count: CountTurns) -> None:
        """`count(outcome, turns)`: `kept`, `too_long`, `restored`, `missing` or `failed`."""
        self.store = store
        self.count = count
        self._failing = False

    def of(
        self, request: ChatRequest, routes: Sequence[Route], key: Key, *, off_loop: OffLoop | None = None
    ) -> "RequestReasoning":
        """The reasoning of one request and its answer.

        `routes`: all that the request may take. `off_loop`: for a body that takes long to digest.
        """
        return RequestReasoning(self, request, routes, key, off_loop)

    async def close(self) -> None:
        """Close the store."""
        await self.store.close()

    def failed(self, error: CacheError, turns: int) -> None:
        """The store could not be used for these turns."""
        self.count("failed", turns)
        if not self._failing:
            self._failing = True
            logger.error("the cache fails, reasoning is neither kept nor put back: %s", error)

    def works(self) -> None:
        """The store could be used."""
        if self._failing:
            self._failing = False
            logger.warning("the cache works again")


class RequestReasoning:
    """The reasoning of one request: of its earlier turns, and of its answer."""

    __slots__ = ("_client", "_off_loop", "_patience", "_reasoning", "_request", "_routes")

    def __init__(
        self,
        reasoning: Reasoning,
        request: ChatRequest,
        routes: Sequence[Route],
        key: Key,
        off_loop: OffLoop | None,
    ) -> None:
        """Nothing is read or kept yet."""
        self._reasoning = reasoning
        self._request = request
        self._routes = routes
        self._client = key.digest
        self._off_loop = off_loop
        self._patience = Patience()

    async def rewriter(self) -> Callable[[Route], PreparedRequest]:
        """The request's `rewrite`, which also restores kept reasoning. Never raises."""
        request, reasoning = self._request, self._reasoning
        lost = max(request.lost_turns(route) for route in self._routes)
        if not lost:
            return request.rewrite
        try:
            turns = await self._digest(partial(request.lost_turn_keys, self._client, self._routes))
            kept = await self._kept(turns)
        except CacheError as error:
            reasoning.failed(error, lost)
            return request.rewrite
        reasoning.works()

        def rewrite(route: Route) -> PreparedRequest:
            prepared = request.rewrite(route, reasoning=kept)
            if prepared.restored:
                reasoning.count("restored", prepared.restored)
            missing = request.lost_turns(route) - prepared.restored
            if missing:
                reasoning.count("missing", missing)
            return prepared

        return rewrite

    async def keep(self, exchange: Exchange) -> None:
        """Keep the reasoning of an answer, as far as it came. Never raises.

        Call it before the client sees the end.
        """
        reasoning = self._reasoning
        answered = await self._digest(partial(exchange.turns, self._request, self._client))
        turns = [KeptTurn(key, hints, text) for key, hints, text in answered if text is not None]
        if len(turns) < len(answered):
            reasoning.count("too_long", len(answered) - len(turns))
        if not turns:
            return
        try:
            await reasoning.store.put(self._client, turns, self._patience)
        except CacheError as error:
            reasoning.failed(error, len(turns))
            return
        reasoning.works()
        reasoning.count("kept", len(turns))

    async def _digest(self, work: Callable[[], Result]) -> Result:
        return work() if self._off_loop is None else await self._off_loop(work)

    async def _kept(self, turns: Sequence[LostTurn]) -> list[bytes | None]:
        """What is kept of each turn, None where there is nothing. Raises CacheError."""
        kept = await self._read([keys for keys, _ in turns])
        missing = [at for at, (_, hints) in enumerate(turns) if kept[at] is None and hints]
        if missing:
            leads = await self._leads([turns[at][1] for at in missing])
            for at, reasoning in zip(missing, await self._read(leads), strict=True):
                kept[at] = reasoning
        return kept

    async def _read(self, turns: Sequence[Sequence[bytes]]) -> list[bytes | None]:
        """The first that is there of each turn's keys."""
        keys = [key for keys in turns for key in keys]
        texts = await self._reasoning.store.get(self._client, keys, self._patience) if keys else []
        return _first_of_each(turns, dict(zip(keys, texts, strict=True)))

    async def _leads(self, turns: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
        """The key that each turn's hints lead to, if one does."""
        hints = [hint for hints in turns for hint in hints]
        found = await self._reasoning.store.find(self._client, hints, self._patience)
        leads = _first_of_each(turns, dict(zip(hints, found, strict=True)))
        return [[] if lead is None else [lead] for lead in leads]


def _first_of_each(turns: Sequence[Sequence[bytes]], values: dict[bytes, bytes | None]) -> list[bytes | None]:
    return [next((values[key] for key in keys if values[key] is not None), None) for keys in turns]


def sharing_problem(config: Config, workers: int) -> str | None:
    """A warning for the operator if several workers each keep something in their own memory."""
    affected = [model.id for model in config.models if any(map(model.wants_reasoning_at, model.targets))]
    if workers == 1 or config.cache.url is not None:
        return None
    if config.responses.keep_s is not None:
        return (
            f"each of the {workers} workers keeps the conversations of [responses] for itself, so most that "
            'previous_response_id names are not found; put url = "redis://…" into [cache], or use 1 worker'
        )
    if not affected:
        return None
    names = ", ".join([*affected[:_SHOWN_MODELS], *(["…"] if len(affected) > _SHOWN_MODELS else [])])
    return (
        f"each of the {workers} workers keeps the reasoning of tool calls for itself, so a model may refuse "
        f'the turn after a call ({names}); put url = "redis://…" into [cache], or use 1 worker'
    )


def open_cache(config: CacheConfig, redis: RedisClient | None) -> ReasoningStore:
    """The configured store. `redis`: where it is; None: in memory."""
    if redis is None:
        return MemoryStore(ttl_s=config.reasoning_ttl_s, max_bytes=config.reasoning_max_bytes)
    return RedisStore(redis, ttl_s=config.reasoning_ttl_s, max_bytes=config.reasoning_max_bytes)
