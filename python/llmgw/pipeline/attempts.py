"""One request's attempts at an answer: one target at a time, until something may be shown to the client.

    first target ──► exchange ──► first block ──► the client
                        │ failed before anything was shown
                        ├──► another healthy target, at once
                        └──► the same one, after a pause, if there is no other and such failures pass

Never two at a time: a second upstream that runs beside the first costs its tokens twice. Each attempt beyond
the first is taken from the worker's retry budget, and the total timeout counts from the first one.
"""

import logging
import random
import time
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Final, NamedTuple

from llmgw._core import Exchange, ExchangeReport, PreparedRequest, UpstreamError
from llmgw.asgi.client import ClientWatch
from llmgw.errors import ClientGone
from llmgw.gateway import Gateway
from llmgw.limits.admission import Ticket
from llmgw.limits.estimates import Need
from llmgw.pipeline.account import CLIENT_GONE, Account
from llmgw.pipeline.body import KeepAnswer, KeepReasoning, Plan
from llmgw.pipeline.failure import failure_text, outcome
from llmgw.pipeline.offload import off_loop
from llmgw.pipeline.placing import Placing
from llmgw.routing.router import Model
from llmgw.routing.targets import Target
from llmgw.routing.verdict import Blame, Retry, upstream_verdict

logger = logging.getLogger(__name__)

PAUSE_S: Final = (0.1, 0.4)
"""Before the same target is asked again: at random between these."""
MAX_PAUSE_S: Final = 2.0
"""If an upstream asks for a longer pause, the client is told instead."""
_MIN_LEFT_S: Final = 0.001
OK: Final = "ok"
ABORTED: Final = "aborted"


class Terms(NamedTuple):
    """What each exchange of a request has in common, beside its body."""

    request_id: str
    heartbeat_line: bool = False
    """See `asgi.sdk.needs_bare_comments`."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Of the client's, for upstreams that speak its API."""
    need: Need = Need(0, 0)
    """What the request will probably use."""
    owner: Hashable = None
    """Who takes turns with others where requests wait for a place."""
    session: int | None = None
    """Whose requests are to stay with one target (see `routing.affinity`)."""


class Answer(NamedTuple):
    """An answer of which something may be shown."""

    exchange: Exchange
    first_block: bytes | None
    is_stream: bool
    """True: `first_block` is the beginning of an event stream; False: it is the whole body."""
    keep_reasoning: KeepReasoning | None
    """To be called with the exchange before the end of a complete answer is shown; None: not wanted."""
    keep_answer: KeepAnswer | None
    """The same, with the answer's last block, which says whether it is complete."""

    @property
    def is_kept(self) -> bool:
        """False: there is nothing for `keep` to do, as of most answers."""
        return self.keep_reasoning is not None or self.keep_answer is not None

    async def keep(self, block: bytes | None) -> None:
        """Keep what is wanted of an answer, whose last block this is, before its end is shown."""
        if self.keep_reasoning is not None:
            await self.keep_reasoning(self.exchange)
        if self.keep_answer is not None and block is not None:
            await self.keep_answer(block)


class _Attempt:
    """One exchange with one target, from its start to its verdict."""

    __slots__ = ("began_s", "exchange", "is_probe", "is_running", "prepared", "target")

    def __init__(self, target: Target, prepared: PreparedRequest, exchange: Exchange, began_s: float) -> None:
        self.target = target
        self.began_s = began_s
        """On the monotonic clock."""
        self.prepared: PreparedRequest | None = prepared
        """None once nothing can be sent again: it holds the body."""
        self.exchange = exchange
        self.is_probe = target.health.begin()
        self.is_running = True


