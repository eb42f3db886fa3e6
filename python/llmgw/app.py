"""The ASGI application: which path is whose, who may pass, and what becomes of an exception.

Everything needs a key but `/healthz`, `/readyz` and `/metrics`; a path that does not exist needs one too, so
that a stranger learns nothing.
"""

import asyncio
import gc
import json
import logging
import os
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs

from llmgw.asgi import JSON, Receive, Responder, Scope, Send, check_host, read_fields
from llmgw.auth import authenticate, known_key
from llmgw.chat import ChatCompletion
from llmgw.config import Config, ConfigError, find_config, load_config
from llmgw.control import Report, RunFolder
from llmgw.errors import ApiError
from llmgw.gateway import Gateway
from llmgw.keys import Key
from llmgw.metrics import CONTENT_TYPE

logger = logging.getLogger(__name__)

CHAT_COMPLETIONS: Final = "/v1/chat/completions"
MODELS: Final = "/v1/models"
MODEL_CATALOG: Final = "/v1/model-catalog"
HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"
METRICS: Final = "/metrics"
TICK_S: Final = 0.5
GC_THRESHOLD: Final = 10_000
_READ: Final = ("GET", "HEAD")


def create_app() -> "App":
    """The application that granian serves.

    Under `llmgw serve`, with the config that is in force there, which may be other than the file's; by
    itself, with the one that `LLMGW_CONFIG` names. Raises ConfigError, OSError.
    """
    folder = RunFolder.of_worker()
    return App(load_config(find_config(None)) if folder is None else folder.current().load(), folder)


