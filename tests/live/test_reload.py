"""Another config for a gateway that runs: taken over whole or not at all, and no request notices."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.chat import body, streamed
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.processes import ROOT, wait_until
from tests.support.scripted import ScriptedUpstream, Wait, json_answer, partial_event_stream
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

SOON_S = 20.0
NEW_MODEL = '\n[[models]]\nid = "new"\nupstream = "qwen"\nupstream_model = "qwen3-max"\n'
FIRST = (
    b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%b}]}'
)
BEGIN = b"data: " + FIRST % b'{"role":"assistant","content":"a"},"finish_reason":null' + b"\n\n"
END = b"data: " + FIRST % b'{"content":"b"},"finish_reason":"stop"' + b"\n\ndata: [DONE]\n\n"

Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Start]:
    """Starts a gateway of the test's own, with these lines in `[server]`."""
    with ExitStack() as stack:

        def start(server: str = "") -> Gateway:
            text = config_text(simulator.url, scripted.base_url, server=server)
            return stack.enter_context(Gateway(tmp_path, text))

        yield start


def reload(gateway: Gateway, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`llmgw reload`, from somewhere else and without the gateway's environment."""
    command = [sys.executable, "-m", "llmgw", "reload", "--config", str(config or gateway.config)]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "python")}
    return subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, timeout=60, check=False)


def edit(gateway: Gateway, old: str = "", new: str = "", *, add: str = "") -> None:
    text = gateway.config.read_text("utf-8")
    assert old in text
    gateway.config.write_text((text.replace(old, new, 1) if old else text) + add, "utf-8")


def ask_each(gateway: Gateway, request: dict[str, object], number: int = 12) -> set[int]:
    """Statuses of so many requests, each on a connection of its own: with two workers, both are asked."""
    url = f"{gateway.url}/v1/chat/completions"
    return {
        httpx.post(url, headers=gateway.headers(), json=request, timeout=SOON_S, trust_env=False).status_code
        for _ in range(number)
    }


def test_every_worker_takes_it_over(start: Start) -> None:
    gateway = start("workers = 2")
    edit(gateway, add=NEW_MODEL)
    assert ask_each(gateway, body("new")) == {404}
    outcome = reload(gateway)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout == (
        f"{gateway.config} is in force in 2 workers (process {gateway.process.process.pid}, generation 2)\n"
    )
    assert ask_each(gateway, body("new")) == {200}
    assert "new" in {model["id"] for model in gateway.get("/v1/models").json()["data"]}
    assert gateway.get("/v1/model-catalog/new").status == 200
    wait_until(
        lambda: gateway.metric('llmgw_requests_total{api="chat",model="new",status="200"}') == 12,
        "the new model in the metrics",
        timeout_s=SOON_S,
    )
    # And back: a model that is gone is not found.
    edit(gateway, NEW_MODEL)
    assert reload(gateway).returncode == 0
    assert ask_each(gateway, body("new")) == {404}


def test_a_stream_under_way_ends_as_it_began(start: Start, scripted: ScriptedUpstream) -> None:
    """Its model, its upstream and their keys are gone from the config in the middle of it."""
    gateway = start()
    more = threading.Event()
    rest = b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END)
    script = scripted.script(*partial_event_stream(BEGIN), Wait(more), rest)
    with gateway.stream(streamed("scripted", script=script)) as response:
        pieces = response.iter_raw()
        received = next(pieces)
        text = gateway.config.read_text("utf-8")
        tables = text.split("\n\n")
        kept = [
            table for table in tables if '"scripted"' not in table and "[upstreams.scripted]" not in table
        ]
        gateway.config.write_text("\n\n".join(kept), "utf-8")
        assert reload(gateway).returncode == 0
        assert gateway.post(body("scripted")).status == 404
        more.set()
        received += b"".join(pieces)
    assert check_stream(received, include_usage=False).only.content == "ab"
    row = gateway.ledger(response.headers["x-request-id"])
    assert (row["model"], row["upstream"], row["finish_reason"]) == ("scripted", "scripted", "stop")


