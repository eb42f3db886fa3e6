"""The parent process: workers that keep dying, secrets that are gone, and the parent's own death."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from llmgw.serving.restarts import MAX_PAUSE_S
from tests.support.chat import body, streamed
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.processes import Process, free_port, wait_until
from tests.support.scripted import ScriptedUpstream, Wait, json_answer, partial_event_stream
from tests.support.simulator import SimulatorProcess

SOON_S = 20.0
DEATHS = 5
CHUNK = (
    b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%b}]}'
)
BEGIN = b"data: " + CHUNK % b'{"role":"assistant","content":"a"},"finish_reason":null' + b"\n\n"
END = b"data: " + CHUNK % b'{"content":"b"},"finish_reason":"stop"' + b"\n\ndata: [DONE]\n\n"

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Start]:
    """Starts a gateway of the test's own, with these lines in `[server]`; its key at `scripted` is a file."""
    with ExitStack() as stack:

        def start(server: str = "") -> Gateway:
            (tmp_path / "secret").write_text("first-key", "utf-8")
            text = config_text(simulator.url, scripted.base_url, server=server)
            text = text.replace('api_key = "scripted-key"', 'api_key = "file:secret"', 1)
            return stack.enter_context(Gateway(tmp_path, text))

        yield start


def readyz(gateway: Gateway) -> dict[str, object]:
    """What it says; empty while nobody answers."""
    with suppress(httpx.TransportError):
        report: dict[str, object] = httpx.get(f"{gateway.url}/readyz", trust_env=False).json()
        return report
    return {}


PAUSE = "died; it is started again in 2 s"
"""What the log says when so many have died in a row that the next one has to wait."""


def kill_a_worker(gateway: Gateway, *, timeout_s: float = SOON_S) -> None:
    """And wait for its successor."""
    before = gateway.workers()
    os.kill(before[0], signal.SIGKILL)
    wait_until(
        lambda: bool(set(gateway.workers()) - set(before)) and before[0] not in gateway.workers(),
        "a successor",
        timeout_s=timeout_s,
    )


def test_a_worker_that_keeps_dying_does_not_end_the_gateway(start: Start) -> None:
    gateway = start()
    for _ in range(DEATHS):
        kill_a_worker(gateway, timeout_s=SOON_S + MAX_PAUSE_S)
    said = f"a worker keeps dying ({DEATHS} times in a row); the gateway's log may say why"
    wait_until(lambda: said in str(readyz(gateway)), "the warning", timeout_s=SOON_S)
    assert readyz(gateway)["status"] == "degraded"
    assert gateway.post(body("glm-5")).status == 200
    assert "crash loop" not in gateway.process.output
    assert f"worker 1 {PAUSE}" in gateway.process.output
    assert gateway.process.stop() == 0


def test_a_stop_during_a_pause_is_a_stop(start: Start) -> None:
    gateway = start()
    for _ in range(DEATHS - 1):
        kill_a_worker(gateway, timeout_s=SOON_S + MAX_PAUSE_S)
    os.kill(gateway.workers()[0], signal.SIGKILL)
    wait_until(lambda: PAUSE in gateway.process.output, "the pause", timeout_s=SOON_S)
    assert gateway.process.stop() == 0


def make_fifo(secret: Path) -> None:
    secret.unlink()
    os.mkfifo(secret)


def make_folder(secret: Path) -> None:
    secret.unlink()
    secret.mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, "No such file or directory"),
        (make_fifo, "it is a FIFO, not a regular file"),
        (make_folder, "it is a folder, not a regular file"),
        (lambda secret: secret.write_bytes(b""), "the file 'secret' is empty"),
        (lambda secret: secret.write_bytes(b"x" * 100_000), "it is larger than 65536 bytes"),
    ],
)
def test_the_secrets_in_force_go_on(
    start: Start, scripted: ScriptedUpstream, tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    gateway = start()
    spoil(tmp_path / "secret")
    kill_a_worker(gateway)
    said = "secrets can't be read any more, those in force go on: upstreams.scripted.api_key"
    wait_until(lambda: said in str(readyz(gateway)), "the warning", timeout_s=SOON_S)
    assert reason in gateway.process.output

    def key_is(key: str) -> bool:
        gateway.post(body("scripted", script=scripted.script(json_answer({}))))
        return f"authorization: bearer {key}" in scripted.requests[-1].head.decode().lower()

    assert key_is("first-key")
    gateway.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload refused" in gateway.process.output, "the refusal", timeout_s=SOON_S)
    assert key_is("first-key")
    # Whole again: a reload takes the new one over, and nothing is wrong any more.
    if (tmp_path / "secret").is_dir():
        (tmp_path / "secret").rmdir()
    else:
        (tmp_path / "secret").unlink(missing_ok=True)
    (tmp_path / "secret").write_text("second-key", "utf-8")
    gateway.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: key_is("second-key"), "the new key", timeout_s=SOON_S)
    wait_until(lambda: readyz(gateway) == {"status": "ok"}, "no warning", timeout_s=SOON_S)
    assert gateway.process.stop() == 0


