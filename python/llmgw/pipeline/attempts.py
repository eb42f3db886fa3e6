"""One request's attempts at an answer: one upstream at a time, until something may be shown to the client.

    first target ──► exchange ──► first block ──► the client
                        │ failed before anything was shown
                        ├──► another target that is well, at once
                        └──► the same one, after a pause, where there is none and such failures pass

Never two at a time: a second upstream that runs beside the first costs its tokens twice. Every attempt beyond
the first is taken from the worker's budget, and the total timeout counts from the first one.
"""

import logging
import random
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from llmgw._core import ChatRequest, Exchange, PreparedRequest, Route, Summary, UpstreamError
from llmgw.asgi.client import Client, ClientGone
from llmgw.gateway import Gateway
from llmgw.limits.admission import Ticket
from llmgw.routing.router import Model
from llmgw.routing.targets import Target
from llmgw.routing.verdict import Blame, Retry, upstream_verdict

logger = logging.getLogger(__name__)

PAUSE_S: Final = (0.1, 0.4)
"""Before the same target is asked again: at random between these."""
MAX_PAUSE_S: Final = 2.0
"""An upstream that wants to be left alone for longer is believed, and the client told."""
_MIN_LEFT_S: Final = 0.001
OK: Final = "ok"
CLIENT_GONE: Final = "client_gone"


