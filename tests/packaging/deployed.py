"""A gateway that is started the way that deploy/ starts it, asked, and stopped while it streams."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx

from tests.support.processes import Process, wait_until

MODEL: Final = "qwen3.6-plus"
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 20.0
CONFIG: Final = """\
[server]
port = {port}
workers = 2

[store]
url = "sqlite:///{state}/llmgw.db"

[upstreams.simulated]
base_url = "{simulator}/qwen/v1"
api_key = "sim-qwen"

[[models]]
id = "{model}"
upstream = "simulated"
"""


def config_text(*, port: int, state: Path, simulator: str) -> str:
    """A config with one simulated upstream; the database is in the folder `state`."""
    return CONFIG.format(port=port, state=state, simulator=simulator, model=MODEL)


def wait_ready(process: Process, url: str) -> None:
    process.wait_ready(f"{url}/readyz")


def only_child(pid: int) -> int:
    """The process that this one has started (Linux)."""
    found: list[int] = []

    def appeared() -> bool:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        found[:] = [int(child) for children in tasks for child in children.read_text("ascii").split()]
        return len(found) == 1

    wait_until(appeared, f"one child of {pid}", timeout_s=START_TIMEOUT_S)
    return found[0]


def drains(url: str, key: str, stop: Callable[[], None]) -> list[str]:
    """The frames of a stream during which `stop` was called, after the first one had come."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Count to ten."}],
        "stream": True,
        "simulate": {"delay_ms": 20},
    }
    headers = {"authorization": f"Bearer {key}"}
    with (
        httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=START_TIMEOUT_S) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        assert answer.status_code == httpx.codes.OK, answer.read()
        frames = _frames(answer.iter_text())
        begun = [next(frames)]
        stop()
        return [*begun, *frames]


def _frames(pieces: Iterator[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n\n")
        yield from whole
    assert not rest


def assert_whole(frames: list[str]) -> None:
    """The stream ended as it would have without a stop."""
    assert frames[-1] == "data: [DONE]"
    finished = [json.loads(frame[6:]) for frame in frames[:-1] if frame.startswith("data: ")]
    assert any(choice["finish_reason"] for chunk in finished for choice in chunk["choices"])


def terminate(pid: int) -> Callable[[], None]:
    """What sends SIGTERM to this one process."""
    return lambda: os.kill(pid, signal.SIGTERM)
