"""What is known of one request, for the ledger, the metrics and the response headers, as it becomes known."""

import logging
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmgw.asgi.types import Headers
from llmgw.errors import ApiError
from llmgw.ledger.entry import LedgerEntry, NotDurableError
from llmgw.prices.billing import Bill, Usage, bill

if TYPE_CHECKING:
    from llmgw._core import ExchangeReport, PreparedRequest
    from llmgw.access.key import Key
    from llmgw.asgi.client import ClientWatch
    from llmgw.gateway import Gateway
    from llmgw.limits.estimates import Estimates
    from llmgw.limits.grant import Grant
    from llmgw.observe.tracing.trace import PassedOn, Trace
    from llmgw.routing.targets import Target

logger = logging.getLogger(__name__)

CLIENT_CLOSED_REQUEST: Final = 499
"""The ledger's status where the client left before its answer began (nginx's code; no client sees it)."""
CLIENT_GONE: Final = "client_gone"
CLIENT_STALLED: Final = "client_stalled"
LEDGER_FAILED: Final = "ledger_failed"
"""The answer was complete, but with `durability = "strict"` its row could not be put on disk."""
ATTEMPT_ERRORS_CHARS: Final = 2000
"""What an upstream says makes no row of the ledger longer."""
_LEDGER_RETRY_AFTER_S: Final = 5
MAX_DROPPED_CHARS: Final = 1024
"""Of `x-llmgw-dropped`. A client may send any number of things that have no counterpart."""
_NO_COST: Final = (None, None, None, None, None)
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]")


