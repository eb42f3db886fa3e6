"""The simulator as a program of its own, as `llmgw simulate` and `llmgw demo` run it."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.processes import NOISE, Process, free_port, wait_until
from tests.support.simulator import SimulatorProcess

HEADERS = {"authorization": "Bearer sim-qwen"}


def chat(simulator: SimulatorProcess, **more: object) -> httpx.Response:
    body = {"model": "qwen3-max", "messages": [{"role": "user", "content": "Hi"}], "stream": True, **more}
    url = f"{simulator.url}/qwen/v1/chat/completions"
    return httpx.post(url, json=body, headers=HEADERS, trust_env=False)


def test_it_says_when_it_is_ready_and_stops_at_once(tmp_path: Path) -> None:
    port = free_port()
    program = Process("llmgw.simulator", "--port", str(port), folder=tmp_path)
    try:
        wait_until(lambda: "\n" in program.output, "the ready line", timeout_s=20)
        assert program.output.startswith(f"llmgw simulator: http://127.0.0.1:{port} (")
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        begun = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - begun < 1.5 * NOISE
    finally:
        program.kill()


def test_its_pace_is_the_one_asked_for(simulator: SimulatorProcess) -> None:
    begun = time.monotonic()
    text = chat(simulator, seed=1, simulate={"chunk_chars": 50, "delay_ms": 40}).text
    chunks = text.count('"chat.completion.chunk"')
    assert chunks >= 4
    assert time.monotonic() - begun >= chunks * 0.04


def test_a_broken_connection_is_a_broken_connection(simulator: SimulatorProcess) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        chat(simulator, simulate={"fail_after_chunks": 2})


def test_a_wrong_option_is_explained(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llmgw.simulator", "--delay-ms", "slow"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=30)
    assert done.returncode == 2
    assert "--delay-ms" in done.stderr