class App:
    """ASGI: HTTP requests and the lifespan, whose startup comes before the first request."""

    def __init__(self, config: Config, folder: RunFolder | None = None) -> None:
        """Opens nothing yet: that is the lifespan's part. `folder`: where to look for other configs."""
        self._config = config
        self._folder = folder
        # Unknown: the config in force is looked at once more when the gateway runs. It may have changed.
        self._stamp: tuple[int, int] | None = None
        self._gateway: Gateway
        self._request_ids = RequestIds()

    def drain(self) -> None:
        """A stop was asked for, see `Gateway.drain`. Call it on the loop."""
        if hasattr(self, "_gateway"):  # a stop may come before the start is through
            self._gateway.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._gateway = await asyncio.to_thread(Gateway.open, self._config)
        except Exception as error:
            logger.exception("the gateway can't start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        # What is here now stays for good; no collection need look at it again.
        gc.collect()
        gc.freeze()
        # Requests leave no cycles behind. The default, 700 objects, is a collection every few requests.
        gc.set_threshold(GC_THRESHOLD)
        upkeep = asyncio.create_task(self._upkeep())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        upkeep.cancel()
        await self._gateway.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _upkeep(self) -> None:
        while True:
            try:
                self._gateway.tick()
                if self._folder is not None:
                    await self._look_for_config(self._folder)
            except Exception:
                logger.exception("the upkeep of the gateway failed; it is tried again")
            await asyncio.sleep(TICK_S)

    async def _look_for_config(self, folder: RunFolder) -> None:
        """Take over the config in force, if it is another one. Raises OSError: try again."""
        stamp = folder.stamp()
        if stamp == self._stamp:
            return
        current = await asyncio.to_thread(folder.current)
        problem = None
        try:
            config = await asyncio.to_thread(current.load)
            if self._stamp is not None or config != self._config:
                await self._gateway.reload(config)
                logging.getLogger("llmgw").setLevel(config.server.log_level.upper())
                logger.info("the config is now generation %d, of %s", current.generation, current.source)
        except (ConfigError, ValueError) as error:
            logger.error("generation %d of the config can't be used: %s", current.generation, error)  # noqa: TRY400
            problem = str(error)
        await asyncio.to_thread(folder.report, Report(current.generation, problem))
        self._stamp = stamp

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = self._request_ids.next()
        responder = Responder(send, request_id)
        try:
            await self._route(scope, receive, responder, request_id)
        except ApiError as error:
            await responder.error(error)
        except Exception:
            logger.exception("%s: a defect in the gateway", request_id)
            if responder.status is not None:
                # The answer has begun. granian breaks the connection off: the client sees it is not whole.
                raise
            await responder.error(ApiError("internal_error", "The gateway failed on this request."))

    async def _route(self, scope: Scope, receive: Receive, responder: Responder, request_id: str) -> None:
        path: str = scope["path"]
        fields = read_fields(scope)
        check_host(fields, scope["http_version"])
        if path in _OPEN_PATHS:
            _allow(scope, *_READ)
            await self._operations(path, scope["query_string"], responder)
            return
        key = await self._authenticate(fields.get(b"authorization", ()))
        if path == CHAT_COMPLETIONS:
            _allow(scope, "POST")
            completion = ChatCompletion(
                self._gateway,
                key,
                request_id,
                scope=scope,
                fields=fields,
                receive=receive,
                responder=responder,
            )
            await completion.run()
            return
        body = self._lookup(path, key)
        _allow(scope, *_READ)
        await responder.whole(200, [JSON], body)

    async def _authenticate(self, values: Sequence[bytes]) -> Key:
        keyring = self._gateway.keyring
        try:
            return known_key(values, keyring) or await authenticate(values, keyring)
        except ApiError as error:
            self._gateway.metrics.auth_failed(error.code)
            raise

    def _lookup(self, path: str, key: Key) -> bytes:
        """The models and the catalog. Ids may contain slashes. Raises ApiError."""
        catalog = self._gateway.catalog
        if path == MODELS:
            return catalog.models(key)
        if path == MODEL_CATALOG:
            return catalog.entries(key)
        collection, model_id = _split(path)
        model = self._gateway.router.resolve(model_id, key)
        return catalog.model(model.id) if collection == MODELS else catalog.entry(model.id)

    async def _operations(self, path: str, query: bytes, responder: Responder) -> None:
        gateway = self._gateway
        if path == METRICS:
            gateway.metrics.fold()
            body = await asyncio.to_thread(gateway.metrics.render)
            await responder.whole(200, [(b"content-type", CONTENT_TYPE.encode("ascii"))], body)
            return
        problems: list[str] = []
        warnings: list[str] = []
        if path == READYZ:
            if gateway.draining:
                problems.append("draining")
            if gateway.keyring.stale:
                problems.append("no key is in force: the keys can't be read")
            elif not gateway.keyring.healthy:
                warnings.append("the keys can't be read; the last known stay in force")
            if warning := gateway.ledger.warning:
                warnings.append(warning)
        report: dict[str, object] = {
            "status": "unavailable" if problems else "degraded" if warnings else "ok"
        }
        report |= {"problems": problems} if problems else {}
        report |= {"warnings": warnings} if warnings else {}
        if path == READYZ and b"verbose" in parse_qs(query, keep_blank_values=True):
            # Of this worker only; and no reason to be unready: the other models may be well.
            report["upstreams"] = gateway.upstream_report()
        await responder.whole(503 if problems else 200, [JSON], json.dumps(report).encode())


class RequestIds:
    """`req_`, the time in milliseconds and 80 random bits, in hexadecimal.

    The time comes first, so that new ids stand together in the ledger's index: with random ones, each row
    writes a page of it, and the ledger takes twice the time. The bits are drawn for many at once.
    """

    def __init__(self) -> None:
        """Draws nothing yet: what is drawn before a fork would be the same in each child."""
        self._bits = ""
        self._at = 0

    def next(self) -> str:
        """One that nobody else has."""
        if self._at == len(self._bits):
            self._bits = os.urandom(_RANDOM_BYTES * _DRAWN_AT_ONCE).hex()
            self._at = 0
        begin, self._at = self._at, self._at + 2 * _RANDOM_BYTES
        return f"req_{int(time.time() * 1000):012x}{self._bits[begin : self._at]}"


_RANDOM_BYTES: Final = 10
_DRAWN_AT_ONCE: Final = 64
_OPEN_PATHS: Final = frozenset({HEALTHZ, READYZ, METRICS})


def _split(path: str) -> tuple[str, str]:
    """The collection and the model id of a path below one of the two. Raises ApiError: `not_found`."""
    for collection in (MODELS, MODEL_CATALOG):
        if path.startswith(f"{collection}/") and len(path) > len(collection) + 1:
            return collection, path[len(collection) + 1 :]
    raise ApiError("not_found", f"There is no such path. Completions are at POST {CHAT_COMPLETIONS}.")


def _allow(scope: Scope, *methods: str) -> None:
    """Raises ApiError: `method_not_allowed`."""
    if scope["method"] not in methods:
        raise ApiError(
            "method_not_allowed", f"This path takes {' or '.join(methods)}, not {scope['method'][:16]}."
        )
