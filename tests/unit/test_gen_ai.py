"""The histograms of OpenTelemetry's conventions: what they are called, and what is in them."""

from typing import Final

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from llmgw.ledger.entry import LedgerEntry
from llmgw.observe import gen_ai
from llmgw.observe.gen_ai import MAX_LABEL_SETS, OPERATIONS, GenAiMetrics
from llmgw.observe.metrics import Metrics
from llmgw.routing.providers import PROVIDERS, ProviderModel, provider_of
from tests.support.pages import names, section

ASKED: Final = ProviderModel("deepseek", "deepseek-v4")
ENTRY: Final = LedgerEntry(
    0.0, "r", 200, 2.0, model="m", finish_reason="stop", first_event_s=0.5, api="messages", prompt_tokens=100,
    completion_tokens=31, usage_source="upstream",
)  # fmt: skip
BASE: Final = (
    'gen_ai_operation_name="chat",gen_ai_provider_name="deepseek",gen_ai_request_model="m",'
    'gen_ai_response_model="deepseek-v4"'
)


def samples(metrics: Metrics) -> dict[str, float]:
    """Those of the conventions, by name and labels, empty ones left out."""
    metrics.fold()
    split = [line.rpartition(" ") for line in metrics.render().decode().splitlines()]
    found = {name: float(value) for name, _, value in split if name.startswith("gen_ai_")}
    return {name: value for name, value in found.items() if "_bucket{" not in name or value}


def counts(metrics: Metrics) -> dict[str, float]:
    return {name: value for name, value in samples(metrics).items() if "_count{" in name}


def finished(entry: LedgerEntry) -> Metrics:
    metrics = Metrics(["m", "n"])
    metrics.finished(entry, ASKED)
    return metrics


LABELS: Final = {
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
}
TOKENS: Final = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip
DURATIONS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
EACH: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
# As the conventions have them (gen-ai-metrics.md, 2026-11), and as Envoy AI Gateway names them in Prometheus.
CONVENTIONS: Final = {
    "gen_ai_client_token_usage": (LABELS | {"gen_ai_token_type"}, TOKENS),
    "gen_ai_client_operation_duration": (LABELS | {"error_type"}, DURATIONS),
    "gen_ai_server_request_duration": (LABELS | {"error_type"}, DURATIONS),
    "gen_ai_server_time_to_first_token": (LABELS, FIRST),
    "gen_ai_server_time_per_output_token": (LABELS, EACH),
}


def test_names_labels_and_buckets_are_those_of_the_conventions() -> None:
    registry = CollectorRegistry()
    GenAiMetrics(registry)
    actual = {}
    for metric in registry._collector_to_names:
        assert isinstance(metric, MetricWrapperBase)
        bounds = tuple(metric._kwargs["buckets"])
        actual[metric._name] = (set(metric._labelnames), bounds)
    assert actual == CONVENTIONS


def test_an_answer() -> None:
    found = samples(finished(ENTRY))
    assert found[f'gen_ai_client_token_usage_sum{{{BASE},gen_ai_token_type="input"}}'] == 100
    assert found[f'gen_ai_client_token_usage_sum{{{BASE},gen_ai_token_type="output"}}'] == 31
    duration = f'gen_ai_server_request_duration_sum{{error_type="",{BASE}}}'
    assert found[duration] == 2.0
    assert found[f"gen_ai_server_time_to_first_token_sum{{{BASE}}}"] == 0.5
    assert found[f"gen_ai_server_time_per_output_token_sum{{{BASE}}}"] == pytest.approx(1.5 / 30)
    assert len(counts(finished(ENTRY))) == 5


@pytest.mark.parametrize(
    ("entry", "missing"),
    [
        (ENTRY._replace(usage_source="estimated"), "gen_ai_client_token_usage"),
        (ENTRY._replace(usage_source="none"), "gen_ai_client_token_usage"),
        (ENTRY._replace(first_event_s=None), "gen_ai_server_time_"),
        (ENTRY._replace(completion_tokens=1), "gen_ai_server_time_per_output_token"),
        (ENTRY._replace(completion_tokens=None), "gen_ai_server_time_per_output_token"),
        (ENTRY._replace(error_kind="reset"), "gen_ai_server_time_"),
    ],
    ids=["estimated", "nothing used", "not streamed", "one token", "no tokens", "broken off"],
)
def test_what_is_not_known_is_not_observed(entry: LedgerEntry, missing: str) -> None:
    assert not [name for name in samples(finished(entry)) if name.startswith(missing)]
    assert [name for name in samples(finished(ENTRY)) if name.startswith(missing)]