def test_no_request_is_lost(start: Start) -> None:
    """Reload upon reload, under load: every answer is a whole success."""
    gateway = start("workers = 2")
    stop = threading.Event()

    def ask() -> list[tuple[int, bool]]:
        seen = []
        with httpx.Client(base_url=gateway.url, trust_env=False, timeout=SOON_S) as client:
            while not stop.is_set():
                answer = client.post(
                    "/v1/chat/completions", headers=gateway.headers(), json=streamed("glm-5")
                )
                seen.append((answer.status_code, answer.content.endswith(b"data: [DONE]\n\n")))
        return seen

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        try:
            for number in range(4):
                edit(gateway, add=f'\n[upstreams.more{number}]\nbase_url = "http://127.0.0.1:1/v1"\n')
                edit(gateway, "[upstreams.glm]", f"[upstreams.glm]\ntotal_timeout_s = {100 + number}")
                assert reload(gateway).returncode == 0
                edit(gateway, f"total_timeout_s = {100 + number}\n")
        finally:
            stop.set()
        answers = [answer for client in clients for answer in client.result()]
    assert len(answers) > 20
    assert set(answers) == {(200, True)}
    wait_until(lambda: len(gateway.ledger_rows()) == len(answers), "all ledger rows", timeout_s=SOON_S)


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        (
            "an unknown key",
            "[server]",
            "[server]\nprot = 1",
            "server.prot: is not a known key; did you mean 'port'?",
        ),
        ("no TOML", "[server]", "[server", "is not TOML: "),
        (
            "a secret that the gateway does not have",
            'api_key = "sim-glm"',
            'api_key = "env:NOT_THERE"',
            "upstreams.glm.api_key: the environment variable 'NOT_THERE' is not set; set it before the start",
        ),
        (
            "what needs a restart",
            "[server]",
            "[server]\nworkers = 3",
            "server.workers: can't change while the gateway runs; restart the gateway, or undo this change",
        ),
    ],
)
def test_a_bad_config_changes_nothing(start: Start, name: str, old: str, new: str, fault: str) -> None:
    gateway = start("workers = 1")
    edit(gateway, "workers = 1\n") if "restart" in name else None
    if "restart" not in name:
        edit(gateway, add=NEW_MODEL)
    edit(gateway, old, new)
    outcome = reload(gateway)
    assert outcome.returncode == 1, name
    assert f"{gateway.config}: 1 fault" in outcome.stderr
    assert fault in outcome.stderr
    assert "keeps its config" in outcome.stderr
    assert outcome.stdout == ""
    assert ask_each(gateway, body("new"), 2) == {404}
    assert ask_each(gateway, body("glm-5"), 2) == {200}


def test_sighup_does_the_same_and_says_it_in_the_log(start: Start) -> None:
    gateway = start()
    text = gateway.config.read_text("utf-8")
    edit(gateway, add=NEW_MODEL)
    gateway.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.post(body("new")).status == 200, "the new model", timeout_s=SOON_S)
    assert "the config is now generation 2" in gateway.process.output
    edit(gateway, add="nonsense")
    os.killpg(gateway.process.process.pid, signal.SIGHUP)  # as a terminal that goes away
    wait_until(lambda: "reload refused" in gateway.process.output, "the refusal", timeout_s=SOON_S)
    assert f"{gateway.config}: 1 fault" in gateway.process.output
    assert gateway.post(body("new")).status == 200
    gateway.config.write_text(text, "utf-8")
    gateway.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.post(body("new")).status == 404, "the old config again", timeout_s=SOON_S)
    assert gateway.process.stop() == 0


def test_another_file_becomes_the_config(start: Start, tmp_path: Path) -> None:
    gateway = start()
    other = tmp_path / "other.toml"
    other.write_text(gateway.config.read_text("utf-8") + NEW_MODEL, "utf-8")
    assert reload(gateway, other).returncode == 0
    assert gateway.post(body("new")).status == 200
    # From now on it is the one that SIGHUP means.
    other.write_text(gateway.config.read_text("utf-8"), "utf-8")
    gateway.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.post(body("new")).status == 404, "the file, read again", timeout_s=SOON_S)


def test_limits_and_rotated_secrets_are_taken_over(
    start: Start, scripted: ScriptedUpstream, tmp_path: Path
) -> None:
    gateway = start()
    secret = tmp_path / "secret"
    secret.write_text("first-key", "utf-8")
    edit(gateway, 'api_key = "scripted-key"', 'api_key = "file:secret"')
    assert reload(gateway).returncode == 0
    script = scripted.script(json_answer({}))
    for key in ("first-key", "second-key"):
        gateway.post(body("scripted", script=script))
        assert f"authorization: bearer {key}" in scripted.requests[-1].head.decode().lower()
        secret.write_text("second-key", "utf-8")
        assert reload(gateway).returncode == 0  # the same file, another secret
    edit(gateway, "[server]", "[server]\nmax_body_bytes = 1000")
    assert reload(gateway).returncode == 0
    assert gateway.post(body("glm-5", x="x" * 1000)).status == 413


def test_nobody_is_there_to_reload(tmp_path: Path) -> None:
    config = tmp_path / "llmgw.toml"
    config.write_text(config_text("http://127.0.0.1:1", "http://127.0.0.1:1/v1"), "utf-8")
    command = [sys.executable, "-m", "llmgw", "reload", "--config", str(config)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    outcome = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 1
    assert "no gateway runs here with the database" in outcome.stderr
    assert str(tmp_path / "gateway.db") in outcome.stderr
