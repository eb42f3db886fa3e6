"""Connections that do nothing, or take nothing: each is closed in time, and `/healthz` answers meanwhile."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.support import http2
from tests.support.chat import streamed
from tests.support.gateway import Gateway, config_text
from tests.support.http2 import Kind
from tests.support.processes import resident_bytes, wait_until
from tests.support.scripted import EVENT_STREAM_HEAD, ScriptedUpstream
from tests.support.simulator import SimulatorProcess

LINUX = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
TIMES = "head_timeout_s = 0.5\nbody_timeout_s = 0.5\nclient_write_timeout_s = 1"
SOON_S = 15.0
ESTABLISHED = "01"
HEALTHZ = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
STALLED = 50
STALLED_BYTES = 768 * 1024
"""Measured: 550 to 610 KiB, with the little that each exchange leaves behind in the heap."""


@pytest.fixture(scope="module")
def hasty(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """A gateway with short times."""
    config = config_text(simulator.url, scripted.base_url, server=TIMES)
    with Gateway(tmp_path_factory.mktemp("hasty"), config) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """The same, which speaks HTTP/2 too."""
    config = config_text(simulator.url, scripted.base_url, server=f"{TIMES}\nhttp2 = true")
    with Gateway(tmp_path_factory.mktemp("both"), config) as gateway:
        yield gateway


def is_open(gateway: Gateway, port: int) -> bool:
    """Whether the gateway's end of a connection is open. The client does not read, so its own can't tell."""
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        own, other, state = line.split()[1:4]
        if (int(own[-4:], 16), int(other[-4:], 16)) == (gateway.port, port):
            return state == ESTABLISHED
    return False


def stream_chunk(content: str) -> bytes:
    """An event of a stream, in HTTP's chunked framing."""
    delta = [{"index": 0, "delta": {"content": content}, "finish_reason": None}]
    value = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": delta}
    event = f"data: {json.dumps(value)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


def wait_closed(gateway: Gateway, connection: socket.socket) -> None:
    port = connection.getsockname()[1]
    wait_until(lambda: not is_open(gateway, port), "the connection is closed", timeout_s=SOON_S)


def silent(gateway: Gateway, *, http2_too: bool) -> dict[str, bytes]:
    """What is sent before nothing more is."""
    key = f"authorization: Bearer {gateway.key}\r\n".encode()
    post = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
    healthz = b"POST /healthz HTTP/1.1\r\nhost: x\r\n"
    kinds = {
        "nothing": b"",
        "half of HTTP/2's preface": b"PRI * H",
        "half a line": b"GET /heal",
        "half a head": b"GET /healthz HTTP/1.1\r\nhost: x\r\n",
        "a request": HEALTHZ,
        "a request and half a line": HEALTHZ + b"GET /h",
        "a body is missing": healthz + b"content-length: 1000\r\n\r\n",
        "a chunked body is missing": healthz + b"transfer-encoding: chunked\r\n\r\n",
        "a stranger's body is missing": post + b"content-length: 1000\r\n\r\n",
        "a key holder's body is missing": post + key + b"content-length: 1000\r\n\r\n",
        "a key holder waits for 100": post + key + b"expect: 100-continue\r\ncontent-length: 9\r\n\r\n",
        "HTTP/2's preface": http2.PREFACE + http2.settings(),
    }
    if http2_too:
        bearer = ("authorization", f"Bearer {gateway.key}")
        chat = http2.fields("/v1/chat/completions", bearer, method="POST")
        opened = http2.PREFACE + http2.settings()
        half = http2.block(http2.fields("/healthz"))
        kinds |= {
            "HTTP/2: a request": opened + http2.request(1, "/healthz"),
            "HTTP/2: half a head": opened + http2.frame(Kind.HEADERS, 1, half, flags=http2.END_STREAM),
            "HTTP/2: a body is missing": opened
            + http2.frame(Kind.HEADERS, 1, http2.block(chat), flags=http2.END_HEADERS),
        }
    return kinds


@LINUX
@pytest.mark.parametrize("version", ["1", "both"])
def test_silent_ones_are_closed(version: str, request: pytest.FixtureRequest) -> None:
    gateway: Gateway = request.getfixturevalue("both" if version == "both" else "hasty")
    with ExitStack() as stack:
        connections = {
            name: stack.enter_context(closing(gateway.connect(body=sent)))
            for name, sent in silent(gateway, http2_too=version == "both").items()
        }
        ports = {name: connection.getsockname()[1] for name, connection in connections.items()}

        def still_open() -> list[str]:
            return [name for name, port in ports.items() if is_open(gateway, port)]

        wait_until(lambda: not still_open(), "all are closed", timeout_s=SOON_S)


