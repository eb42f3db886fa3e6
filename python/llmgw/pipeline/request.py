"""The story of one request that an upstream answers, from top to bottom, whichever endpoint it came through.

    body ──► Body ──► model ──► Plan ──► Answer ──► blocks ──► Account
    capped   one      routing   how it   attempts,  as they    ledger,
             scan               is sent  one shown  come       metrics

Rust does everything that touches bytes; Python decides. Python is entered once per block of frames, never per
event, and there is no timer here: timeouts, heartbeats and the wait for the first good event belong to the
exchange, the watch over the client to `asgi.client`. `attempts` says which target is asked, and whether
another one is asked after it failed. What an endpoint brings along is in `body`.
"""

import errno
from functools import partial
from typing import TYPE_CHECKING, Final

from llmgw._core import UpstreamError
from llmgw.asgi.client import ClientWatch
from llmgw.asgi.request import Fields, announced_bytes
from llmgw.asgi.responder import JSON, Responder
from llmgw.asgi.sdk import needs_bare_comments
from llmgw.asgi.types import Headers, Receive, Scope
from llmgw.errors import ApiError, ClientGone
from llmgw.gateway import Gateway
from llmgw.limits.user import user_of
from llmgw.pipeline.account import Account
from llmgw.pipeline.attempts import Answer, Attempts, Terms
from llmgw.pipeline.body import Endpoint, Plan
from llmgw.pipeline.offload import LARGE_BYTES, off_loop
from llmgw.pipeline.upload import uploaded
from llmgw.routing.affinity import named_session, session_of
from llmgw.routing.verdict import upstream_error

if TYPE_CHECKING:
    from llmgw._core import Exchange, RequestFacts
    from llmgw.access.key import Key
    from llmgw.limits.admission import Ticket
    from llmgw.limits.early import Early
    from llmgw.limits.estimates import Need
    from llmgw.routing.router import Model

EVENT_STREAM: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # nginx as a proxy in front of us would otherwise collect the frames.
    (b"x-accel-buffering", b"no"),
]
NO_FILES_LEFT: Final = frozenset({errno.EMFILE, errno.ENFILE})


