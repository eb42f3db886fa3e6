"""From a finished request to the collector: what waits, what is lost, and that no request notices."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from llmgw.ledger.entry import LedgerEntry
from llmgw.observe.tracing import tracer as tracer_module
from llmgw.observe.tracing.settings import Settings
from llmgw.observe.tracing.spans import spans_of
from llmgw.observe.tracing.trace import Sampler, Trace
from llmgw.observe.tracing.tracer import BATCH_TRACES, MAX_QUEUED_TRACES, Exporter, Tracer
from tests.support.otlp import Collector
from tests.support.processes import NOISE, wait_until

ENTRY: Final = LedgerEntry(0.0, "r", 200, 0.1, model="m", api="chat")
PATH: Final = "/v1/chat/completions"


@dataclass
class Counts:
    """What became of spans."""

    exported: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def spans_exported(self, number: int) -> None:
        """As `Metrics`."""
        self.exported += number

    def spans_dropped(self, reason: str, number: int) -> None:
        """As `Metrics`."""
        self.dropped[reason] = self.dropped.get(reason, 0) + number

    @property
    def all(self) -> int:
        """Of which the end is known."""
        return self.exported + sum(self.dropped.values())


def settings(url: str) -> Settings:
    return Settings(f"{url}/v1/traces", None, None, Sampler(), content=False)


def finish(tracer: Tracer, number: int) -> None:
    for at in range(number):
        trace = tracer.begin({}, PATH)
        assert isinstance(trace, Trace)
        tracer.end(trace, ENTRY._replace(request_id=f"r{at}"))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracer_module, "INTERVAL_S", 0.02)
    monkeypatch.setattr(tracer_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(tracer_module, "MAX_PAUSE_S", 0.05)
    monkeypatch.setattr(tracer_module, "CLOSE_TIMEOUT_S", 0.3)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")


@pytest.fixture
def patient(soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all is to arrive. Elsewhere the exporter would use the time to try again."""
    del soon
    monkeypatch.setattr(tracer_module, "CLOSE_TIMEOUT_S", 10.0)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "10")


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def made(counts: Counts) -> Iterator[Callable[[str], Tracer]]:
    tracers: list[Tracer] = []

    def make(url: str) -> Tracer:
        tracer = Tracer(settings(url), counts)
        tracer.start()
        tracers.append(tracer)
        return tracer

    yield make
    for tracer in tracers:
        tracer.close()


@pytest.mark.usefixtures("patient")
def test_all_arrive(made: Callable[[str], Tracer], counts: Counts) -> None:
    with Collector() as collector:
        finish(made(collector.url), 300)
        wait_until(lambda: counts.exported == 300, "all spans", timeout_s=10)
        assert collector.faults == []
        assert len(collector.spans) == 300
        assert counts.dropped.get("not_exported") is None


