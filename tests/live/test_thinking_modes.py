"""Models that always or never think: what a switch for the other mode comes to, through a live gateway."""

import json
from typing import Any

import pytest

from tests.support.chat import body, mark, streamed
from tests.support.gateway import Gateway
from tests.support.simulator import SimulatorProcess

REFUSED = {
    "qwen": ("qwen3-next-80b-a3b-thinking", {"enable_thinking": False}, "enable_thinking", "always thinks"),
    "by config": ("glm-always-thinks", {"enable_thinking": False}, "enable_thinking", "always thinks"),
    "never": ("never-thinks", {"enable_thinking": True}, "enable_thinking", "never thinks"),
    "the one that counts": (
        "glm-always-thinks",
        {"enable_thinking": True, "llmgw_thinking": False},
        "llmgw_thinking",
        "always thinks",
    ),
}
MODES = {"always thinks": "on", "never thinks": "off"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("row", REFUSED)
def test_refused(gateway: Gateway, simulator: SimulatorProcess, row: str, stream: bool) -> None:  # noqa: FBT001
    model, switch, param, does = REFUSED[row]
    marked = mark()
    answer = gateway.post((streamed if stream else body)(model, user=marked, **switch))
    error = answer.error
    assert (answer.status, error["code"], error["param"]) == (400, "unsupported_thinking_mode", param)
    assert error["type"] == "invalid_request_error"
    assert f"{model!r} {does} (thinking modes: {MODES[does]})" in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert simulator.requests(marked) == []
    row_of_ledger = gateway.ledger(answer.headers["x-request-id"])
    assert (row_of_ledger["status"], row_of_ledger["error_kind"]) == (400, "unsupported_thinking_mode")


@pytest.mark.parametrize(
    ("model", "switch"),
    [
        ("qwen3-next-80b-a3b-thinking", {"enable_thinking": True}),
        ("glm-always-thinks", {"enable_thinking": True}),
        ("never-thinks", {"enable_thinking": False}),
        ("glm-always-thinks", {}),
    ],
)
def test_the_mode_that_is_there_may_be_asked_for(
    gateway: Gateway, model: str, switch: dict[str, Any]
) -> None:
    for make in (body, streamed):
        answer = gateway.post(make(model, **switch))
        assert answer.status == 200, answer.body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["glm-drops-the-switch", "qwen-drops-the-switch", "kimi-drops-the-switch"])
def test_dropped(gateway: Gateway, simulator: SimulatorProcess, model: str, stream: bool) -> None:  # noqa: FBT001
    marked = mark()
    switches = {"enable_thinking": True, "llmgw_thinking": False}
    answer = gateway.post((streamed if stream else body)(model, user=marked, **switches))
    assert answer.status == 200, answer.body
    assert answer.headers["x-llmgw-thinking"] == "off; ignored"
    sent = json.loads(simulator.request(marked).body)
    assert not {"enable_thinking", "llmgw_thinking", "thinking"} & set(sent)
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["thinking_asked"], row["thinking_sent"], row["thinking_observed"]) == ("off", "ignored", 1)
    assert (b"reasoning_content" in answer.body) == stream


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "switch", "header"),
    [
        ("kimi-k2-thinking", {"llmgw_thinking": False}, "off; ignored"),
        ("minimax-m2", {"enable_thinking": False}, "off; ignored"),
        ("minimax-m2", {"enable_thinking": True, "llmgw_thinking": False}, "off; ignored"),
        ("kimi-k2.6", {"enable_thinking": True}, "on; ignored"),
    ],
)
def test_without_a_switch_the_boolean_has_no_effect(
    gateway: Gateway,
    simulator: SimulatorProcess,
    model: str,
    switch: dict[str, Any],
    header: str,
    stream: bool,  # noqa: FBT001
) -> None:
    marked = mark()
    answer = gateway.post((streamed if stream else body)(model, user=marked, **switch))
    assert (answer.status, answer.headers["x-llmgw-thinking"]) == (200, header)
    assert not {"enable_thinking", "llmgw_thinking"} & set(json.loads(simulator.request(marked).body))
    assert gateway.ledger(answer.headers["x-request-id"])["thinking_observed"] == 1


def test_what_the_gateway_does_not_know_the_upstream_says(gateway: Gateway) -> None:
    answer = gateway.post(body("glm-5-flash", enable_thinking=False))
    assert (answer.status, answer.error["code"]) == (400, "upstream_error")
    assert answer.error["message"].startswith("Invalid API parameter")
    assert answer.headers["x-llmgw-thinking"] == "off; thinking_object"
