"""What one request writes down for its trace, and the headers that take the trace to its upstreams.

Everything here is on the event loop: ids, times and references to what is known anyway.
"""

import random
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from llmgw.asgi.request import Fields
from llmgw.asgi.types import Headers
from llmgw.observe.tracing.context import (
    RANDOM,
    SAMPLED,
    TRACEPARENT,
    TRACESTATE,
    Parent,
    read_parent,
    read_state,
    write_parent,
)

if TYPE_CHECKING:
    from llmgw.ledger.entry import LedgerEntry
    from llmgw.observe.tracing.content import Content
    from llmgw.routing.targets import Target


class Report(Protocol):
    """What is read of a `_core.ExchangeReport`, which explains it."""

    @property
    def finish_reason(self) -> str | None: ...  # noqa: D102
    @property
    def answer_id(self) -> str | None: ...  # noqa: D102
    @property
    def answer_model(self) -> str | None: ...  # noqa: D102
    @property
    def prompt_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def completion_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def reasoning_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def cached_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def cache_write_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def first_event_s(self) -> float | None: ...  # noqa: D102


class Answered(NamedTuple):
    """What an upstream's answer says. A report would keep more of it in memory."""

    finish_reason: str | None
    id: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    first_event_s: float | None
    """From the attempt's start."""


class Tried:
    """One attempt at an upstream."""

    __slots__ = ("answered", "api", "began_s", "ended_s", "outcome", "span_id", "status", "target")

    def __init__(self, span_id: str, target: "Target", api: str) -> None:
        """It begins now. `api`: in which the upstream is asked."""
        self.span_id = span_id
        self.target = target
        self.api = api
        self.began_s = self.ended_s = time.monotonic()
        self.outcome = ""
        """`ok`, or why it failed, as a metric's label; empty: it is not over."""
        self.status: int | None = None
        """The upstream's, if that was an error."""
        self.answered: Answered | None = None


class Trace:
    """One request's part of a trace."""

    __slots__ = (
        "attempts", "began_ns", "began_s", "choices", "content", "ended_s", "entry", "flags",
        "max_tokens", "parent", "path", "session", "span_id", "state", "trace_id",
    )  # fmt: skip

    def __init__(self, trace_id: str, parent: Parent | None, flags: int, state: bytes, path: str) -> None:
        """It begins now. `parent`: the client's span; None: this is the trace's first."""
        self.trace_id = trace_id
        self.parent = parent
        self.flags = flags
        self.span_id = new_span_id()
        self.path = path
        self.began_ns = time.time_ns()
        self.began_s = self.ended_s = time.monotonic()
        self.attempts: list[Tried] = []
        self.session: int | None = None
        """The conversation that the client names, if it does: 64 bits, as `routing.affinity` makes them."""
        self.entry: LedgerEntry | None = None
        """Once it is over."""
        self.state = state
        self.max_tokens: int | None = None
        """What the answer may have, if the client says so."""
        self.choices = 1
        self.content: Content | None = None
        """Its messages and those of the answer; None: they are not wanted."""

    @property
    def is_sampled(self) -> bool:
        """Whether its spans are exported."""
        return bool(self.flags & SAMPLED)

    def asks(self, max_tokens: int | None, choices: int) -> None:
        """What the request asks for."""
        self.max_tokens, self.choices = max_tokens, choices

    def end(self, entry: "LedgerEntry") -> None:
        """The request is over, and this is its row."""
        self.ended_s = time.monotonic()
        self.entry = entry

    def attempt(self, target: "Target", api: str) -> Headers:
        """An upstream is about to be asked: the headers that it gets."""
        if not self.is_sampled:
            return _headers(self.trace_id, self.span_id, self.flags, self.state)
        tried = Tried(new_span_id(), target, api)
        self.attempts.append(tried)
        return _headers(self.trace_id, tried.span_id, self.flags, self.state)

    def attempt_over(self, outcome: str, status: int | None, report: Report) -> None:
        """The last attempt is over. `outcome`, `status`: see `Tried`."""
        if not self.attempts:
            return
        tried = self.attempts[-1]
        tried.ended_s = time.monotonic()
        tried.outcome, tried.status = outcome, status
        tried.answered = Answered(
            report.finish_reason,
            report.answer_id,
            report.answer_model,
            report.prompt_tokens,
            report.completion_tokens,
            report.reasoning_tokens,
            report.cached_tokens,
            report.cache_write_tokens,
            report.first_event_s,
        )


class PassedOn:
    """A client's trace in which the gateway has no part: its upstreams get it unchanged."""

    __slots__ = ("headers", "session", "trace_id")
    content = None
    is_sampled = False
    session: int | None
    """As of `Trace`; nobody sets it here."""

    def __init__(self, parent: Parent, headers: Headers) -> None:
        """`headers`: those of the client, which are valid."""
        self.trace_id = parent.trace_id
        self.headers = headers

    def asks(self, max_tokens: int | None, choices: int) -> None:
        """As `Trace.asks`: there is nothing to be written down."""

    def attempt(self, _target: "Target", _api: str) -> Headers:
        """As `Trace.attempt`."""
        return self.headers

    def attempt_over(self, outcome: str, status: int | None, report: Report) -> None:
        """As `Trace.attempt_over`: there is nothing to be written down."""


def passed_on(fields: Fields) -> PassedOn | None:
    """What is passed on of a request where traces are off. None: it has no valid trace."""
    if TRACEPARENT not in fields:
        return None
    parent = read_parent(fields[TRACEPARENT])
    if parent is None:
        return None
    state = read_state(fields.get(TRACESTATE, ()))
    return PassedOn(parent, _headers(parent.trace_id, parent.span_id, parent.flags, state))


def trace_headers(fields: Fields) -> Headers:
    """The client's own, for an upstream that is asked without a span; empty: there are no valid ones."""
    passed = passed_on(fields)
    return [] if passed is None else passed.headers


def new_trace_id() -> str:
    """32 hex digits."""
    # The module's own generator is seeded anew after a fork; another one would say the same in each worker.
    return f"{random.getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """16 hex digits."""
    return f"{random.getrandbits(64) or 1:016x}"


class Sampler(NamedTuple):
    """Which traces are exported."""

    ratio: float = 1.0
    """Of those that begin here; decided by the trace id, so that all machines agree."""
    follows_parent: bool = True
    """A client's trace is exported if the client's own span is."""

    def takes(self, trace_id: str, parent: Parent | None) -> bool:
        """As OpenTelemetry's `TraceIdRatioBased`, by the last 64 bits."""
        if parent is not None and self.follows_parent:
            return bool(parent.flags & SAMPLED)
        return int(trace_id[16:], 16) < round(self.ratio * 2**64)


def begin(fields: Fields, path: str, sampler: Sampler) -> Trace:
    """The trace of a request that begins now: the client's, or a new one."""
    parent = read_parent(fields.get(TRACEPARENT, ()))
    if parent is None:
        trace_id = new_trace_id()
        flags = RANDOM | SAMPLED if sampler.takes(trace_id, None) else RANDOM
        return Trace(trace_id, None, flags, b"", path)
    state = read_state(fields.get(TRACESTATE, ()))
    is_sampled = sampler.takes(parent.trace_id, parent)
    flags = parent.flags | SAMPLED if is_sampled else parent.flags & ~SAMPLED
    return Trace(parent.trace_id, parent, flags, state, path)


def _headers(trace_id: str, span_id: str, flags: int, state: bytes) -> Headers:
    headers = [(TRACEPARENT, write_parent(trace_id, span_id, flags))]
    if state:
        headers.append((TRACESTATE, state))
    return headers
