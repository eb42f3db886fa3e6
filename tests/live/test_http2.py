"""HTTP/2 towards clients: off unless it is wanted, and what a hostile client of it may do."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import http2
from tests.support.chat import body, streamed
from tests.support.gateway import Gateway, config_text
from tests.support.http2 import Kind, Reader
from tests.support.processes import resident_bytes, wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

OPENED = http2.PREFACE + http2.settings()
FLOOD = 20_000
SOON_S = 15.0
FLOOD_BYTES = 32 * 2**20
"""What a flood may cost for as long as its connection lasts."""
LINUX = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """A gateway that speaks HTTP/2 too."""
    config = config_text(simulator.url, scripted.base_url, server="http2 = true\nhead_timeout_s = 2")
    with Gateway(tmp_path_factory.mktemp("both"), config) as gateway:
        yield gateway


def test_it_is_off_by_default(gateway: Gateway) -> None:
    with gateway.connect(body=OPENED + http2.request(1, "/healthz")) as connection:
        answer = b""
        with suppress(ConnectionError):
            while piece := connection.recv(65_536):
                answer += piece
        assert not answer or answer.startswith(b"HTTP/1.1 400 ")


def test_several_requests_on_one_connection(both: Gateway) -> None:
    bearer = ("authorization", f"Bearer {both.key}")
    chat = json.dumps(body("glm-5")).encode()
    stream = json.dumps(streamed("glm-5")).encode()
    sent = OPENED + b"".join(
        (
            http2.request(1, "/healthz"),
            http2.request(3, "/v1/models"),
            http2.request(5, "/v1/chat/completions", bearer, method="POST", body=chat),
            http2.request(7, "/v1/chat/completions", bearer, method="POST", body=stream),
        )
    )
    statuses: dict[int, bytes | int] = {}
    bodies: dict[int, bytes] = {}
    ended: set[int] = set()
    with both.connect(body=sent) as connection:
        reader = Reader(connection)
        while ended < {1, 3, 5, 7}:
            frame = reader.next()
            assert frame is not None
            if frame.kind == Kind.HEADERS:
                statuses[frame.stream] = frame.status
            if frame.kind == Kind.DATA:
                bodies[frame.stream] = bodies.get(frame.stream, b"") + frame.payload
            if frame.kind in {Kind.HEADERS, Kind.DATA} and frame.flags & http2.END_STREAM:
                ended.add(frame.stream)
    assert (statuses[1], statuses[5], statuses[7]) == (200, 200, 200)
    assert json.loads(bodies[3])["error"]["code"] == "missing_api_key"
    assert json.loads(bodies[5])["choices"]
    assert bodies[7].endswith(b"data: [DONE]\n\n")


def test_a_thousand_headers(both: Gateway) -> None:
    more = [(f"x-{number}", "1") for number in range(1000)]
    with both.connect(body=OPENED + http2.request(1, "/healthz", *more)) as connection:
        data = Reader(connection).until(Kind.DATA)
        assert data is not None
        assert json.loads(data.payload)["error"]["code"] == "head_too_large"


def test_a_head_that_is_too_large(both: Gateway) -> None:
    """The server's own answer, or the end of the connection."""
    block = http2.block(http2.fields("/healthz", ("x", "y" * 300_000)))
    parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    frames = [http2.frame(Kind.HEADERS, 1, parts[0], flags=http2.END_STREAM)]
    frames += [http2.frame(Kind.CONTINUATION, 1, part) for part in parts[1:-1]]
    frames.append(http2.frame(Kind.CONTINUATION, 1, parts[-1], flags=http2.END_HEADERS))
    with flooding(both, b"".join(frames)) as connection:
        answer = Reader(connection).until(Kind.HEADERS)
        assert answer is None or answer.status != 200


def flooding(gateway: Gateway, flood: bytes) -> socket.socket:
    """A connection that has sent as much of it as the gateway took."""
    connection = gateway.connect(body=OPENED)
    connection.settimeout(2.0)
    with suppress(OSError):
        connection.sendall(flood)
    connection.settimeout(SOON_S)
    return connection


def rapid_reset() -> bytes:
    cancel = (8).to_bytes(4, "big")
    return b"".join(
        http2.request(stream, "/v1/models") + http2.frame(Kind.RST_STREAM, stream, cancel)
        for stream in range(1, FLOOD, 2)
    )


def continuation() -> bytes:
    head = http2.frame(Kind.HEADERS, 1, http2.block(http2.fields("/healthz")))
    return head + http2.frame(Kind.CONTINUATION, 1, http2.block([("x-more", "y" * 80)])) * FLOOD


def empty_continuation() -> bytes:
    head = http2.frame(Kind.HEADERS, 1, http2.block(http2.fields("/healthz")))
    return head + http2.frame(Kind.CONTINUATION, 1) * FLOOD


def ping() -> bytes:
    return http2.frame(Kind.PING, payload=b"12345678") * FLOOD


def settings() -> bytes:
    return http2.settings(window=65_535) * FLOOD


def window_updates() -> bytes:
    return http2.frame(Kind.WINDOW_UPDATE, payload=(1).to_bytes(4, "big")) * FLOOD


def empty_data() -> bytes:
    fields = http2.fields("/v1/chat/completions", method="POST")
    head = http2.frame(Kind.HEADERS, 1, http2.block(fields), flags=http2.END_HEADERS)
    return head + http2.frame(Kind.DATA, 1) * FLOOD


@LINUX
@pytest.mark.parametrize(
    "flood",
    [rapid_reset, continuation, empty_continuation, ping, settings, window_updates, empty_data],
)
def test_floods(both: Gateway, flood: Callable[[], bytes]) -> None:
    """They cost no more than they are: others are answered beside them, and nothing piles up."""
    [worker] = both.workers()
    before = resident_bytes(worker)
    # Each on a connection of its own: one that is kept would be closed after `head_timeout_s`.
    fresh = {"connection": "close"}
    with flooding(both, flood()):
        assert both.client.get("/healthz", headers=fresh).status_code == 200
        assert resident_bytes(worker) < before + FLOOD_BYTES
    wait_until(
        lambda: both.client.get("/healthz", headers=fresh).status_code == 200, "an answer", timeout_s=SOON_S
    )
    assert both.process.process.poll() is None
