"""Every row of the contract's table of errors, provoked on a live gateway."""

import gzip
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import MAX_BODY_BYTES
from tests.support.chat import HELLO, body, mark, streamed
from tests.support.gateway import UPSTREAM_SECRET, Answer, Gateway
from tests.support.scripted import ScriptedUpstream, event_stream, json_answer
from tests.support.simulator import SimulatorProcess

HI = b'"messages":[{"role":"user","content":"Hi"}]'
CHAT = "/v1/chat/completions"
CHAT_IS = "Completions are at POST /v1/chat/completions."


def send(gateway: Gateway, method: str, path: str, headers: dict[str, str], content: bytes = b"") -> Answer:
    response = gateway.client.request(method, path, headers=headers, content=content)
    return Answer(response.status_code, response.headers, response.content)


def expect(answer: Answer, status: int, code: str, param: str | None = None) -> dict[str, Any]:
    """Check an error answer; its error object."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    error = answer.error
    assert (error["code"], error["param"]) == (code, param)
    assert error["message"]
    assert isinstance(error["type"], str)
    if status < 500 and status not in {408, 409, 429}:
        assert answer.headers["x-should-retry"] == "false"
    return error


def nested(depth: int) -> bytes:
    return b'{"model":"glm-5",' + HI + b',"x":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("content", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'{"model":"glm-5",' + HI + b"} x", "invalid_json", None),
        (b'{"model":"glm-5",' + HI + b',"x":"\xff"}', "invalid_json", "x"),
        (b'{"model":"glm-5",' + HI + b',"x":01}', "invalid_json", "x"),
        (b"[1]", "invalid_type", None),
        (b'{"model":1,' + HI + b"}", "invalid_type", "model"),
        (b'{"model":"glm-5","messages":{}}', "invalid_type", "messages"),
        (b'{"model":"glm-5","messages":[]}', "invalid_type", "messages"),
        (b'{"model":"glm-5","messages":["Hi"]}', "invalid_type", "messages[0]"),
        (b'{"model":"glm-5",' + HI + b',"stream":"yes"}', "invalid_type", "stream"),
        (b'{"model":"glm-5",' + HI + b',"max_tokens":"5"}', "invalid_type", "max_tokens"),
        (b'{"model":"glm-5",' + HI + b',"temperature":"hot"}', "invalid_type", "temperature"),
        (b'{"model":"glm-5",' + HI + b',"top_p":[]}', "invalid_type", "top_p"),
        (b'{"model":"glm-5",' + HI + b',"seed":1.5}', "invalid_type", "seed"),
        (b'{"model":"glm-5",' + HI + b',"stream_options":true}', "invalid_type", "stream_options"),
        (
            b'{"model":"glm-5",' + HI + b',"stream_options":{"include_usage":1}}',
            "invalid_type",
            "stream_options.include_usage",
        ),
        (b'{"model":"glm-5",' + HI + b',"tools":{}}', "invalid_type", "tools"),
        (b'{"model":"glm-5",' + HI + b',"tool_choice":1}', "invalid_type", "tool_choice"),
        (b'{"model":"glm-5",' + HI + b',"enable_thinking":"on"}', "invalid_type", "enable_thinking"),
        (b'{"model":"glm-5",' + HI + b',"llmgw_thinking":1}', "invalid_type", "llmgw_thinking"),
        (b'{"model":"glm-5",' + HI + b',"response_format":"json"}', "invalid_type", "response_format"),
        (b'{"model":"glm-5",' + HI + b',"stop":1}', "invalid_type", "stop"),
        (b'{"model":"glm-5",' + HI + b',"reasoning_effort":1}', "invalid_type", "reasoning_effort"),
        (b"{" + HI + b"}", "missing_field", "model"),
        (b'{"model":"glm-5"}', "missing_field", "messages"),
        (b'{"model":null,' + HI + b"}", "missing_field", "model"),
        (b'{"model":"glm-5","model":"glm-5",' + HI + b"}", "duplicate_field", "model"),
        (b'{"model":"glm-5","mod\\u0065l":"glm-5",' + HI + b"}", "duplicate_field", "model"),
        (b'{"model":"glm-5",' + HI + b',"stream":true,"stream":false}', "duplicate_field", "stream"),
        (nested(2000), "too_deep", None),
        (nested(128), "too_deep", None),
    ],
)
def test_bad_bodies(gateway: Gateway, content: bytes, code: str, param: str | None) -> None:
    answer = gateway.post(content)
    if code == "too_deep":  # its param says where, which is long
        assert (answer.status, answer.error["code"]) == (400, code)
    else:
        expect(answer, 400, code, param)


def test_a_deep_body_within_the_limit_passes(gateway: Gateway) -> None:
    assert gateway.post(nested(120)).status == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"authorization": "Bearer"}, "missing_api_key"),
        ({"x-api-key": ""}, "missing_api_key"),
        ({"authorization": "Basic sk-gtw-abc"}, "invalid_api_key"),
        ({"api-key": "sk-gtw-abc", "x-api-key": "sk-gtw-abd"}, "invalid_api_key"),
        ({"api-key": "sk-other"}, "invalid_api_key"),
        ({"authorization": "Bearer sk-gtw-" + "x" * 32}, "invalid_api_key"),
        ({"authorization": "Bearer sk-other"}, "invalid_api_key"),
        ({"authorization": "Bearer " + "sk-gtw-" + "x" * 5000}, "invalid_api_key"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", CHAT), ("GET", "/v1/models"), ("GET", "/v1/model-catalog"), ("GET", "/nothing")],
)
def test_without_a_right_key(
    gateway: Gateway, headers: dict[str, str], code: str, method: str, path: str
) -> None:
    expect(send(gateway, method, path, headers), 401, code)


def test_an_expired_and_a_revoked_key(gateway: Gateway) -> None:
    expired = gateway.new_key(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    expect(gateway.post(body("glm-5"), key=expired), 401, "expired_api_key")
    revoked = gateway.new_key()
    gateway.revoke(revoked)
    expect(gateway.post(body("glm-5"), key=revoked), 401, "invalid_api_key")


def test_a_model_that_the_key_may_not_use(gateway: Gateway) -> None:
    key = gateway.new_key(models=["glm-5"])
    expect(gateway.post(body("qwen3-max"), key=key), 403, "model_not_allowed", "model")
    expect(gateway.get("/v1/models/qwen3-max", key=key), 403, "model_not_allowed", "model")
    assert gateway.post(body("glm-5"), key=key).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "param"),
    [
        ("GET", "/v1/models/glm-55", 404, "model_not_found", "model"),
        ("GET", "/v1/model-catalog/a/b/c", 404, "model_not_found", "model"),
        ("GET", "/v1/nothing", 404, "not_found", None),
        ("GET", "/", 404, "not_found", None),
        ("POST", "/v1/chat/completions/", 404, "not_found", None),
        ("GET", CHAT, 405, "method_not_allowed", None),
        ("DELETE", CHAT, 405, "method_not_allowed", None),
        ("POST", "/v1/models", 405, "method_not_allowed", None),
        ("PUT", "/v1/models/glm-5", 405, "method_not_allowed", None),
    ],
)
def test_paths_and_methods(
    gateway: Gateway, method: str, path: str, status: int, code: str, param: str | None
) -> None:
    expect(send(gateway, method, path, gateway.headers()), status, code, param)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "kind"),
    [
        ("POST", "/v1/messages", {}, 401, "authentication_error"),
        ("POST", "/v1/messages", {"x-api-key": "sk-gtw-" + "x" * 32}, 401, "authentication_error"),
        ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, 401, "authentication_error"),
        ("POST", "/v1/messages/batches", {"x-api-key": "KEY"}, 404, "not_found_error"),
        ("GET", "/v1/messages/nothing", {"authorization": "Bearer KEY"}, 404, "not_found_error"),
        ("GET", "/v1/models/x", {"x-api-key": "KEY", "anthropic-version": "1"}, 404, "not_found_error"),
        (
            "POST",
            "/v1/models",
            {"x-api-key": "KEY", "anthropic-version": "1"},
            405,
            "invalid_request_error",
        ),
    ],
)
def test_anthropic_s_clients_get_its_errors(
    gateway: Gateway, method: str, path: str, headers: dict[str, str], status: int, kind: str
) -> None:
    given = {name: value.replace("KEY", gateway.key) for name, value in headers.items()}
    answer = send(gateway, method, path, given)
    said = json.loads(answer.body)
    assert (answer.status, said["error"]["type"]) == (status, kind)
    assert said["type"] == "error"
    assert said["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]


def test_an_unknown_model(gateway: Gateway) -> None:
    error = expect(gateway.post(body("glm-6")), 404, "model_not_found", "model")
    assert "glm-5" in error["message"]


def test_a_body_that_is_too_large(strict_gateway: Gateway) -> None:
    content = json.dumps(body("glm-5", x="y" * MAX_BODY_BYTES)).encode()
    expect(strict_gateway.post(content), 413, "body_too_large")

    def pieces() -> Iterator[bytes]:
        yield content[:100]
        yield content[100:]

    headers = strict_gateway.headers()
    unannounced = strict_gateway.client.post(CHAT, content=pieces(), headers=headers)
    expect(Answer(unannounced.status_code, unannounced.headers, unannounced.content), 413, "body_too_large")
    padded = json.dumps(body("glm-5", x="")).encode()
    full = json.dumps(body("glm-5", x="y" * (MAX_BODY_BYTES - len(padded)))).encode()
    assert len(full) == MAX_BODY_BYTES
    assert strict_gateway.post(full).status == 200


def test_a_compressed_body(strict_gateway: Gateway) -> None:
    gateway = strict_gateway
    content = gzip.compress(json.dumps(body("glm-5", x="y" * MAX_BODY_BYTES)).encode())
    for encoding, sent, status, code in (
        ("br", content, 415, "unsupported_encoding"),
        ("zstd", content, 400, "invalid_encoding"),
        ("gzip", gzip.compress(b"{}")[:-1], 400, "invalid_encoding"),
        ("gzip", content, 413, "body_too_large"),
    ):
        headers = {**gateway.headers(), "content-encoding": encoding}
        expect(send(gateway, "POST", CHAT, headers, sent), status, code)


def test_text_models_take_no_images(gateway: Gateway) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    messages = [*HELLO, {"role": "user", "content": [{"type": "text", "text": "?"}, image]}]
    request = {"model": "glm-5", "messages": messages}
    expect(gateway.post(request), 400, "unsupported_modality", "messages[1].content[1]")
    expect(gateway.post({**request, "stream": True}), 400, "unsupported_modality", "messages[1].content[1]")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}, "videos"),
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}, "audio"),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}, "files"),
    ],
)
def test_other_media_are_refused_as_images_are(
    gateway: Gateway, simulator: SimulatorProcess, part: dict[str, Any], name: str
) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]
    marked = mark()
    for make in (body, streamed):
        answer = gateway.post(make("glm-4.6v", messages=messages, user=marked))
        error = expect(answer, 400, "unsupported_modality", "messages[0].content[1]")
        assert f"takes no {name}" in error["message"]
    assert simulator.requests(marked) == []
    # All in the same words to a model that takes them.
    assert gateway.post(body("takes-all-media", messages=messages, user=marked)).status == 200
    assert json.loads(simulator.request(marked).body)["messages"] == messages


@pytest.mark.parametrize(
    ("path", "content", "code", "param", "words"),
    [
        (CHAT, {"input": "Hi"}, "missing_field", "messages", ["Responses API", "POST /v1/responses"]),
        (CHAT, {"input": [], "instructions": "x"}, "missing_field", "messages", ["Responses API"]),
        (CHAT, {"prompt": "Hi"}, "missing_field", "messages", ["POST /v1/completions serves"]),
        (
            CHAT,
            {"system": "x", "messages": HELLO, "max_tokens": 5},
            "wrong_api",
            "system",
            ["Messages API", "POST /v1/messages"],
        ),
        (
            "/v1/completions",
            {"messages": HELLO},
            "missing_field",
            "prompt",
            ["POST /v1/chat/completions serves"],
        ),
        ("/v1/completions", {"input": "Hi"}, "missing_field", "prompt", ["Responses API"]),
    ],
)
def test_a_body_of_another_api(
    gateway: Gateway, path: str, content: dict[str, Any], code: str, param: str, words: list[str]
) -> None:
    error = expect(gateway.post({"model": "qwen3-max", **content}, path=path), 400, code, param)
    for word in words:
        assert word in error["message"]


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_a_byte_order_mark_is_passed_over(gateway: Gateway, simulator: SimulatorProcess, path: str) -> None:
    marked = mark()
    content = {"model": "deepseek-v4-flash", "messages": HELLO, "prompt": "Hi", "user": marked}
    del content["prompt" if path == CHAT else "messages"]
    plain = json.dumps(content).encode()
    assert gateway.post(b"\xef\xbb\xbf" + plain, path=path).status == 200
    assert simulator.request(marked).body == plain


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("simulated", "status", "code"),
    [
        ({"status": 429, "retry_after_s": 7}, 429, "upstream_rate_limited"),
        ({"status": 500}, 502, "upstream_error"),
        ({"status": 503}, 503, "overloaded"),
        ({"status": 504}, 504, "upstream_timeout"),
        ({"status": 401}, 502, "upstream_error"),
        ({"status": 403}, 502, "upstream_error"),
        ({"status": 404}, 502, "upstream_error"),
        ({"status": 400}, 400, "upstream_error"),
        ({"status": 422}, 422, "upstream_error"),
    ],
)
def test_statuses_of_the_upstream(
    gateway: Gateway,
    simulated: dict[str, int],
    status: int,
    code: str,
    stream: bool,  # noqa: FBT001
) -> None:
    answer = gateway.post(body("glm-5", stream=stream, simulate=simulated))
    error = expect(answer, status, code)
    assert answer.headers.get("retry-after") == (str(s) if (s := simulated.get("retry_after_s")) else None)
    assert (error["type"] == "upstream_error") is (status >= 500 or code == "upstream_error")
    # The upstream's own words only where they are about the request.
    assert ("simulated status" in error["message"]) is (status in {400, 422})


def test_the_upstream_s_own_refusal_reaches_the_client(gateway: Gateway) -> None:
    called = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    answer = gateway.post({"model": "deepseek-v4-pro", "messages": messages})
    if answer.status == 400:
        error = expect(answer, 400, "upstream_error")
        assert (
            error["message"] == "The reasoning_content in the thinking mode must be passed back to the API."
        )
    error = expect(gateway.post(body("never-streams")), 400, "upstream_error")
    assert "must be set to false for non-streaming calls" in error["message"]


@pytest.mark.parametrize("make", [body, streamed])
def test_an_upstream_that_is_not_there(gateway: Gateway, make: Any) -> None:  # noqa: ANN401 - either function
    expect(gateway.post(make("unreachable")), 502, "upstream_unreachable")


HTML = b"<html>It broke: secret-of-the-upstream</html>"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (json_answer(b"{}", "302 Found", b"location: http://127.0.0.1:1/\r\n"), 502, "upstream_error"),
        (json_answer(HTML, "500 Internal Server Error"), 502, "upstream_error"),
        (json_answer(HTML, "400 Bad Request"), 400, "upstream_error"),
        (json_answer(HTML), 502, "upstream_error"),
        (json_answer(HTML).replace(b"application/json", b"text/html"), 502, "upstream_error"),
        (json_answer({"error": {"message": "secret-of-the-upstream", "code": 1}}), 502, "upstream_error"),
        (json_answer(b""), 502, "upstream_error"),
        (b"nonsense\r\n\r\n", 502, "upstream_error"),
        (b"", 502, "upstream_error"),
    ],
    ids=[
        "redirect",
        "html 500",
        "html 400",
        "no json",
        "wrong type",
        "error 200",
        "empty",
        "no http",
        "closed",
    ],
)
def test_answers_that_are_none(
    gateway: Gateway,
    scripted: ScriptedUpstream,
    answer: bytes,
    status: int,
    code: str,
    stream: bool,  # noqa: FBT001
) -> None:
    script = scripted.script(answer)
    got = gateway.post(body("scripted", stream=stream, script=script))
    expect(got, status, code)
    assert b"secret-of-the-upstream" not in got.body


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_as_the_first_event_is_an_error_status(
    gateway: Gateway,
    scripted: ScriptedUpstream,
    stream: bool,  # noqa: FBT001
) -> None:
    script = scripted.script(*event_stream(b'data: {"error": {"message": "secret-of-the-upstream"}}\n\n'))
    answer = gateway.post(body("scripted-merged", stream=stream, script=script))
    expect(answer, 502, "upstream_error")
    assert b"secret-of-the-upstream" not in answer.body


def test_an_upstream_that_does_not_begin(gateway: Gateway) -> None:
    hold = {"first_delay_ms": 60_000}
    config = gateway.config.read_text("utf-8")
    assert "first_event_timeout_s = 0.5" in config
    answer = gateway.post(body("hasty-glm", stream=True, simulate=hold))
    expect(answer, 504, "upstream_timeout")


def test_the_gateway_s_own_key_is_refused_upstream(gateway: Gateway) -> None:
    answer = gateway.post(body("wrong-upstream-key", enable_thinking=False))
    expect(answer, 502, "upstream_error")
    assert UPSTREAM_SECRET.encode() not in answer.body
    assert UPSTREAM_SECRET not in str(answer.headers)


def test_nothing_secret_is_ever_said(gateway: Gateway) -> None:
    """Bodies and headers of a request are never repeated, nor the key; the log does not have them either."""
    secret = mark()
    headers = {**gateway.headers(), "x-private": secret}
    bodies = [
        f'{{"model": "glm-5", "messages": "{secret}"}}',
        f'{{"model": "glm-5", "messages": [{{"role": "user", "content": "{secret}"}}], "stop": 1}}',
        f'{{"model": "glm-5", "x": "{secret}"',
    ]
    for content in bodies:
        answer = send(gateway, "POST", CHAT, headers, content.encode())
        assert answer.status == 400
        assert secret.encode() not in answer.body
    for text in (gateway.process.output, str(send(gateway, "GET", "/metrics", {}).body)):
        for word in (secret, gateway.key, UPSTREAM_SECRET, "sim-glm", "scripted-key"):
            assert word not in text


def test_request_ids_are_on_everything_and_never_twice_the_same(gateway: Gateway) -> None:
    answers = [
        gateway.post(body("glm-5")),
        gateway.post(streamed("glm-5")),
        gateway.post(body("nothing")),
        gateway.get("/v1/models"),
        gateway.get("/nothing"),
        *(send(gateway, "GET", path, {}) for path in ("/healthz", "/readyz", "/metrics", "/v1/models")),
    ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == len(answers)


def test_bytes_that_are_no_http(gateway: Gateway) -> None:
    host, port = gateway.client.base_url.host, gateway.client.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=5) as raw:
        raw.sendall(b"\x00\x01 nonsense\r\n\r\n")
        assert raw.recv(1000)[:12] in {b"", b"HTTP/1.1 400"}
    assert gateway.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("POST", "/v1/images/generations", "does not serve images (/v1/images)"),
        ("POST", "/v1/responses/compact", "does not serve compaction of responses (/v1/responses/compact)"),
        ("GET", "/v1/responses/resp_1", "does not serve stored responses (/v1/responses)"),
        ("DELETE", "/v1/responses/resp_1", "does not serve stored responses"),
        ("POST", "/v1/messages/batches", "does not serve batches of messages (/v1/messages/batches)"),
        ("GET", "/v1/messages/batches/msgbatch_1", "does not serve batches of messages"),
        ("POST", "/v1/messages/nothing", "There is no such path."),
        ("POST", "/v1/messagesx", "There is no such path."),
        ("GET", "/v1/nothing", "There is no such path."),
    ],
)
def test_a_path_of_another_api_says_what_is_not_served(
    gateway: Gateway, method: str, path: str, told: str
) -> None:
    answer = gateway.client.request(method, path, headers=gateway.headers())
    assert answer.status_code == 404
    message = answer.json()["error"]["message"]
    assert told in message
    where = "Messages are at POST /v1/messages." if "/messages/" in path else CHAT_IS
    assert message.endswith(where)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 426),
        ("GET", {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}, 426),
        ("HEAD", {}, 405),
        ("PUT", {}, 405),
        ("DELETE", {}, 405),
    ],
)
def test_responses_over_a_websocket(
    gateway: Gateway, method: str, headers: dict[str, str], status: int
) -> None:
    """Codex asks for one first, and goes on over HTTP at once where the answer is a 426."""
    path = "/v1/responses"
    answer = send(gateway, method, path, {**gateway.headers(), **headers})
    assert answer.status == status
    assert "upgrade" not in answer.headers
    if method != "HEAD":
        expect(answer, status, "websocket_unsupported" if status == 426 else "method_not_allowed")
    assert send(gateway, method, path, headers).status == 401, "a wrong key is told first"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_hello_needs_no_key(gateway: Gateway, method: str) -> None:
    answer = send(gateway, method, "/api/hello", {})
    assert (answer.status, answer.body) == (200, b'{"message":"hello"}' if method == "GET" else b"")
    assert send(gateway, "POST", "/api/hello", {}).status == 405
