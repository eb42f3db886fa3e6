"""What is counted, under which labels, in one process and in several."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmgw.ledger.entry import LedgerEntry, LedgerState
from llmgw.observe import metrics as metrics_module
from llmgw.observe.metrics import Metrics

ENTRY = LedgerEntry(0.0, "r", 200, 2.0, model="m", finish_reason="stop", first_event_s=0.4, api="chat")


def lines(metrics: Metrics) -> dict[str, float]:
    """Every sample, by its name and labels as Prometheus writes them."""
    metrics.fold()
    samples = [line.rpartition(" ") for line in metrics.render().decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in samples}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["m", "n"])


@pytest.mark.parametrize(
    ("entry", "sample", "expected"),
    [
        (ENTRY, 'llmgw_requests_total{api="chat",model="m",status="200"}', 1),
        (ENTRY, 'llmgw_request_seconds_count{api="chat",model="m"}', 1),
        (ENTRY, 'llmgw_request_seconds_sum{api="chat",model="m"}', 2.0),
        (ENTRY, 'llmgw_first_event_seconds_bucket{api="chat",le="0.3",model="m"}', 0),
        (ENTRY, 'llmgw_first_event_seconds_bucket{api="chat",le="0.5",model="m"}', 1),
        (ENTRY._replace(prompt_tokens=7), 'llmgw_tokens_total{kind="prompt",model="m"}', 7),
        (ENTRY._replace(completion_tokens=8), 'llmgw_tokens_total{kind="completion",model="m"}', 8),
        (ENTRY._replace(reasoning_tokens=9), 'llmgw_tokens_total{kind="reasoning",model="m"}', 9),
        (ENTRY._replace(prompt_tokens=2**63), 'llmgw_tokens_total{kind="prompt",model="m"}', 2**40),
        (ENTRY._replace(cached_tokens=1), 'llmgw_tokens_total{kind="cached",model="m"}', 1),
        (ENTRY._replace(cost=5, currency="CNY"), 'llmgw_cost_nano_total{currency="CNY",model="m"}', 5),
        (ENTRY._replace(usage_source="estimated"), 'llmgw_unpriced_requests_total{model="m"}', 1),
        (
            ENTRY._replace(error_kind="idle_timeout"),
            'llmgw_request_errors_total{api="chat",kind="idle_timeout",model="m"}',
            1,
        ),
        (
            ENTRY._replace(thinking_asked="off", thinking_sent="enable_thinking", thinking_observed=True),
            'llmgw_thinking_total{asked="off",model="m",observed="True",sent="enable_thinking"}',
            1,
        ),
        (ENTRY, 'llmgw_thinking_total{asked="none",model="m",observed="False",sent="none"}', 1),
        (ENTRY._replace(finish_reason="odd"), 'llmgw_unknown_finish_reasons_total{model="m"}', 1),
        (ENTRY._replace(api="messages"), 'llmgw_requests_total{api="messages",model="m",status="200"}', 1),
        (ENTRY._replace(api=None), 'llmgw_requests_total{api="",model="m",status="200"}', 1),
        # A model that does not exist is a 404, not a label.
        (
            ENTRY._replace(model="made-up", status=404),
            'llmgw_requests_total{api="chat",model="",status="404"}',
            1,
        ),
        (ENTRY._replace(model=None, status=400), 'llmgw_requests_total{api="chat",model="",status="400"}', 1),
    ],
)
def test_a_finished_request(metrics: Metrics, entry: LedgerEntry, sample: str, expected: float) -> None:
    metrics.finished(entry)
    assert lines(metrics)[sample] == expected


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY._replace(usage_source="none"),
        ENTRY._replace(usage_source="upstream", cost=0, currency="CNY"),
        ENTRY._replace(usage_source="none", cost=0, currency="CNY"),
    ],
    ids=["nobody was asked", "a price of 0", "refused by the upstream"],
)
def test_field_b3_only_what_has_no_price_counts_as_unpriced(metrics: Metrics, entry: LedgerEntry) -> None:
    metrics.finished(entry)
    assert not [name for name in lines(metrics) if name.startswith("llmgw_unpriced")]


def test_counting_on(metrics: Metrics) -> None:
    for _ in range(3):
        metrics.finished(ENTRY)
    metrics.finished(ENTRY._replace(model="n"))
    found = lines(metrics)
    assert found['llmgw_requests_total{api="chat",model="m",status="200"}'] == 3
    assert found['llmgw_requests_total{api="chat",model="n",status="200"}'] == 1


def test_without_an_answer_there_is_nothing_to_observe(metrics: Metrics) -> None:
    metrics.finished(ENTRY._replace(first_event_s=None, finish_reason=None, status=502))
    found = lines(metrics)
    assert found['llmgw_first_event_seconds_count{api="chat",model="m"}'] == 0
    assert not any(name.startswith("llmgw_thinking_total") for name in found)
    assert not any(name.startswith("llmgw_unknown_finish_reasons") for name in found)


def test_labels_are_bounded(metrics: Metrics) -> None:
    for number in range(1000):
        metrics.finished(ENTRY._replace(model=f"made-up-{number}"))
    assert len([name for name in lines(metrics) if name.startswith("llmgw_requests_total")]) == 1


def test_in_flight(metrics: Metrics) -> None:
    metrics.started()
    metrics.started()
    metrics.ended()
    assert lines(metrics)["llmgw_requests_in_flight"] == 1


def test_auth_failures(metrics: Metrics) -> None:
    metrics.auth_failed("invalid_api_key")
    metrics.auth_failed("invalid_api_key")
    assert lines(metrics)['llmgw_auth_failures_total{code="invalid_api_key"}'] == 2


def test_attempts(metrics: Metrics) -> None:
    metrics.attempted("a", 2, "status_5xx")
    metrics.retried("status_5xx")
    metrics.attempted("b", None, "ok")
    metrics.retry_refused()
    metrics.cooling("a", None, "m", True)  # noqa: FBT003  (its one flag)
    found = lines(metrics)
    assert found['llmgw_upstream_attempts_total{account="2",outcome="status_5xx",upstream="a"}'] == 1
    assert found['llmgw_upstream_attempts_total{account="",outcome="ok",upstream="b"}'] == 1
    assert found['llmgw_retries_total{reason="status_5xx"}'] == 1
    assert found["llmgw_retries_refused_total"] == 1
    assert found['llmgw_upstream_cooling{account="",upstream="a",upstream_model="m"}'] == 1
    metrics.cooling("a", None, "m", False)  # noqa: FBT003  (its one flag)
    assert lines(metrics)['llmgw_upstream_cooling{account="",upstream="a",upstream_model="m"}'] == 0


def test_ledger_state(metrics: Metrics) -> None:
    metrics.ledger_state(LedgerState(10, 3, 7, 700, healthy=False))
    metrics.ledger_state(LedgerState(5, 4, 0, 0, healthy=True))
    found = lines(metrics)
    assert found["llmgw_ledger_queue_rows"] == 5
    assert found["llmgw_ledger_dropped_rows_total"] == 4


def test_each_process_has_its_own_registry() -> None:
    other = Metrics(["m"])
    other.started()
    other.fold()
    assert lines(Metrics(["m"]))["llmgw_requests_in_flight"] == 0


WORKER = """
import sys
from llmgw.ledger.entry import LedgerEntry, LedgerState
from llmgw.observe import metrics as metrics_module
from llmgw.observe.metrics import Metrics
from llmgw.routing.providers import ProviderModel

