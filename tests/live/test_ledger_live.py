"""The ledger of a running gateway: one true row per request, none lost at an orderly stop."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmgw.app import ENDPOINTS
from tests.support.chat import body, for_any_api, mark, streamed
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

SEEN_WITHIN_S = 20.0


def tokens(usage: dict[str, Any]) -> dict[str, int | None]:
    """An OpenAI usage as the ledger's columns; Kimi has its cached tokens on the top level."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return {
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "reasoning_tokens": completion.get("reasoning_tokens"),
        "cached_tokens": usage.get("cached_tokens", prompt.get("cached_tokens")),
    }


LONG: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief. " * 20},
    {"role": "user", "content": "Say hello."},
]
PROVIDERS = {
    "qwen3.6-plus": "qwen",
    "deepseek-v4-pro": "deepseek",
    "glm-5": "glm",
    "kimi-k2.6": "kimi",
    "minimax-m3": "minimax",
}


@pytest.mark.parametrize(
    ("path", "content", "status", "api"),
    [
        ("/v1/chat/completions", body("glm-5"), 200, "chat"),
        ("/v1/chat/completions", {}, 400, "chat"),
        ("/v1/completions", {"model": "qwen3-max", "prompt": "Hi"}, 200, "completions"),
        ("/v1/messages", {**body("glm-5"), "max_tokens": 9}, 200, "messages"),
        *((path, for_any_api(path, "of tomorrow"), 404, each.api) for path, each in ENDPOINTS.items()),
    ],
)
def test_the_way_in(gateway: Gateway, path: str, content: dict[str, Any], status: int, api: str) -> None:
    answer = gateway.post(content, path=path)
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (answer.status, row["status"], row["api"]) == (status, status, api)
    model = row["model"] or ""
    counted = f'llmgw_requests_total{{api="{api}",model="{model}",status="{status}"}}'
    wait_until(lambda: gateway.metric(counted) >= 1, "counted", timeout_s=SEEN_WITHIN_S)


@pytest.mark.parametrize(("model", "upstream"), PROVIDERS.items())
@pytest.mark.parametrize("include_usage", [True, False])
def test_a_streamed_answer(
    gateway: Gateway,
    simulator: SimulatorProcess,
    model: str,
    upstream: str,
    include_usage: bool,  # noqa: FBT001
) -> None:
    """The tokens are the upstream's, whether the client asked to see them or not."""
    marker = mark()
    request = streamed(model, include_usage=include_usage, x_mark=marker, seed=1)
    answer = gateway.post({**request, "messages": LONG})
    row = gateway.ledger(answer.headers["x-request-id"])
    reference = gateway.post({**streamed(model, include_usage=True, seed=1), "messages": LONG})
    usage = check_stream(reference.body, include_usage=True).usage
    assert usage is not None
    assert {name: row[name] for name in tokens(usage)} == tokens(usage)
    assert row["cached_tokens"] > 0
    assert (row["model"], row["upstream"], row["status"]) == (model, upstream, 200)
    assert (row["stream"], row["finish_reason"], row["usage_source"]) == (1, "stop", "upstream")
    assert row["error_kind"] is None
    assert row["thinking_observed"]
    assert (row["thinking_asked"], row["thinking_sent"]) == (None, None)
    assert 0 < row["first_event_s"] <= row["total_s"]
    assert row["key_id"] is not None
    assert simulator.request(marker).state == "answered"


@pytest.mark.parametrize("model", ["qwen3-max", "qwen3.6-plus", "deepseek-v4-pro", "glm-5", "kimi-k2.6"])
def test_a_plain_answer(gateway: Gateway, model: str) -> None:
    answer = gateway.post(body(model))
    row = gateway.ledger(answer.headers["x-request-id"])
    usage = answer.json()["usage"]
    assert {name: row[name] for name in tokens(usage)} == tokens(usage)
    assert (row["status"], row["stream"], row["finish_reason"]) == (200, 0, "stop")
    assert row["usage_source"] == "upstream"


@pytest.mark.parametrize(
    ("model", "switch", "sent", "observed"),
    [
        ("qwen3-max", True, "enable_thinking", True),
        ("qwen3-max", False, "enable_thinking", False),
        ("deepseek-v4-pro", False, "directive", False),
        ("glm-5", True, "thinking_object", True),
        ("kimi-k2.6", False, "ignored", True),
        ("glm-5-flash", True, "thinking_object", True),
    ],
)
def test_thinking_asked_sent_and_observed(
    gateway: Gateway,
    model: str,
    switch: bool,  # noqa: FBT001
    sent: str,
    observed: bool,  # noqa: FBT001
) -> None:
    answer = gateway.post(streamed(model, llmgw_thinking=switch))
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["thinking_asked"], row["thinking_sent"]) == ("on" if switch else "off", sent)
    assert bool(row["thinking_observed"]) is observed


