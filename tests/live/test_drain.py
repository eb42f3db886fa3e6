"""A stop: what is under way ends well or in an error frame, nothing new begins, and the ledger is written."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from tests.support import http2
from tests.support.chat import body, streamed
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.http2 import Kind, Reader
from tests.support.processes import NOISE, Process, free_port, wait_until
from tests.support.scripted import EVENT_STREAM_HEAD, Hold, ScriptedUpstream, Wait, partial_event_stream
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

SOON_S = 20.0
FIRST = (
    b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%b}]}'
)
BEGIN = b"data: " + FIRST % b'{"role":"assistant","content":"a"},"finish_reason":null' + b"\n\n"
END = b"data: " + FIRST % b'{"content":"b"},"finish_reason":"stop"' + b"\n\ndata: [DONE]\n\n"
READYZ = "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n"

# A gateway whose workers take a second to load the application.
SLOW_START = """\
import os
import sys
import time
from pathlib import Path
from llmgw.cli.main import main
from llmgw.serving import memory

def configure():
    Path(f"loading-{os.getpid()}").touch()
    time.sleep(1)

memory.configure = configure
sys.exit(main(sys.argv[1:]))
"""

Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Start]:
    """Starts a gateway of the test's own, with these lines in `[server]`."""
    with ExitStack() as stack:

        def start(server: str) -> Gateway:
            text = config_text(simulator.url, scripted.base_url, server=server)
            return stack.enter_context(Gateway(tmp_path, text))

        yield start


def stop_by(gateway: Gateway, deadline_s: float = SOON_S) -> int:
    """Wait for the end that a signal has asked for."""
    wait_until(lambda: gateway.process.process.poll() is not None, "the end", timeout_s=deadline_s)
    return gateway.process.process.wait()


def refused(gateway: Gateway) -> bool:
    try:
        gateway.connect().close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_finish(start: Start, scripted: ScriptedUpstream, workers: int) -> None:
    gateway = start(f"workers = {workers}\ndrain_timeout_s = 60")
    more = threading.Event()
    script = scripted.script(
        *partial_event_stream(BEGIN), Wait(more), b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END)
    )
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(trust_env=False, timeout=SOON_S)) for _ in range(8)]
        streams = [
            stack.enter_context(
                client.stream(
                    "POST",
                    f"{gateway.url}/v1/chat/completions",
                    headers=gateway.headers(),
                    json=streamed("scripted", script=script),
                )
            )
            for client in clients
        ]
        pieces = [stream.iter_raw() for stream in streams]
        received = [next(piece) for piece in pieces]
        # A connection of before: it is told. Which worker has it does not matter, each hears of the stop.
        probe = stack.enter_context(closing(gateway.connect("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")))
        assert probe.recv(65_536).startswith(b"HTTP/1.1 200")
        gateway.process.terminate()
        wait_until(lambda: refused(gateway), "new connections are refused", timeout_s=SOON_S)
        gateway.process.terminate()  # twice means no more than once
        assert gateway.process.process.poll() is None
        more.set()
        whole = [first + b"".join(piece) for first, piece in zip(received, pieces, strict=True)]
    assert [check_stream(data, include_usage=False).only.content for data in whole] == ["ab"] * 8
    assert stop_by(gateway) == 0
    rows = gateway.ledger_rows()
    assert [(row["status"], row["finish_reason"], row["error_kind"]) for row in rows] == [
        (200, "stop", None)
    ] * 8


def test_open_connections_hear_of_it(start: Start, scripted: ScriptedUpstream) -> None:
    """Whoever is in the middle of asking is answered: with a 503, so that a balancer goes elsewhere."""
    gateway = start("drain_timeout_s = 60")
    script = scripted.script(*partial_event_stream(BEGIN), Hold())
    with gateway.ask(streamed("scripted", script=script)) as busy:
        assert busy.recv(65_536).startswith(b"HTTP/1.1 200")
        with gateway.connect("GET /readyz HTTP/1.1\r\nhost: x\r\n") as half:  # its head is not complete yet
            # A later connection is answered: so the worker has this one, which a stop could come before.
            assert not unready(gateway)
            gateway.process.terminate()
            wait_until(lambda: refused(gateway), "new connections are refused", timeout_s=SOON_S)
            half.sendall(b"\r\n")
            answer = half.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 503"), answer
        assert b'"problems": ["draining"]' in answer
        assert b"connection: close" in answer
    assert stop_by(gateway) == 0  # the client of the stream left, and nobody else was there