class Attempts:
    """The attempts of one request: `first_answer`, and in any case `close`."""

    __slots__ = (
        "_account", "_asked", "_gateway", "_is_large", "_last", "_model", "_placing", "_plan", "_started_s",
        "_terms", "_ticket",
    )  # fmt: skip

    def __init__(
        self,
        gateway: Gateway,
        account: Account,
        model: Model,
        plan: Plan,
        *,
        ticket: Ticket,
        terms: Terms,
        is_large: bool = False,
    ) -> None:
        """Asks no target yet. `ticket` holds the body's bytes, and a place at an upstream while it is asked.

        `is_large`: the body is not to be worked on by the event loop.
        """
        self._gateway = gateway
        self._account = account
        self._model = model
        self._plan: Plan | None = plan
        self._ticket = ticket
        self._terms = terms
        self._placing = Placing(
            gateway, model, ticket, need=terms.need, owner=terms.owner, session=terms.session
        )
        self._is_large = is_large
        self._started_s = 0.0
        self._asked: list[Target] = []
        self._last: _Attempt | None = None

    async def first_answer(self, client: ClientWatch) -> Answer:
        """The first attempt that has something to show. To be called once.

        Raises UpstreamError if an attempt failed and no other follows; ApiError (`overloaded`,
        `upstream_rate_limited`) if no upstream has a place; ClientGone.
        """
        target = self._model.targets.first(self._terms.session)
        while True:
            placed = self._placing.take(target, self._asked)
            target = placed or await self._placing.wait(target, self._asked, client)
            if self._is_large:
                prepared = await off_loop(partial(self._prepare, target))
            else:
                prepared = self._prepare(target)
            if client.gone:
                raise ClientGone
            attempt = self._begin(target, prepared)
            try:
                block = await attempt.exchange.next_block()
            except UpstreamError as error:
                if client.gone:
                    raise ClientGone from None
                following = self._after(attempt, error)
                if following is None:
                    raise
                target, pause_s = following
                if pause_s and await client.gone_within(pause_s):
                    raise ClientGone from None
            else:
                return self._answer(attempt, block)

    def abort(self) -> None:
        """The client is lost: end the exchange that is running, if one is, or the wait for one."""
        self._placing.leave()
        if self._last is not None:
            self._last.exchange.abort()

    def report(self) -> ExchangeReport | None:
        """What the last exchange came to so far; None: there was none."""
        return None if self._last is None else self._last.exchange.report()

    def settle_place(self) -> None:
        """The last exchange is over; to be called before its place is given back."""
        if self._last is not None and self._last.is_running:
            self._settle(self._last)

    def close(self, *, client_lost: bool) -> ExchangeReport | None:
        """The request is over. Returns what its last exchange came to, None if there was none."""
        attempt = self._last
        if attempt is None:
            return None
        report = attempt.exchange.report()
        if attempt.is_running:
            if client_lost:
                self._end(attempt, CLIENT_GONE, Blame.NOBODY)
            elif report.error is not None:
                self._failed(attempt, report.error)
            elif report.complete:
                self._end(attempt, OK, None)
            else:  # broken off on the gateway's own side
                self._end(attempt, ABORTED, Blame.NOBODY)
        return report

    def _answer(self, attempt: _Attempt, block: bytes | None) -> Answer:
        prepared, plan = attempt.prepared, self._plan
        if prepared is None or plan is None:
            message = "a request is answered once"
            raise RuntimeError(message)
        mode = prepared.mode
        # A first block may be just a heartbeat.
        if attempt.is_probe and (mode == "plain" or attempt.exchange.report().first_event_s is not None):
            attempt.is_probe = False
            attempt.target.health.answered()
        keep_reasoning = plan.keep_reasoning if prepared.keeps_reasoning else None
        keep_answer = plan.keep_answer
        # The body may be as large as the model's context, and the answer may take minutes.
        attempt.prepared = self._plan = None
        answer = Answer(attempt.exchange, block, mode == "stream", keep_reasoning, keep_answer)
        if not answer.is_kept:
            self._ticket.release()
        return answer

    def _prepare(self, target: Target) -> PreparedRequest:
        last = self._last
        # The accounts of an upstream are asked in the same words.
        if last is not None and last.target.route is target.route and last.prepared is not None:
            return last.prepared
        if self._plan is None:
            message = "after an answer nothing is sent again"
            raise RuntimeError(message)
        return self._plan.rewrite(target.route)

    def _begin(self, target: Target, prepared: PreparedRequest) -> _Attempt:
        left_s = None
        now_s = time.monotonic()
        if self._asked:
            earlier_s = self._account.earlier_s = now_s - self._started_s
            left_s = max(target.total_timeout_s - earlier_s, _MIN_LEFT_S)
        else:
            self._started_s = now_s
            self._gateway.retry_budget.request(now_s)
        trace = self._account.trace
        exchange = target.upstream.start(
            prepared,
            request_id=self._terms.request_id,
            heartbeat_s=self._gateway.config.server.heartbeat_s,
            heartbeat_line=self._terms.heartbeat_line,
            total_timeout_s=left_s,
            headers=self._terms.headers,
            trace=() if trace is None else trace.attempt(target, prepared.api),
        )
        self._asked.append(target)
        self._account.attempt(target, prepared)
        self._gateway.exchanges.add(exchange)
        attempt = self._last = _Attempt(target, prepared, exchange, now_s)
        return attempt

    def _end(self, attempt: _Attempt, label: str, blame: Blame | None) -> None:
        self._over(attempt, label)
        attempt.target.health.end(blame, probe=attempt.is_probe)

    def _over(self, attempt: _Attempt, label: str, status: int | None = None) -> None:
        attempt.is_running = False
        self._settle(attempt)
        self._gateway.exchanges.discard(attempt.exchange)
        metrics, target = self._gateway.metrics, attempt.target
        metrics.attempted(target.name, target.health.account, label)
        metrics.gen_ai.attempted(
            self._account.api,
            self._model.id,
            target.provider_model,
            duration_s=time.monotonic() - attempt.began_s,
            error=None if label == OK else label,
        )
        if self._account.trace is not None:
            self._account.trace.attempt_over(label, status, attempt.exchange.report())

    def _settle(self, attempt: _Attempt) -> None:
        if attempt.target.places.rates is not None:
            self._placing.settle(attempt.exchange.report())

    def _failed(self, attempt: _Attempt, error: UpstreamError) -> tuple[Retry, Blame]:
        """What follows from a failure of the upstream's, which is written down everywhere."""
        target, text = attempt.target, failure_text(error)
        retry, blame = upstream_verdict(error.kind, status=error.status)
        if error.retry_after_s is not None and blame is Blame.UPSTREAM:
            blame = Blame.PACE  # for example a 503 that says when it will be over
        self._over(attempt, outcome(error), error.status)
        target.health.end(blame, probe=attempt.is_probe, retry_after_s=error.retry_after_s, failure=text)
        self._account.failed_attempt(target, text)
        return retry, blame

    def _after(self, attempt: _Attempt, error: UpstreamError) -> tuple[Target, float] | None:
        """The next target and the pause before it; None if the error is to be told.

        Does not raise the error itself: its traceback would hold this frame, and this frame the error, and
        with them the exchange, until a collection of cycles comes by.
        """
        target = attempt.target
        retry, blame = self._failed(attempt, error)
        following = self._following(target, retry, blame, error.retry_after_s)
        if following is None:
            return None
        if not self._gateway.retry_budget.take(time.monotonic()):
            self._gateway.metrics.retry_refused()
            return None
        self._gateway.metrics.retried(outcome(error))
        logger.info(
            "%s: model %s: upstream %s %s; asking %s",
            self._terms.request_id, self._model.id, target.full_name, failure_text(error),
            following[0].full_name,
        )  # fmt: skip
        return following

    def _following(
        self, target: Target, retry: Retry, blame: Blame, retry_after_s: float | None
    ) -> tuple[Target, float] | None:
        if retry is Retry.NEVER or len(self._asked) >= self._gateway.config.routing.max_attempts:
            return None
        spent_s = time.monotonic() - self._started_s
        other = self._model.targets.other(self._asked, self._terms.session)
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