class Account:
    """The account of one request. Whoever learns something writes it down here; `close` settles it."""

    stream = False
    model_id: str | None = None
    target: "Target | None" = None
    """The one that was asked last."""
    attempts = 0
    """How many times an upstream was asked."""
    earlier_s = 0.0
    """What the attempts before the last one took, pauses included."""
    thinking_asked: str | None = None
    thinking_sent: str | None = None
    dropped: Sequence[str] = ()
    """What of the client's request was not sent to the last upstream, since its API has nothing like it."""
    error_kind: str | None = None
    """Why the request failed; an exchange's own kind of failure is in its report."""
    user: str | None = None
    """Who is behind the key, if it is known."""
    input_estimate = 0
    """About how many tokens the prompt has."""
    estimates: "Estimates | None" = None
    """Of its model; they learn what it used."""
    text_bytes = 0
    """Of its prompt."""
    choices = 1
    """How many answers it asks for."""
    images = 0
    """Images and other media in the request."""
    grant: "Grant | None" = None
    """What is reserved of limits and budgets; None: nothing is."""
    bill: Bill | None = None
    """What it came to, once that is known."""
    trace: "Trace | PassedOn | None" = None
    """The trace that the request is in; None: none."""
    _committed: LedgerEntry | None = None

    def __init__(
        self, gateway: "Gateway", client: "ClientWatch", key: "Key", *, request_id: str, api: str
    ) -> None:
        """Counts the request as in flight until `close`."""
        self._gateway = gateway
        self._client = client
        self._request_id = request_id
        self._key_id, self._project_id = key.id, key.project_id
        self.api = api
        self.time_s = time.time()
        """When it arrived, in seconds since the epoch."""
        self._started_s = time.perf_counter()
        self._failures: list[tuple[str, str]] = []
        gateway.metrics.started()

    def attempt(self, target: "Target", prepared: "PreparedRequest") -> None:
        """A target is asked."""
        self.attempts += 1
        self.target = target
        self.thinking_asked, self.thinking_sent = prepared.thinking_asked, prepared.thinking_sent
        self.dropped = prepared.dropped

    def failed_attempt(self, target: "Target", reason: str) -> None:
        """An attempt failed. `reason`: see `pipeline.failure`."""
        self._failures.append((target.full_name, reason))

    def headers(self) -> Headers:
        """What is left of limits and budgets.

        Once an upstream was asked also how often, what the thinking switch came to, and what was left out.
        """
        headers = [] if self.grant is None else self.grant.headers()
        if not self.attempts:
            return headers
        headers.append((b"x-llmgw-attempts", b"%d" % self.attempts))
        if self.thinking_asked is not None:
            thinking = f"{self.thinking_asked}; {self.thinking_sent}"
            headers.append((b"x-llmgw-thinking", thinking.encode("ascii")))
        if self.dropped:
            headers.append((b"x-llmgw-dropped", dropped_header(self.dropped)))
        return headers

    def settle(self, report: "ExchangeReport | None") -> Bill:
        """The answer has ended: what it came to. What was reserved beyond that is given back.

        To be called before its end is told: the client's next request may come at once, to another worker.
        `report`: of its last exchange, which is final; None: there was none.
        """
        known = self.bill
        if known is not None:
            return known
        target = self.target
        known = self.bill = bill(
            report,
            input_estimate=self.input_estimate,
            images=self.images,
            price=target.price if target else None,
            at_s=self.time_s,
        )
        if self.grant is not None:
            self.grant.settle(known.usage.total, 0 if known.cost is None else known.cost.total)
        if self.estimates is not None and known.usage.source == "upstream":
            self._learn(self.estimates, known.usage)
        return known

    def _learn(self, estimates: "Estimates", usage: Usage) -> None:
        if usage.prompt_tokens:
            estimates.saw_input(self.text_bytes, self.images, usage.prompt_tokens)
        if usage.completion_tokens:
            estimates.saw_output(usage.completion_tokens // self.choices)

    async def commit(self, report: "ExchangeReport") -> None:
        """Put the row of a complete answer on disk before its end is told. Raises ApiError: `overloaded`."""
        entry = self._entry(200, report)
        try:
            await self._gateway.ledger.commit(entry)
        except NotDurableError:
            self.error_kind = LEDGER_FAILED
            message = "The gateway can't record requests at the moment. Try again later."
            raise ApiError("overloaded", message, retry_after_s=_LEDGER_RETRY_AFTER_S) from None
        self._committed = entry

    def close(self, status: int | None, report: "ExchangeReport | None") -> None:
        """Write the ledger's entry and count it. `status` None: no answer began. No I/O."""
        entry = self._committed
        if entry is None:
            entry = self._entry(status, report)
            self._gateway.ledger.record(entry)
        metrics = self._gateway.metrics
        target = self.target
        metrics.finished(entry, None if target is None else target.provider_model)
        metrics.ended()
        if self.trace is not None:
            self._gateway.tracer.end(self.trace, entry)
        if entry.error_kind is not None and report is not None:
            self._log(entry)

    def _log(self, entry: LedgerEntry) -> None:
        lost = entry.error_kind in {CLIENT_GONE, CLIENT_STALLED}
        if self._failures and not lost:
            what = "upstream {} {}".format(*self._failures[-1])
        else:
            name = self.target.full_name if self.target else None
            what = f"upstream {name}: {entry.error_kind}"
        attempts = "1 attempt" if entry.attempts == 1 else f"{entry.attempts} attempts"
        told = "" if lost else f"; client got {entry.status}"
        # Every Stop button makes one such line.
        level = logging.INFO if entry.error_kind == CLIENT_GONE else logging.WARNING
        logger.log(
            level, "%s: model %s: %s (%s, %s)%s%s",
            self._request_id, entry.model, what, attempts, _duration(entry.total_s), told,
            "" if self.trace is None else f"; trace {self.trace.trace_id}",
        )  # fmt: skip

    def _entry(self, status: int | None, report: "ExchangeReport | None") -> LedgerEntry:
        client = self._client
        lost = CLIENT_STALLED if client.stalled else CLIENT_GONE if client.gone else None
        first_event_s = report.first_event_s if report else None
        target = self.target
        usage, cost, price = self.settle(report)
        prompt, completion, reasoning, cached, cache_write, source = usage
        cost_input, cost_cached_input, cost_cache_write, cost_output, cost_other = cost or _NO_COST
        # By position, in the order of the fields: by keyword that takes more than twice as long.
        return LedgerEntry(
            self.time_s,
            self._request_id,
            status or CLIENT_CLOSED_REQUEST,
            time.perf_counter() - self._started_s,  # total_s
            self._key_id,
            self.model_id,
            target.name if target else None,  # upstream
            self.stream,
            report.finish_reason if report else None,
            lost or self.error_kind or (report.error_kind if report else None),
            prompt,
            completion,
            reasoning,
            cached,
            source,
            self.thinking_asked,
            self.thinking_sent,
            report.reasoning_seen if report else False,  # thinking_observed
            None if first_event_s is None else first_event_s + self.earlier_s,
            self.attempts,
            self._attempt_errors(),
            self.api,
            self._project_id,
            self.user,
            cache_write,
            None if cost is None else cost.total,
            cost_input,
            cost_cached_input,
            cost_cache_write,
            cost_output,
            cost_other,
            price.currency if price else None,
            price.digest if price else None,  # price_digest
        )

    def _attempt_errors(self) -> str | None:
        if not self._failures:
            return None
        text = ", ".join(f"{upstream}: {reason}" for upstream, reason in self._failures)
        return text[:ATTEMPT_ERRORS_CHARS] or None


def dropped_header(names: Sequence[str]) -> bytes:
    """A list of names as the value of a header, cut between two of them: `tools.web_search, ...`."""
    value = ""
    for name in names:
        listed = f"{value}, {_NOT_IN_A_NAME.sub('_', name)}" if value else _NOT_IN_A_NAME.sub("_", name)
        if len(listed) > MAX_DROPPED_CHARS - len(_MORE):
            return f"{value}{_MORE}".removeprefix(", ").encode("ascii")
        value = listed
    return value.encode("ascii")


_MORE: Final = ", ..."


def _duration(duration_s: float) -> str:
    return f"{duration_s * 1000:.0f} ms" if duration_s < 1 else f"{duration_s:.1f} s"