@pytest.mark.parametrize("workers", [1, 2])
def test_at_the_deadline_the_rest_gets_an_error(
    start: Start, scripted: ScriptedUpstream, workers: int
) -> None:
    gateway = start(f"workers = {workers}\ndrain_timeout_s = 1")
    begun = scripted.script(*partial_event_stream(BEGIN), Hold())
    silent = scripted.script(Hold())
    plain, before, stream = (
        gateway.ask(request)
        for request in (
            body("scripted", script=silent),
            streamed("scripted", script=silent),
            streamed("scripted", script=begun),
        )
    )
    with plain, before, stream:
        received = stream.recv(65_536)
        wait_until(
            lambda: scripted.number(silent) == 2,
            "all under way",
            timeout_s=SOON_S,
        )
        since = time.monotonic()
        gateway.process.terminate()
        for connection in (plain, before):
            answer = connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b'"code":"overloaded"' in answer
        while data := stream.recv(65_536):
            received += data
        assert time.monotonic() - since > 0.5
    assert b'data: {"error":' in received
    assert b'"code":"overloaded"' in received
    assert b"[DONE]" not in received
    assert received.endswith(b"0\r\n\r\n")  # the frame is whole, and so is the answer
    assert stop_by(gateway) == 0
    rows = sorted((row["status"], row["error_kind"]) for row in gateway.ledger_rows())
    assert rows == [(200, "draining"), (503, "draining"), (503, "draining")]


def test_at_the_deadline_a_stream_of_messages_gets_its_own_error(
    start: Start, scripted: ScriptedUpstream
) -> None:
    gateway = start("drain_timeout_s = 1")
    asked = streamed("scripted", script=scripted.script(*partial_event_stream(BEGIN), Hold()), max_tokens=9)
    with gateway.stream(asked, path="/v1/messages") as answer:
        received = b""
        for piece in answer.iter_raw():
            if not received:
                gateway.process.terminate()
            received += piece
    *_, last, end = received.split(b"\n\n")
    assert last.startswith(b"event: error\n")
    assert b'"type":"overloaded_error"' in last
    assert end == b""
    assert b"event: message_stop" not in received
    assert stop_by(gateway) == 0
    [row] = gateway.ledger_rows()
    assert (row["api"], row["status"], row["error_kind"]) == ("messages", 200, "draining")


def test_a_client_that_reads_nothing_does_not_cost_the_ledger(
    start: Start, scripted: ScriptedUpstream
) -> None:
    gateway = start("drain_timeout_s = 1")
    event = BEGIN.replace(b'"a"', b'"%b"' % (b"a" * 60_000))
    script = scripted.script(EVENT_STREAM_HEAD, *[b"%x\r\n%b\r\n" % (len(event), event)] * 1000, Hold())
    answered = gateway.post(body("glm-5")).headers["x-request-id"]
    with gateway.ask(streamed("scripted", script=script), receive_buffer=65_536):
        wait_until(
            lambda: scripted.number(script) > 0,
            "under way",
            timeout_s=SOON_S,
        )
        gateway.process.terminate()
        assert stop_by(gateway) == 0
    rows = {row["request_id"]: row["error_kind"] for row in gateway.ledger_rows()}
    assert rows.pop(answered) is None
    assert list(rows.values()) == ["client_stalled"]
    assert gateway.process.output.count("the ledger is written") == 1


def test_a_stop_in_the_middle_of_a_stop(start: Start, scripted: ScriptedUpstream) -> None:
    """Signals of all kinds, to parent and workers, one after the other: one orderly stop."""
    gateway = start("workers = 2\ndrain_timeout_s = 1")
    script = scripted.script(*partial_event_stream(BEGIN), Hold())
    with gateway.ask(streamed("scripted", script=script)) as stream:
        received = stream.recv(65_536)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            gateway.process.process.send_signal(number)
        while data := stream.recv(65_536):
            received += data
    assert b'"code":"overloaded"' in received
    assert stop_by(gateway) == 0
    assert [row["error_kind"] for row in gateway.ledger_rows()] == ["draining"]
    assert gateway.process.output.count("the ledger is written") == 2


def unready(gateway: Gateway) -> bool:
    with gateway.connect(READYZ) as connection:
        return connection.recv(65_536).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize("to_group", [False, True])
