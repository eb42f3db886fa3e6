"""More than the gateway takes on: it says so at once, serves whom it has, and is as before afterwards."""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.support.chat import body, streamed
from tests.support.gateway import Gateway, config_text
from tests.support.processes import wait_until
from tests.support.scripted import (
    EVENT_STREAM_HEAD,
    Hold,
    ScriptedUpstream,
    Wait,
    event_stream,
    json_answer,
)
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

SOON_S = 10.0
TIMEOUT_S = 60.0
AT_ONCE_S = 5.0
"""Measured by `benches/overload.py`, to the millisecond; here only that nothing is waited for."""
LINUX = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")

Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Start]:
    """Starts a gateway of the test's own, with these lines in `[server]` and in its scripted upstream."""
    with ExitStack() as stack:

        def start(
            *, server: str = "", upstream: str = "", more: str = "", files: int | None = None
        ) -> Gateway:
            text = config_text(simulator.url, scripted.base_url, server=server)
            text = text.replace("[upstreams.scripted]", f"[upstreams.scripted]\n{upstream}")
            return stack.enter_context(Gateway(tmp_path, text + more, files=files))

        yield start


def chunk(content: str) -> bytes:
    """A chunk of a stream, in HTTP's chunked framing."""
    delta = [{"index": 0, "delta": {"content": content}, "finish_reason": None}]
    value = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": delta}
    event = f"data: {json.dumps(value)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


def hold(gateway: Gateway, scripted: ScriptedUpstream, number: int) -> list[socket.socket]:
    """So many streams whose upstream says nothing; they are under way when this returns."""
    script = scripted.script(Hold())
    held = [gateway.ask(streamed("scripted", script=script)) for _ in range(number)]
    wait_until(lambda: scripted.number(script) == number, "requests at the upstream", timeout_s=SOON_S)
    return held


def shed(gateway: Gateway, reason: str) -> float:
    return gateway.metric(f'llmgw_shed_total{{reason="{reason}"}}')


