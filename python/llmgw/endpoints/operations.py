"""`GET /healthz`, `/readyz` and `/metrics`: for the operator's programs, without a key.

And `GET /api/hello`, with which Claude Code finds out whether it is connected, before it has a key.
"""

import json
import os
from typing import Final

from llmgw.asgi.responder import JSON, Responder
from llmgw.asgi.types import Scope
from llmgw.gateway import Gateway
from llmgw.observe.metrics import CONTENT_TYPE

HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"
METRICS: Final = "/metrics"
HELLO: Final = "/api/hello"


async def healthz(gateway: Gateway, scope: Scope, responder: Responder) -> None:  # noqa: ARG001
    """The process answers."""
    await _report(responder, problems=[], warnings=[])


async def readyz(gateway: Gateway, scope: Scope, responder: Responder) -> None:
    """503 while this worker stops or has no keys, so that it gets no traffic. `?verbose` adds upstreams."""
    problems: list[str] = []
    warnings: list[str] = []
    if gateway.draining:
        problems.append("draining")
    elif gateway.stopping:
        problems.append("stopping")
    if gateway.keyring.stale:
        problems.append("no key is in force: the keys can't be read")
    elif not gateway.keyring.healthy:
        warnings.append("the keys can't be read; the last known stay in force")
    warnings += gateway.ledger.warnings
    if gateway.shared_limits is not None and (warning := gateway.shared_limits.warning):
        warnings.append(warning)
    if overflowed := gateway.governor.table.overflowed:
        warnings.append(f"there was no room for a limit of its own {overflowed} times: some are shared")
    if not gateway.limits_are_shared:
        warnings.append("limits and budgets are counted by each worker alone: their folder can't be used")
    warnings += gateway.notices
    verbose = _asks_for(scope["query_string"], b"verbose")
    # A target that cools down is not a reason to be unready: other models may be well.
    upstreams = {"worker": os.getpid(), "upstreams": gateway.upstream_report()} if verbose else {}
    await _report(responder, problems=problems, warnings=warnings, **upstreams)


async def metrics(gateway: Gateway, scope: Scope, responder: Responder) -> None:  # noqa: ARG001
    """Prometheus text, of all workers."""
    body = await gateway.metrics_page.read()
    await responder.whole(200, [(b"content-type", CONTENT_TYPE.encode("ascii"))], body)


async def hello(gateway: Gateway, scope: Scope, responder: Responder) -> None:  # noqa: ARG001
    """As Anthropic's own server says it."""
    await responder.whole(200, [JSON], b'{"message":"hello"}')


def _asks_for(query: bytes, name: bytes) -> bool:
    """True if a query has this parameter. Bytes are compared as they are: a stranger may send any."""
    return any(pair.partition(b"=")[0] == name for pair in query.split(b"&"))


async def _report(responder: Responder, *, problems: list[str], warnings: list[str], **more: object) -> None:
    report: dict[str, object] = {"status": "unavailable" if problems else "degraded" if warnings else "ok"}
    report |= {"problems": problems} if problems else {}
    report |= {"warnings": warnings} if warnings else {}
    report |= more
    await responder.whole(503 if problems else 200, [JSON], json.dumps(report).encode())


OPERATIONS: Final = {HEALTHZ: healthz, READYZ: readyz, METRICS: metrics, HELLO: hello}
