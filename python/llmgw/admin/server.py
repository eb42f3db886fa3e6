"""The admin API and its console on a listener of their own, as an ASGI application."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from llmgw.access.keyring import KeyRing
from llmgw.admin.api import make_api
from llmgw.admin.console import Console, is_for_console
from llmgw.admin.context import Context
from llmgw.admin.guard import Guard
from llmgw.admin.relay import Relay, is_relayed
from llmgw.asgi.client import AnswerWatch, Clients
from llmgw.asgi.request import Fields, check_host, check_size, read_fields
from llmgw.asgi.request_id import RequestIds
from llmgw.asgi.responder import JSON, Responder
from llmgw.asgi.types import Receive, Scope, Send
from llmgw.config import Config
from llmgw.errors import ApiError
from llmgw.store import Store, StoreError, store_at

logger = logging.getLogger(__name__)

HEALTHZ: Final = "/healthz"
TICK_S: Final = 0.5

MakeContext: TypeAlias = Callable[[Store, KeyRing, Callable[[], Config]], Context]
Upkeep: TypeAlias = Callable[["AdminServer"], Awaitable[None]]
"""Something to do every `TICK_S`. What it raises is logged, and it is called again."""


class AdminServer:
    """HTTP requests and the lifespan, whose startup comes before the first request."""

    def __init__(
        self, config: Config, make_context: MakeContext, upkeep: Upkeep, *, gateway_url: str
    ) -> None:
        """Opens nothing yet: the lifespan does. `gateway_url`: where the workers listen."""
        self.config = config
        """The one in force; `upkeep` sets it."""
        self._make_context = make_context
        self._upkeep = upkeep
        self._gateway_url = gateway_url
        self._clients = Clients()
        self._guard: Guard | None = None
        self._console: Console | None = None
        self._relay: Relay | None = None
        self._request_ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            context = await asyncio.to_thread(self._open)
        except Exception as error:
            logger.exception("the admin process can't start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        timeout_s = lambda: self.config.server.body_timeout_s  # noqa: E731  (the config may change)
        self._guard = Guard(make_api(context), context.keyring, body_timeout_s=timeout_s)
        self._console = await asyncio.to_thread(Console)
        self._relay = Relay(self._gateway_url, context.keyring, self._clients, lambda: self.config.server)
        upkeep = asyncio.create_task(self._keep_up())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        upkeep.cancel()
        await self._relay.close()
        await asyncio.to_thread(context.keyring.close)
        await asyncio.to_thread(context.store.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _open(self) -> Context:
        store = store_at(self.config.store.url)
        try:
            store.prepare()
        except StoreError as error:
            logger.error("%s; the admin process waits for it", error)  # noqa: TRY400
        keyring = KeyRing(store, stale_keys_s=self.config.store.stale_keys_s)
        keyring.start()
        return self._make_context(store, keyring, lambda: self.config)

    async def _keep_up(self) -> None:
        now_s = asyncio.get_running_loop().time
        while True:
            try:
                self._clients.cut_stalled(now_s(), self.config.server.client_write_timeout_s)
                await self._upkeep(self)
            except Exception:
                logger.exception("the upkeep of the admin process failed; it is tried again")
            await asyncio.sleep(TICK_S)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        responder = Responder(send, self._request_ids.next())
        try:
            fields = read_fields(scope)
            check_size(scope)
            check_host(fields, scope["http_version"])
            await self._route(scope, fields, receive, responder)
        except ApiError as error:
            await responder.error(error)
        except Exception:
            logger.exception("%s: a defect in the admin API", responder.request_id)
            if responder.status is not None:
                raise
            await responder.error(ApiError("internal_error", "The gateway failed on this request."))

    async def _route(self, scope: Scope, fields: Fields, receive: Receive, responder: Responder) -> None:
        guard, console, relay = self._guard, self._console, self._relay
        if guard is None or console is None or relay is None:
            message = "a request came before the lifespan's startup"
            raise RuntimeError(message)
        if is_relayed(scope):
            await relay.serve(scope, fields, receive, responder)
            return
        with AnswerWatch(self._clients, scope, responder):
            if scope["path"] == HEALTHZ:
                await responder.whole(200, [JSON], json.dumps({"status": "ok"}).encode())
            elif is_for_console(scope["path"]):
                await console.serve(scope, responder)
            else:
                await guard.serve(scope, fields, receive, responder)