def test_before_a_stop_balancers_find_out(
    start: Start, scripted: ScriptedUpstream, *, to_group: bool
) -> None:
    """`stop_delay_s`: unready at once, and each connection ends with its answer, but all are served."""
    gateway = start("workers = 2\nstop_delay_s = 6\ndrain_timeout_s = 60")
    go_on = threading.Event()
    script = scripted.script(
        Wait(go_on), *partial_event_stream(BEGIN), b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END)
    )
    with (
        gateway.ask(streamed("scripted", script=script)) as before,
        gateway.connect(READYZ) as kept,
    ):
        assert b"connection: close" not in kept.recv(65_536)
        wait_until(lambda: scripted.number(script) == 1, "under way", timeout_s=SOON_S)
        since = time.monotonic()
        if to_group:  # each worker has it twice then, which is no second signal
            os.killpg(gateway.process.process.pid, signal.SIGTERM)
        else:
            gateway.process.terminate()
        wait_until(lambda: all(unready(gateway) for _ in range(4)), "unready", timeout_s=SOON_S)
        assert time.monotonic() - since < 3 * NOISE
        kept.sendall(READYZ.encode())
        assert b'"problems": ["stopping"]' in (answer := kept.recv(65_536))
        assert b"connection: close" in answer
        assert kept.recv(1) == b""
        with gateway.ask(body("glm-5")) as new:
            answer = new.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer
            while new.recv(65_536):
                pass
        assert not refused(gateway)
        go_on.set()
        answer = b""
        while data := before.recv(65_536):  # its head came after the signal
            answer += data
        assert b"connection: close" in answer
        assert b"[DONE]" in answer
    assert stop_by(gateway) == 0
    assert time.monotonic() - since >= 6
    assert [row["status"] for row in gateway.ledger_rows()] == [200, 200]


def test_http2_is_served_before_a_stop(start: Start) -> None:
    """It has no `connection` header: the connection is there until the stop, which says so."""
    gateway = start("http2 = true\nstop_delay_s = 6")
    with gateway.connect(body=http2.PREFACE + http2.settings() + http2.request(1, "/readyz")) as connection:
        reader = Reader(connection)
        answer = reader.until(Kind.HEADERS, 1)
        assert answer is not None
        assert answer.status == 200
        gateway.process.terminate()
        wait_until(lambda: unready(gateway), "unready", timeout_s=SOON_S)
        for stream in (3, 5):
            connection.sendall(http2.request(stream, "/readyz"))
            answer = reader.until(Kind.HEADERS, stream)
            assert answer is not None
            assert answer.status != 200
        assert reader.until(Kind.GOAWAY) is not None
    assert stop_by(gateway) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT),
        (signal.SIGINT, None),
    ],
)
def test_nobody_has_to_wait_for_the_delay(
    start: Start, first: signal.Signals, second: signal.Signals | None
) -> None:
    """A second signal ends it, and with Ctrl-C there is none."""
    gateway = start("workers = 2\nstop_delay_s = 600")
    gateway.process.process.send_signal(first)
    if second is not None:
        wait_until(lambda: unready(gateway), "unready", timeout_s=SOON_S)
        assert not refused(gateway)
        gateway.process.process.send_signal(second)
    assert stop_by(gateway) == 0


def test_after_the_delay_the_deadline_holds(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start("stop_delay_s = 1\ndrain_timeout_s = 1")
    script = scripted.script(*partial_event_stream(BEGIN), Hold())
    with gateway.ask(streamed("scripted", script=script)) as stream:
        received = stream.recv(65_536)
        since = time.monotonic()
        gateway.process.terminate()
        while data := stream.recv(65_536):
            received += data
        assert time.monotonic() - since > 1.5
    assert b'"code":"overloaded"' in received
    assert stop_by(gateway) == 0
    assert [row["error_kind"] for row in gateway.ledger_rows()] == ["draining"]


@pytest.mark.parametrize("to_group", [False, True])
def test_a_stop_while_the_workers_start(tmp_path: Path, *, to_group: bool) -> None:
    """No signal is lost, whether the workers get it from their parent or with it."""
    (tmp_path / "slow_start.py").write_text(SLOW_START, "utf-8")
    text = config_text(
        "http://127.0.0.1:1", "http://127.0.0.1:1/v1", server="workers = 2\ndrain_timeout_s = 60"
    )
    (tmp_path / "llmgw.toml").write_text(text, "utf-8")
    process = Process("slow_start", "serve", "--port", str(free_port()), folder=tmp_path)
    try:
        wait_until(
            lambda: len(list(tmp_path.glob("loading-*"))) == 2, "two workers that load", timeout_s=SOON_S
        )
        if to_group:
            os.killpg(process.process.pid, signal.SIGTERM)
        assert process.stop() == 0, process.output  # in far less than the drain timeout
    finally:
        process.kill()
