"""What the console asks of models, where the admin API has a listener of its own.

The page may call nothing but the address that it came from, so the admin process passes a few requests on to
the gateway's own one. A request is passed on whole, because the gateway begins when it has all of it; the
answer comes back piece by piece. The gateway checks what it checks of any client's request.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

import httpx

from llmgw.access.bearer import find_key
from llmgw.access.key import Key
from llmgw.access.keyring import KeyRing
from llmgw.asgi.client import Clients, ClientWatch
from llmgw.asgi.request import Fields
from llmgw.asgi.request_id import ID_PATTERN
from llmgw.asgi.responder import Responder
from llmgw.asgi.types import Receive, Scope
from llmgw.config import ServerConfig
from llmgw.errors import ApiError, ClientGone, render_frame

RELAYED: Final = frozenset(
    {
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/v1/model-catalog"),
        ("GET", "/v1/usage/me"),
    }
)
"""Methods and paths; without a query."""
_OWN_REQUEST: Final = re.compile(rf"/v1/usage/me/{ID_PATTERN}")
"""Of a GET, too: one of the key's requests."""
MAX_AT_ONCE: Final = 32
"""Requests that are passed on; more get 503."""
MAX_HELD_BYTES: Final = 64 << 20
"""Of their bodies together; a single one may have what the gateway takes."""
_PASSED: Final = frozenset(
    {b"authorization", b"content-type", b"content-encoding", b"accept", b"x-llmgw-user"}
)
"""Headers of a request."""
_NOT_PASSED: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
        b"upgrade", b"server", b"date",
    }
)  # fmt: skip
"""Headers of an answer: those of one connection (RFC 9110, section 7.6.1), and what our own server adds."""
_REQUEST_ID: Final = "x-request-id"
_TIMEOUT: Final = httpx.Timeout(5.0, read=None, write=60.0)
"""The gateway has timeouts of its own for answers."""
_RETRY_AFTER_S: Final = 1


class Relay:
    """For one event loop."""

    def __init__(
        self, url: str, keyring: KeyRing, clients: Clients, server: Callable[[], ServerConfig]
    ) -> None:
        """`url`: the gateway's own address. `server`: the limits of the config in force."""
        self._url = url
        self._keyring = keyring
        self._clients = clients
        self._server = server
        self._running = 0
        self._held_bytes = 0
        # A connection for each request: one that was kept may be of a worker that has ended.
        limits = httpx.Limits(max_connections=MAX_AT_ONCE, max_keepalive_connections=0)
        self._http = httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=_TIMEOUT, limits=limits
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def serve(self, scope: Scope, fields: Fields, receive: Receive, responder: Responder) -> None:
        """Pass a request on, and its answer back. Raises ApiError. A client that leaves ends both."""
        # The gateway asks for the key, too; but of a stranger nothing is read or passed on.
        found = find_key({b"authorization": fields.get(b"authorization", [])}, self._keyring)
        if not isinstance(found, Key):
            await found
        if self._running >= MAX_AT_ONCE:
            raise _overloaded("The console's process passes on as many requests as it can.")
        self._running += 1
        try:
            await self._watched(scope, fields, receive, responder)
        finally:
            self._running -= 1

    async def _watched(self, scope: Scope, fields: Fields, receive: Receive, responder: Responder) -> None:
        server = self._server()
        held = 0
        passing: asyncio.Task[None] | None = None

        def hold(size: int) -> None:
            nonlocal held
            if self._held_bytes + size > max(MAX_HELD_BYTES, server.max_body_bytes):
                raise _overloaded("The console's process holds as many bytes of requests as it can.")
            self._held_bytes += size
            held += size

        def end() -> None:
            if passing is not None:
                passing.cancel()

        client = ClientWatch(
            self._clients,
            scope,
            receive,
            responder,
            fields=fields,
            body_timeout_s=server.body_timeout_s,
            on_loss=end,
        )
        try:
            with client:
                pieces = await client.read_body(limit_bytes=server.max_body_bytes, hold=hold)
                passing = asyncio.create_task(self._pass(scope, b"".join(pieces), responder))
                await passing
        except ClientGone:
            return
        except asyncio.CancelledError:
            if not (client.gone or client.stalled):
                raise
        finally:
            self._held_bytes -= held

    async def _pass(self, scope: Scope, body: bytes, responder: Responder) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name in _PASSED]
        request = httpx.Request(
            scope["method"], self._url + scope["path"], headers=headers, content=body or None
        )
        try:
            answer = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise _gone() from error
        try:
            await _head(responder, answer)
            async for piece in answer.aiter_raw():
                await responder.body(piece, more=True)
        except httpx.TransportError as error:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise _gone() from error  # too late to be told: the connection ends
            # The blank line ends an event of which only a part has come.
            await responder.body(b"\n\n" + render_frame(_gone(), responder.request_id, b""), more=False)
        else:
            await responder.body(b"", more=False)
        finally:
            await answer.aclose()


def is_relayed(scope: Scope) -> bool:
    """True for a request that `Relay.serve` takes."""
    method, path = scope["method"], scope["path"]
    return (method, path) in RELAYED or (method == "GET" and _OWN_REQUEST.fullmatch(path) is not None)


async def _head(responder: Responder, answer: httpx.Response) -> None:
    headers = [(name.lower(), value) for name, value in answer.headers.raw]
    headers = [(name, value) for name, value in headers if name not in _NOT_PASSED]
    if _REQUEST_ID in answer.headers:
        await responder.pass_on(answer.status_code, headers)
    else:
        await responder.start(answer.status_code, headers)


def _overloaded(message: str) -> ApiError:
    return ApiError("overloaded", f"{message} Try again later.", retry_after_s=_RETRY_AFTER_S)


def _gone() -> ApiError:
    return _overloaded("The gateway does not answer at the moment.")
