"""What SECURITY.md promises, on a live gateway: tricks with heads, paths and bodies; nothing leaks."""

import gzip
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat import HELLO, body, mark
from tests.support.gateway import Gateway
from tests.support.processes import free_port, wait_until
from tests.support.scripted import ScriptedUpstream, event_stream, json_answer
from tests.support.zstd import zstd

CHAT = "/v1/chat/completions"
UPSTREAM_KEY = "canary-upstream-4f1d6c"
TIMEOUT_S = 20.0
KEPT_ALIVE = {"server", "date"}
"""What granian adds by itself; the first says `granian`, the second is the time."""
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"},
    ],
}
CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway with one upstream, which is given `UPSTREAM_KEY`."""
    config = (
        '[store]\nurl = "sqlite:///gateway.db"\n'
        f'[upstreams.up]\nbase_url = "{scripted.base_url}"\napi_key = "{UPSTREAM_KEY}"\n'
        '[[models]]\nid = "m"\nupstream = "up"\n[[models]]\nid = "a/b"\nupstream = "up"\n'
    )
    with Gateway(tmp_path_factory.mktemp("guarded"), config) as gateway:
        yield gateway


def raw(gateway: Gateway, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, read to the end: status, headers, body of the only answer."""
    host, port = gateway.client.base_url.host, gateway.client.base_url.port
    assert port is not None
    received = b""
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
        with suppress(ConnectionError):  # it may be refused before all of it was sent
            connection.sendall(data)
        while piece := connection.recv(65_536):
            received += piece
    head, _, content = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), fields, content


def get(gateway: Gateway, target: bytes, headers: bytes = b"host: x\r\n", *, key: bool) -> tuple[int, bytes]:
    """GET a target as it is written here: status and body."""
    authorization = b"authorization: Bearer %s\r\n" % gateway.key.encode() if key else b""
    head = b"GET %s HTTP/1.1\r\n%s%sconnection: close\r\n\r\n" % (target, headers, authorization)
    status, _, content = raw(gateway, head)
    return status, content


def post(gateway: Gateway, content: bytes, headers: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """POST a completion with a key and further headers as they are written here."""
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\nconnection: close\r\n"
        b"content-length: %d\r\n%s\r\n" % (gateway.key.encode(), len(content), headers)
    )
    return raw(gateway, head + content)


OPEN = ["/healthz", "/readyz", "/metrics", "/api/hello"]
SAME_PATH = [b"%s", b"%s?x=1", b"http://elsewhere%s", b"https://user@elsewhere:1%s?x"]
"""Spellings that RFC 9110 and RFC 9112 make the same path."""


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("spelling", SAME_PATH)
def test_open_paths_are_open_however_they_are_spelled(guarded: Gateway, path: str, spelling: bytes) -> None:
    assert get(guarded, spelling % path.encode(), key=False)[0] == 200


NO_PATHS = [
    b"//healthz",
    b"/healthz/",
    b"/healthz//",
    b"/healthz%2f",
    b"/healthz%00",
    b"/healthz%20",
    b"/healthz;x",
    b"/healthz/..",
    b"/healthz/../v1/models",
    b"/healthz/%2e%2e/v1/models",
    b"/./metrics",
    b"/%2e/metrics",
    b"/metrics\\",
    b"/\\metrics",
    b"/HEALTHZ",
    b"/Metrics",
    b"/%2568ealthz",
    b"healthz",
    b"//elsewhere/healthz",
    b"http://elsewhere//healthz",
    b"*",
    b"//v1/models",
    b"/v1//models",
    b"/V1/models",
    b"/v1/models/",
    b"/v1/../v1/models",
    b"/v1/chat/completions/",
    b"/v1/chat/completions%20",
    b"/v1/chat/completions%00",
    b"/v1/chat//completions",
    b"/v1/CHAT/completions",
]
NO_MODELS = [
    b"/v1/models/../metrics",
    b"/v1/models/..%2f..%2fmetrics",
    b"/v1/models/m%00",
    b"/v1/models/a%252fb",
    b"/v1/models//m",
    b"/v1/models/m/",
    b"/v1/model-catalog/m/../m",
    b"/v1/models/%ff",
    b"/v1/models/M",
]