@pytest.mark.usefixtures("patient")
def test_a_defect_in_one_request_costs_its_spans_only(
    made: Callable[[str], Tracer], counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(trace: Trace, resource: Resource) -> Iterator[ReadableSpan]:
        yield from spans_of(trace, resource)
        if trace.entry is not None and trace.entry.request_id == "r1":
            raise ZeroDivisionError

    monkeypatch.setattr("llmgw.observe.tracing.spans.spans_of", broken)
    with Collector() as collector:
        finish(made(collector.url), 3)
        wait_until(lambda: counts.all == 3, "all spans", timeout_s=10)
        assert counts.exported == 2
        assert counts.dropped == {"not_exported": 1}


@pytest.mark.parametrize("status", [400, 401, 503, 429])
def test_what_a_collector_refuses_is_lost_and_counted(
    made: Callable[[str], Tracer],
    counts: Counts,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Collector(answers=[status]) as collector:
        tracer = made(collector.url)
        finish(tracer, 3)
        wait_until(lambda: counts.dropped.get("not_exported") == 3, "the loss", timeout_s=10)
        finish(tracer, 2)
        wait_until(lambda: counts.dropped.get("not_exported") == 5, "another", timeout_s=10)
        assert counts.exported == 0
        lines = [record.getMessage() for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
        assert len(lines) == 1  # once, however often it fails
        assert lines[0].startswith(
            "traces can't be exported, spans are lost until they can: Failed to export"
        )
        collector.answers[:] = [200]
        finish(tracer, 1)
        wait_until(lambda: "traces can be exported again" in caplog.text, "the return", timeout_s=10)
        assert counts.exported == 1


def test_a_collector_that_is_gone(made: Callable[[str], Tracer], counts: Counts) -> None:
    with Collector() as collector:
        url = collector.url
    finish(made(url), 3)
    wait_until(lambda: counts.dropped.get("not_exported") == 3, "the loss", timeout_s=10)


def test_a_queue_that_is_full_drops_and_counts_and_nobody_waits(
    made: Callable[[str], Tracer], counts: Counts
) -> None:
    with Collector(answers=[None]) as collector:
        tracer = made(collector.url)
        finish(tracer, 1)
        wait_until(lambda: bool(collector.headers), "the first export", timeout_s=10)
        begin_s = time.monotonic()
        finish(tracer, MAX_QUEUED_TRACES + 1000)
        assert time.monotonic() - begin_s < 1.0 * NOISE
        assert len(tracer._queue) <= MAX_QUEUED_TRACES
        wait_until(lambda: counts.dropped.get("queue_full", 0) >= 900, "the loss", timeout_s=10)
        begin_s = time.monotonic()
        tracer.close()
        assert time.monotonic() - begin_s < 2.0 * NOISE
        assert counts.all == MAX_QUEUED_TRACES + 1001
        assert counts.exported == 0


@pytest.mark.usefixtures("patient")
def test_a_stop_exports_what_waits(counts: Counts) -> None:
    with Collector() as collector:
        tracer = Tracer(settings(collector.url), counts)
        tracer.start()
        finish(tracer, 50)
        tracer.close()
        assert counts.exported == 50 == len(collector.spans)
        assert not counts.dropped.get("stopped")


def test_an_exporter_that_can_t_be_made_exports_nothing(
    counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Settings) -> Exporter:
        raise ValueError("no such certificate")

    tracer = Tracer(settings("http://127.0.0.1:1"), counts, refuse)
    tracer.start()
    assert "no traces are exported: no such certificate" in caplog.text
    assert tracer.begin({}, PATH) is None
    tracer.close()


def test_a_defect_in_the_export_is_told_and_ends_it(counts: Counts, caplog: pytest.LogCaptureFixture) -> None:
    class Defective:
        def export(self, _spans: Sequence[ReadableSpan], /) -> SpanExportResult:
            raise ZeroDivisionError

        def shutdown(self) -> None:
            pass

    tracer = Tracer(settings("http://127.0.0.1:1"), counts, lambda _: Defective())
    tracer.start()
    finish(tracer, 1)
    wait_until(lambda: tracer.begin({}, PATH) is None, "the end of it", timeout_s=10)
    assert "a defect in the export of traces" in caplog.text
    tracer.close()
    assert counts.dropped["stopped"] == 1


def test_a_pause_is_not_cut_short_by_requests(counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    pause_s = 0.3
    for name in ("INTERVAL_S", "FIRST_PAUSE_S", "MAX_PAUSE_S"):
        monkeypatch.setattr(tracer_module, name, pause_s)
    exported_s: list[float] = []

    class Failing:
        def export(self, _spans: Sequence[ReadableSpan], /) -> SpanExportResult:
            exported_s.append(time.monotonic())
            return SpanExportResult.FAILURE

        def shutdown(self) -> None:
            pass

    tracer = Tracer(settings("http://127.0.0.1:1"), counts, lambda _: Failing())
    tracer.start()
    for number in (1, 2):
        finish(tracer, BATCH_TRACES)
        wait_until(lambda number=number: len(exported_s) == number, "an export", timeout_s=10)  # type: ignore[misc]
    assert exported_s[1] - exported_s[0] >= pause_s
    tracer.close()
