"""Which Prometheus metrics the gateway has, and how they are counted.

The labels of a metric come from the config and from fixed tables, never from a request, so their number is
bounded. With several workers (`PROMETHEUS_MULTIPROC_DIR` is set before this module is imported) each worker
counts in files of that folder, and any worker answers for all.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from llmgw.config import MULTIPROC_ENV
from llmgw.ledger.entry import MAX_TOKENS, LedgerEntry, LedgerState
from llmgw.observe import specs
from llmgw.observe.gen_ai import GenAiMetrics
from llmgw.observe.specs import Spec
from llmgw.observe.tally import Tally
from llmgw.routing.providers import ProviderModel

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
NO_MODEL: Final = ""
"""The label of requests that named no configured model."""
NO_SWITCH: Final = "none"
"""The label of requests that did not say whether to think, and of those for which nothing was sent."""

_RENDER_ATTEMPTS: Final = 3
"""A file may be renamed between the listing of the folder and the reading, when a worker is started again."""

_FINISH_REASONS: Final = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
"""OpenAI's. Every other spelling that the gateway knows has been translated into one of them."""

# Without this, each counter has a second series for its creation time. The library has only a global switch.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here


_AcrossWorkers: TypeAlias = Literal["livesum", "livemin", "livemax"]
_Labels: TypeAlias = tuple[str, str, int, str | None, tuple[str | None, str | None, bool] | None]
"""What requests have in common: API, model, status, error kind and, with an answer, its thinking."""