def test_a_failed_request_counts_with_its_kind() -> None:
    found = counts(finished(ENTRY._replace(error_kind="reset")))
    assert found[f'gen_ai_server_request_duration_count{{error_type="reset",{BASE}}}'] == 1
    assert f'gen_ai_server_request_duration_count{{error_type="",{BASE}}}' not in found


def test_attempts() -> None:
    metrics = Metrics(["m"])
    metrics.gen_ai.attempted("chat", "m", ASKED, duration_s=0.25, error=None)
    metrics.gen_ai.attempted("chat", "m", ASKED, duration_s=0.5, error="status_503")
    found = samples(metrics)
    assert found[f'gen_ai_client_operation_duration_sum{{error_type="",{BASE}}}'] == 0.25
    assert found[f'gen_ai_client_operation_duration_sum{{error_type="status_503",{BASE}}}'] == 0.5


def test_a_request_that_no_upstream_was_asked_for_is_in_none() -> None:
    metrics = Metrics(["m"])
    metrics.finished(ENTRY._replace(status=429, error_kind="rate_limit_exceeded"), None)
    assert samples(metrics) == {}


def test_series_are_bounded() -> None:
    metrics = Metrics(["m"])
    for number in range(2 * MAX_LABEL_SETS):
        asked = ProviderModel("p", f"model-{number}")
        metrics.finished(ENTRY, asked)
        metrics.finished(ENTRY._replace(error_kind="reset"), asked)
    metrics.finished(ENTRY, ProviderModel("p", "model-0"))
    requests = {
        name: count
        for name, count in counts(metrics).items()
        if name.startswith("gen_ai_server_request_duration")
    }
    assert sum(requests.values()) == 4 * MAX_LABEL_SETS + 1
    assert len(requests) == 2 * MAX_LABEL_SETS + 2
    assert max(requests.values()) == MAX_LABEL_SETS
    assert sum('gen_ai_provider_name="_OTHER"' in name for name in requests) == 2
    first = [count for name, count in requests.items() if 'error_type=""' in name and '"model-0"' in name]
    assert first == [2]


def test_every_way_in_is_an_operation() -> None:
    from llmgw.app import ENDPOINTS  # noqa: PLC0415  (as costly as the whole gateway)

    assert set(OPERATIONS) == {endpoint.api for endpoint in ENDPOINTS.values()}
    assert set(OPERATIONS.values()) == {"chat", "text_completion", "embeddings", "rerank"}


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "alibaba_cloud.dashscope"),
        ("https://DashScope-intl.aliyuncs.com:443/compatible-mode/v1", "alibaba_cloud.dashscope"),
        ("https://api.deepseek.com/v1", "deepseek"),
        ("https://open.bigmodel.cn/api/paas/v4", "zhipuai"),
        ("https://api.moonshot.cn/v1", "moonshot_ai"),
        ("https://api.minimaxi.com/v1", "minimax"),
        ("https://mine.openai.azure.com/v1", "azure.ai.openai"),
        ("https://api.openai.com/v1", "openai"),
        ("https://notdeepseek.com/v1", "mine"),
        ("https://deepseek.com.example/v1", "mine"),
        ("http://127.0.0.1:8000/v1", "mine"),
        ("http://[::1]:8000/v1", "mine"),
    ],
)
def test_the_provider_of_a_url(url: str, provider: str) -> None:
    assert provider_of(url, "mine") == provider


@pytest.mark.parametrize(
    ("page", "title"), [("docs/operations.md", "Metrics"), ("docs/operations.zh-CN.md", "指标")]
)
def test_operations_names_every_provider_and_operation(page: str, title: str) -> None:
    said = set(names(section(page, title)))
    assert said >= {*PROVIDERS.values(), *OPERATIONS.values(), gen_ai.OTHER}
    assert f"{MAX_LABEL_SETS} " in section(page, title)