class Request:
    """One request. Made for it, and run once."""

    __slots__ = (
        "_account", "_attempts", "_client", "_content", "_early", "_endpoint", "_fields", "_gateway",
        "_is_large", "_key", "_request_id", "_responder", "_ticket",
    )  # fmt: skip

    def __init__(
        self,
        gateway: Gateway,
        endpoint: Endpoint,
        key: "Key",
        request_id: str,
        *,
        scope: Scope,
        fields: Fields,
        receive: Receive,
        responder: Responder,
    ) -> None:
        """`key` is authenticated; what it may use is decided here."""
        self._gateway = gateway
        self._endpoint = endpoint
        self._key = key
        self._fields = fields
        self._request_id = request_id
        self._responder = responder
        self._attempts: Attempts | None = None
        self._early: Early | None = None
        host = (scope.get("client") or ("",))[0]
        self._ticket = gateway.admission.ticket(key.id, host)
        self._client = ClientWatch(
            gateway.clients,
            scope,
            receive,
            responder,
            fields=fields,
            body_timeout_s=gateway.config.server.body_timeout_s,
            on_loss=self._abort,
            on_slow_body=self._ticket.arriving,
        )
        self._account = Account(gateway, self._client, key, request_id=request_id, api=endpoint.api)
        trace = self._account.trace = gateway.tracer.begin(fields, scope["path"])
        self._content = None if trace is None else trace.content
        if self._content is not None:
            responder.tee(self._content.answered)

    async def run(self) -> None:
        """Serve the request, and settle its account whatever happens."""
        client, account, admission = self._client, self._account, self._gateway.admission
        client.begin()
        try:
            with self._ticket as ticket:
                attempts = self._attempts = await self._read(ticket)
                try:
                    # Nothing is sent before the first answer: until then any status can be told, and another
                    # target asked.
                    await self._send(await attempts.first_answer(client))
                finally:
                    attempts.settle_place()
        except ClientGone:
            client.gone = True
        except UpstreamError as error:
            account.error_kind = error.kind
            await self._refuse(
                upstream_error(
                    error.kind, status=error.status, retry_after_s=error.retry_after_s, message=error.message
                )
            )
        except ApiError as error:
            await self._refuse(error)
        except OSError as error:
            if error.errno not in NO_FILES_LEFT:
                account.error_kind = "internal_error"
                raise
            await self._refuse(admission.shed("files", "The gateway has no file descriptors left."))
        except BaseException:
            account.error_kind = account.error_kind or "internal_error"
            raise
        finally:
            if self._early is not None:
                self._early.abandon()
            client.end()
            lost = client.gone or client.stalled
            report = self._attempts.close(client_lost=lost) if self._attempts is not None else None
            account.close(self._responder.status, report)

    async def _read(self, ticket: "Ticket") -> Attempts:
        """Read the request and find out who may answer it. From here on only `Attempts` holds the body."""
        gateway, account = self._gateway, self._account
        if gateway.shared_limits is not None and (size := announced_bytes(self._fields)) is not None:
            self._early = gateway.governor.begin(self._key, size, account.time_s)
        pieces = await uploaded(
            self._client, self._fields, limit_bytes=gateway.config.server.max_body_bytes, hold=ticket.hold
        )
        ticket.arrived()
        if self._content is not None:
            self._content.asked(pieces)
        self._is_large = sum(map(len, pieces)) >= LARGE_BYTES
        if self._is_large:
            body = await off_loop(partial(self._endpoint.read, pieces, gateway, self._key))
        else:
            body = self._endpoint.read(pieces, gateway, self._key)
        account.stream = body.stream
        model = gateway.router.resolve(body.model, self._key)
        account.model_id = model.id
        model.check_kind(self._endpoint.kind)
        plan = body.plan(gateway, model, self._key)
        if not isinstance(plan, Plan):
            plan = await plan
        need = self._need(plan.facts, model)
        if gateway.shared_limits is None:
            self._reserve(model, need)
        else:
            await self._admit(model, need)
        return Attempts(
            gateway,
            account,
            model,
            plan,
            ticket=ticket,
            terms=Terms(
                self._request_id,
                body.stream and needs_bare_comments(self._fields),
                self._endpoint.headers_of(self._fields),
                need,
                self._key.id,
                self._session(model, plan),
            ),
            is_large=self._is_large,
        )

    def _session(self, model: "Model", plan: Plan) -> int | None:
        """Which target it belongs to; None where that does not matter."""
        trace = self._account.trace
        if trace is not None and trace.is_sampled:
            trace.session = named_session(self._key.id, self._fields, plan.conversation)
        if not model.targets.want_session:
            return None
        return session_of(self._key.id, self._fields, plan.conversation)

    def _need(self, facts: "RequestFacts", model: "Model") -> "Need":
        """What the request will probably use."""
        account = self._account
        account.user = user_of(self._key, self._fields, facts.user)
        estimates = account.estimates = self._gateway.governor.estimates(model)
        account.text_bytes, account.images, account.choices = facts.text_bytes, facts.images, facts.choices
        if account.trace is not None:
            account.trace.asks(facts.max_output_tokens, facts.choices)
        need = estimates.need(facts, answers=model.writes)
        account.input_estimate = need.input_tokens
        return need

    def _reserve(self, model: "Model", need: "Need") -> None:
        """Reserve it of limits and budgets. Raises ApiError."""
        account = self._account
        account.grant = self._gateway.governor.reserve(
            self._key,
            model,
            need,
            images=account.images,
            user=account.user,
            at_s=account.time_s,
            request_id=self._request_id,
            family=self._endpoint.limit_headers,
        )

    async def _admit(self, model: "Model", need: "Need") -> None:
        """The same of those that machines share."""
        account = self._account
        account.grant = await self._gateway.governor.admit(
            self._key,
            model,
            need,
            images=account.images,
            user=account.user,
            at_s=account.time_s,
            request_id=self._request_id,
            family=self._endpoint.limit_headers,
            early=self._early,
        )

    async def _send(self, answer: Answer) -> None:
        responder, exchange, block = self._responder, answer.exchange, answer.first_block
        strict = self._gateway.strict
        headers = self._account.headers()
        if strict and exchange.finished:
            # A whole answer, or a short stream: a status can still tell that its row can't be stored.
            await self._account.commit(exchange.report())
        if not answer.is_stream:
            if answer.is_kept:
                await answer.keep(block)
            self._settle(exchange)
            headers.append(JSON)
            await responder.whole(200, headers, block or b"")
            return
        headers += EVENT_STREAM
        await responder.start(200, headers)
        del headers  # a stream may be open for hours
        if block is not None and not exchange.finished:
            await responder.body(block, more=True)
            block = await responder.forward(exchange)
            if strict and block is not None:
                try:
                    await self._account.commit(exchange.report())
                except ApiError as error:
                    frame = self._endpoint.error_frame(error, self._request_id, block)
                    await responder.body(frame, more=False)
                    return
        # Once the end is out, the client may send its next request at once, also to another worker. Where the
        # answer broke off, some clients send back what they got of it, and ask for the rest.
        if block is not None:
            if answer.is_kept:
                await answer.keep(block)
            self._settle(exchange)
        await responder.body(block or b"", more=False)

    def _settle(self, exchange: "Exchange") -> None:
        """See `Account.settle`. Where nothing is reserved, there is time for it after the answer."""
        if self._account.grant is not None:
            self._account.settle(exchange.report())

    async def _refuse(self, error: ApiError) -> None:
        self._account.error_kind = self._account.error_kind or error.code
        if self._account.grant is not None:
            self._account.settle(None if self._attempts is None else self._attempts.report())
        await self._responder.error(error, self._account.headers())

    def _abort(self) -> None:
        if self._attempts is not None:
            self._attempts.abort()