@pytest.mark.parametrize(
    ("request_body", "status", "error_kind"),
    [
        (body("glm-5", simulate={"status": 500}), 502, "status"),
        (body("glm-5", simulate={"status": 429}), 429, "status"),
        (body("unreachable"), 502, "unreachable"),
        (body("no-such-model"), 404, "model_not_found"),
        (b"{", 400, "invalid_json"),
    ],
)
def test_a_request_that_failed(gateway: Gateway, request_body: Any, status: int, error_kind: str) -> None:  # noqa: ANN401
    answer = gateway.post(request_body)
    assert answer.status == status
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["status"], row["error_kind"], row["usage_source"]) == (status, error_kind, "none")


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("fail_after_chunks", {"reset", "truncated"}),
        ("end_after_chunks", {"truncated"}),
        ("error_after_chunks", {"error_event"}),
    ],
)
def test_a_stream_that_broke(gateway: Gateway, fault: str, kinds: set[str]) -> None:
    answer = gateway.post(streamed("glm-5", simulate={fault: 4}))
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["status"], row["finish_reason"], row["usage_source"]) == (200, None, "estimated")
    assert row["error_kind"] in kinds


def test_a_client_that_left(gateway: Gateway, simulator: SimulatorProcess) -> None:
    marker = mark()
    with gateway.stream(streamed("glm-5", x_mark=marker, simulate={"stall_after_chunks": 3})) as response:
        next(response.iter_raw())
        request_id = response.headers["x-request-id"]
    simulator.wait_for(marker, "client_left", timeout_s=SEEN_WITHIN_S)
    row = gateway.ledger(request_id)
    assert (row["status"], row["error_kind"], row["usage_source"]) == (200, "client_gone", "estimated")
    assert row["thinking_observed"] == 1


StartGateway = Callable[[], Gateway]


@pytest.fixture
def fresh(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Any:  # noqa: ANN401
    """A gateway of the test's own, which it may stop."""
    with Gateway(tmp_path, config_text(simulator.url, scripted.base_url)) as gateway:
        yield gateway


def test_an_orderly_stop_loses_nothing(fresh: Gateway) -> None:
    ids = [fresh.post(body("glm-5")).headers["x-request-id"] for _ in range(25)]
    assert fresh.process.stop() == 0
    assert [row["request_id"] for row in fresh.ledger_rows()] == ids


def test_a_stream_that_is_under_way_at_a_stop_is_finished(
    fresh: Gateway, simulator: SimulatorProcess
) -> None:
    marker = mark()
    request = streamed(
        "glm-5", include_usage=True, x_mark=marker, simulate={"delay_ms": 20, "chunk_chars": 10}
    )
    with fresh.stream(request) as response:
        request_id = response.headers["x-request-id"]
        pieces = response.iter_raw()
        received = next(pieces)
        fresh.process.terminate()
        received += b"".join(pieces)
    assert check_stream(received, include_usage=True).error is None
    assert fresh.process.stop() == 0
    [row] = [row for row in fresh.ledger_rows() if row["request_id"] == request_id]
    assert (row["finish_reason"], row["usage_source"]) == ("stop", "upstream")
    assert simulator.request(marker).state == "answered"


def test_what_does_not_finish_in_time_ends_in_an_error(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    config = config_text(simulator.url, scripted.base_url, server="drain_timeout_s = 0.3\nheartbeat_s = 0.1")
    with Gateway(tmp_path, config) as gateway:
        with gateway.stream(streamed("glm-5", simulate={"stall_after_chunks": 3})) as response:
            pieces = response.iter_raw()
            received = next(pieces)
            gateway.process.terminate()
            received += b"".join(pieces)
        error = check_stream(received, include_usage=False).error
        assert error is not None
        assert error["code"] == "overloaded"
        assert gateway.process.stop() == 0
        [row] = gateway.ledger_rows()
        assert (row["status"], row["error_kind"]) == (200, "draining")


def test_sums_by_the_command_line(fresh: Gateway) -> None:
    usages = [fresh.post(body(model)).json()["usage"] for model in ("glm-5", "glm-5", "kimi-k2.6")]
    wait_until(lambda: len(fresh.ledger_rows()) == 3, "3 ledger rows", timeout_s=SEEN_WITHIN_S)
    rows = fresh.ledger_rows()
    assert sum(row["completion_tokens"] for row in rows) == sum(u["completion_tokens"] for u in usages)
    assert json.dumps([row["model"] for row in rows]) == '["glm-5", "glm-5", "kimi-k2.6"]'
