"""How the simulator serves a request: path, key, and the answer with its pace and faults."""

import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qs

from llmgw.simulator.cache import PromptCache
from llmgw.simulator.completion import TextCompletions
from llmgw.simulator.model import JsonObject, Refusal, RefusalError
from llmgw.simulator.native.api import NativeApi
from llmgw.simulator.native.messages import Messages
from llmgw.simulator.provider import Provider
from llmgw.simulator.providers import PROVIDERS
from llmgw.simulator.recorder import Received, Recorder
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.retrieval import Retrieval
from llmgw.simulator.simulation import Simulation
from llmgw.simulator.turn import Turn
from llmgw.simulator.wire import (
    COMMENT,
    DONE,
    BodyTooLargeError,
    BrokenOnPurposeError,
    ClientLeftError,
    Exchange,
    Message,
    Receive,
    Send,
    frame,
)

DELAY_VARIABLE = "LLMGW_SIMULATOR_DELAY_MS"
"""Passes `--delay-ms` to the server's worker process."""
STALL_S = 3600.0
MAX_ACCOUNT_CHARS = 128
EVENT_STREAM = b"text/event-stream; charset=utf-8"
NOT_FOUND: JsonObject = {"error": {"message": "no such path", "type": "invalid_request_error"}}


class Simulator:
    """All simulated providers in one ASGI app."""

    def __init__(self, *, delay_ms: float = 0) -> None:
        """`delay_ms`: the pause between chunks, unless a request asks for another."""
        self.recorder = Recorder()
        self._cache = PromptCache()
        self._delay_ms = delay_ms

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI. Raises BrokenOnPurposeError where a request asked for a broken connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        async with Exchange(receive, send) as exchange:
            try:
                await self._route(scope, exchange)
            except ClientLeftError:
                return
            except BodyTooLargeError:
                await exchange.json(
                    413, {"error": {"message": "body too large", "type": "invalid_request_error"}}
                )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message: Message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _route(self, scope: Message, exchange: Exchange) -> None:
        method, path = scope["method"], scope["path"]
        mount, _, rest = path.removeprefix("/").partition("/")
        if path == "/healthz":
            await exchange.json(200, {"status": "ok"})
        elif path == "/_requests" and method == "GET":
            await exchange.json(200, self._recorded(scope["query_string"].decode()))
        elif mount in PROVIDERS and (method, rest) == ("GET", "v1/models"):
            await self._guarded(PROVIDERS[mount], scope, exchange, self._models)
        elif mount in PROVIDERS and (method, rest) == ("POST", "v1/chat/completions"):
            await self._guarded(PROVIDERS[mount], scope, exchange, self._chat)
        elif method == "POST" and (api := _text_completions(mount, rest)):
            await self._guarded(PROVIDERS[mount], scope, exchange, partial(self._text_completion, api))
        elif method == "POST" and (retrieval := _retrieval(mount, rest)):
            await self._guarded(PROVIDERS[mount], scope, exchange, partial(self._retrieve, retrieval))
        elif method == "POST" and (native := _native(mount, rest)):
            answer = partial(self._count if rest in native.counts_at else self._natively, native)
            await self._guarded(PROVIDERS[mount], scope, exchange, answer, native)
        else:
            await exchange.json(404, NOT_FOUND)

    def _recorded(self, query: str) -> JsonObject:
        wanted = parse_qs(query)
        found = self.recorder.find(
            x_request_id=wanted.get("x_request_id", [None])[0], contains=wanted.get("contains", [None])[0]
        )
        return {"requests": [received.as_json() for received in found]}

    async def _guarded(
        self,
        provider: Provider,
        scope: Message,
        exchange: Exchange,
        handler: Callable[[Provider, Exchange, Received], Awaitable[None]],
        native: NativeApi | None = None,
    ) -> None:
        """Record the request, check its key, and word a refusal as the provider does there."""
        body = await exchange.body()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        received = self.recorder.add(scope["path"], headers, body)
        try:
            received.account = _account(provider, headers, native)
            await handler(provider, exchange, received)
        except RefusalError as refusal:
            extra = []
            if refusal.retry_after_s is not None:
                extra.append((b"retry-after", f"{refusal.retry_after_s:g}".encode()))
            error = (native or provider).error(refusal, secrets.token_hex(16))
            await exchange.json(refusal.status, error, extra)
        except ClientLeftError:
            received.state = "client_left"
            raise
        except BrokenOnPurposeError:
            received.state = "broken"
            raise
        received.state = "answered"

    async def _models(self, provider: Provider, exchange: Exchange, _: Received) -> None:
        data = [
            {"id": model, "object": "model", "created": 1_767_225_600, "owned_by": provider.owner}
            for model in (*(m.id for m in provider.models), *(r.model for r in provider.retrieval))
        ]
        await exchange.json(200, {"object": "list", "data": data})

    async def _chat(self, provider: Provider, exchange: Exchange, received: Received) -> None:
        request = ChatRequest.parse(received.body, delay_ms=self._delay_ms)
        await self._wait(provider, request, exchange)
        turn = self._cached(received, provider.answer(request))
        if request.stream:
            await self._stream(provider, turn, _framed(provider.chunks(turn)), exchange, received)
        else:
            await self._whole(turn, provider.completion(turn), exchange)

    async def _text_completion(
        self, api: TextCompletions, provider: Provider, exchange: Exchange, received: Received
    ) -> None:
        request = api.parse(received.body, delay_ms=self._delay_ms)
        await self._wait(provider, request, exchange)
        turn = api.answer(request, provider.model(request))
        if request.stream:
            await self._stream(provider, turn, _framed(api.chunks(turn)), exchange, received)
        else:
            await self._whole(turn, api.completion(turn), exchange)

    async def _retrieve(
        self,
        api: Retrieval,
        provider: Provider,  # noqa: ARG002 - as all handlers
        exchange: Exchange,
        received: Received,
    ) -> None:
        request = api.parse(received.body, delay_ms=self._delay_ms)
        simulation = request.simulation
        await exchange.pause(simulation.first_delay_ms / 1000)
        if (refusal := simulation.refusal()) is not None:
            raise refusal
        answer = api.answer(request.body, secrets.token_hex(16))
        await exchange.pause(simulation.delay_ms / 1000)
        await exchange.json(200, answer)

    async def _natively(
        self, api: NativeApi, provider: Provider, exchange: Exchange, received: Received
    ) -> None:
        request = api.parse(received.body, delay_ms=self._delay_ms)
        await self._wait(provider, request, exchange)
        turn = self._cached(received, provider.answer_natively(api, request))
        if request.stream:
            await self._stream(provider, turn, api.events(turn), exchange, received, api)
        else:
            await self._whole(turn, api.whole(turn), exchange)

    async def _count(
        self, api: NativeApi, provider: Provider, exchange: Exchange, received: Received
    ) -> None:
        request = api.parse(received.body, delay_ms=self._delay_ms, count=True)
        provider.model(request)
        await exchange.json(200, {"input_tokens": request.prompt_tokens})

    def _cached(self, received: Received, turn: Turn) -> Turn:
        """The turn with what the account's prompt cache had, if it has one."""
        if received.account is None:
            return turn
        return replace(turn, cached=self._cache.cached_tokens(received.account, turn.request))

    async def _wait(self, provider: Provider, request: ChatRequest, exchange: Exchange) -> None:
        if not (provider.waits_with_comments and request.stream):
            await exchange.pause(request.simulation.first_delay_ms / 1000)

    async def _whole(self, turn: Turn, answer: JsonObject, exchange: Exchange) -> None:
        await exchange.pause(turn.request.simulation.delay_ms / 1000)
        await exchange.json(200, answer)

    async def _stream(
        self,
        provider: Provider,
        turn: Turn,
        events: Iterator[bytes],
        exchange: Exchange,
        received: Received,
        native: NativeApi | None = None,
    ) -> None:
        def broken(refusal: RefusalError) -> bytes:
            if native is not None:
                return native.broken(turn, refusal, received.chunks)
            return frame(provider.error(refusal, secrets.token_hex(16)))

        simulation = turn.request.simulation
        await exchange.start(200, EVENT_STREAM, [(b"cache-control", b"no-cache")])
        if provider.waits_with_comments and simulation.first_delay_ms:
            await exchange.write(COMMENT)
            await exchange.pause(simulation.first_delay_ms / 1000)
        ended = await _fail_after(0, simulation, broken, exchange)
        for event in events:
            if ended:
                return
            await exchange.pause(simulation.delay_ms / 1000)
            await exchange.write(event)
            received.chunks += 1
            ended = await _fail_after(received.chunks, simulation, broken, exchange)
        if not ended:
            await exchange.write(b"" if native else DONE, more=False)


