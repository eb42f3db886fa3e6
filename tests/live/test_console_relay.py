"""What the console asks of models through the admin process, over real sockets."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmgw.access.keys import create_key
from llmgw.admin.relay import RELAYED
from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body, mark, streamed
from tests.support.gateway import CHAT_COMPLETIONS, TIMEOUT_S, config_text
from tests.support.processes import wait_until
from tests.support.scripted import EVENT_STREAM_HEAD, Hold, ScriptedUpstream, Wait
from tests.support.simulator import SimulatorProcess

MAX_BODY_BYTES = 3_000_000
BODY_TIMEOUT_S = 3.0
STALLED_S = 1.0
LOOKS = sorted(path for method, path in RELAYED if method == "GET")


@pytest.fixture(scope="module")
def admin(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Admin]:
    server = (
        f"max_body_bytes = {MAX_BODY_BYTES}\nbody_timeout_s = {BODY_TIMEOUT_S}\n"
        f"client_write_timeout_s = {STALLED_S}\ncors_origins = ['https://page.example']"
    )
    config = config_text(simulator.url, scripted.base_url, server=server)
    with admin_gateway(tmp_path_factory.mktemp("relay"), config, own_process=True) as admin:
        # Its keys are polled.
        wait_until(lambda: look(admin, LOOKS[0]).status_code == 200, "the key", timeout_s=SOON_S)
        yield admin


def look(admin: Admin, path: str) -> httpx.Response:
    """GET with the key of a model."""
    return admin.get(path, key=admin.gateway.key)


def ask(admin: Admin, request: dict[str, Any], *, key: str | None = None) -> httpx.Response:
    """A chat completion."""
    return admin.send("POST", CHAT_COMPLETIONS, request, key=key or admin.gateway.key)


def code_of(answer: httpx.Response) -> str:
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
    code: str = error["code"]
    return code


def connect(admin: Admin, content: bytes, *more: str, length: int | None = None) -> socket.socket:
    """A connection on which a chat completion was asked for. `length`: that is announced."""
    lines = (
        f"POST {CHAT_COMPLETIONS} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {admin.gateway.key}",
        f"content-length: {len(content) if length is None else length}",
        *more,
    )
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(TIMEOUT_S)
    address = httpx.URL(admin.url)
    assert address.port is not None
    connection.connect((address.host, address.port))
    connection.sendall("\r\n".join((*lines, "", "")).encode() + content)
    return connection


def read_until(connection: socket.socket, what: bytes) -> bytes:
    received = b""
    while what not in received:
        piece = connection.recv(65_536)
        assert piece, received
        received += piece
    return received


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(text: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    data = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return chunk(b"data: %b\n\n" % json.dumps(data).encode())


ENDS = event("", "stop") + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


@pytest.mark.parametrize("path", LOOKS)
def test_a_look_is_the_gateway_s_answer(admin: Admin, path: str) -> None:
    direct = admin.gateway.get(path)
    passed = look(admin, path)
    assert (passed.status_code, passed.headers["content-type"]) == (200, "application/json")
    changing = {"x-request-id", "date", "vary"}
    assert {k: v for k, v in passed.headers.items() if k not in changing} == {
        k: v for k, v in direct.headers.items() if k not in changing
    }
    if path != "/v1/usage/me":  # whose counts have moved on
        assert passed.content == direct.body
    assert look(admin, f"{path}?x=%FF").status_code == 200


def test_the_request_id_is_the_ledger_s(admin: Admin) -> None:
    answer = ask(admin, body("glm-5"))
    assert answer.json()["object"] == "chat.completion"
    [request_id] = [value for name, value in answer.headers.raw if name == b"x-request-id"]
    assert admin.gateway.ledger(request_id.decode())["status"] == 200
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("model", ["glm-5", "qwen3.6-plus"])
def test_a_stream_is_whole(admin: Admin, model: str) -> None:
    answer = ask(admin, streamed(model, include_usage=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    events = answer.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert '"usage":{' in events[-3]


def test_each_event_comes_when_it_is_there(admin: Admin, scripted: ScriptedUpstream) -> None:
    gates = [threading.Event() for _ in range(3)]
    steps = [step for n, gate in enumerate(gates) for step in (Wait(gate), event(f"part {n}."))]
    last = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, event("begins."), *steps, Wait(last), ENDS)
    with connect(admin, json.dumps(streamed("scripted", script=script)).encode()) as connection:
        head = read_until(connection, b"begins.")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        for number, gate in enumerate(gates):
            gate.set()
            received = read_until(connection, b"part %d." % number)
            assert b"part %d." % (number + 1) not in received
        last.set()
        read_until(connection, b"[DONE]")


@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_leaves_ends_the_request(
    admin: Admin,
    scripted: ScriptedUpstream,
    begun: bool,  # noqa: FBT001
) -> None:
    begins = (EVENT_STREAM_HEAD, event("begins.")) if begun else ()
    script = scripted.script(*begins, Hold())
    with connect(admin, json.dumps(streamed("scripted", script=script)).encode()) as connection:
        wait_until(lambda: scripted.number(script) == 1, "the request", timeout_s=SOON_S)
        if begun:
            read_until(connection, b"begins.")
    assert scripted.received(script).closed.wait(SOON_S)
    assert look(admin, LOOKS[0]).status_code == 200


def test_a_client_that_takes_nothing_is_cut_off(admin: Admin, scripted: ScriptedUpstream) -> None:
    large = event("a" * 1_000_000)
    script = scripted.script(EVENT_STREAM_HEAD, *[large] * 50, Hold())
    with connect(admin, json.dumps(streamed("scripted", script=script)).encode()):
        wait_until(lambda: scripted.number(script) == 1, "the request", timeout_s=SOON_S)
        assert scripted.received(script).closed.wait(SOON_S + 10 * STALLED_S)
    assert look(admin, LOOKS[0]).status_code == 200


def test_a_large_picture(admin: Admin, simulator: SimulatorProcess) -> None:
    marker = mark()
    request = body("glm-5", x_mark=marker, user="u" * 100)
    request["messages"] = [{"role": "user", "content": "x" * (MAX_BODY_BYTES - 1000)}]
    assert ask(admin, request).status_code == 200
    assert simulator.request(marker).state != "open"


def test_strangers_and_wrong_keys(admin: Admin) -> None:
    for path in (CHAT_COMPLETIONS, *LOOKS):
        method = "POST" if path == CHAT_COMPLETIONS else "GET"
        answer = admin.client.request(method, path)
        assert (answer.status_code, code_of(answer)) == (401, "missing_api_key")
        answer = admin.send(method, path, key="sk-gtw-unknown")
        assert (answer.status_code, code_of(answer)) == (401, "invalid_api_key")
        answer = admin.client.request(method, path, headers={"x-api-key": admin.gateway.key})
        assert (answer.status_code, code_of(answer)) == (401, "missing_api_key")
        answer = admin.send(method, path)
        assert (answer.status_code, code_of(answer)) == (403, "wrong_key_kind")


def test_of_a_stranger_no_body_is_read(admin: Admin) -> None:
    address = httpx.URL(admin.url)
    assert address.port is not None
    with socket.create_connection((address.host, address.port), timeout=TIMEOUT_S) as connection:
        head = f"POST {CHAT_COMPLETIONS} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
        connection.sendall(head.encode())
        assert read_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 401 ")


def test_errors_are_the_gateway_s(admin: Admin) -> None:
    answer = ask(admin, body("nobody"))
    assert (answer.status_code, code_of(answer)) == (404, "model_not_found")
    assert answer.headers["x-should-retry"] == "false"
    headers = {"authorization": f"Bearer {admin.gateway.key}"}
    answer = admin.client.post(CHAT_COMPLETIONS, content=b"{", headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_json")
    answer = admin.client.post(CHAT_COMPLETIONS, content=b"x", headers={**headers, "content-encoding": "br"})
    assert (answer.status_code, code_of(answer)) == (415, "unsupported_encoding")


def test_a_body_that_is_too_large_or_too_slow(admin: Admin) -> None:
    answer = ask(admin, body("glm-5", user="x" * MAX_BODY_BYTES))
    assert (answer.status_code, code_of(answer)) == (413, "body_too_large")
    with connect(admin, b"{", length=100) as connection:
        assert read_until(connection, b"request_timeout").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", CHAT_COMPLETIONS),
        ("POST", "/v1/models"),
        ("HEAD", "/v1/models"),
        ("GET", "/v1/models/glm-5"),
        ("GET", "/v1/models/"),
        ("GET", "//v1/models"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/messages"),
        ("POST", "/v1/chat/completions/"),
        ("GET", "/metrics"),
        ("GET", "/readyz"),
    ],
)
def test_nothing_else_is_passed_on(admin: Admin, method: str, path: str) -> None:
    assert admin.client.request(method, path).status_code == 401
    assert admin.send(method, path, key=admin.gateway.key).status_code == 403
    assert admin.send(method, path).status_code == 404


def test_no_page_of_another_origin_reads_an_answer(admin: Admin) -> None:
    """Not even of one that may read the gateway's own."""
    headers = {"authorization": f"Bearer {admin.gateway.key}", "origin": "https://page.example"}
    for path in (*LOOKS, "/console/"):
        answer = admin.client.get(path, headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    asked = {"origin": "https://page.example", "access-control-request-method": "POST"}
    answer = admin.client.options(CHAT_COMPLETIONS, headers=asked)
    assert answer.status_code == 401
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_user_in_a_header_is_passed_on(admin: Admin) -> None:
    key = create_key(admin.gateway.store, actor="test", name="trusts", trusts_user_header=True).token
    headers = {"authorization": f"Bearer {key}", "x-llmgw-user": "ada"}
    answer = admin.client.post(CHAT_COMPLETIONS, json=body("glm-5"), headers=headers)
    assert admin.gateway.ledger(answer.headers["x-request-id"])["user"] == "ada"


def test_many_streams_at_once(admin: Admin, scripted: ScriptedUpstream) -> None:
    """As long as there are places; the next one is told to come again."""
    gate = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, event("begins."), Wait(gate), ENDS)
    request = json.dumps(streamed("scripted", script=script)).encode()
    connections = [connect(admin, request) for _ in range(32)]
    try:
        for connection in connections:
            read_until(connection, b"begins.")
        answer = ask(admin, body("glm-5"))
        assert (answer.status_code, code_of(answer)) == (503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert admin.get("/admin/v1/models").status_code == 200
        gate.set()
        for connection in connections:
            read_until(connection, b"[DONE]")
    finally:
        for connection in connections:
            connection.close()
    wait_until(lambda: ask(admin, body("glm-5")).status_code == 200, "a place", timeout_s=SOON_S)


def test_a_stream_outlives_the_stop_of_the_gateway_as_any_other(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    config = config_text(simulator.url, scripted.base_url, server="drain_timeout_s = 3")
    gate = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, event("begins."), Wait(gate), ENDS)
    endless = scripted.script(EVENT_STREAM_HEAD, event("begins."), Hold())
    with admin_gateway(tmp_path, config, own_process=True) as admin:
        with (
            connect(admin, json.dumps(streamed("scripted", script=script)).encode()) as ends,
            connect(admin, json.dumps(streamed("scripted", script=endless)).encode()) as stays,
        ):
            for connection in (ends, stays):
                read_until(connection, b"begins.")
            admin.gateway.process.terminate()
            wait_until(lambda: not listens(admin.gateway.port), "the stop", timeout_s=SOON_S)
            gate.set()
            read_until(ends, b"[DONE]")
            assert b"[DONE]" not in read_until(stays, b'"error":')
        assert admin.gateway.process.stop() == 0


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S).close()
    except OSError:
        return False
    return True
