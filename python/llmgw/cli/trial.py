"""How `llmgw check --try` asks each target for one token, in the very way in which the gateway asks it.

Of an embedding model it wants one vector, of a rerank model the place of one document.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from llmgw._core import ChatRequest, EmbeddingRequest, RerankRequest, UpstreamError
from llmgw.config import Config, ModelKind
from llmgw.routing.probe import Verdict
from llmgw.routing.router import Model, Router
from llmgw.routing.targets import Target

TIMEOUT_S: Final = 60.0
"""For an answer of one token. A model that is being loaded may need all of it."""
_AT_ONCE: Final = 8
_MAX_MESSAGE_CHARS: Final = 200


_Scan: TypeAlias = Callable[[bytes], ChatRequest | EmbeddingRequest | RerankRequest]
_QUESTIONS: Final[dict[ModelKind, tuple[_Scan, dict[str, object]]]] = {
    "chat": (ChatRequest, {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}),
    "embedding": (EmbeddingRequest, {"input": "Hi"}),
    "rerank": (RerankRequest, {"query": "Hi", "documents": ["Hello"]}),
}


class Trial(NamedTuple):
    """What a target answered."""

    model: str
    upstream: str
    account: int | None
    """Its number; None: the upstream has one."""
    upstream_model: str
    elapsed_s: float
    verdict: Verdict


def number_of_targets(config: Config) -> int:
    """How many trials there are."""
    targets = [target for model in config.models for target in model.targets]
    return sum(len(config.upstreams[target.upstream].accounts) for target in targets)


async def try_all(config: Config, *, told: Callable[[str], None]) -> list[Trial]:
    """Ask every target of every model, some at once; in the order of the config.

    `told` gets the id of a model when one of its targets has answered. Raises ValueError (see `Router`).
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(model: Model, target: Target) -> Trial:
        async with gate:
            trial = await _try(model, target)
        told(model.id)
        return trial

    pairs = [(model, target) for model in Router(config).models.values() for target in model.targets.all]
    return await asyncio.gather(*(one(model, target) for model, target in pairs))


async def _try(model: Model, target: Target) -> Trial:
    scan, question = _QUESTIONS[model.kind]
    prepared = scan(json.dumps({"model": model.id, **question}).encode()).rewrite(target.route)
    started = time.monotonic()
    exchange = target.upstream.start(
        prepared, request_id="llmgw-check", heartbeat_s=TIMEOUT_S, total_timeout_s=TIMEOUT_S
    )
    try:
        await exchange.next_block()
    except UpstreamError as error:
        verdict = Verdict("fault", _reason(error))
    else:
        tokens = exchange.report().completion_tokens if model.kind == "chat" else None
        verdict = Verdict("ok", "ok" if tokens is None else f"ok, {tokens} token{'s' if tokens != 1 else ''}")
    health, elapsed_s = target.health, time.monotonic() - started
    return Trial(model.id, health.upstream, health.account, health.upstream_model, elapsed_s, verdict)


def _reason(error: UpstreamError) -> str:
    status = "" if error.status is None else f" {error.status}"
    message = f": {error.message[:_MAX_MESSAGE_CHARS]}" if error.message else ""
    return f"{error.kind}{status}{message}"
