"""The ASGI application: which endpoint a path belongs to, who may call it, and what an exception becomes.

Every path needs a key but those of `OPERATIONS` and the console's files; a path that does not exist needs one
too, so that a stranger learns nothing.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from llmgw._core import LimitTable
from llmgw.access.bearer import check_calls_models, find_key
from llmgw.access.key import Key
from llmgw.access.keyring import KeyRing
from llmgw.admin.console import Console, is_for_console, no_such_path
from llmgw.admin.context import Context
from llmgw.admin.guard import MAX_IN_A_WORKER, Guard
from llmgw.asgi.client import AnswerWatch
from llmgw.asgi.request import Fields, check_host, check_size, read_fields
from llmgw.asgi.request_id import RequestIds
from llmgw.asgi.responder import JSON, Ending, Responder
from llmgw.asgi.types import Receive, Scope, Send
from llmgw.config import Config, find_config, load_config
from llmgw.endpoints import models
from llmgw.endpoints.chat import CHAT, CHAT_COMPLETIONS
from llmgw.endpoints.completions import COMPLETIONS, TEXT
from llmgw.endpoints.count_tokens import COUNT_TOKENS_PATH, count_tokens
from llmgw.endpoints.embeddings import EMBEDDINGS, EMBEDDINGS_PATH
from llmgw.endpoints.messages import MESSAGES, MESSAGES_PATH
from llmgw.endpoints.operations import OPERATIONS
from llmgw.endpoints.own_request import OwnRequests, request_id_in
from llmgw.endpoints.own_usage import USAGE_ME, OwnUsage
from llmgw.endpoints.rerank import RERANK, RERANK_PATH
from llmgw.endpoints.responses import RESPONSES, RESPONSES_PATH
from llmgw.endpoints.shapes import error_shape, is_below
from llmgw.errors import ApiError
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Endpoint
from llmgw.pipeline.request import Request
from llmgw.store import Store

logger = logging.getLogger(__name__)

ENDPOINTS: Final[dict[str, Endpoint]] = {
    CHAT_COMPLETIONS: CHAT,
    COMPLETIONS: TEXT,
    MESSAGES_PATH: MESSAGES,
    RESPONSES_PATH: RESPONSES,
    EMBEDDINGS_PATH: EMBEDDINGS,
    RERANK_PATH: RERANK,
}
"""Those that an upstream answers."""
TICK_S: Final = 0.5
GC_THRESHOLD: Final = 10_000
_READ: Final = ("GET", "HEAD")

Upkeep: TypeAlias = Callable[[Gateway], Awaitable[None]]
"""Something that a worker does every `TICK_S`. What it raises is logged, and it is called again."""


def create_app() -> "App":
    """The application by itself, with the config that `LLMGW_CONFIG` names. Raises ConfigError.

    Under `llmgw serve`, `serving.worker` makes it, with the config that is active there.
    """
    return App(load_config(find_config(None)))


AdminContext: TypeAlias = Callable[[Store, KeyRing, Callable[[], Config], LimitTable | None], Context]
"""Makes what the admin API works on, of the gateway's database, its keys and the config in force."""
_ADMIN_PATHS: Final = ("/admin", "/v1/organization")


