"""A client that leaves: its upstream request ends at once, wherever it stood, and nothing stays behind."""

import json
import socket
from typing import Any

import pytest

from tests.support.chat import body, mark, streamed
from tests.support.gateway import Gateway
from tests.support.processes import NOISE
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

CLOSED_WITHIN_S = 1.0
SEEN_WITHIN_S = 20.0
FOREVER_MS = 60_000


def connect(gateway: Gateway, request: dict[str, Any]) -> socket.socket:
    host, port = gateway.client.base_url.host, gateway.client.base_url.port
    assert port is not None
    content = json.dumps(request).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    connection = socket.create_connection((host, port), timeout=SEEN_WITHIN_S)
    connection.sendall(head.encode() + content)
    return connection


@pytest.mark.parametrize(
    ("name", "model", "stream"),
    [
        ("before the first token", "glm-5", True),
        ("before the first token, comments have come", "deepseek-v4-pro", True),
        ("not streaming", "glm-5", False),
        ("merged", "qwen3.6-plus", False),
    ],
)
def test_before_anything_was_shown(
    gateway: Gateway,
    simulator: SimulatorProcess,
    name: str,
    model: str,
    stream: bool,  # noqa: FBT001
) -> None:
    marker = mark()
    request = body(model, stream=stream, x_mark=marker, simulate={"first_delay_ms": FOREVER_MS}, x_name=name)
    with connect(gateway, request):
        simulator.wait_for(marker, "open", timeout_s=SEEN_WITHIN_S)
    assert simulator.wait_for(marker, "client_left", timeout_s=SEEN_WITHIN_S) < CLOSED_WITHIN_S * NOISE


@pytest.mark.parametrize("model", ["qwen3.6-plus", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3"])
def test_in_the_middle_of_a_stream(gateway: Gateway, simulator: SimulatorProcess, model: str) -> None:
    marker = mark()
    request = streamed(model, x_mark=marker, simulate={"stall_after_chunks": 4})
    with connect(gateway, request) as connection:
        received = b""
        while b'"reasoning_content":"' not in received and b"<think>" not in received:
            received += connection.recv(65_536)
        assert simulator.request(marker).state == "open"
    assert simulator.wait_for(marker, "client_left", timeout_s=SEEN_WITHIN_S) < CLOSED_WITHIN_S * NOISE
    assert simulator.request(marker).chunks == 4


def test_in_the_middle_of_a_lively_stream(gateway: Gateway, simulator: SimulatorProcess) -> None:
    marker = mark()
    request = streamed("glm-5", x_mark=marker, simulate={"delay_ms": 5, "repeat": 10_000})
    with connect(gateway, request) as connection:
        connection.recv(65_536)
        simulator.wait_for(marker, "open", chunks=20, timeout_s=SEEN_WITHIN_S)
    assert simulator.wait_for(marker, "client_left", timeout_s=SEEN_WITHIN_S) < CLOSED_WITHIN_S * NOISE


def test_the_body_was_never_sent(gateway: Gateway) -> None:
    """A client that leaves in the middle of its own request leaves no trace but a line in the ledger."""
    host, port = gateway.client.base_url.host, gateway.client.base_url.port
    assert port is not None
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
    with socket.create_connection((host, port), timeout=SEEN_WITHIN_S) as connection:
        connection.sendall(f"{head}content-length: 1000\r\n\r\n{{".encode())
    assert gateway.post(body("glm-5")).status == 200


def test_after_many_departures_the_gateway_serves_on(gateway: Gateway, simulator: SimulatorProcess) -> None:
    marker = mark()
    request = streamed("glm-5", x_mark=marker, simulate={"first_delay_ms": FOREVER_MS})
    connections = [connect(gateway, request) for _ in range(30)]
    simulator.wait_for_number(marker, "open", 30, timeout_s=SEEN_WITHIN_S)
    for connection in connections:
        connection.close()
    simulator.wait_for_number(marker, "client_left", 30, timeout_s=SEEN_WITHIN_S)
    assert gateway.post(body("glm-5")).status == 200


def test_requests_on_one_connection_do_not_mix(gateway: Gateway) -> None:
    """Pipelined: the answers come in the order of the requests."""
    requests = [body("qwen3-max", messages=[{"role": "user", "content": f"Number {n}."}]) for n in range(3)]
    contents = [json.dumps(request).encode() for request in requests]
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
    host, port = gateway.client.base_url.host, gateway.client.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=SEEN_WITHIN_S) as connection:
        for number, content in enumerate(contents):
            last = "connection: close\r\n" if number == len(contents) - 1 else ""
            sent = f"{head}content-length: {len(content) + 25}\r\n{last}\r\n".encode()
            connection.sendall(sent + content[:-1] + b',"enable_thinking": false}')
        received = b""
        while data := connection.recv(65_536):
            received += data
    assert received.count(b"HTTP/1.1 200 OK") == 3
    places = [received.index(f"“Number {n}.”".encode()) for n in range(3)]
    assert places == sorted(places)
