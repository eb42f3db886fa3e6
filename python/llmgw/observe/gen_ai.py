"""The histograms that other gateways have too, so that their dashboards work with this one.

Names, buckets, units and labels are those of OpenTelemetry's conventions for generative AI
(gen-ai-metrics.md), as Envoy AI Gateway and agentgateway spell them for Prometheus: dots become underscores,
and no unit is appended. They are written out here, and tested, because the conventions still change.

`gen_ai_client_operation_duration` is what the gateway measures as a client, of each attempt at a provider;
`gen_ai_server_…` is what its own clients see. Requests for which no upstream was asked are in none of them.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Histogram

from llmgw.ledger.entry import MAX_TOKENS, LedgerEntry
from llmgw.observe.specs import Spec
from llmgw.observe.tally import Tally
from llmgw.routing.providers import ProviderModel

OPERATIONS: Final[Mapping[str, str]] = {
    "chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "rerank": "rerank",
}
"""`gen_ai.operation.name` by the way in. The conventions have no word for rerank and allow one's own."""
OTHER: Final = "_OTHER"
"""The conventions' word for what has no label of its own."""
MAX_LABEL_SETS: Final = 100
"""Combinations of operation, provider and models that have series of their own, some hundred each (90 KiB of
a worker's memory). Further ones share theirs. There are as many of those with an error, of 16 series."""

_LABELS: Final = (
    "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model",
)  # fmt: skip
TOKEN_USAGE: Final = Spec(
    "gen_ai_client_token_usage",
    "Tokens of an answer, in tokens, as the provider counted them.",
    (*_LABELS, "gen_ai_token_type"),
)
OPERATION_DURATION: Final = Spec(
    "gen_ai_client_operation_duration",
    "Time of an attempt at a provider, in seconds.",
    (*_LABELS, "error_type"),
)
REQUEST_DURATION: Final = Spec(
    "gen_ai_server_request_duration",
    "Time from a request to the end of its answer, in seconds.",
    (*_LABELS, "error_type"),
)
TIME_TO_FIRST_TOKEN: Final = Spec(
    "gen_ai_server_time_to_first_token",
    "Time from a request to the first event of its stream, in seconds.",
    _LABELS,
)
TIME_PER_OUTPUT_TOKEN: Final = Spec(
    "gen_ai_server_time_per_output_token",
    "Time of each token of a stream after the first, in seconds.",
    _LABELS,
)
TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(14))
DURATION_BUCKETS_S: Final = tuple(0.01 * 2**power for power in range(14))
FIRST_TOKEN_BUCKETS_S: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
OUTPUT_TOKEN_BUCKETS_S: Final = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
)  # fmt: skip
_COUNTED: Final = frozenset({"upstream", "partial"})
"""The sources of usage that a provider counted. The conventions do not want estimates."""


class _Labels(NamedTuple):
    operation: str
    provider: str
    request_model: str
    response_model: str


_REST: Final = _Labels(OTHER, OTHER, OTHER, OTHER)


class _Series(NamedTuple):
    labels: _Labels
    tally: Tally
    """Of their six series, in the order of `GenAiMetrics._tally`."""


class GenAiMetrics:
    """The five histograms of one process. For one thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Has no series yet."""
        self.token_usage = Histogram(*TOKEN_USAGE, buckets=TOKEN_BUCKETS, registry=registry)
        self.operation_duration = Histogram(
            *OPERATION_DURATION, buckets=DURATION_BUCKETS_S, registry=registry
        )
        self.request_duration = Histogram(*REQUEST_DURATION, buckets=DURATION_BUCKETS_S, registry=registry)
        self.first_token = Histogram(*TIME_TO_FIRST_TOKEN, buckets=FIRST_TOKEN_BUCKETS_S, registry=registry)
        self.output_token = Histogram(
            *TIME_PER_OUTPUT_TOKEN, buckets=OUTPUT_TOKEN_BUCKETS_S, registry=registry
        )
        self._series: dict[tuple[str, str, ProviderModel], _Series] = {}
        self._label_sets: dict[_Labels, _Series] = {}
        self._errors: dict[tuple[Histogram, _Labels, str], Tally] = {}
        self._touched: set[Tally] = set()

    def attempted(
        self, api: str, model: str, asked: ProviderModel, *, duration_s: float, error: str | None
    ) -> None:
        """An attempt is over. `error`: the outcome of one that gave no whole answer."""
        series = self._series.get((api, model, asked)) or self._new(api, model, asked)
        if error is None:
            series.tally.observe(None, None, duration_s)
            self._touched.add(series.tally)
        else:
            self._fail(self.operation_duration, series.labels, error, duration_s)

    def finished(self, entry: LedgerEntry, model: str, asked: ProviderModel) -> None:
        """A request is over that an upstream was asked for. `model`: the configured one that it named."""
        api = entry.api or ""
        series = self._series.get((api, model, asked)) or self._new(api, model, asked)
        self._touched.add(series.tally)
        output, total_s, first_s, each_s = entry.completion_tokens, entry.total_s, entry.first_event_s, None
        seen_input = seen_output = None
        if entry.usage_source in _COUNTED:
            if entry.prompt_tokens is not None:
                seen_input = min(entry.prompt_tokens, MAX_TOKENS)
            if output is not None:
                seen_output = min(output, MAX_TOKENS)
        if entry.error_kind is not None:
            series.tally.observe(seen_input, seen_output)
            self._fail(self.request_duration, series.labels, entry.error_kind, total_s)
            return
        if first_s is not None and output is not None and output > 1:
            each_s = (total_s - first_s) / (output - 1)
        series.tally.observe(seen_input, seen_output, None, total_s, first_s, each_s)

    def fold(self) -> None:
        """Move what was gathered into the registry."""
        touched, self._touched = self._touched, set()
        for tally in touched:
            tally.fold()

    def _tally(self, labels: _Labels) -> Tally:
        return Tally(
            (self.token_usage, TOKEN_BUCKETS, (*labels, "input")),
            (self.token_usage, TOKEN_BUCKETS, (*labels, "output")),
            (self.operation_duration, DURATION_BUCKETS_S, (*labels, "")),
            (self.request_duration, DURATION_BUCKETS_S, (*labels, "")),
            (self.first_token, FIRST_TOKEN_BUCKETS_S, labels),
            (self.output_token, OUTPUT_TOKEN_BUCKETS_S, labels),
        )

    def _new(self, api: str, model: str, asked: ProviderModel) -> _Series:
        labels = _Labels(OPERATIONS.get(api, OTHER), asked.provider, model, asked.upstream_model)
        if labels not in self._label_sets and len(self._label_sets) >= MAX_LABEL_SETS:
            labels = _REST
        series = self._label_sets.get(labels)
        if series is None:
            series = self._label_sets[labels] = _Series(labels, self._tally(labels))
        if labels is not _REST:
            self._series[api, model, asked] = series
        return series

    def _fail(self, histogram: Histogram, labels: _Labels, error: str, duration_s: float) -> None:
        at = (histogram, labels, error)
        tally = self._errors.get(at)
        if tally is None:
            if len(self._errors) >= MAX_LABEL_SETS:
                at = (histogram, _REST, OTHER)
            tally = self._errors.get(at)
            if tally is None:
                tally = self._errors[at] = Tally((histogram, DURATION_BUCKETS_S, (*at[1], at[2])))
        tally.observe(duration_s)
        self._touched.add(tally)
