"""From requests that have ended to the collector: a queue that drops, and a thread that exports.

`begin` and `end` are for the event loop and never wait. The thread makes spans of what is in the queue and
sends them by OpenTelemetry's own exporter, which tries a batch again for up to its timeout (10 s). A batch
that fails is lost and counted, and the thread pauses, longer each time; meanwhile the queue fills, and what
finds no room is lost and counted too.
"""

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from llmgw.asgi.request import Fields
from llmgw.observe.copies import Held
from llmgw.observe.polite import polite
from llmgw.observe.tracing.content import MAX_HELD_BYTES, Content
from llmgw.observe.tracing.settings import Settings
from llmgw.observe.tracing.trace import PassedOn, Trace, begin, passed_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult

    from llmgw.ledger.entry import LedgerEntry

logger = logging.getLogger(__name__)

MAX_QUEUED_TRACES: Final = 2048
"""Requests whose spans wait for the collector, in one worker; 1 to 8 KiB each."""
BATCH_TRACES: Final = 32
"""Requests in one export. The library encodes it in one go, 0.2 ms for each of them."""
INTERVAL_S: Final = 1.0
"""The thread looks at the queue so often, and when there is a batch in it."""
FIRST_PAUSE_S: Final = 1.0
"""After a batch that was lost. Only a stop ends a pause, however many requests wait."""
MAX_PAUSE_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 3.0
"""At a stop, the time for what is in the queue."""

Reason: TypeAlias = Literal["queue_full", "not_exported", "stopped"]


class Exporter(Protocol):
    """What is used of OpenTelemetry's."""

    def export(self, spans: "Sequence[ReadableSpan]", /) -> "SpanExportResult":
        """Blocking, up to its timeout."""

    def shutdown(self) -> None:
        """Wait no longer between two attempts."""


class Counts(Protocol):
    """Who counts spans. On any thread."""

    def spans_exported(self, number: int) -> None: ...  # noqa: D102
    def spans_dropped(self, reason: Reason, number: int) -> None: ...  # noqa: D102


