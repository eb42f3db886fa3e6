"""A strict collector: OTLP over HTTP on a real socket, which believes nothing.

What it takes is decoded with OpenTelemetry's own protobuf classes and held against the specification: lengths
of ids, parents, times, kinds, and attributes of which every name is known, with its type. What is wrong is in
`faults`.
"""

import gzip
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.processes import wait_until

PATH = "/v1/traces"
CONTENT: Mapping[str, type] = {
    "gen_ai.input.messages": str,
    "gen_ai.output.messages": str,
    "gen_ai.system_instructions": str,
    "gen_ai.tool.definitions": str,
}
"""What a span may have only where that was asked for."""
KNOWN: Mapping[str, type] = {
    # Conventions for generative AI, gen-ai-spans.md of 2026-11.
    "gen_ai.operation.name": str,
    "gen_ai.provider.name": str,
    "gen_ai.conversation.id": str,
    "gen_ai.request.model": str,
    "gen_ai.request.stream": bool,
    "gen_ai.request.max_tokens": int,
    "gen_ai.request.choice.count": int,
    "gen_ai.response.id": str,
    "gen_ai.response.model": str,
    "gen_ai.response.finish_reasons": tuple,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.cache_creation.input_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
    # Stable ones: general, HTTP.
    "error.type": str,
    "server.address": str,
    "server.port": int,
    "http.request.method": str,
    "http.route": str,
    "http.response.status_code": int,
    # The gateway's own.
    "llmgw.request.id": str,
    "llmgw.api": str,
    "llmgw.key.id": int,
    "llmgw.project.id": int,
    "llmgw.upstream": str,
    "llmgw.account": int,
    "llmgw.attempt": int,
    "llmgw.attempts": int,
    "llmgw.thinking.asked": str,
    "llmgw.thinking.sent": str,
    "llmgw.thinking.observed": bool,
    "llmgw.usage.source": str,
    "llmgw.cost.nano": int,
    "llmgw.cost.currency": str,
}
REQUIRED = {
    Wire.SPAN_KIND_SERVER: {"http.request.method", "http.route", "gen_ai.operation.name", "llmgw.request.id"},
    Wire.SPAN_KIND_CLIENT: {
        "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address",
        "server.port", "llmgw.attempt", "llmgw.upstream",
    },
}  # fmt: skip
MAX_AGE_S = 600
SLACK_S = 5


