"""Traces: one span for each request, one for each attempt at an upstream, over OTLP.

    client ──► Trace ────────────────► upstream          on the event loop: ids and times, no library
               │  traceparent            traceparent
               ▼ at the request's end
             queue ──► spans ──► exporter ──► collector  on a thread: OpenTelemetry's SDK

`context` reads and writes W3C's headers, `settings` says whether and where traces go, `trace` is what a
request writes down, `tracer` has the queue and the thread, `spans` makes spans of it. Only the thread's side
imports OpenTelemetry, and only where traces are on: it is an extra, `llmgw[otel]`, and 15 MiB.
"""
