"""What `live` makes of the workers' own metrics and reports."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmgw.admin.context import WorkerReport
from llmgw.admin.exposition import read_samples
from llmgw.admin.live import live_of, unavailable
from llmgw.admin.schemas.live import LiveModel, LiveSchema
from llmgw.config import Config
from llmgw.ledger.entry import LedgerEntry, LedgerState
from llmgw.observe.metrics import Metrics
from tests.support.configs import load

NOW = datetime(2026, 11, 26, tzinfo=UTC)
ENTRY = LedgerEntry(
    0.0, "r", 200, 2.0, model="b", finish_reason="stop", first_event_s=0.4, api="chat", prompt_tokens=10,
    completion_tokens=20, reasoning_tokens=5, cached_tokens=8, cost=1_500_000_000, currency="CNY",
    thinking_asked="on", thinking_sent="native", thinking_observed=True, usage_source="upstream",
)  # fmt: skip
TEXT = """
[upstreams.two]
base_url = "http://127.0.0.1:1/v1"
[upstreams.one]
base_url = "http://127.0.0.1:2/v1"
[[models]]
id = "b"
upstream = "one"
[[models]]
id = "a"
upstream = "two"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(tmp_path, TEXT)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["a", "b", "gone"])


def seen(config: Config, metrics: Metrics, *reports: WorkerReport) -> LiveSchema:
    """Of one worker that is well, unless reports are given."""
    metrics.fold()
    samples = read_samples(metrics.render().decode())
    return live_of(config, samples, reports or [WorkerReport(7, [])], at=NOW, instance="i")


def models(live: LiveSchema) -> dict[str | None, LiveModel]:
    """By their ids, in their order."""
    return {model.model: model for model in live.models}


def test_a_model_s_requests(config: Config, metrics: Metrics) -> None:
    for api in ("chat", "messages"):
        metrics.finished(ENTRY._replace(api=api))
    metrics.finished(
        ENTRY._replace(status=504, error_kind="first_event_timeout", finish_reason=None, first_event_s=None,
                       cost=None, total_s=1e6)
    )  # fmt: skip
    metrics.finished(ENTRY._replace(thinking_asked=None, thinking_sent=None, thinking_observed=False))
    [model] = seen(config, metrics).models
    assert (model.model, model.requests, model.errors, model.unpriced) == ("b", 4, 1, 1)
    tokens = model.prompt_tokens, model.completion_tokens, model.reasoning_tokens, model.cached_tokens
    assert tokens == (40, 80, 20, 32)
    assert model.costs == {"CNY": "4.50"}
    assert sum(model.first_event.counts) == 3
    assert model.first_event.counts[model.first_event.bounds_s.index(0.5)] == 3
    assert model.total.counts[model.total.bounds_s.index(2.0)] == 3
    assert (model.total.counts[-1], len(model.total.counts)) == (1, len(model.total.bounds_s) + 1)
    thinking = [(each.asked, each.sent, each.observed, each.requests) for each in model.thinking]
    assert thinking == [(None, None, False, 1), ("on", "native", True, 2)]


def test_models_are_in_the_order_of_the_config(config: Config, metrics: Metrics) -> None:
    for model in (None, "gone", "a", "unknown", "b"):
        metrics.finished(ENTRY._replace(model=model))
    found = models(seen(config, metrics))
    assert list(found) == ["b", "a", "gone", None]
    assert found[None].requests == 2


@pytest.mark.parametrize(
    ("nano", "said"),
    [(1, "0.000000001"), (2**53 - 1, "9007199.254740991"), (10 * 2**53, "90071992.54740992")],
)
def test_costs_are_exact_decimals(config: Config, metrics: Metrics, nano: int, said: str) -> None:
    metrics.finished(ENTRY._replace(cost=nano))
    [model] = seen(config, metrics).models
    assert model.costs == {"CNY": said}


