"""`llmgw serve` and `llmgw demo` as whole programs: from the start to the last process gone."""

import json
import os
import shlex
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmgw.cli.demo import CLAUDE_CODE, CODEX, MODEL
from llmgw.cli.simulated import MARK, REQUEST_MARK
from tests.support.processes import Process, free_port, wait_until
from tests.support.validated import ValidatedTransport

CONFIG = """
[server]
log_level = "debug"

[upstreams.nobody]
base_url = "http://127.0.0.1:{port}/v1"

[[models]]
id = "qwen3-max"
upstream = "nobody"
"""


def process_tree(pid: int) -> set[int]:
    """A process's descendants that run, zombies apart."""
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "PID (NAME) STATE PARENT …", where the name may hold anything.
            state, parent = stat.read_text("utf-8").rpartition(")")[2].split()[:2]
        except OSError:  # gone since the listing
            continue
        if state != "Z":
            children.setdefault(int(parent), set()).add(int(stat.parent.name))
    tree: set[int] = set()
    level = {pid}
    while level:
        level = {child for parent in level for child in children.get(parent, ())}
        tree |= level
    return tree


def any_runs(pids: set[int]) -> bool:
    """True if one of these processes is there, as anything but a zombie."""
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z":
                return True
        except OSError:
            continue
    return False


def test_serve_stops_when_its_whole_group_is_signalled(tmp_path: Path) -> None:
    # As Ctrl-C does: each worker gets a signal from the terminal and another from its parent.
    config = tmp_path / "llmgw.toml"
    config.write_text(CONFIG.format(port=free_port()), "utf-8")
    for number in (signal.SIGINT, signal.SIGTERM):
        serve = Process("llmgw", "serve", "--port", "0", "--workers", "2", folder=tmp_path)
        try:
            wait_until(lambda: serve.output.count("Started worker-") == 2, "both", timeout_s=20)  # noqa: B023
            os.killpg(serve.process.pid, number)
            assert serve.process.wait(30) == 0
        finally:
            serve.kill()
        assert serve.output.count("the ledger is written") == 2


def printed_admin_key(output: str) -> str:
    """The admin key of the demo's welcome."""
    return output.partition("  admin key  ")[2].partition("\n")[0]


def check_console(url: str, output: str) -> None:
    """The welcome leads to the console, whose key opens two weeks of marked traffic."""
    assert f"  console    {url}/console/\n" in output
    assert "WARNING" not in output  # such as an alert of a simulated budget
    headers = {"authorization": f"Bearer {printed_admin_key(output)}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        keys = client.get("/admin/v1/keys?limit=100").json()["data"]
        names = {key["id"]: key["name"] for key in keys}
        own = {"demo", "demo-admin"}
        assert {name for name in names.values() if not name.startswith(MARK)} == own
        assert {key["project"] for key in keys if key["name"] in own} == {"default"}
        requests = client.get("/admin/v1/requests?limit=100").json()["data"]
        for request in requests:
            is_simulated = names[request["key_id"]].startswith(MARK)
            assert request["request_id"].startswith(REQUEST_MARK) == is_simulated
        assert len(requests) == 100
        opened = client.post(f"/admin/v1/keys/{next(iter(names))}/capture", json={})
        assert opened.status_code < 300  # the demo's config allows it


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc for processes left behind")
def test_the_team_of_the_demo_goes_on_asking(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("demo", "--port", str(port), "--traffic")
    demo = Process("llmgw", *arguments, folder=tmp_path, env={"TMPDIR": str(tmp_path)})
    try:
        wait_until(lambda: "Ctrl-C stops both" in demo.output, "the welcome", timeout_s=30)
        headers = {"authorization": f"Bearer {printed_admin_key(demo.output)}"}
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:

            def lately() -> list[dict[str, Any]]:
                rows: list[dict[str, Any]] = client.get("/admin/v1/requests?limit=20").json()["data"]
                return [row for row in rows if not row["request_id"].startswith(REQUEST_MARK)]

            wait_until(lambda: len(lately()) >= 3, "live requests", timeout_s=30)
            answered = [row for row in lately() if row["status"] == 200]
            names = {key["id"]: key["name"] for key in client.get("/admin/v1/keys?limit=100").json()["data"]}
        assert answered
        assert all(names[row["key_id"]].startswith(MARK) for row in answered)
        processes = process_tree(demo.process.pid)
        assert len(processes) == 4  # and the client
        os.kill(demo.process.pid, signal.SIGINT)
        assert demo.process.wait(20) == 0
        wait_until(lambda: not any_runs(processes), "no process left behind", timeout_s=20)
    finally:
        demo.kill()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc for processes left behind")
def test_the_demo_from_start_to_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    demo = Process("llmgw", "demo", "--port", str(port), folder=tmp_path, env={"TMPDIR": str(tmp_path)})
    try:
        demo.wait_ready(f"http://127.0.0.1:{port}/readyz")
        wait_until(lambda: "Ctrl-C stops both" in demo.output, "the welcome", timeout_s=20)
        curl = demo.output[demo.output.index("curl -N") :].partition("\n\n")[0]
        _, _, url, *arguments = shlex.split(curl.replace("\\\n", " "))
        assert url == f"http://127.0.0.1:{port}/v1/chat/completions"
        headers = dict(pair.split(": ", 1) for pair in (arguments[1], arguments[3]))
        request = json.loads(arguments[5])
        assert request["messages"][0]["content"] == "解释什么是 RESTful API"
        with httpx.Client(transport=ValidatedTransport(), trust_env=False, timeout=30) as client:
            answer = client.post(url, headers=headers, content=arguments[5].encode())
        assert answer.status_code == 200
        text = answer.text
        assert text.index('"reasoning_content":') < text.index('"content":"') < text.index('"choices":[]')
        assert text.endswith("data: [DONE]\n\n")
        for agent in (CLAUDE_CODE, CODEX):
            assert agent.format(url=f"http://127.0.0.1:{port}", model=MODEL) in demo.output

        check_console(f"http://127.0.0.1:{port}", demo.output)

        processes = process_tree(demo.process.pid)
        assert len(processes) == 3  # the gateway's worker, the simulator and its worker
        os.kill(demo.process.pid, signal.SIGINT)
        assert demo.process.wait(20) == 0
        wait_until(lambda: not any_runs(processes), "no process left behind", timeout_s=20)
        assert list(tmp_path.glob("llmgw-demo-*")) == []
    finally:
        demo.kill()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc for processes left behind")
def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    demo = Process("llmgw", "demo", "--port", str(port), folder=tmp_path, env={"TMPDIR": str(tmp_path)})
    try:
        demo.wait_ready(f"http://127.0.0.1:{port}/readyz")
        processes = process_tree(demo.process.pid)
        assert len(processes) == 3
        demo.process.kill()
        demo.process.wait()
        wait_until(lambda: not any_runs(processes), "no process left behind", timeout_s=20)
    finally:
        demo.kill()