@pytest.mark.parametrize("target", NO_PATHS + NO_MODELS)
def test_tricks_with_paths_reach_no_handler(guarded: Gateway, target: bytes) -> None:
    """A path is decoded once and compared as a whole, before and after the key alike."""
    status, content = get(guarded, target, key=False)
    assert (status, json.loads(content)["error"]["code"]) == (401, "missing_api_key")
    status, content = get(guarded, target, key=True)
    code = "model_not_found" if target in NO_MODELS else "not_found"
    assert (status, json.loads(content)["error"]["code"]) == (404, code)


@pytest.mark.parametrize("target", [b"/v1%2fmodels/a/b", b"/v1/models/a%2Fb", b"/%761/models/a/b"])
def test_an_encoded_path_is_the_path_and_needs_the_key(guarded: Gateway, target: bytes) -> None:
    assert get(guarded, target, key=False)[0] == 401
    status, content = get(guarded, target, key=True)
    assert (status, json.loads(content)["id"]) == (200, "a/b")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "OPTIONS", "PUT", "get", "PROPFIND"])
def test_other_methods(guarded: Gateway, method: str) -> None:
    for target, key, expected in (("/healthz", False, 405), ("/v1/models", False, 401), (CHAT, True, 405)):
        authorization = f"authorization: Bearer {guarded.key}\r\n" if key else ""
        head = f"{method} {target} HTTP/1.1\r\nhost: x\r\n{authorization}connection: close\r\n\r\n"
        assert raw(guarded, head.encode())[0] == expected


HOST = b"host: x\r\n"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(b"", 400, id="no host"),
        pytest.param(b"host: a\r\nhost: b\r\n", 400, id="two hosts"),
        pytest.param(b"host: a\r\nhost: a\r\n", 400, id="the same host twice"),
        pytest.param(b"host: user@x\r\n", 400, id="a user"),
        pytest.param(b"host: x/../y\r\n", 400, id="a path"),
        pytest.param(b"host: x, y\r\n", 400, id="a list"),
        pytest.param(b"host: x:port\r\n", 400, id="no port"),
        pytest.param(b"host: [::1\r\n", 400, id="an open bracket"),
        pytest.param(b"host: \xff\r\n", 400, id="no ASCII"),
        pytest.param(b"host: \r\n", 400, id="an empty host"),
        pytest.param(b"host: elsewhere_1.example:443\r\n", 200, id="another name"),
        pytest.param(b"host: [::1]:8000\r\n", 200, id="IPv6"),
        pytest.param(HOST + b"x : y\r\n", 400, id="a space before the colon"),
        pytest.param(HOST + b"x: y\r\n z\r\n", 400, id="a folded line"),
        pytest.param(HOST + b"x: y\0\r\n", 400, id="NUL"),
        pytest.param(HOST + b"content-length: 1\r\ncontent-length: 2\r\n", 400, id="two lengths"),
        pytest.param(HOST + b"content-length: -1\r\n", 400, id="a negative length"),
        pytest.param(HOST + b"content-length: " + b"9" * 5000 + b"\r\n", 400, id="a length without end"),
        pytest.param(HOST + b"transfer-encoding: gzip\r\n", 400, id="a transfer coding"),
        pytest.param(HOST + b"".join(b"x-%d: y\r\n" % n for n in range(200)), 431, id="many headers"),
        pytest.param(HOST + b"x: " + b"y" * 1_000_000 + b"\r\n", 431, id="a large header"),
        pytest.param(HOST + b"authorization: Bearer x\r\n", 401, id="two keys"),
        pytest.param(HOST + b"authorization : Bearer x\r\n", 400, id="a key under another name"),
    ],
)
def test_abused_headers(guarded: Gateway, headers: bytes, expected: int) -> None:
    assert get(guarded, b"/v1/models", headers, key=True)[0] == expected
    assert guarded.get("/v1/models").status == 200


