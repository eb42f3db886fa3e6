"""`POST /v1/chat/completions`: the story of one request, from top to bottom.

    body ──► ChatRequest ──► model ──► target, PreparedRequest, Exchange ──► blocks ──► ledger
    capped   one scan        routing   attempts, until one may be shown      as they come

Everything that touches bytes happens in Rust; Python decides. It is crossed once for each block of frames
that is ready, never for each event, and there is no timer here: timeouts, heartbeats and the wait for the
first good event belong to the exchange. Which upstream is asked, and whether another one is asked after it
failed, is told in `attempts`.
"""

import asyncio
import errno
import logging
import time
from typing import TYPE_CHECKING, Final

from llmgw._core import ChatRequest, CoreError, Exchange, RequestError, Summary, UpstreamError
from llmgw.access.key import Key
from llmgw.asgi.client import Client, ClientGone
from llmgw.asgi.request import Fields, RequestBody
from llmgw.asgi.responder import JSON, Responder
from llmgw.asgi.types import Headers, Receive, Scope
from llmgw.errors import ApiError, render_body
from llmgw.gateway import Gateway
from llmgw.ledger.entry import LedgerEntry, NotDurableError
from llmgw.limits.admission import Ticket
from llmgw.pipeline.attempts import CLIENT_GONE, Attempts
from llmgw.routing.verdict import upstream_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmgw._core import PreparedRequest, Route
    from llmgw.routing.router import Model

logger = logging.getLogger(__name__)

EVENT_STREAM: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # nginx as a proxy in front of us would otherwise gather the frames.
    (b"x-accel-buffering", b"no"),
]
DONE: Final = b"data: [DONE]\n\n"
CLIENT_CLOSED_REQUEST: Final = 499
"""The ledger's status where the client left before its answer began (as nginx has it; nobody is told)."""
CLIENT_STALLED: Final = "client_stalled"
LEDGER_FAILED: Final = "ledger_failed"
"""The answer was there, but with `durability = "strict"` its row could not be put on disk."""
NO_FILES_LEFT: Final = frozenset({errno.EMFILE, errno.ENFILE})
_LEDGER_RETRY_AFTER_S: Final = 5