@dataclass(frozen=True)
class Span:
    """One span as it came, its ids as hex digits."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    flags: int
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - as the attribute is
        """An attribute; None: it has none of that name."""
        return self.attributes.get(name)

    @property
    def is_server(self) -> bool:
        """A request; else an attempt."""
        return self.kind == Wire.SPAN_KIND_SERVER


@dataclass
class Collector:
    """Answers each export with the next of `answers`, the last one for ever. None: nothing comes, ever."""

    answers: list[int | None] = field(default_factory=lambda: [200])
    content: bool = False
    """Whether spans may have messages."""
    spans: list[Span] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    """The bodies, unpacked."""

    def __enter__(self) -> Self:
        """It listens."""
        self._release = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """It ends, and lets go of those that it let hang."""
        self._release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Its base, for the config."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def of(self, request_id: str, attempts: int | None = None) -> tuple[Span, list[Span]]:
        """A request's span and those of its attempts, in their order. Waits for them."""
        found: list[tuple[Span, list[Span]]] = []

        def has_come() -> bool:
            found[:] = [
                (span, sorted(self._below(span), key=lambda each: int(each["llmgw.attempt"])))
                for span in list(self.spans)
                if span["llmgw.request.id"] == request_id
            ]
            return bool(found)

        wait_until(has_come, f"the spans of {request_id}", timeout_s=20)
        [(server, below)] = found
        assert self.faults == []
        assert attempts is None or len(below) == attempts
        assert len(below) == (server["llmgw.attempts"] or 0)
        return server, below

    def _below(self, server: Span) -> Iterator[Span]:
        return (
            span
            for span in list(self.spans)
            if span.parent_id == server.span_id and span.trace_id == server.trace_id
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with collector._lock:
                    answers = collector.answers
                    status = answers.pop(0) if len(answers) > 1 else answers[0]
                    collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                if status is None:
                    collector._release.wait()
                    self.close_connection = True
                    return
                if status == 200:
                    with collector._lock:
                        status = collector._take(self.path, collector.headers[-1], body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing."""

        return Handler

    def _take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        before = len(self.faults)
        try:
            self._read(path, headers, body)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it
            self.faults.append(repr(error))
        return 200 if len(self.faults) == before else 400

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        assert path == PATH, path
        assert headers["content-type"] == "application/x-protobuf", headers
        coding = headers.get("content-encoding", "identity")
        assert coding in {"identity", "gzip"}, coding
        plain = gzip.decompress(body) if coding == "gzip" else body
        self.raw.append(plain)
        request = ExportTraceServiceRequest()
        request.ParseFromString(plain)
        assert request.SerializeToString(deterministic=True), "it is empty"
        new = []
        for group in request.resource_spans:
            resource = attributes(group.resource.attributes)
            assert resource.get("service.name"), "the resource has no service.name"
            for scope in group.scope_spans:
                assert scope.scope.name == "llmgw"
                new += [self._span(wire, resource) for wire in scope.spans]
        assert new, "no spans"
        self._check_parents(new)
        self.spans += new

    def _span(self, wire: Wire, resource: dict[str, Any]) -> Span:
        assert len(wire.trace_id) == 16, wire.trace_id
        assert any(wire.trace_id)
        assert len(wire.span_id) == 8, wire.span_id
        assert any(wire.span_id)
        assert len(wire.parent_span_id) in {0, 8}
        assert not wire.parent_span_id or any(wire.parent_span_id)
        assert wire.kind in REQUIRED, f"{wire.name} has the kind {wire.kind}"
        assert wire.name.strip() == wire.name != ""
        now_ns = time.time_ns()
        assert now_ns - MAX_AGE_S * 10**9 < wire.start_time_unix_nano <= wire.end_time_unix_nano
        assert wire.end_time_unix_nano < now_ns + SLACK_S * 10**9
        assert not wire.events
        assert not wire.links
        assert not wire.dropped_attributes_count
        assert wire.status.code in {Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR}
        found = attributes(wire.attributes)
        known = {**KNOWN, **CONTENT} if self.content else KNOWN
        for name, value in found.items():
            assert name in known, f"{wire.name}: {name} is not known"
            assert type(value) is known[name], f"{wire.name}: {name} is {value!r}"
            assert value != "", f"{wire.name}: {name} is empty"
        assert found.keys() >= REQUIRED[wire.kind], f"{wire.name} lacks {REQUIRED[wire.kind] - found.keys()}"
        return Span(
            name=wire.name,
            kind=wire.kind,
            trace_id=wire.trace_id.hex(),
            span_id=wire.span_id.hex(),
            parent_id=wire.parent_span_id.hex(),
            state=wire.trace_state,
            flags=wire.flags,
            start_ns=wire.start_time_unix_nano,
            end_ns=wire.end_time_unix_nano,
            failed=wire.status.code == Status.STATUS_CODE_ERROR,
            attributes=found,
            resource=resource,
        )

    def _check_parents(self, new: list[Span]) -> None:
        """An attempt is below a request of the same export, within its time, after the one before."""
        ids = [span.span_id for span in (*self.spans, *new)]
        assert len(ids) == len(set(ids)), "a span came twice"
        servers = {span.span_id: span for span in new if span.is_server}
        last: dict[str, int] = {}
        for span in new:
            if span.is_server:
                assert span.name == f"{span['http.request.method']} {span['http.route']}"
                continue
            assert span.name == f"{span['gen_ai.operation.name']} {span['gen_ai.request.model']}"
            server = servers[span.parent_id]
            assert span.trace_id == server.trace_id
            begin_ns = last.get(server.span_id, server.start_ns)
            assert begin_ns <= span.start_ns <= span.end_ns <= server.end_ns, "times are out of order"
            last[server.span_id] = span.end_ns


def attributes(pairs: Iterator[KeyValue] | Any) -> dict[str, Any]:  # noqa: ANN401 - a repeated field
    """By their names, of which each may come once."""
    found: dict[str, Any] = {}
    for pair in pairs:
        assert pair.key
        assert pair.key not in found, f"{pair.key} comes twice"
        found[pair.key] = _value(pair.value)
    return found


def _value(value: AnyValue) -> Any:  # noqa: ANN401 - as the attribute is
    kind = value.WhichOneof("value")
    assert kind is not None, "an attribute without a value"
    if kind == "array_value":
        return tuple(_value(each) for each in value.array_value.values)
    assert kind in {"string_value", "bool_value", "int_value", "double_value"}, kind
    return getattr(value, kind)