class App:
    """ASGI: HTTP requests and the lifespan, whose startup comes before the first request."""

    def __init__(
        self, config: Config, upkeep: Sequence[Upkeep] = (), admin_context: AdminContext | None = None
    ) -> None:
        """Opens nothing yet: the lifespan does. `admin_context` None: there is no admin API."""
        self._config = config
        self._upkeep = upkeep
        self._admin_context = admin_context
        self._admin: Guard | None = None
        self._console: Console | None = None
        self._own_usage: OwnUsage | None = None
        self._own_requests: OwnRequests | None = None
        self._gateway: Gateway | None = None
        self._request_ids = RequestIds()
        self._ending = Ending()

    def leave(self) -> None:
        """Be unready, and let each connection end with its next answer; new requests are served."""
        self._ending.begun = True
        if self._gateway is not None:
            self._gateway.stopping = True

    def drain(self) -> None:
        """Begin an orderly stop (`Gateway.drain`). Call it on the loop; before the start it does nothing."""
        self._ending.begun = True
        if self._gateway is not None:
            self._gateway.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._lifespan(receive, send)
            return
        gateway = self._gateway
        if gateway is None:
            message = "a request came before the lifespan's startup"
            raise RuntimeError(message)
        clients, address = gateway.clients, scope.get("client")
        clients.begin(address)
        try:
            await self._answer(gateway, scope, receive, send)
        finally:
            clients.end(address)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            gateway = self._gateway = await asyncio.to_thread(Gateway.open, self._config)
            await gateway.start()
        except Exception as error:
            logger.exception("the gateway can't start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._admin = self._open_admin(gateway)
        self._console = None if self._admin is None else await asyncio.to_thread(Console)
        turn = asyncio.Lock()
        self._own_usage = OwnUsage(gateway, turn)
        self._own_requests = OwnRequests(gateway, turn)
        # What exists now stays for good; no collection needs to look at it again.
        gc.collect()
        gc.freeze()
        # Requests leave no cycles behind. The default, 700 objects, is a collection every few requests.
        gc.set_threshold(GC_THRESHOLD)
        upkeep = asyncio.create_task(self._keep_up(gateway))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        upkeep.cancel()
        await gateway.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _open_admin(self, gateway: Gateway) -> Guard | None:
        """None where it is off, or has a process of its own."""
        admin = self._config.admin
        if self._admin_context is None or not admin.enabled or admin.port is not None:
            return None
        # FastAPI is an extra, and half a second of the start.
        from llmgw.admin.api import make_api  # noqa: PLC0415

        # A table that is not shared knows nothing of the other workers.
        table = gateway.governor.table if gateway.limits_are_shared else None
        context = self._admin_context(gateway.store, gateway.keyring, lambda: gateway.config, table)
        return Guard(
            make_api(context),
            gateway.keyring,
            body_timeout_s=lambda: gateway.config.server.body_timeout_s,
            at_once=MAX_IN_A_WORKER,
        )

    async def _keep_up(self, gateway: Gateway) -> None:
        while True:
            try:
                gateway.tick()
                for upkeep in self._upkeep:
                    await upkeep(gateway)
            except Exception:
                logger.exception("the upkeep of the gateway failed; it is tried again")
            await asyncio.sleep(TICK_S)

    async def _answer(self, gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
        fields = read_fields(scope)
        errors = error_shape(scope["path"], fields)
        cors = gateway.cors.headers(fields)
        if scope["http_version"] == "2":
            responder = Responder(send, self._request_ids.next(), cors, errors)
        else:
            responder = Responder(send, self._request_ids.next(), cors, errors, self._ending)
        try:
            await self._route(gateway, scope, fields, receive, responder)
        except ApiError as error:
            await responder.error(error)
        except Exception:
            logger.exception("%s: a defect in the gateway", responder.request_id)
            if responder.status is not None:
                # The answer has begun. The server closes the connection: the client sees it is not whole.
                raise
            await responder.error(ApiError("internal_error", "The gateway failed on this request."))

    async def _route(
        self, gateway: Gateway, scope: Scope, fields: Fields, receive: Receive, responder: Responder
    ) -> None:
        path: str = scope["path"]
        check_size(scope)
        check_host(fields, scope["http_version"])
        preflight = gateway.cors.preflight(scope["method"], fields)
        if preflight is not None:
            await responder.nothing(preflight)
            return
        endpoint = ENDPOINTS.get(path)
        if endpoint is None and await self._beside(gateway, scope, fields, receive, responder):
            return
        try:
            found = find_key(fields, gateway.keyring)
            key = found if isinstance(found, Key) else await found
            check_calls_models(key)
        except ApiError as error:
            gateway.metrics.auth_failed(error.code)
            raise
        if endpoint is not None:
            if path == RESPONSES_PATH and scope["method"] == "GET":
                raise ApiError("websocket_unsupported", "Responses come over HTTP: POST /v1/responses.")
            _allow(scope, "POST")
            capturing = gateway.capturing(key, responder, fields)
            request = Request(
                gateway,
                endpoint,
                key,
                responder.request_id,
                scope=scope,
                fields=fields,
                receive=receive if capturing is None else capturing.receive(receive),
                responder=responder,
            )
            try:
                await request.run()
            finally:
                if capturing is not None:
                    capturing.end()
            return
        if path == USAGE_ME and self._own_usage is not None:
            _allow(scope, *_READ)
            with AnswerWatch(gateway.clients, scope, responder):
                await responder.whole(200, [JSON], await self._own_usage.of(key))
            return
        if path == COUNT_TOKENS_PATH:
            _allow(scope, "POST")
            await count_tokens(gateway, key, scope=scope, fields=fields, receive=receive, responder=responder)
            return
        request_id = request_id_in(path)
        if request_id is not None and self._own_requests is not None:
            _allow(scope, *_READ)
            with AnswerWatch(gateway.clients, scope, responder):
                await responder.whole(200, [JSON], await self._own_requests.of(key, request_id))
            return
        body = models.look_up(gateway, path, key, query=scope["query_string"], fields=fields)
        _allow(scope, *_READ)
        with AnswerWatch(gateway.clients, scope, responder):
            await responder.whole(200, [JSON], body)

    async def _beside(
        self, gateway: Gateway, scope: Scope, fields: Fields, receive: Receive, responder: Responder
    ) -> bool:
        """Answer a request for operations, the admin API or the console; False: it is for none of them."""
        path: str = scope["path"]
        operation = OPERATIONS.get(path)
        if operation is not None:
            _allow(scope, *_READ)
            answer = operation(gateway, scope, responder)
        elif self._admin is not None and any(is_below(path, root) for root in _ADMIN_PATHS):
            answer = self._admin.serve(scope, fields, receive, responder)
        elif is_for_console(path):
            if self._console is None:
                raise no_such_path()
            answer = self._console.serve(scope, responder)
        else:
            return False
        with AnswerWatch(gateway.clients, scope, responder):
            await answer
        return True


def _allow(scope: Scope, *methods: str) -> None:
    """Raises ApiError: `method_not_allowed`."""
    if scope["method"] not in methods:
        raise ApiError(
            "method_not_allowed", f"This path takes {' or '.join(methods)}, not {scope['method'][:16]}."
        )