def _text_completions(mount: str, path: str) -> TextCompletions | None:
    """What the provider at this mount has at this path below it."""
    api = PROVIDERS[mount].text_completions if mount in PROVIDERS else None
    return api if api is not None and path in api.paths else None


def _retrieval(mount: str, path: str) -> Retrieval | None:
    """Which model without answers in words the provider at this mount has at this path below it."""
    models = PROVIDERS[mount].retrieval if mount in PROVIDERS else ()
    return next((model for model in models if path == model.path), None)


def _native(mount: str, path: str) -> NativeApi | None:
    """Which other API the provider at this mount has at this path below it."""
    native = PROVIDERS[mount].native if mount in PROVIDERS else ()
    return next((api for api in native if path in (*api.paths, *api.counts_at)), None)


def _framed(chunks: Iterator[JsonObject]) -> Iterator[bytes]:
    return map(frame, chunks)


def _account(provider: Provider, headers: list[tuple[str, str]], native: NativeApi | None) -> str | None:
    """The key, if its account has a prompt cache. Raises RefusalError for a wrong one.

    Where both headers are there, `authorization` counts.
    """
    given = dict(headers)
    key = given.get("authorization", "").removeprefix("Bearer ")
    if not key and isinstance(native, Messages):
        key = given.get("x-api-key", "")
    if key == provider.api_key:
        return None
    if not key.startswith(f"{provider.api_key}-"):
        raise RefusalError(
            Refusal.INVALID_KEY, "The API key is wrong: see llmgw.simulator for the right one."
        )
    return key[:MAX_ACCOUNT_CHARS]


async def _fail_after(
    chunks: int, simulation: Simulation, broken: Callable[[RefusalError], bytes], exchange: Exchange
) -> bool:
    """Apply the faults that are due after this many chunks. True: the answer has ended."""
    if chunks == simulation.stall_after_chunks:
        await exchange.pause(STALL_S)
    if chunks == simulation.fail_after_chunks:
        raise BrokenOnPurposeError("this request asked for a broken connection")
    if chunks == simulation.error_after_chunks:
        refusal = RefusalError(Refusal.SERVER_ERROR, "simulated failure in the middle of the stream")
        await exchange.write(broken(refusal), more=False)
        return True
    if chunks == simulation.end_after_chunks:
        await exchange.write(b"", more=False)
        return True
    return False


def create_app() -> Simulator:
    """For the server, which makes the app in its worker process."""
    return Simulator(delay_ms=float(os.environ.get(DELAY_VARIABLE, "0")))