class Attempts:
    """The attempts of one request. Begin with `first_answer`, end with `close`."""

    __slots__ = (
        "_asked", "_errors", "_gateway", "_model", "_prepared", "_probe", "_request_id", "_rewrite",
        "_running", "_started_s", "_ticket", "earlier_s", "exchange", "keeps_reasoning", "mode", "request",
        "target", "thinking",
    )  # fmt: skip

    def __init__(
        self,
        gateway: Gateway,
        model: Model,
        request: ChatRequest,
        rewrite: Callable[[Route], PreparedRequest],
        *,
        ticket: Ticket,
        request_id: str,
    ) -> None:
        """`rewrite` makes of `request` the body for a target; it is called once for each that is asked."""
        self._gateway = gateway
        self._model = model
        self._rewrite: Callable[[Route], PreparedRequest] | None = rewrite
        self._ticket = ticket
        self._request_id = request_id
        self._started_s = 0.0
        self._asked: list[Target] = []
        self._errors: list[str] = []
        self._probe = False
        self._running = False
        self.target: Target | None = None
        """The one that was asked last."""
        self._prepared: PreparedRequest | None = None
        self.request: ChatRequest | None = request
        """Until it is needed no more: nothing is sent again, and no reasoning is to be kept for its turns."""
        self.mode: str | None = None
        """How the last one answers, as `PreparedRequest.mode`."""
        self.thinking: str | None = None
        """What was asked and what it was sent, as `PreparedRequest.thinking`."""
        self.keeps_reasoning = False
        """As `PreparedRequest.keeps_reasoning`."""
        self.exchange: Exchange | None = None
        """With it."""
        self.earlier_s = 0.0
        """What the attempts before the last one have taken, pauses included."""

    @property
    def count(self) -> int:
        """How often an upstream was asked."""
        return len(self._asked)

    @property
    def errors(self) -> str | None:
        """What the attempts before the last one failed with: `a: first_event_timeout, b: status 503`."""
        return ", ".join(self._errors) if self._errors else None

    async def first_answer(self, client: Client) -> tuple[Exchange, bytes | None]:
        """The first attempt that has something to show: the exchange and its first block.

        Whoever sees `client` leave aborts `exchange`. Raises UpstreamError where an attempt failed and there
        is no further one; ApiError (`overloaded`) where its upstream has no slot left; ClientGone.
        """
        target = self._model.targets.first()
        while True:
            exchange = self._begin(target)
            try:
                block = await exchange.next_block()
            except UpstreamError as error:
                if client.gone:
                    raise ClientGone from None
                target, pause_s = self._after(target, exchange, error)
                if pause_s and await client.gone_within(pause_s):
                    raise ClientGone from None
            else:
                if self._probe:
                    self._probe_answered(target, exchange)
                self._release()
                return exchange, block

    def close(self, *, client_gone: bool) -> Summary | None:
        """The request is over; what its last exchange came to, if there was one. To be called once."""
        target, exchange = self.target, self.exchange
        if target is None or exchange is None:
            return None
        summary = exchange.summary()
        if self._running:
            kind = summary.error_kind
            if client_gone:
                self._end(target, exchange, CLIENT_GONE, Blame.NOBODY)
            elif kind is not None:
                self._end(target, exchange, kind, upstream_verdict(kind)[1])
            elif summary.finish_reason is not None:
                self._end(target, exchange, OK, None)
            else:  # broken off on the gateway's own side
                self._end(target, exchange, "aborted", Blame.NOBODY)
        return summary

    def _release(self) -> None:
        """Let go of the body: it may be as large as the model's context, and the answer take minutes."""
        self._rewrite = self._prepared = None
        if not self.keeps_reasoning:
            self.request = None
            self._ticket.release()

    def _prepare(self, target: Target) -> PreparedRequest:
        if target is self.target and self._prepared is not None:
            return self._prepared
        if self._rewrite is None:
            message = "an upstream has answered: nothing is sent again"
            raise RuntimeError(message)
        prepared = self._prepared = self._rewrite(target.route)
        self.mode, self.thinking = prepared.mode, prepared.thinking
        self.keeps_reasoning = prepared.keeps_reasoning
        return prepared

    def _begin(self, target: Target) -> Exchange:
        prepared = self._prepare(target)
        self._ticket.occupy(target.slots)
        left_s = None
        now_s = time.monotonic()
        if self._asked:
            self.earlier_s = now_s - self._started_s
            left_s = max(target.total_timeout_s - self.earlier_s, _MIN_LEFT_S)
        else:
            self._started_s = now_s
            self._gateway.retry_budget.request(now_s)
        exchange = target.upstream.start(
            prepared,
            request_id=self._request_id,
            heartbeat_s=self._gateway.config.server.heartbeat_s,
            total_timeout_s=left_s,
        )
        self._asked.append(target)
        self.target, self.exchange = target, exchange
        self._gateway.exchanges.add(exchange)
        self._probe = target.health.begin()
        self._running = True
        return exchange

    def _end(
        self,
        target: Target,
        exchange: Exchange,
        outcome: str,
        blame: Blame | None,
        retry_after_s: float | None = None,
    ) -> None:
        self._running = False
        self._gateway.exchanges.discard(exchange)
        target.health.end(blame, probe=self._probe, retry_after_s=retry_after_s)
        self._gateway.metrics.attempted(target.name, outcome)

    def _after(self, target: Target, exchange: Exchange, error: UpstreamError) -> tuple[Target, float]:
        """The next target and the pause before it. Raises the error where that was all."""
        retry, blame = upstream_verdict(error.kind, status=error.status)
        if error.retry_after_s is not None and blame is Blame.UPSTREAM:
            blame = Blame.PACE  # a 503, say, that knows when it will be over
        self._end(target, exchange, _outcome(error), blame, error.retry_after_s)
        following = self._following(target, retry, blame, error.retry_after_s)
        if following is None:
            raise error
        if not self._gateway.retry_budget.take(time.monotonic()):
            self._gateway.metrics.retry_refused()
            raise error
        self._errors.append(f"{target.name}: {_reason(error)}")
        self._gateway.metrics.retried(_outcome(error))
        logger.info(
            "%s: model %s, upstream %s: %s; asking %s",
            self._request_id, self._model.id, target.name, _reason(error), following[0].name,
        )  # fmt: skip
        return following

    def _following(
        self, target: Target, retry: Retry, blame: Blame, retry_after_s: float | None
    ) -> tuple[Target, float] | None:
        if retry is Retry.NEVER or len(self._asked) >= self._gateway.config.routing.max_attempts:
            return None
        spent_s = time.monotonic() - self._started_s
        other = self._model.targets.other(self._asked)
        if other is not None:
            return (other, 0.0) if spent_s < other.total_timeout_s else None
        if retry is not Retry.SAME or self._asked.count(target) > 1 or self._gateway.draining:
            return None
        pause_s = random.uniform(*PAUSE_S)  # noqa: S311  (a pause, not a secret)
        if retry_after_s is not None:
            pause_s = max(pause_s, retry_after_s)
        elif blame is Blame.PACE:
            return None  # it did not say when to come back: soon is too soon
        if pause_s > MAX_PAUSE_S or spent_s + pause_s >= target.total_timeout_s:
            return None
        return target, pause_s

    def _probe_answered(self, target: Target, exchange: Exchange) -> None:
        # A first block may be nothing but a heartbeat.
        if self.mode == "plain" or exchange.summary().first_event_s is not None:
            self._probe = False
            target.health.answered()


def _outcome(error: UpstreamError) -> str:
    """A label: the kind; a status by its class, but for the one that tells of a limit."""
    if error.kind != "status" or error.status is None:
        return error.kind
    return "status_429" if error.status == HTTPStatus.TOO_MANY_REQUESTS else f"status_{error.status // 100}xx"


def _reason(error: UpstreamError) -> str:
    """For the ledger: the kind, with the status where that decides."""
    decides = error.status is not None and error.kind in {"status", "error_event"}
    return f"{error.kind} {error.status}" if decides else error.kind