@LINUX
def test_healthz_answers_while_silent_connections_want_all_places(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    config = config_text(simulator.url, scripted.base_url)
    with Gateway(tmp_path, config, files=200) as gateway, ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.socket())
            connection.settimeout(0)
            connection.connect_ex(("127.0.0.1", gateway.port))
        for _ in range(3):
            begun = time.monotonic()
            with gateway.connect(body=HEALTHZ) as asking:
                assert asking.recv(65_536).startswith(b"HTTP/1.1 200 OK")
            assert time.monotonic() - begun < SOON_S


def stalled(gateway: Gateway, sent: bytes) -> socket.socket:
    return gateway.connect(body=sent, receive_buffer=4096)


@LINUX
def test_answers_that_nobody_takes_are_given_up_on_every_path(hasty: Gateway) -> None:
    """Where the server has the whole answer already, too: here many short ones, one behind the other."""
    key = f"authorization: Bearer {hasty.key}\r\n".encode()
    with ExitStack() as stack:
        connections = [
            stack.enter_context(closing(stalled(hasty, head * 3000)))
            for head in (
                b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + key + b"\r\n",
                b"GET /v1/model-catalog HTTP/1.1\r\nhost: x\r\n" + key + b"\r\n",
                b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n" + key + b"\r\n",
                HEALTHZ,
            )
        ]
        for connection in connections:
            wait_closed(hasty, connection)


@LINUX
@pytest.mark.parametrize("path", ["/metrics", "/v1/model-catalog", "/v1/models", "/healthz"])
def test_over_http_2_a_window_of_nothing_ends_in_time(both: Gateway, path: str) -> None:
    bearer = ("authorization", f"Bearer {both.key}")
    requests = b"".join(http2.request(stream, path, bearer) for stream in range(1, 20, 2))
    sent = http2.PREFACE + http2.settings(window=0) + requests
    with both.connect(body=sent) as connection:
        wait_closed(both, connection)


@LINUX
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_stream_that_nobody_takes(version: str, both: Gateway, scripted: ScriptedUpstream) -> None:
    before = max((row["id"] for row in both.ledger_rows()), default=0)
    script = scripted.script(EVENT_STREAM_HEAD, *[stream_chunk(4096 * "x") * 16] * 1000)
    body = json.dumps(streamed("scripted", script=script)).encode()
    if version == "2":
        bearer = ("authorization", f"Bearer {both.key}")
        post = http2.request(1, "/v1/chat/completions", bearer, method="POST", body=body)
        sent = http2.PREFACE + http2.settings(window=0) + post
    else:
        sent = both.chat_head(len(body)).encode() + body
    with stalled(both, sent) as connection:
        wait_closed(both, connection)
        wait_until(scripted.received(script).closed.is_set, "the upstream's end", timeout_s=SOON_S)

    def kinds() -> set[str]:
        return {row["error_kind"] for row in both.ledger_rows(after=before)}

    wait_until(lambda: kinds() == {"client_stalled"}, "its row", timeout_s=SOON_S)


@LINUX
def test_what_a_stream_holds_that_nobody_takes(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    """The figure of docs/operations.md, with an upstream that sends as fast as it may."""
    chunk = stream_chunk("x" * 100)
    script = scripted.script(EVENT_STREAM_HEAD, *[chunk * 100] * 1000)
    config = config_text(simulator.url, scripted.base_url)
    with Gateway(tmp_path, config) as gateway, ExitStack() as stack:
        [worker] = gateway.workers()
        before = resident_bytes(worker)
        for _ in range(STALLED):
            asked = gateway.ask(streamed("scripted", script=script), receive_buffer=4096)
            stack.enter_context(closing(asked))
        held = [before]

        def is_settled() -> bool:
            held.append(resident_bytes(worker))
            return held[-1] > before + STALLED * 2**17 and held[-1] == held[-2]

        wait_until(is_settled, "the streams stand", timeout_s=SOON_S, interval_s=1.0)
        assert (held[-1] - before) / STALLED < STALLED_BYTES
