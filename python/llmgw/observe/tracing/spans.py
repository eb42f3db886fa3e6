"""What a request wrote down, as OpenTelemetry's spans.

A request is a span of kind SERVER, named as the conventions for HTTP say (`POST /v1/chat/completions`): the
gateway serves it. Each attempt at an upstream is a span of kind CLIENT below it, named as those for
generative AI say (`chat qwen3.6-plus`): that is the call of a model, and it alone has the usage, which
backends add up. Names are written out here, since the conventions still change; what is not known is left
out.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from llmgw._core import __version__
from llmgw.ledger.entry import LedgerEntry
from llmgw.observe.gen_ai import OPERATIONS, OTHER
from llmgw.observe.tracing.context import Parent
from llmgw.observe.tracing.settings import DEFAULT_SERVICE
from llmgw.observe.tracing.trace import Answered, Trace, Tried

Value: TypeAlias = str | bool | int | float | tuple[str, ...]
Attributes: TypeAlias = dict[str, Value]

CLIENT_CLOSED_REQUEST: Final = 499
"""The ledger's status where no answer began: the client got none."""
LOST_CLIENT: Final = frozenset({"client_gone", "client_stalled"})
NO_FAILURE: Final = LOST_CLIENT | {"aborted", "ok"}
"""Outcomes of attempts that are no fault of the upstream's."""
_SCOPE: Final = InstrumentationScope("llmgw", __version__)
_UNKNOWN_SERVICE: Final = "unknown_service"


def resource(service_name: str | None) -> Resource:
    """Which program this is, with OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES of the environment."""
    made = Resource.create(
        {"service.version": __version__, "service.instance.id": f"{socket.gethostname()}:{os.getpid()}"}
    )
    if service_name is None and str(made.attributes["service.name"]).startswith(_UNKNOWN_SERVICE):
        service_name = DEFAULT_SERVICE
    return made if service_name is None else made.merge(Resource({"service.name": service_name}))


def spans_of(trace: Trace, resource: Resource) -> Iterator[ReadableSpan]:
    """The spans of a request that has ended: its own, then those of its attempts."""
    entry = trace.entry
    if entry is None:
        return
    context = _context(trace, trace.span_id)
    operation = OPERATIONS.get(entry.api or "", OTHER)
    yield ReadableSpan(
        f"POST {trace.path}",
        context=context,
        parent=None if trace.parent is None else _remote(trace, trace.parent),
        resource=resource,
        attributes=_request(trace, entry, operation),
        kind=SpanKind.SERVER,
        status=_request_status(entry),
        start_time=trace.began_ns,
        end_time=_at(trace, trace.ended_s),
        instrumentation_scope=_SCOPE,
    )
    content = {} if trace.content is None else trace.content.attributes(entry.api or "")
    if trace.content is not None:
        trace.content.release()
    for number, tried in enumerate(trace.attempts, 1):
        said = content if number == len(trace.attempts) else {}
        model = tried.target.provider_model.upstream_model
        yield ReadableSpan(
            f"{operation} {model}",
            context=_context(trace, tried.span_id),
            parent=context,
            resource=resource,
            attributes={**_attempt(trace, tried, operation, number), **said},
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.UNSET if tried.outcome in NO_FAILURE else StatusCode.ERROR),
            start_time=_at(trace, tried.began_s),
            end_time=_at(trace, tried.ended_s),
            instrumentation_scope=_SCOPE,
        )


def _request(trace: Trace, entry: LedgerEntry, operation: str) -> Attributes:
    answered = entry.status if entry.status != CLIENT_CLOSED_REQUEST else None
    return _known(
        {
            "http.request.method": "POST",
            "http.route": trace.path,
            "http.response.status_code": answered,
            "error.type": entry.error_kind,
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": entry.model,
            "gen_ai.conversation.id": _conversation(trace),
            "llmgw.request.id": entry.request_id,
            "llmgw.api": entry.api,
            "llmgw.key.id": entry.key_id,
            "llmgw.project.id": entry.project_id,
            "llmgw.upstream": entry.upstream,
            "llmgw.attempts": entry.attempts,
            "llmgw.thinking.asked": entry.thinking_asked,
            "llmgw.thinking.sent": entry.thinking_sent,
            "llmgw.thinking.observed": entry.thinking_observed if entry.attempts else None,
            "llmgw.usage.source": entry.usage_source,
            "llmgw.cost.nano": entry.cost,
            "llmgw.cost.currency": entry.currency,
        }
    )


def _conversation(trace: Trace) -> str | None:
    """Not the client's own name for it, which may be anything."""
    return None if trace.session is None else f"{trace.session:016x}"


def _request_status(entry: LedgerEntry) -> Status:
    """An error is what the gateway or an upstream failed at: not what it refused, nor a client that left."""
    lost = entry.error_kind is None or entry.error_kind in LOST_CLIENT
    refused = HTTPStatus.BAD_REQUEST <= entry.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return Status(StatusCode.UNSET if lost or refused else StatusCode.ERROR)


def _attempt(trace: Trace, tried: Tried, operation: str, number: int) -> Attributes:
    target = tried.target
    address, port = target.servers.of(tried.api)
    entry = trace.entry
    return _known(
        {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": target.provider_model.provider,
            "gen_ai.request.model": target.provider_model.upstream_model,
            "gen_ai.request.stream": True if entry is not None and entry.stream else None,
            "gen_ai.request.max_tokens": trace.max_tokens,
            "gen_ai.request.choice.count": trace.choices if trace.choices != 1 else None,
            "gen_ai.conversation.id": _conversation(trace),
            "server.address": address,
            "server.port": port,
            "error.type": None if tried.outcome == "ok" else tried.outcome or OTHER,
            "http.response.status_code": tried.status,
            "llmgw.attempt": number,
            "llmgw.upstream": target.name,
            "llmgw.account": target.health.account,
            **({} if tried.answered is None else _answer(tried.answered)),
        }
    )


def _answer(answered: Answered) -> Mapping[str, Value | None]:
    reason = answered.finish_reason
    return {
        "gen_ai.response.finish_reasons": None if reason is None else (reason,),
        "gen_ai.response.id": answered.id,
        "gen_ai.response.model": answered.model,
        "gen_ai.response.time_to_first_chunk": answered.first_event_s,
        "gen_ai.usage.input_tokens": answered.prompt_tokens,
        "gen_ai.usage.output_tokens": answered.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": answered.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": answered.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": answered.reasoning_tokens,
    }


def _known(attributes: Mapping[str, Value | None]) -> Attributes:
    return {name: value for name, value in attributes.items() if value is not None}


def _at(trace: Trace, monotonic_s: float) -> int:
    """A time of the epoch in nanoseconds. A clock that is set meanwhile changes no duration."""
    return trace.began_ns + round((monotonic_s - trace.began_s) * 1e9)


def _context(trace: Trace, span_id: str) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16),
        int(span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(trace.flags),
        trace_state=TraceState.from_header([trace.state.decode("ascii")]),
    )


def _remote(trace: Trace, parent: Parent) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=TraceFlags(parent.flags)
    )
