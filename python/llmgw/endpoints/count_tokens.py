"""`POST /v1/messages/count_tokens`: about how many tokens a Messages body has.

The gateway estimates it, unless the model's target speaks Messages itself and counts: then that is the
answer. Neither costs anything, and neither is a row of the ledger. Key, model and body are checked as for
`POST /v1/messages`. It is one of the requests a minute and at once that the key may make; it uses no tokens
and no budget, and an exhausted budget does not refuse it.
"""

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from llmgw._core import ChatRequest
from llmgw.access.key import Key
from llmgw.asgi.client import ClientWatch
from llmgw.asgi.request import Fields
from llmgw.asgi.responder import JSON, Responder
from llmgw.asgi.types import Receive, Scope
from llmgw.endpoints.messages import MESSAGES
from llmgw.errors import ClientGone
from llmgw.gateway import Gateway
from llmgw.limits.user import user_of
from llmgw.observe.tracing.trace import trace_headers
from llmgw.pipeline.body import scan
from llmgw.pipeline.counting import counted_at
from llmgw.pipeline.offload import LARGE_BYTES, off_loop
from llmgw.pipeline.upload import uploaded
from llmgw.routing.affinity import session_of

COUNT_TOKENS_PATH: Final = "/v1/messages/count_tokens"


async def count_tokens(
    gateway: Gateway, key: Key, *, scope: Scope, fields: Fields, receive: Receive, responder: Responder
) -> None:
    """Answer with `{"input_tokens": N}`. Raises ApiError."""
    ticket = gateway.admission.ticket(key.id, (scope.get("client") or ("",))[0])
    server = gateway.config.server
    client = ClientWatch(
        gateway.clients,
        scope,
        receive,
        responder,
        fields=fields,
        body_timeout_s=server.body_timeout_s,
        on_loss=_nothing,
        on_slow_body=ticket.arriving,
    )
    client.begin()
    try:
        with ticket:
            pieces = await uploaded(client, fields, limit_bytes=server.max_body_bytes, hold=ticket.hold)
            ticket.arrived()
            is_large = sum(map(len, pieces)) >= LARGE_BYTES
            request = await off_loop(partial(_read, pieces)) if is_large else _read(pieces)
            model = gateway.router.resolve(request.model, key)
            model.check_kind("chat")
            grant = await gateway.governor.count(
                key,
                model,
                user=user_of(key, fields, request.facts.user),
                at_s=time.time(),
                family=MESSAGES.limit_headers,
            )
            try:
                wanted = model.targets.want_session
                tokens = await counted_at(
                    model.targets.first(session_of(key.id, fields, request) if wanted else None),
                    request,
                    request_id=responder.request_id,
                    headers=MESSAGES.headers_of(fields),
                    trace=trace_headers(fields),
                )
            finally:
                if grant is not None:
                    grant.cancel()
        counted = {"input_tokens": request.input_tokens if tokens is None else tokens}
        headers = [JSON] if grant is None else [JSON, *grant.headers()]
        await responder.whole(200, headers, json.dumps(counted).encode())
    except ClientGone:
        client.gone = True
    finally:
        client.end()


def _read(pieces: Sequence[bytes]) -> ChatRequest:
    return scan(ChatRequest.from_messages, pieces)


def _nothing() -> None:
    """There is nothing to break off if the client leaves."""