def test_a_config_that_became_a_fifo_blocks_nothing(start: Start) -> None:
    gateway = start()
    gateway.config.unlink()
    os.mkfifo(gateway.config)
    gateway.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "it is a FIFO, not a regular file" in gateway.process.output, "no", timeout_s=SOON_S)
    kill_a_worker(gateway)
    wait_until(lambda: readyz(gateway) != {}, "it serves", timeout_s=SOON_S)
    assert gateway.process.stop() == 0


def test_workers_end_with_their_parent_and_their_streams_first(
    start: Start, scripted: ScriptedUpstream, tmp_path: Path
) -> None:
    gateway = start("workers = 2")
    wait_until(lambda: len(gateway.workers()) == 2, "two workers", timeout_s=SOON_S)
    workers = gateway.workers()
    more = threading.Event()
    rest = b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END)
    script = scripted.script(*partial_event_stream(BEGIN), Wait(more), rest)
    with gateway.stream(streamed("scripted", script=script)) as response:
        pieces = response.iter_raw()
        received = next(pieces)
        gateway.process.process.kill()
        gateway.process.process.wait()
        # The next start gets the port while a stream of the last one still runs.
        arguments = ("serve", "--config", str(gateway.config), "--port", str(gateway.port))
        successor = Process("llmgw", *arguments, folder=tmp_path)
        try:
            successor.wait_ready(f"{gateway.url}/readyz")
            more.set()
            received += b"".join(pieces)
            assert check_stream(received, include_usage=False).only.content == "ab"
            wait_until(
                lambda: not any(Path(f"/proc/{pid}/fd/0").exists() for pid in workers),
                "their end",
                timeout_s=SOON_S,
            )
            assert len(gateway.ledger_rows()) == 1
            assert "the parent process is gone" in gateway.process.output
            successor.wait_ready(f"{gateway.url}/readyz")  # the first time its predecessors may have answered
            assert httpx.get(f"{gateway.url}/readyz", trust_env=False).json() == {"status": "ok"}
        finally:
            successor.stop()


def test_an_address_is_taken_before_anybody_listens(start: Start, tmp_path: Path) -> None:
    """And stays ours while the only worker is dead."""
    gateway = start()
    for _ in range(DEATHS - 1):
        kill_a_worker(gateway, timeout_s=SOON_S + MAX_PAUSE_S)
    os.kill(gateway.workers()[0], signal.SIGKILL)
    wait_until(lambda: PAUSE in gateway.process.output, "the pause", timeout_s=SOON_S)
    arguments = ("serve", "--config", str(gateway.config), "--port", str(gateway.port))
    second = Process("llmgw", *arguments, folder=tmp_path)
    assert second.process.wait(SOON_S) == 1
    assert "Address already in use" in second.output
    assert gateway.process.stop() == 0


def test_a_limit_of_files_that_is_too_low_is_said_at_once(start: Start, tmp_path: Path) -> None:
    gateway = start()
    arguments = ("serve", "--config", str(gateway.config), "--port", "0", "--workers", "3")
    refused = Process("llmgw", *arguments, folder=tmp_path, files=100)
    assert refused.process.wait(SOON_S) == 1
    assert refused.output.endswith(
        "llmgw: the limit of open files is 100, and the gateway needs 112 for this many workers (3); "
        "raise it (ulimit -n, LimitNOFILE= of systemd)\n"
    )
    port = str(free_port())
    least = Process(
        "llmgw", "serve", "--config", str(gateway.config), "--port", port, folder=tmp_path, files=96
    )
    try:
        least.wait_ready(f"http://127.0.0.1:{port}/readyz")
    finally:
        assert least.stop() == 0