def test_a_long_target(guarded: Gateway) -> None:
    assert get(guarded, b"/" + b"a" * 100_000, key=True)[0] == 414
    status, content = get(guarded, b"/v1/models/" + b"a" * 60_000, key=True)
    assert status == 404
    assert len(content) < 1000


def test_a_smuggled_request_is_no_request(guarded: Gateway) -> None:
    """A body that looks like a request, under two lengths: never a second answer."""
    inner = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    head = b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\ntransfer-encoding: chunked\r\n\r\n"
    status, fields, content = raw(guarded, head % (len(inner) + 5) + b"0\r\n\r\n" + inner)
    assert status == 401
    assert b"HTTP/1.1" not in content
    assert "content-length" in fields


@pytest.mark.parametrize("coding_first", [False, True])
def test_a_body_under_two_lengths_ends_where_its_chunks_end(
    guarded: Gateway, scripted: ScriptedUpstream, *, coding_first: bool
) -> None:
    """RFC 9112, section 6.3: the transfer coding wins. Taken at its length, the body would be cut off."""
    script = scripted.script(json_answer(COMPLETION))
    content = json.dumps(body("m", script=script)).encode()
    pieces = content[:20], content[20:]
    coding, length = b"transfer-encoding: chunked\r\n", b"content-length: 20\r\n"
    key = guarded.headers()["authorization"].encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: %b\r\n" % key
    )
    head += coding + length if coding_first else length + coding
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    status, _, answer = raw(guarded, head + b"\r\n" + chunks + b"0\r\n\r\n")
    assert status == 200, answer


# Headers, both ways.

ABUSED_HEADERS = (
    b"cookie: session=1\r\nproxy-authorization: Basic eA==\r\n"
    b"x-forwarded-for: 10.0.0.1\r\nforwarded: for=10.0.0.1\r\nx-real-ip: 10.0.0.1\r\nreferer: http://r\r\n"
    b"origin: http://o\r\nte: trailers\r\ntrailer: x-t\r\nupgrade: h2c\r\nkeep-alive: timeout=9\r\n"
    b"user-agent: Mine/1\r\naccept: text/plain\r\naccept-encoding: gzip, br\r\nexpect: x\r\n"
    b"content-type: application/json; charset=latin-1\r\nx-request-id: forged\r\nopenai-organization: o\r\n"
    b"traceparent: 00-1-1-00\r\nx-llmgw-thinking: on\r\nx-secret: s\r\n"
)


@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_gets_our_headers_and_no_others(
    guarded: Gateway,
    scripted: ScriptedUpstream,
    stream: bool,  # noqa: FBT001
) -> None:
    script = scripted.script(*(event_stream(CHUNK) if stream else (json_answer(COMPLETION),)))
    content = json.dumps(body("m", stream=stream, script=script)).encode()
    status, headers, _ = post(guarded, content, ABUSED_HEADERS)
    assert status == 200
    first, *lines = scripted.received(script).head.decode("latin-1").strip().split("\r\n")
    assert first == f"POST {CHAT} HTTP/1.1"
    received = dict(line.split(": ", 1) for line in lines)
    assert received.pop("content-length").isdigit()
    assert received.pop("user-agent").startswith("llmgw/")
    assert received == {
        "accept": "text/event-stream" if stream else "application/json",
        "accept-encoding": "identity",
        "authorization": f"Bearer {UPSTREAM_KEY}",
        "content-type": "application/json",
        "host": scripted.base_url.split("/")[2],
        "x-request-id": headers["x-request-id"],
    }