def test_too_many_requests(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start(server="max_in_flight_requests = 3")
    held = hold(gateway, scripted, 3)
    for request in (body("glm-5"), streamed("glm-5"), body("glm-5", x=1_000_000 * "x")):
        begun = time.monotonic()
        answer = gateway.post(request)
        assert time.monotonic() - begun < AT_ONCE_S
        assert (answer.status, answer.error["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] in {"1", "2", "3"}
        row = gateway.ledger(answer.headers["x-request-id"])
        assert (row["status"], row["error_kind"], row["model"]) == (503, "overloaded", None)
    assert shed(gateway, "requests") == 3
    # Only completions are limited: who looks after the gateway gets in, and its other answers cost nothing.
    for path in ("/healthz", "/readyz", "/metrics", "/v1/models"):
        begun = time.monotonic()
        assert gateway.get(path).status == 200, path
        assert time.monotonic() - begun < AT_ONCE_S
    # A stranger is told so, and takes nobody's place.
    assert gateway.post(body("glm-5"), key="sk-gtw-wrong").status == 401

    held.pop().close()
    wait_until(lambda: gateway.post(body("glm-5")).status == 200, "room again", timeout_s=SOON_S)
    for connection in held:
        connection.close()
    assert gateway.get("/healthz").status == 200


def test_strangers_fill_nothing(start: Start) -> None:
    gateway = start(server="max_in_flight_requests = 1")
    head = gateway.chat_head(1000, key="sk-gtw-wrong")
    strangers = [gateway.connect(head) for _ in range(5)]
    assert gateway.post(body("glm-5")).status == 200
    for connection in strangers:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401")
        connection.close()


@pytest.mark.parametrize("announced", [True, False])
def test_too_many_bytes(start: Start, announced: bool) -> None:  # noqa: FBT001
    gateway = start(server="max_body_bytes = 10_000\nmax_in_flight_bytes = 15_000")
    part = b"x" * 9000
    if announced:  # what is announced counts before it is there
        slow = gateway.connect(gateway.chat_head(9000), b"x")
    else:
        slow = gateway.connect(gateway.chat_head(None), b"%x\r\n%b\r\n" % (len(part), part))
    wait_until(
        lambda: gateway.metric("llmgw_in_flight_bytes") == 9000, "the bytes are counted", timeout_s=SOON_S
    )
    answer = gateway.post(body("glm-5", x="x" * 8000))
    assert (answer.status, answer.error["code"]) == (503, "overloaded")
    assert "bytes" in answer.error["message"]
    assert answer.headers["retry-after"]
    with gateway.connect(gateway.chat_head(None), b"%x\r\n%b\r\n" % (8000, b"x" * 8000)) as chunked:
        assert chunked.recv(65_536).startswith(b"HTTP/1.1 503")
    assert shed(gateway, "bytes") == 2
    assert gateway.post(body("glm-5")).status == 200  # a small one still fits
    slow.close()
    wait_until(
        lambda: gateway.metric("llmgw_in_flight_bytes") == 0, "the bytes are given back", timeout_s=SOON_S
    )
    assert gateway.post(body("glm-5", x="x" * 8000)).status == 200


def test_bodies_that_are_announced_lock_out_nobody(start: Start) -> None:
    """Neither by their bytes, nor by the places of requests that wait for them."""
    gateway = start(server="max_in_flight_requests = 8\nmax_in_flight_bytes = 40_000_000")
    other = gateway.new_key()
    with ExitStack() as stack:
        waiting = [
            stack.enter_context(closing(gateway.connect(gateway.chat_head(33_000_000)))) for _ in range(8)
        ]
        wait_until(lambda: shed(gateway, "requests") >= 4, "half of them are refused", timeout_s=SOON_S)
        for _ in range(5):
            assert gateway.post(body("glm-5", x="x" * 100_000), key=other).status == 200
        refused, _, _ = select.select(waiting, [], [], 0)
        assert len(refused) == 4
        for connection in refused:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 503")


LOSES = """
[[models]]
id = "loses-turns"
upstream = "unreachable"
restore_reasoning = true
"""
LARGE_BYTES = 8_000_000


def test_large_bodies_hold_up_nobody(start: Start) -> None:
    """Their scan and the digest of their turns take a thread, not the loop; here nearly all of the time.

    Where the loop were held up, it would be each time; a machine that stands still does so now and then.
    """
    gateway = start(more=LOSES)
    assert any(slowest_share(gateway) < 1 / 8 for _ in range(3))


def slowest_share(gateway: Gateway) -> float:
    """How long the slowest of the other answers took, as a share of the time that the large bodies took."""
    arguments = "[" + ",".join(['""'] * (LARGE_BYTES // 5)) + "]"
    call = {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": arguments}}
    large = body("loses-turns", messages=[{"role": "assistant", "content": None, "tool_calls": [call]}])
    with ExitStack() as stack:
        begun = time.monotonic()
        asked = [stack.enter_context(closing(gateway.ask(large))) for _ in range(4)]
        slowest = 0.0
        while len(select.select(asked, [], [], 0)[0]) < len(asked):
            sent = time.monotonic()
            assert gateway.client.get("/healthz").status_code == 200
            slowest = max(slowest, time.monotonic() - sent)
            assert time.monotonic() - begun < TIMEOUT_S
        took = time.monotonic() - begun
        for connection in asked:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 502")
    return slowest / took


def test_too_many_at_one_upstream(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start(upstream="max_in_flight = 2")
    held = hold(gateway, scripted, 2)
    answer = gateway.post(body("scripted", script=scripted.script(json_answer({}))))
    assert (answer.status, answer.error["code"]) == (503, "overloaded")
    assert "upstream" in answer.error["message"]
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["error_kind"], row["model"], row["upstream"]) == ("overloaded", "scripted", None)  # not asked
    assert shed(gateway, "upstream") == 1
    assert gateway.post(body("glm-5")).status == 200  # others are not concerned
    for connection in held:
        connection.close()
    done = scripted.script(*event_stream(b"data: [DONE]\n\n"))
    wait_until(
        lambda: gateway.post(body("scripted", script=done)).status != 503, "room again", timeout_s=SOON_S
    )


def test_another_target_where_one_has_no_room(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start(
        upstream="max_in_flight = 1",
        more="""
[[models]]
id = "pair"
targets = [
  { upstream = "scripted", priority = 1 },
  { upstream = "glm", upstream_model = "glm-5", priority = 2 },
]
""",
    )
    [held] = hold(gateway, scripted, 1)
    answer = gateway.post(body("pair"))
    assert answer.status == 200
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["upstream"], row["attempts"]) == ("glm", 1)
    held.close()


def test_a_stream_keeps_its_pace_while_others_are_turned_away(
    start: Start, scripted: ScriptedUpstream
) -> None:
    gateway = start(server="max_in_flight_requests = 1")
    more = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, chunk("one"), Wait(more), chunk("two"), Hold())
    with gateway.ask(streamed("scripted", script=script)) as admitted:
        received = b""
        while b'"one"' not in received:
            received += admitted.recv(65_536)
        statuses = [gateway.post(body("glm-5")).status for _ in range(50)]
        assert statuses == [503] * 50
        more.set()
        while b'"two"' not in received:
            received += admitted.recv(65_536)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_dribbles(start: Start, announced: bool) -> None:  # noqa: FBT001
    gateway = start(server="body_timeout_s = 1")
    begun = time.monotonic()
    with gateway.connect(gateway.chat_head(1000 if announced else None)) as connection:
        connection.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() - begun < SOON_S:
            connection.sendall(b"x" if announced else b"1\r\nx\r\n")
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"request_timeout"' in answer
    assert time.monotonic() - begun > 0.9
    wait_until(lambda: len(gateway.ledger_rows()) == 1, "the ledger's row", timeout_s=SOON_S)
    assert gateway.ledger_rows()[0]["error_kind"] == "request_timeout"


def test_a_body_is_held_until_its_answer_begins(start: Start, scripted: ScriptedUpstream) -> None:
    """Nothing is sent again from there on, and a stream may last for minutes."""
    gateway = start(server="max_body_bytes = 10_000\nmax_in_flight_bytes = 15_000")
    begun = (EVENT_STREAM_HEAD, chunk("one"), Hold())
    with gateway.ask(streamed("scripted", script=scripted.script(*begun), padding="x" * 9000)) as stream:
        assert stream.recv(65_536)  # the head, which comes with the first event
        wait_until(
            lambda: gateway.metric("llmgw_in_flight_bytes") == 0, "the bytes are given back", timeout_s=SOON_S
        )
        assert gateway.post(body("glm-5", x="x" * 9000)).status == 200


def memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    [size] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(size) * 1024


@LINUX
def test_a_client_that_reads_nothing(start: Start, scripted: ScriptedUpstream) -> None:
    """The upstream is not read on, so nothing piles up; and after a while the client is cut off."""
    gateway = start(server="client_write_timeout_s = 2")
    [worker] = gateway.workers()
    gateway.post(body("scripted", script=scripted.script(json_answer({}))))
    events = [chunk("x" * 60_000)] * 2000
    script = scripted.script(EVENT_STREAM_HEAD, *events, Hold())
    before = memory_bytes(worker)
    with gateway.ask(streamed("scripted", script=script), receive_buffer=65_536) as connection:
        wait_until(lambda: scripted.number(script) == 1, "the request at the upstream", timeout_s=SOON_S)
        request = scripted.received(script)
        most = 0

        def ended() -> bool:
            nonlocal most
            most = max(most, memory_bytes(worker))
            return request.closed.is_set()

        took_s = wait_until(ended, "the upstream's connection closed", timeout_s=30)
        assert took_s > 1.5
        assert most - before < 30_000_000  # of 120 MB
        wait_until(lambda: len(gateway.ledger_rows()) == 2, "the ledger's row", timeout_s=SOON_S)
        row = gateway.ledger_rows()[-1]
        assert (row["status"], row["error_kind"], row["upstream"]) == (200, "client_stalled", "scripted")
        # What had been sent is there to be read, then the connection ends without the last chunk.
        received = bytearray()
        while data := connection.recv(1_000_000):
            received += data
        assert not received.endswith(b"0\r\n\r\n")
    assert gateway.post(body("glm-5")).status == 200
    assert "Traceback" not in gateway.process.output


def test_a_client_that_does_not_take_its_whole_answer(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start(server="client_write_timeout_s = 1")
    message = {"role": "assistant", "content": "x" * 30_000_000}
    completion = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    script = scripted.script(json_answer(completion))
    with gateway.ask(body("scripted", script=script), receive_buffer=65_536):
        wait_until(lambda: len(gateway.ledger_rows()) == 1, "the ledger's row", timeout_s=30)
    [row] = gateway.ledger_rows()
    assert (row["status"], row["error_kind"]) == (200, "client_stalled")
    whole = gateway.post(body("scripted", script=script))
    assert whole.json()["choices"][0]["message"] == message


def test_a_slow_but_steady_client_is_not_cut_off(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start(server="client_write_timeout_s = 1")
    script = scripted.script(EVENT_STREAM_HEAD, *[chunk("x" * 60_000)] * 400, Hold())
    with gateway.ask(streamed("scripted", script=script), receive_buffer=65_536) as connection:
        received, begun = 0, time.monotonic()
        while time.monotonic() - begun < 4:
            received += len(connection.recv(500_000))
            time.sleep(0.05)
        assert not scripted.received(script).closed.is_set()
    wait_until(scripted.received(script).closed.is_set, "the upstream's connection closed", timeout_s=SOON_S)
    wait_until(lambda: len(gateway.ledger_rows()) == 1, "the ledger's row", timeout_s=SOON_S)
    assert gateway.ledger_rows()[0]["error_kind"] == "client_gone"


GET = "GET /healthz HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("name", "head", "status"),
    [
        ("101 headers", f"{GET}host: x\r\n" + "".join(f"x-{n}: 1\r\n" for n in range(101)), 431),
        ("64 headers", f"{GET}host: x\r\n" + "".join(f"x-{n}: 1\r\n" for n in range(64)), 200),
        ("a long header", f"{GET}host: x\r\nx-long: {'a' * 16_384}\r\n", 200),
        ("a header that is too long", f"{GET}host: x\r\nx-long: {'a' * 200_000}\r\n", 431),
        ("a path that is too long", f"GET /{'a' * 70_000} HTTP/1.1\r\nhost: x\r\n", 414),
        ("no colon", f"{GET}host: x\r\nx-odd\r\n", 400),
        ("a space in a name", f"{GET}host: x\r\nx odd: 1\r\n", 400),
        ("a NUL", f"{GET}host: x\r\nx-odd: a\0b\r\n", 400),
        ("a folded header", f"{GET}host: x\r\nx-odd: a\r\n b\r\n", 400),
        ("two hosts", f"{GET}host: x\r\nhost: y\r\n", 400),
        ("an odd host", f'{GET}host: a b"<>/@:99999\r\n', 400),
        ("a host with a path", f"{GET}host: x/healthz\r\n", 400),
        ("a host with a port", f"{GET}host: x.example:8000\r\n", 200),
        ("an IPv6 host", f"{GET}host: [::1]:8000\r\n", 200),
        ("an empty host", f"{GET}host:\r\n", 400),
        ("no host", GET, 400),
        ("no host in HTTP/1.0", "GET /healthz HTTP/1.0\r\n", 200),
        (
            "two lengths",
            "POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
            400,
        ),
        ("a negative length", "POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n", 400),
        ("an endless length", f"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: {'9' * 5000}\r\n", 400),
        ("another protocol", "GET /healthz HTTP/3.7\r\nhost: x\r\n", 400),
    ],
)
def test_heads(gateway: Gateway, name: str, head: str, status: int) -> None:
    with gateway.connect(f"{head}\r\n") as connection:
        first = connection.recv(65_536).split(b"\r\n")[0]
    assert int(first.split()[1]) == status, name
    assert gateway.get("/healthz").status == 200


def cpu_ticks(pid: int) -> int:
    """User and system time of a process, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@LINUX
def test_few_file_descriptors(start: Start, scripted: ScriptedUpstream) -> None:
    """Of 124, 60 are given out: to 20 requests, and 40 connections, some of which hear of too many."""
    gateway = start(files=124)
    [worker] = gateway.workers()
    gateway.client.close()  # its connections count too
    held = hold(gateway, scripted, 20)
    content = json.dumps(body("glm-5")).encode()
    with gateway.connect(gateway.chat_head(len(content)), content) as late:
        assert late.recv(65_536).startswith(b"HTTP/1.1 503")
    for connection in held:
        connection.close()

    idle = [gateway.connect() for _ in range(100)]
    wait_until(lambda: len(list(Path(f"/proc/{worker}/fd").iterdir())) > 60, "connections", timeout_s=SOON_S)
    unused = iter(idle)

    def served() -> bool:
        # One that was idle for long may be closed, since places are scarce.
        with next(unused) as connection, suppress(ConnectionError):
            connection.sendall(gateway.chat_head(len(content)).encode() + content)
            return connection.recv(65_536).startswith(b"HTTP/1.1 200")
        return False

    # It takes a moment until those that have left are known to have.
    wait_until(served, "a request is served", timeout_s=SOON_S)
    before = cpu_ticks(worker)
    time.sleep(1)  # an interval to be measured, nothing that is waited for
    assert cpu_ticks(worker) - before < 30
    for connection in idle:
        connection.close()
    with gateway.connect(gateway.chat_head(len(content)), content) as after:
        assert after.recv(65_536).startswith(b"HTTP/1.1 200")
    assert "Traceback" not in gateway.process.output