metrics = Metrics(["m"])
metrics.started()
entry = LedgerEntry(0.0, "r", 200, 2.0, model="m", api="chat", prompt_tokens=5, usage_source="upstream")
metrics.finished(entry, ProviderModel("p", "u"))
metrics.fold()
print("counted", flush=True)
sys.stdin.read()
sys.stdout.buffer.write(metrics.render())
"""


def test_any_worker_answers_for_all_that_live(tmp_path: Path) -> None:
    def worker() -> "subprocess.Popen[str]":
        # PROMETHEUS_MULTIPROC_DIR must be there before the library is imported, hence processes.
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        return process

    killed, living, asked = worker(), worker(), worker()
    killed.kill()
    killed.communicate()
    output, _ = asked.communicate()
    living.communicate()
    # What the killed one has counted still counts; what it had in flight does not.
    assert 'llmgw_requests_total{api="chat",model="m",status="200"} 3.0' in output
    assert "llmgw_requests_in_flight 2.0" in output
    names = "operation_name", "provider_name", "request_model", "response_model", "token_type"
    values = "chat", "p", "m", "u", "input"
    labels = ",".join(f'gen_ai_{name}="{value}"' for name, value in zip(names, values, strict=True))
    assert f"gen_ai_client_token_usage_sum{{{labels}}} 15.0" in output
    assert f"gen_ai_client_token_usage_count{{{labels}}} 3.0" in output
    assert f'gen_ai_client_token_usage_bucket{{{labels},le="16.0"}} 3.0' in output


def test_thinking_is_counted_for_an_answer_that_was_not_streamed(metrics: Metrics) -> None:
    plain = ENTRY._replace(first_event_s=None, thinking_asked="off", thinking_sent="directive")
    metrics.finished(plain._replace(thinking_observed=True))
    labels = 'asked="off",model="m",observed="True",sent="directive"'
    assert lines(metrics)[f"llmgw_thinking_total{{{labels}}}"] == 1


@pytest.mark.parametrize("other", [ProcessLookupError, PermissionError, None])
def test_the_id_of_a_dead_worker_may_be_anybody_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: type[OSError] | None
) -> None:
    """Nobody's, or that of another user's process, or of one that is no worker of ours."""

    def group(_: int) -> int:
        if other is not None:
            raise other
        return os.getpgrp() + 1

    monkeypatch.setattr(os, "getpgid", group)
    stale = tmp_path / "gauge_livesum_1234.db"
    stale.touch()
    metrics_module._forget_dead_workers(tmp_path)
    assert not stale.exists()


def test_the_parent_process_does_not_import_the_library() -> None:
    # It reads at the import where workers count, and the parent sets that after its own imports.
    program = (
        "import sys, llmgw.cli.serve, llmgw.serving.server; sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