FORGED_HEADERS = (
    b"set-cookie: session=1\r\nserver: forged\r\nx-powered-by: forged\r\nwww-authenticate: Basic\r\n"
    b"location: http://elsewhere\r\nstrict-transport-security: max-age=1\r\nx-request-id: forged\r\n"
    b"x-llmgw-thinking: forged\r\naccess-control-allow-origin: *\r\ncontent-security-policy: x\r\n"
    b"x-should-retry: true\r\nclear-site-data: x\r\nalt-svc: h3=x\r\nvia: 1.1 x\r\n"
    b"x-debug-authorization: Bearer " + UPSTREAM_KEY.encode() + b"\r\n"
)
PLAIN_HEADERS = {"content-type", "content-length", "x-request-id"}
STREAM_HEADERS = {"content-type", "cache-control", "x-accel-buffering", "x-request-id", "transfer-encoding"}
ERROR_HEADERS = PLAIN_HEADERS | {"x-should-retry"}
OURS = {"x-llmgw-attempts"}
"""What the gateway says about its own work, where it does."""


@pytest.mark.parametrize(
    ("name", "stream", "status", "expected"),
    [
        ("plain", False, "200 OK", PLAIN_HEADERS),
        ("stream", True, "200 OK", STREAM_HEADERS),
        ("refused", False, "400 Bad Request", ERROR_HEADERS),
        ("refused stream", True, "400 Bad Request", ERROR_HEADERS),
        ("failed", False, "500 Internal Server Error", PLAIN_HEADERS),
        ("redirect", False, "307 Temporary Redirect", ERROR_HEADERS),
    ],
)
def test_the_client_gets_our_headers_and_no_others(
    guarded: Gateway,
    scripted: ScriptedUpstream,
    name: str,
    stream: bool,  # noqa: FBT001
    status: str,
    expected: set[str],
) -> None:
    if status == "200 OK" and stream:
        head, *rest = event_stream(CHUNK)
        script = scripted.script(head.removesuffix(b"\r\n") + FORGED_HEADERS + b"\r\n", *rest)
    else:
        script = scripted.script(json_answer(COMPLETION, status, FORGED_HEADERS))
    content = json.dumps(body("m", stream=stream, script=script, x_name=name)).encode()
    _, headers, _ = post(guarded, content)
    # `connection` answers the one that was sent; a failing upstream's answer may be sent again.
    assert set(headers) - KEPT_ALIVE - OURS - {"connection"} == expected
    assert headers["server"] == "granian"
    assert headers["x-request-id"].startswith("req_")
    assert "forged" not in str(headers)
    assert UPSTREAM_KEY not in str(headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
def test_a_redirect_is_not_followed(
    guarded: Gateway,
    scripted: ScriptedUpstream,
    status: int,
    stream: bool,  # noqa: FBT001
) -> None:
    """Where it leads, somebody listens, and hears nothing: neither the request nor the key."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        location = b"location: http://127.0.0.1:%d%s\r\n" % (elsewhere.getsockname()[1], CHAT.encode())
        script = scripted.script(json_answer(COMPLETION, f"{status} Elsewhere", location))
        answer = guarded.post(body("m", stream=stream, script=script))
        assert (answer.status, answer.error["code"]) == (502, "upstream_error")
        elsewhere.settimeout(0)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


# Bodies.


@pytest.mark.parametrize(
    "encodings",
    [
        ["br"],
        ["deflate"],
        ["x"],
        ["br, identity"],
        ["identity", "BR "],
        ["gzip, gzip"],
        ["gzip", "zstd"],
        ["aws-chunked"],
    ],
)
def test_bodies_in_other_encodings_are_refused(guarded: Gateway, encodings: list[str]) -> None:
    headers = b"".join(f"content-encoding: {encoding}\r\n".encode() for encoding in encodings)
    status, _, answer = post(guarded, gzip.compress(b"{}"), headers)
    assert (status, json.loads(answer)["error"]["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)], ids=["gzip", "zstd"]
)
def test_a_bomb_in_a_body_is_not_unpacked(
    guarded: Gateway, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    """A few kilobytes that would fill the memory, although less than `max_body_bytes` allows."""
    status, _, answer = post(
        guarded, compress(b" " * 30_000_000), f"content-encoding: {encoding}\r\n".encode()
    )
    assert (status, json.loads(answer)["error"]["code"]) == (413, "body_too_large")


FIELDS: dict[str, Any] = {
    "model": "m",
    "messages": HELLO,
    "max_tokens": 5,
    "temperature": 1,
    "top_p": 1,
    "seed": 1,
    "stream": False,
    "stream_options": {"include_usage": True},
    "tools": [],
    "tool_choice": "auto",
    "enable_thinking": True,
    "llmgw_thinking": True,
    "response_format": {"type": "text"},
    "stop": "x",
    "reasoning_effort": "low",
    "thinking": {"type": "enabled"},
    "chat_template_kwargs": {},
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("escaped", [False, True])
def test_a_field_that_stands_twice_is_refused(
    guarded: Gateway,
    field: str,
    escaped: bool,  # noqa: FBT001
) -> None:
    """Who reads the first and who reads the last must not see two different requests."""
    again = f"\\u{ord(field[0]):04x}{field[1:]}" if escaped else field
    request = {"model": "m", "messages": HELLO} | {field: FIELDS[field]}
    members = json.dumps(request)[:-1]
    answer = guarded.post(f'{members}, "{again}": {json.dumps(FIELDS[field])}}}'.encode())
    assert (answer.status, answer.error["code"]) == (400, "duplicate_field")
    assert answer.error["param"] == field


@pytest.mark.parametrize(
    ("param", "member"),
    [
        ("stream_options.include_usage", '"stream_options": {"include_usage": true, "include_usage": false}'),
        ("response_format.type", '"response_format": {"type": "text", "typ\\u0065": "json_object"}'),
        ("thinking.type", '"thinking": {"type": "enabled", "type": "disabled"}'),
        ("messages[0].role", '"messages": [{"role": "user", "role": "system", "content": "Hi"}]'),
        ("messages[0].content", '"messages": [{"role": "user", "content": "Hi", "content": []}]'),
        (
            "messages[0].content[0].type",
            '"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "type": "x"}]}]',
        ),
    ],
)
def test_a_member_that_stands_twice_further_in_is_refused(guarded: Gateway, param: str, member: str) -> None:
    messages = "" if member.startswith('"messages"') else f', "messages": {json.dumps(HELLO)}'
    answer = guarded.post(f'{{"model": "m", {member}{messages}}}'.encode())
    assert (answer.status, answer.error["code"]) == (400, "duplicate_field")
    assert answer.error["param"] == param


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("huge exponent", '"x": 1e999999999'),
        ("a million digits", f'"x": {"9" * 1_000_000}'),
        ("a million digits after the point", f'"x": 0.{"9" * 1_000_000}'),
        ("many members", '"x": {' + ", ".join(f'"{n}": 0' for n in range(100_000)) + "}"),
        ("many unknown fields", ", ".join(f'"x{n}": 0' for n in range(100_000))),
        ("many items", '"x": [' + "0," * 500_000 + "0]"),
        ("deep within the limit", '"x": ' + "[" * 120 + "]" * 120),
        ("a long string", '"x": "' + "\\u0000" * 500_000 + '"'),
        ("a name of a million letters", f'"{"x" * 1_000_000}": 0'),
    ],
)
def test_what_is_large_but_legal_passes_untouched(
    guarded: Gateway, scripted: ScriptedUpstream, name: str, member: str
) -> None:
    script = scripted.script(json_answer(COMPLETION))
    content = f'{{"model": "m", "messages": {json.dumps(HELLO)}, "script": "{script}", {member}}}'.encode()
    assert guarded.post(content).status == 200, name
    [received] = [r.body for r in scripted.requests if f'"{script}"'.encode() in r.body[:200]]
    assert received == content


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("deep", b'{"model": "m", "x": ' + b"[" * 5_000_000, "too_deep"),
        ("deep objects", b'{"model": "m", "x": ' + b'{"a":' * 1_000_000, "too_deep"),
        ("a huge integer where one is read", b'{"model": "m", "seed": 1e999999999}', "invalid_type"),
        ("a model of a million letters", b'{"model": "' + b"x" * 1_000_000 + b'", "messages": [{}]}', None),
    ],
)
def test_bombs_are_refused_in_few_words(
    guarded: Gateway, name: str, content: bytes, code: str | None
) -> None:
    answer = guarded.post(content)
    assert answer.status in {400, 404}, name
    assert answer.error["code"] == code or code is None
    assert len(answer.body) < 10_000


def test_a_body_that_is_announced_as_too_large_is_not_read(guarded: Gateway) -> None:
    head = b"POST %s HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n"
    host, port = guarded.client.base_url.host, guarded.client.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
        connection.sendall(head % (CHAT.encode(), guarded.key.encode(), 100 * 1024 * 1024))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("stream", [False, True])
def test_a_zip_bomb_of_the_upstream_is_not_unpacked(
    guarded: Gateway,
    scripted: ScriptedUpstream,
    stream: bool,  # noqa: FBT001
) -> None:
    """The gateway asks for identity and never unpacks anything, so there is no ratio to be capped."""
    bomb = gzip.compress(b" " * 50_000_000)
    kind = b"text/event-stream" if stream else b"application/json"
    answer = json_answer(bomb, headers=b"content-encoding: gzip\r\n").replace(b"application/json", kind)
    got = guarded.post(body("m", stream=stream, script=scripted.script(answer)))
    assert (got.status, got.error["code"]) == (502, "upstream_error")


def test_an_event_of_10_mb_passes_and_one_beyond_the_cap_does_not(
    guarded: Gateway, scripted: ScriptedUpstream
) -> None:
    for megabytes, passes in ((10, True), (17, False)):
        text = b'"' + b"x" * (megabytes << 20) + b'"'
        events = CHUNK.replace(b'"Hi"', text)
        got = guarded.post(body("m", stream=True, script=scripted.script(*event_stream(events))))
        assert (got.status == 200) is passes
        # An event as large as this does not wait for the end of its choice: its finish reason comes alone.
        assert (text in got.body) is passes
        assert got.body.endswith(b"data: [DONE]\n\n") is passes


# Nothing is said that should not be.


def test_no_upstream_key_is_found_in_anything(tmp_path: Path, scripted: ScriptedUpstream) -> None:
    """An upstream that repeats its key wherever it can, and everything that the gateway then said or wrote.

    The same goes for clients' keys and for what they asked.
    """
    canary = "canary-sk-9d1f0b7a55e2"
    echo = f"the header was 'Authorization: Bearer {canary}'"
    config = (
        '[server]\nlog_level = "debug"\n[store]\nurl = "sqlite:///gateway.db"\n'
        f'[upstreams.up]\nbase_url = "{scripted.base_url}"\napi_key = "file:key.txt"\n'
        f'[upstreams.gone]\nbase_url = "http://127.0.0.1:{free_port()}/v1"\napi_key = "file:key.txt"\n'
        '[[models]]\nid = "m"\nupstream = "up"\n[[models]]\nid = "gone"\nupstream = "gone"\n'
        '[[models]]\nid = "merged"\nupstream = "up"\nupstream_stream = "always"\n'
    )
    (tmp_path / "key.txt").write_text(canary + "\n", "utf-8")
    error = {"error": {"message": echo, "type": echo, "param": echo, "code": echo}}
    frame = f"data: {json.dumps(error)}\n\n".encode()
    begun = CHUNK.split(b"\n\n")[0].replace(b'"stop"', b"null") + b"\n\n"
    leak = f"x-leak: {canary}\r\nlocation: http://127.0.0.1:1/{canary}\r\n".encode()
    scripts = [
        *(
            (json_answer(error, status, leak),)
            for status in ("400 B", "401 U", "422 U", "429 T", "500 I", "307 T")
        ),
        (json_answer(error),),
        (json_answer(f"<html>{echo}</html>".encode(), "500 I", leak),),
        (json_answer(f"<html>{echo}</html>".encode(), "400 B", leak),),
        (json_answer(f'{{"choices": "{canary}'.encode()),),
        (f"HTTP/1.1 {canary}\r\n\r\n".encode(),),
        event_stream(frame),
        event_stream(begun + frame),
        event_stream(begun + f"event: error\ndata: {echo}\n\n".encode()),
        event_stream(begun + f"data: {{{canary}\n\n".encode()),
        event_stream(begun + f"error: {json.dumps(error)}\n\n".encode()),
    ]
    said = b""
    prompt = mark()
    messages = [{"role": "user", "content": prompt}]
    with Gateway(tmp_path, config) as gateway:
        for steps in scripts:
            for model, stream in (("m", False), ("m", True), ("merged", False)):
                request = {"model": model, "messages": messages, "stream": stream}
                answer = gateway.post({**request, "script": scripted.script(*steps)})
                said += answer.body + str(answer.headers).encode()
        said += gateway.post({"model": "gone", "messages": messages}).body
        said += gateway.post({"model": "m", "messages": messages, "stop": 1}).body
        for path in ("/v1/models", "/v1/model-catalog", "/metrics", "/readyz", "/readyz?verbose", "/nothing"):
            answer = gateway.get(path)
            said += answer.body + str(answer.headers).encode()
        said += _check(gateway)
        gateway.process.stop()
        said += gateway.process.output.encode()
        client_key = gateway.key.encode()
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert b"SQLite format 3" in files["gateway.db"]
    assert canary.encode() in files.pop("key.txt")
    assert b"[redacted]" in said, "no upstream repeated its key: the test shows nothing"
    for name, content in {"answers and output": said, **files}.items():
        for secret in (canary.encode(), client_key, prompt.encode()):
            assert secret not in content, f"{secret!r} in {name}"


def _check(gateway: Gateway) -> bytes:
    """What `llmgw check` prints of an upstream that answers with nonsense and of one that is gone."""
    command = [sys.executable, "-m", "llmgw", "check", "--timeout", "5", "--config", str(gateway.config)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.search(rb"^gone .*FAULT", done.stdout, re.MULTILINE)
    return done.stdout + done.stderr


def test_without_a_database_strangers_stay_outside(tmp_path: Path, scripted: ScriptedUpstream) -> None:
    """Fail closed: keys that were read stay in force, nobody else gets in, and `/readyz` says it."""
    config = (
        '[store]\nurl = "sqlite:///gateway.db"\n'
        f'[upstreams.up]\nbase_url = "{scripted.base_url}"\n[[models]]\nid = "m"\nupstream = "up"\n'
    )
    with Gateway(tmp_path, config) as gateway:
        assert gateway.get("/v1/models").status == 200
        for spoiled in filter(Path.is_file, tmp_path.glob("gateway.db*")):
            spoiled.write_bytes(b"no database" * 1000)
        wait_until(
            lambda: gateway.client.get("/readyz").json()["status"] == "degraded",
            "a warning about the keys",
            timeout_s=TIMEOUT_S,
        )
        for stranger in ("sk-gtw-" + "x" * 32, "' OR 1=1 --", gateway.key[:-1]):
            answer = gateway.get("/v1/models", key=stranger)
            assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        assert gateway.post(body("m", script=scripted.script(json_answer(COMPLETION)))).status == 200


def test_http_1_0_needs_no_host(guarded: Gateway) -> None:
    assert raw(guarded, b"GET /healthz HTTP/1.0\r\n\r\n")[0] == 200
    assert raw(guarded, b"GET /v1/models HTTP/1.0\r\n\r\n")[0] == 401