def test_what_the_gateway_counts(config: Config, metrics: Metrics) -> None:
    metrics.started()
    metrics.waiting(3)
    metrics.auth_failed("invalid_api_key")
    metrics.shed("requests")
    metrics.limited("tokens_per_minute", "key")
    metrics.budget_spent(10, 0.25)
    metrics.budget_spent(9, 1.5)
    metrics.keys_state(healthy=False)
    metrics.ledger_state(LedgerState(5, 2, 3, 1000, healthy=True, set_aside=1))
    live = seen(config, metrics)
    assert (live.in_flight, live.waiting) == (1, 3)
    assert [(each.code, each.requests) for each in live.auth_failures] == [("invalid_api_key", 1)]
    assert [(each.reason, each.requests) for each in live.shed] == [("requests", 1)]
    assert [(each.limit, each.scope) for each in live.limited] == [("tokens_per_minute", "key")]
    assert [(each.budget_id, each.spent_ratio) for each in live.budgets] == [(9, 1.5), (10, 0.25)]
    assert [(each.purpose, each.healthy) for each in live.store] == [("keys", False), ("ledger", True)]
    assert live.ledger.model_dump() == {
        "queue_rows": 5, "journal_rows": 3, "journal_bytes": 1000, "set_aside_files": 1, "dropped_rows": 2,
    }  # fmt: skip
    assert live.redis.limits_up is None


@pytest.mark.parametrize("up", [True, False])
def test_the_redis_of_several_machines(tmp_path: Path, metrics: Metrics, up: bool) -> None:  # noqa: FBT001
    shared = '[cache]\nurl = "redis://127.0.0.1:1/0"\n[limits]\nmachines = 2\n'
    metrics.limits_redis(up=up)
    assert seen(load(tmp_path, shared + TEXT), metrics).redis.limits_up is up


def health(upstream: str, state: str, **more: object) -> dict[str, object]:
    """As in a worker's report."""
    told = {"upstream_model": "m", "consecutive_failures": 0, "cooling_s": 0.0, "in_flight": 2}
    return {"upstream": upstream, "state": state, **told, **more}


def test_upstreams_are_those_of_all_workers(config: Config, metrics: Metrics) -> None:
    for upstream, outcome in (("one", "ok"), ("one", "ok"), ("one", "status 503"), ("gone", "ok")):
        metrics.attempted(upstream, None, outcome)
    reports = [
        WorkerReport(1, [health("one", "up", last_failure="reset", last_failure_s=9.0), health("two", "up")]),
        WorkerReport(2, [health("one", "cooling", cooling_s=1.5, last_failure="late", last_failure_s=0.5)]),
        WorkerReport(3, [health("one", "probing")]),
    ]
    live = seen(config, metrics, *reports)
    assert [each.upstream for each in live.upstreams] == ["two", "one", "gone"]
    two, one, gone = live.upstreams
    assert [(each.outcome, each.count) for each in one.attempts] == [("ok", 2), ("status 503", 1)]
    [target] = one.targets
    assert (target.state, target.in_flight, target.cooling_s) == ("cooling", 6, 1.5)
    assert (target.last_failure, target.last_failure_s) == ("late", 0.5)
    assert (two.attempts, two.targets[0].last_failure, gone.targets) == ([], None, [])
    assert live.workers == [1, 2, 3]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["ok", "ok"], "ok"),
        (["ok", "degraded"], "degraded"),
        (["unavailable", "degraded", "ok"], "unavailable"),
        ([], "unavailable"),
    ],
)
def test_the_worst_worker_s_status(
    config: Config, metrics: Metrics, statuses: Sequence[str], expected: str
) -> None:
    reports = [
        WorkerReport(number, [], status, ["draining"] * (status == "unavailable"), ["w"] * (status != "ok"))
        for number, status in enumerate(statuses)
    ]
    live = live_of(config, read_samples(metrics.render().decode()), reports, at=NOW, instance="i")
    assert live.status == expected
    assert live.warnings == ["w"] * (expected != "ok" and bool(statuses))
    assert live.problems == ["draining"] * ("unavailable" in statuses)


def test_metrics_that_are_missing_are_no_fault(config: Config) -> None:
    live = live_of(config, {}, [WorkerReport(1, [])], at=NOW, instance="i")
    assert (live.status, live.in_flight, live.models, live.store) == ("ok", 0, [], [])
    assert [each.upstream for each in live.upstreams] == ["two", "one"]
    alone = live_of(config, read_samples('llmgw_requests_total{model="a"} 2.0\n'), [], at=NOW, instance=None)
    [model] = alone.models
    assert (model.requests, model.total.bounds_s, model.total.counts, model.costs) == (2, [], [0], {})


def test_a_gateway_that_can_t_be_asked() -> None:
    live = unavailable(NOW, "it does not answer")
    assert (live.status, live.problems, live.instance) == ("unavailable", ["it does not answer"], None)
    assert [*live.models, *live.upstreams, *live.workers] == []
