"""What operators and load balancers ask for, without a key."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.chat import body, streamed
from tests.support.gateway import Gateway, config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_open_to_all(gateway: Gateway, path: str, method: str) -> None:
    response = gateway.client.request(method, path)
    assert response.status_code == 200
    assert response.headers["x-request-id"]
    assert bool(response.content) is (method == "GET")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_only_to_be_read(gateway: Gateway, path: str) -> None:
    response = gateway.client.post(path)
    assert response.status_code == 405
    assert response.json()["error"]["code"] == "method_not_allowed"


def test_metrics_count(gateway: Gateway) -> None:
    def samples() -> dict[str, float]:
        response = gateway.client.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        lines = [line for line in response.text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def grown(model: str) -> float:
        now = samples()
        return sum(value - before.get(name, 0) for name, value in now.items() if f'"{model}"' in name)

    before = samples()
    gateway.post(body("kimi-k2-thinking"))
    gateway.post(streamed("kimi-k2-thinking"))
    wait_until(lambda: grown("kimi-k2-thinking") > 0, "metrics of the model", timeout_s=20)
    assert all(name.startswith(("llmgw_", "gen_ai_", "process_", "python_")) for name in samples())


GEN_AI: Final = (
    "gen_ai_client_token_usage_count", "gen_ai_client_operation_duration_count",
    "gen_ai_server_request_duration_count", "gen_ai_server_time_to_first_token_count",
    "gen_ai_server_time_per_output_token_count",
)  # fmt: skip


def test_metrics_of_the_conventions(gateway: Gateway) -> None:
    """A stream is in all five, under its operation, whichever API it came by."""

    def count(name: str) -> float:
        lines = gateway.client.get("/metrics").text.splitlines()
        labels = (
            'gen_ai_operation_name="chat"', 'gen_ai_provider_name="kimi"',
            'gen_ai_request_model="vendor/team/kimi"', 'gen_ai_response_model="kimi-k2.6"',
        )  # fmt: skip
        mine = [
            line for line in lines if line.startswith(f"{name}{{") and all(label in line for label in labels)
        ]
        return sum(float(line.rpartition(" ")[2]) for line in mine)

    before = {name: count(name) for name in GEN_AI}
    gateway.post(streamed("vendor/team/kimi"))
    wait_until(lambda: count(GEN_AI[2]) > before[GEN_AI[2]], "metrics of the request", timeout_s=20)
    grown = {name: count(name) - before[name] for name in GEN_AI}
    assert grown == dict.fromkeys(GEN_AI, 1) | {GEN_AI[0]: 2}  # tokens in and out


@pytest.fixture
def fresh(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway of the test's own, which it may stop."""
    with Gateway(tmp_path, config_text(simulator.url, scripted.base_url)) as gateway:
        yield gateway


def test_an_idle_gateway_stops_at_once_and_quietly(fresh: Gateway) -> None:
    assert fresh.post(body("glm-5")).status == 200
    assert fresh.process.stop() == 0
    assert "Traceback" not in fresh.process.output