class ChatCompletion:
    """One request for a completion. Made for it, used once."""

    def __init__(
        self,
        gateway: Gateway,
        key: Key,
        request_id: str,
        *,
        scope: Scope,
        fields: Fields,
        receive: Receive,
        responder: Responder,
    ) -> None:
        """`key` is authenticated; what it may use is decided here."""
        self._gateway = gateway
        self._key = key
        self._request_id = request_id
        self._scope = scope
        self._responder = responder
        self._task = asyncio.current_task()
        self._time_s = time.time()
        self._started_s = time.perf_counter()
        self._client = Client(receive, self._abort)
        self._body: RequestBody | None = RequestBody(fields, receive)
        """Until it has been read."""
        self._lasts = False
        # What the ledger will say, as far as the request has come.
        self._stream = False
        self._model: Model | None = None
        self._attempts: Attempts | None = None
        self._client_stalled = False
        self._error_kind: str | None = None
        self._committed: LedgerEntry | None = None

    async def run(self) -> None:
        """Serve the request and write it into the ledger, whatever becomes of it."""
        gateway, responder = self._gateway, self._responder
        gateway.metrics.started()
        gateway.patience.begin(self)
        try:
            with gateway.admission.admit() as ticket:
                await self._answer(await self._prepare(ticket))
        except ClientGone:
            self._client.gone = True
        except ApiError as error:
            self._error_kind = self._error_kind or error.code
            await responder.error(error, self._headers())
        except OSError as error:
            if error.errno not in NO_FILES_LEFT:
                self._error_kind = "internal_error"
                raise
            shed = gateway.admission.shed("files", "The gateway has no file descriptors left.")
            self._error_kind = shed.code
            await responder.error(shed)
        except BaseException:
            self._error_kind = self._error_kind or "internal_error"
            raise
        finally:
            gateway.patience.end(self)
            if self._lasts:
                gateway.stalls.discard(responder)
            self._client.unwatch()
            self._account(responder.status)
            gateway.metrics.ended()

    def lasts(self) -> None:
        """The request has been there for a moment (see `Patience`): somebody must look after its client."""
        self._lasts = True
        if self._body is not None:
            self._body.expire_in(self._gateway.config.server.body_timeout_s)
        elif self._attempts is not None:
            self._look_after_client()

    def _look_after_client(self) -> None:
        self._client.watch()
        self._gateway.stalls.add(self._responder, self._scope, self._stalled, self._task)

    async def _read(self, ticket: Ticket) -> ChatRequest:
        body = self._body
        if body is None:
            message = "a body can be read once"
            raise RuntimeError(message)
        limit_bytes = self._gateway.config.server.max_body_bytes
        pieces = await body.read(limit_bytes=limit_bytes, hold=ticket.hold)
        self._body = None
        return scan(pieces)

    async def _prepare(self, ticket: Ticket) -> Attempts:
        """Read the request and find who may serve it. Only `Attempts` holds the body from here on."""
        request = await self._read(ticket)
        self._stream = request.stream
        model = self._model = self._gateway.router.resolve(request.model, self._key)
        if request.first_image is not None and not model.accepts_images:
            message = f"The model {model.id!r} takes no images. GET /v1/model-catalog tells which models do."
            raise ApiError("unsupported_modality", message, param=request.first_image)
        model.check_thinking(request)
        rewrite: Callable[[Route], PreparedRequest] = request.rewrite
        if model.wants_reasoning:
            # The client may have lost reasoning that an upstream insists on, and the gateway have kept it.
            rewrite = await self._gateway.reasoning.rewriter(request, model.routes, self._key)
        attempts = self._attempts = Attempts(
            self._gateway, model, request, rewrite, ticket=ticket, request_id=self._request_id
        )
        if self._lasts:
            self._look_after_client()
        return attempts

    async def _answer(self, attempts: Attempts) -> None:
        responder = self._responder
        try:
            # Nothing is sent before an upstream's first good event: up to here any status can be told, and
            # another upstream can be asked.
            exchange, block = await attempts.first_answer(self._client)
        except UpstreamError as error:
            if self._client.gone:
                raise ClientGone from None
            self._error_kind = error.kind
            raise upstream_error(
                error.kind, status=error.status, retry_after_s=error.retry_after_s, message=error.message
            ) from None
        headers = self._headers()
        strict = self._gateway.strict
        if strict and exchange.finished:
            # A whole answer, or a short stream: a row that can't be stored can still be told by a status.
            await self._commit(exchange)
        if attempts.mode != "stream":
            if attempts.keeps_reasoning:
                await self._keep_reasoning(attempts, exchange)
            headers.append(JSON)
            await responder.whole(200, headers, block or b"")
            return
        headers += EVENT_STREAM
        await responder.start(200, headers)
        if block is not None and not exchange.finished:
            await responder.body(block, more=True)
            block = await responder.forward(exchange)
            if strict and block is not None:
                block = await self._committed_end(exchange, block)
        # Whoever has seen the end may send the next request at once, to another worker too.
        if attempts.keeps_reasoning and block is not None and block.endswith(DONE):
            await self._keep_reasoning(attempts, exchange)
        await responder.body(block or b"", more=False)

    async def _keep_reasoning(self, attempts: Attempts, exchange: Exchange) -> None:
        if attempts.request is not None:
            await self._gateway.reasoning.keep(exchange, attempts.request, self._key)

    async def _commit(self, exchange: Exchange) -> None:
        """Put the row of an answer on disk, before its end is told. Raises ApiError where that fails."""
        entry = self._entry(200, exchange.summary())
        try:
            await self._gateway.ledger.commit(entry)
        except NotDurableError:
            self._error_kind = LEDGER_FAILED
            message = "The gateway can't record requests at the moment. Try again later."
            raise ApiError("overloaded", message, retry_after_s=_LEDGER_RETRY_AFTER_S) from None
        self._committed = entry

    async def _committed_end(self, exchange: Exchange, block: bytes) -> bytes:
        """The last block of a stream, or the error frame that takes its place."""
        try:
            await self._commit(exchange)
        except ApiError as error:
            return b"data: %s\n\n" % render_body(error)
        return block

    def _headers(self) -> Headers:
        """Once an upstream was asked: how often, and what became of a thinking switch."""
        attempts = self._attempts
        if attempts is None or not attempts.count:
            return []
        headers = [(b"x-llmgw-attempts", b"%d" % attempts.count)]
        if attempts.thinking is not None:
            headers.append((b"x-llmgw-thinking", attempts.thinking.encode("ascii")))
        return headers

    def _stalled(self) -> None:
        self._client_stalled = True
        self._abort()

    def _abort(self) -> None:
        if self._attempts is not None and self._attempts.exchange is not None:
            self._attempts.exchange.abort()

    def _account(self, status: int | None) -> None:
        """Write the ledger's entry and count it. No I/O."""
        attempts = self._attempts
        summary = attempts.close(client_gone=self._client.gone or self._client_stalled) if attempts else None
        entry = self._committed
        if entry is None:
            entry = self._entry(status, summary)
            self._gateway.ledger.record(entry)
        self._gateway.metrics.finished(entry)
        if entry.error_kind is not None and summary is not None:
            logger.warning(
                "%s: model %s, upstream %s: %s after %.3f s (status %d)",
                self._request_id, entry.model, entry.upstream, entry.error_kind, entry.total_s, entry.status,
            )  # fmt: skip

    def _entry(self, status: int | None, summary: Summary | None) -> LedgerEntry:
        model, attempts = self._model, self._attempts
        target = attempts.target if attempts else None
        first_event_s = summary.first_event_s if summary else None
        if attempts is not None and first_event_s is not None:
            first_event_s += attempts.earlier_s
        asked, sent = attempts.thinking.split("; ") if attempts and attempts.thinking else (None, None)
        error_kind = CLIENT_GONE if self._client.gone else self._error_kind
        if self._client_stalled:
            error_kind = CLIENT_STALLED
        return LedgerEntry(
            time_s=self._time_s,
            request_id=self._request_id,
            status=status or CLIENT_CLOSED_REQUEST,
            total_s=time.perf_counter() - self._started_s,
            key_id=self._key.id,
            model=model.id if model else None,
            upstream=target.name if target else None,
            stream=self._stream,
            finish_reason=summary.finish_reason if summary else None,
            error_kind=error_kind or (summary.error_kind if summary else None),
            prompt_tokens=summary.prompt_tokens if summary else None,
            completion_tokens=summary.completion_tokens if summary else None,
            reasoning_tokens=summary.reasoning_tokens if summary else None,
            cached_tokens=summary.cached_tokens if summary else None,
            usage_source=summary.usage_source if summary else "none",
            thinking_asked=asked,
            thinking_sent=sent,
            thinking_observed=summary.reasoning_seen if summary else False,
            first_event_s=first_event_s,
            attempts=attempts.count if attempts else 0,
            attempt_errors=attempts.errors if attempts else None,
        )


def scan(pieces: "Sequence[bytes]") -> ChatRequest:
    """Read a request body. Raises ApiError with the field that is to blame."""
    try:
        return ChatRequest(pieces)
    except RequestError as error:
        raise ApiError(error.code, error.message, param=error.param) from None
    except CoreError:
        logger.exception("a defect in the scanner of request bodies")
        raise ApiError("internal_error", "The gateway failed on this request.") from None