class _Sums:
    """Sums over requests that have the same labels."""

    __slots__ = (
        "cache_write", "cached", "completion", "cost", "currency", "prompt", "reasoning", "requests",
        "unpriced",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.prompt = self.completion = self.reasoning = self.cached = 0
        self.cache_write = self.cost = self.unpriced = 0
        self.currency: str | None = None
        """Of `cost`. There is only one while a process lives."""


class Metrics:
    """All metrics of one process."""

    def __init__(self, model_ids: Iterable[str]) -> None:
        """`model_ids`: the configured models; any other becomes `NO_MODEL`."""
        self._model_ids = frozenset(model_ids)
        self.registry = CollectorRegistry()
        self._requests = self._counter(specs.REQUESTS)
        self._in_flight = self._gauge(specs.IN_FLIGHT)
        self._tokens = self._counter(specs.TOKENS)
        self._cost = self._counter(specs.COST)
        self._unpriced = self._counter(specs.UNPRICED)
        self._first_event = self._histogram(specs.FIRST_EVENT, specs.FIRST_EVENT_BUCKETS_S)
        self._total = self._histogram(specs.TOTAL, specs.TOTAL_BUCKETS_S)
        self._errors = self._counter(specs.ERRORS)
        self._thinking = self._counter(specs.THINKING)
        self._unknown_finish = self._counter(specs.UNKNOWN_FINISH)
        self._attempts = self._counter(specs.ATTEMPTS)
        self._retries = self._counter(specs.RETRIES)
        self._retries_refused = self._counter(specs.RETRIES_REFUSED)
        self._cooling = self._gauge(specs.COOLING)
        self._auth_failures = self._counter(specs.AUTH_FAILURES)
        self._shed = self._counter(specs.SHED)
        self._limited = self._counter(specs.LIMITED)
        self._waiting = self._gauge(specs.WAITING)
        self._limits_redis_up = self._gauge(specs.LIMITS_REDIS_UP, across_workers="livemin")
        self._limits_redis_up.set(1)
        self._limits_redis_lost = self._counter(specs.LIMITS_REDIS_LOST)
        self._limit_entries = self._gauge(specs.LIMIT_ENTRIES, across_workers="livemax")
        self._limit_overflows = self._gauge(specs.LIMIT_OVERFLOWS, across_workers="livemax")
        self._budget_alerts = self._counter(specs.BUDGET_ALERTS)
        self._alert_deliveries = self._counter(specs.ALERT_DELIVERIES)
        self._budget_spent = self._gauge(specs.BUDGET_SPENT, across_workers="livemax")
        self._in_flight_bytes = self._gauge(specs.IN_FLIGHT_BYTES)
        self._reasoning = self._counter(specs.REASONING)
        self._ledger_queue = self._gauge(specs.LEDGER_QUEUE)
        self._journal_rows = self._gauge(specs.JOURNAL_ROWS)
        self._journal_bytes = self._gauge(specs.JOURNAL_BYTES)
        self._journal_set_aside = self._gauge(specs.JOURNAL_SET_ASIDE, across_workers="livemax")
        self._store_healthy = self._gauge(specs.STORE_HEALTHY, across_workers="livemin")
        for purpose in ("keys", "ledger"):
            self._store_healthy.labels(purpose).set(1)
        self._ledger_dropped = self._counter(specs.LEDGER_DROPPED)
        self._spans_exported = self._counter(specs.SPANS_EXPORTED)
        self._spans_dropped = self._counter(specs.SPANS_DROPPED)
        self._dropped_seen = 0
        self._timers: dict[tuple[str, str], Tally] = {}
        self.gen_ai = GenAiMetrics(self.registry)
        """Those that other gateways have too."""
        self.in_flight = 0
        """Requests being served."""
        # What every request counts is gathered here first: the library's own objects take ten times as long.
        self._counts: dict[tuple[Counter, tuple[object, ...]], int] = {}
        self._finished: dict[_Labels, _Sums] = {}

    def _counter(self, spec: Spec) -> Counter:
        return Counter(*spec, registry=self.registry)

    def _gauge(self, spec: Spec, *, across_workers: _AcrossWorkers = "livesum") -> Gauge:
        return Gauge(*spec, registry=self.registry, multiprocess_mode=across_workers)

    def _histogram(self, spec: Spec, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(*spec, buckets=buckets, registry=self.registry)

    def know(self, model_ids: Iterable[str]) -> None:
        """Add models after a reload. Removed ones stay known, since their last requests still end."""
        self._model_ids |= frozenset(model_ids)

    def started(self) -> None:
        """Count a request in. Each call needs one of `ended`."""
        self.in_flight += 1

    def ended(self) -> None:
        """Count a request out, however it ended."""
        self.in_flight -= 1

    def finished(self, entry: LedgerEntry, asked: ProviderModel | None = None) -> None:
        """Count a completion request by its ledger entry. `asked`: whom it was put to last, if to anybody."""
        api = entry.api or ""
        model = entry.model if entry.model in self._model_ids else NO_MODEL
        thinking = None
        if entry.finish_reason is not None:
            thinking = (entry.thinking_asked, entry.thinking_sent, entry.thinking_observed)
            if entry.finish_reason not in _FINISH_REASONS:
                self._count(self._unknown_finish, (model,))
        labels = (api, model, entry.status, entry.error_kind, thinking)
        sums = self._finished.get(labels)
        if sums is None:
            sums = self._finished[labels] = _Sums()
        sums.requests += 1
        sums.prompt += min(entry.prompt_tokens or 0, MAX_TOKENS)
        sums.completion += min(entry.completion_tokens or 0, MAX_TOKENS)
        sums.reasoning += min(entry.reasoning_tokens or 0, MAX_TOKENS)
        sums.cached += min(entry.cached_tokens or 0, MAX_TOKENS)
        sums.cache_write += min(entry.cache_write_tokens or 0, MAX_TOKENS)
        if entry.cost is not None:
            sums.cost += entry.cost
            sums.currency = entry.currency
        elif entry.usage_source != "none":
            sums.unpriced += 1
        timers = self._timers.get((api, model))
        if timers is None:
            timers = self._timers[api, model] = Tally(
                (self._first_event, specs.FIRST_EVENT_BUCKETS_S, (api, model)),
                (self._total, specs.TOTAL_BUCKETS_S, (api, model)),
            ).show()
        timers.observe(entry.first_event_s, entry.total_s)
        if asked is not None:
            self.gen_ai.finished(entry, model, asked)

    def attempted(self, upstream: str, account: int | None, outcome: str) -> None:
        """Count an attempt. `outcome`: `ok`, `client_gone`, or a label that `pipeline.failure` makes.

        `account`: its number; None: the upstream has one. An empty label is none to Prometheus.
        """
        self._count(self._attempts, (upstream, "" if account is None else str(account), outcome))

    def fold(self) -> None:
        """Move the gathered counts into the registry. Call it regularly, on the thread that counts."""
        self._in_flight.set(self.in_flight)
        counts, self._counts = self._counts, {}
        for (metric, labels), amount in counts.items():
            metric.labels(*labels).inc(amount)
        for timers in self._timers.values():
            timers.fold()
        self.gen_ai.fold()
        self._fold_finished()

    def _fold_finished(self) -> None:
        finished, self._finished = self._finished, {}
        for (api, model, status, error_kind, thinking), sums in finished.items():
            self._requests.labels(api, model, status).inc(sums.requests)
            for kind in ("prompt", "completion", "reasoning", "cached", "cache_write"):
                if tokens := getattr(sums, kind):
                    self._tokens.labels(model, kind).inc(tokens)
            if sums.cost:
                self._cost.labels(model, sums.currency).inc(sums.cost)
            if sums.unpriced:
                self._unpriced.labels(model).inc(sums.unpriced)
            if error_kind is not None:
                self._errors.labels(api, model, error_kind).inc(sums.requests)
            if thinking is not None:
                asked, sent, observed = thinking
                self._thinking.labels(model, asked or NO_SWITCH, sent or NO_SWITCH, observed).inc(
                    sums.requests
                )

    def retried(self, reason: str) -> None:
        """Count a retry. `reason`: the outcome of the attempt before."""
        self._retries.labels(reason).inc()

    def retry_refused(self) -> None:
        """Count a retry that the budget did not allow."""
        self._retries_refused.inc()

    def cooling(self, upstream: str, account: int | None, upstream_model: str, cooling: bool) -> None:  # noqa: FBT001  (see Health)
        """`Health`'s `observe`."""
        self._cooling.labels(upstream, "" if account is None else account, upstream_model).set(cooling)

    def auth_failed(self, code: str) -> None:
        """Count a refusal by its code (`missing_api_key` and so on)."""
        self._auth_failures.labels(code).inc()

    def shed(self, reason: str) -> None:
        """Count a request that was turned away."""
        self._shed.labels(reason).inc()

    def limited(self, limit: str, scope: str) -> None:
        """`Governor`'s `observe`."""
        self._limited.labels(limit, scope).inc()

    def limits_redis(self, *, up: bool) -> None:
        """Tell whether the limits' Redis can be asked. Never told where this machine is alone."""
        self._limits_redis_up.set(up)

    def limits_lost(self, number: int) -> None:
        """Count changes that the limits' Redis will never hear of."""
        self._limits_redis_lost.inc(number)

    def waiting(self, number: int) -> None:
        """Set the requests that wait for a place at an upstream now."""
        self._waiting.set(number)

    def limit_entries(self, used: int, overflowed: int) -> None:
        """Set how many entries the shared memory of the limits has, and how often one found no room."""
        self._limit_entries.set(used)
        self._limit_overflows.set(overflowed)

    def held(self, size: int) -> None:
        """Set the bytes of request bodies that are held now."""
        self._in_flight_bytes.set(size)

    def reasoning(self, outcome: str, turns: int) -> None:
        """`Reasoning`'s `count`."""
        self._reasoning.labels(outcome).inc(turns)

    def budget_alert(self, event: str) -> None:
        """Count a window that reached its soft limit (`warned`) or its end (`exhausted`). On any thread."""
        self._budget_alerts.labels(event).inc()

    def alert_delivery(self, result: str) -> None:
        """Count an attempt: `delivered`, `failed`; or `given_up` after the last. On any thread."""
        self._alert_deliveries.labels(result).inc()

    def budget_spent(self, budget_id: int, ratio: float) -> None:
        """Set the share that a budget has spent. On any thread."""
        self._budget_spent.labels(budget_id).set(ratio)

    def spans_exported(self, number: int) -> None:
        """Count spans that the collector took. On any thread."""
        self._spans_exported.inc(number)

    def spans_dropped(self, reason: str, number: int) -> None:
        """Count spans that were lost. On any thread."""
        self._spans_dropped.labels(reason).inc(number)

    def ledger_state(self, state: LedgerState) -> None:
        """`Ledger`'s `observe`."""
        self._ledger_queue.set(state.queued)
        self._journal_rows.set(state.journal_rows)
        self._journal_bytes.set(state.journal_bytes)
        self._journal_set_aside.set(state.set_aside)
        self._store_healthy.labels("ledger").set(state.healthy)
        self._ledger_dropped.inc(state.dropped - self._dropped_seen)
        self._dropped_seen = state.dropped

    def keys_state(self, healthy: bool) -> None:  # noqa: FBT001  (see KeyRing)
        """`KeyRing`'s `observe`."""
        self._store_healthy.labels("keys").set(healthy)

    def render(self) -> bytes:
        """Prometheus text, of all workers. Reads files where there are several: call it in a thread."""
        folder = os.environ.get(MULTIPROC_ENV)
        if not folder:
            return generate_latest(self.registry)
        for _ in range(_RENDER_ATTEMPTS - 1):
            with suppress(FileNotFoundError):  # a new worker has just taken over a dead one's file
                return _of_all_workers(folder)
        return _of_all_workers(folder)

    def _count(self, metric: Counter, labels: tuple[object, ...]) -> None:
        at = (metric, labels)
        self._counts[at] = self._counts.get(at, 0) + 1


def _of_all_workers(folder: str) -> bytes:
    _forget_dead_workers(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]  # the library has no types here
    return generate_latest(registry)


def _forget_dead_workers(folder: Path) -> None:
    """Drop the live gauges of workers that were killed: their requests are no longer in flight."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _is_worker(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # as above


def _is_worker(pid: int) -> bool:
    """True if a process is a worker of this gateway: they share a group. A dead one's id may be anybody's."""
    try:
        return os.getpgid(pid) == os.getpgrp()
    except (ProcessLookupError, PermissionError):
        return False