class Tracer:
    """The traces of one worker."""

    def __init__(
        self, settings: Settings | None, counts: Counts, make: "Callable[[Settings], Exporter] | None" = None
    ) -> None:
        """`settings` None: none are exported, and a client's trace is passed on. `make`: another exporter."""
        self._settings = settings
        self._counts = counts
        self._make = make or _exporter
        self._exporter: Exporter | None = None
        self._queue: deque[Trace] = deque()
        self._not_queued = 0
        """Spans that found no room; counted by the event loop, told by the thread."""
        self._told = 0
        self._in_hand = 0
        """Spans that the thread has taken and not accounted for."""
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._held = Held(MAX_HELD_BYTES)
        self._words = _Words()
        self._thread = threading.Thread(target=self._run, name="llmgw-traces", daemon=True)

    def begin(self, fields: Fields, path: str) -> Trace | PassedOn | None:
        """The trace of a request that begins. None: it is in none."""
        settings = self._settings
        if settings is None:
            return passed_on(fields)
        trace = begin(fields, path, settings.sampler)
        if settings.content and trace.is_sampled:
            trace.content = Content(self._held)
        return trace

    def end(self, trace: Trace | PassedOn, entry: "LedgerEntry") -> None:
        """The request is over, and this is its row. No I/O, never raises."""
        if not isinstance(trace, Trace) or not trace.is_sampled:
            return
        if len(self._queue) >= MAX_QUEUED_TRACES:
            self._not_queued += 1 + len(trace.attempts)
            if trace.content is not None:
                trace.content.release()
            return
        trace.end(entry)
        self._queue.append(trace)
        if len(self._queue) == BATCH_TRACES:
            self._wake.set()

    def start(self) -> None:
        """Start to export, if that is wanted. Blocking: imports OpenTelemetry."""
        if self._settings is None:
            return
        try:
            self._exporter = self._make(self._settings)
            logging.getLogger(_EXPORTER).addFilter(self._words)
        except Exception as error:  # noqa: BLE001  (whatever it does not like of its environment)
            logger.error("no traces are exported: %s", error)  # noqa: TRY400
            self._settings = None
            return
        logger.info("traces go to %s", _shown(self._settings.endpoint))
        self._thread.start()

    def close(self) -> None:
        """Export what waits, for `CLOSE_TIMEOUT_S`. Blocking."""
        if self._exporter is None:
            return
        self._stop.set()
        self._wake.set()
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            self._exporter.shutdown()
            self._thread.join(_LAST_WORD_S)
        lost = self._in_hand + sum(1 + len(trace.attempts) for trace in self._queue)
        self._counts.spans_dropped("stopped", lost)
        self._tell()
        logging.getLogger(_EXPORTER).removeFilter(self._words)
        if lost:
            logger.warning("%d spans were not exported before the stop", lost)

    def _run(self) -> None:
        try:
            self._export_all()
        except Exception:
            logger.exception("a defect in the export of traces; no more are exported")
            self._settings = None

    def _export_all(self) -> None:
        from llmgw.observe.tracing.spans import resource  # noqa: PLC0415  (an extra)

        settings, exporter = self._settings, self._exporter
        if settings is None or exporter is None:
            return
        program = resource(settings.service_name)
        pause_s = 0.0
        while True:
            if pause_s:
                self._stop.wait(pause_s)
            elif len(self._queue) < BATCH_TRACES:
                self._wake.wait(INTERVAL_S)
                self._wake.clear()
            is_last = self._stop.is_set()
            self._tell()
            while self._queue:
                traces = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_TRACES))]
                self._in_hand = sum(1 + len(trace.attempts) for trace in traces)
                with polite():
                    spans = self._spans(traces, program)
                    ok = not spans or exporter.export(spans).name == "SUCCESS"
                pause_s = self._exported(len(spans), pause_s, ok=ok)
                if pause_s:
                    break
            if is_last:
                return

    def _spans(self, traces: "Sequence[Trace]", program: "Resource") -> "list[ReadableSpan]":
        """Those of all traces that spans can be made of: a defect in one costs that one only."""
        from llmgw.observe.tracing.spans import spans_of  # noqa: PLC0415  (an extra)

        spans: list[ReadableSpan] = []
        for trace in traces:
            try:
                spans += list(spans_of(trace, program))
            except Exception:
                logger.exception("a defect in the spans of a request; they are lost")
                self._counts.spans_dropped("not_exported", 1 + len(trace.attempts))
        return spans

    def _exported(self, number: int, pause_s: float, *, ok: bool) -> float:
        """A batch was exported, or is lost. Returns the pause before the next one."""
        self._in_hand = 0
        if ok:
            self._counts.spans_exported(number)
            if pause_s:
                logger.warning("traces can be exported again")
            return 0.0
        self._counts.spans_dropped("not_exported", number)
        if not pause_s:
            logger.warning("traces can't be exported, spans are lost until they can: %s", self._words.last)
        return min(2 * pause_s or FIRST_PAUSE_S, MAX_PAUSE_S)

    def _tell(self) -> None:
        """Of the thread, or after it has ended."""
        number = self._not_queued
        if number > self._told:
            self._counts.spans_dropped("queue_full", number - self._told)
            self._told = number


class _Words(logging.Filter):
    """What the exporter says of its failures: its reason for ours, and no lines of its own for each batch."""

    last = "no reason is known"

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep it out of the log."""
        self.last = record.getMessage()
        return False


_LAST_WORD_S: Final = 0.5
_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
"""The exporter's module and logger."""


def _exporter(settings: Settings) -> Exporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    headers = None if settings.headers is None else dict(settings.headers)
    return OTLPSpanExporter(endpoint=settings.endpoint, headers=headers)


def _shown(url: str) -> str:
    """Without what may be a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}".partition("?")[0]
