"""The commands of docs/team.md, run one after the other as they are written there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.chat import body
from tests.support.pages import blocks
from tests.support.processes import ROOT, Process, free_port, wait_until
from tests.support.simulator import SimulatorProcess

PAGE = "docs/team.md"
MODEL = "qwen3.6-plus"
PROVIDER = "https://dashscope.aliyuncs.com/compatible-mode/v1"
LISTENS = "http://127.0.0.1:8000"
SHELL = 'llmgw() { "$PYTHON" -m llmgw "$@"; }\n'
TIMEOUT_S = 60


def commands(language: str = "bash") -> list[list[str]]:
    """The lines of each block of the page."""
    return [block.text.splitlines() for block in blocks(PAGE) if block.language == language]


class Team:
    """Somebody who follows the page, in an empty folder."""

    def __init__(self, folder: Path, simulator: SimulatorProcess) -> None:
        self.folder = folder
        self.simulator = simulator
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.keys: dict[str, str] = {}
        """By the name that the page gives each."""
        self._env = {
            **os.environ,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT / "python"),
            "DASHSCOPE_API_KEY": "sim-qwen",
            "no_proxy": "*",
        }

    def run(self, line: str, **more: str) -> str:
        """Its stdout. It must do its work."""
        done = subprocess.run(
            ["/bin/sh", "-c", SHELL + line],
            cwd=self.folder,
            env=self._env | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, line: str) -> Any:  # noqa: ANN401 - any JSON value
        """What it prints as JSON."""
        return json.loads(self.run(f"{line} --json"))

    def create_key(self, line: str) -> None:
        """As the page has it; what it prints is the key."""
        secret = self.run(line).strip()
        assert secret.startswith("sk-gtw-")
        self.keys[line.split("--name ")[1].split(maxsplit=1)[0]] = secret

    def price_models(self) -> None:
        """What `llmgw init` has written becomes the page's example, at the simulated provider."""
        file = self.folder / "llmgw.toml"
        assert f'id = "{MODEL}"' in file.read_text("utf-8")
        [example] = (block.text for block in blocks(PAGE) if block.language == "toml")
        assert PROVIDER in example
        example = example.replace(PROVIDER, f"{self.simulator.url}/qwen/v1")
        file.write_text(f"[server]\nport = {self.port}\n\n{example}", "utf-8")

    def serve(self, line: str) -> Process:
        """The gateway, once it is ready."""
        program, *arguments = line.split()
        assert program == "llmgw"
        process = Process(program, *arguments, folder=self.folder, env={"DASHSCOPE_API_KEY": "sim-qwen"})
        process.wait_ready(f"{self.url}/readyz")
        return process

    def ask(self, key: str) -> httpx.Response:
        """A request of one of the keys."""
        headers = {"authorization": f"Bearer {self.keys[key]}"}
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            return client.post(f"{self.url}/v1/chat/completions", json=body(MODEL), headers=headers)

    def budgets(self) -> dict[str, dict[str, Any]]:
        """By whose they are."""
        return {budget["name"]: budget for budget in self.json("llmgw budgets list")}


@pytest.fixture(scope="module")
def team(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess
) -> Iterator[tuple[Team, Process]]:
    """After the five commands."""
    team = Team(tmp_path_factory.mktemp("team"), simulator)
    [init, project, *keys, serve], *_ = commands()
    team.run(init)
    team.price_models()
    team.run(project)
    for line in keys:
        team.create_key(line)
    gateway = team.serve(serve)
    yield team, gateway
    gateway.kill()


def with_words(lines: Sequence[str], *words: str) -> list[str]:
    """Those of the page's lines that have all of these, and there is one at least."""
    found = [line for line in lines if all(word in line for word in words)]
    assert found, words
    return found


def test_the_commands_of_the_page_for_teams(team: tuple[Team, Process]) -> None:
    """From the first budget to the admin's key, in the page's own order."""
    people, _ = team
    _, changes, lifts, [own_use], admins = commands()
    assert set(people.keys) == {"ana", "nightly"}
    assert people.ask("ana").status_code == 200
    assert people.ask("nightly").status_code == 200

    for line in changes:
        people.run(line)
    wait_until(lambda: people.ask("nightly").status_code == 403, "blocked", timeout_s=20)
    budgets = people.budgets()
    assert {name: (each["amount"], each["period"]) for name, each in budgets.items()} == {
        "research": ("3000.00", "month"),
        "ana": ("30.00", "day"),
    }
    [usage] = with_words(changes, "llmgw usage")
    assert {row["key"]["name"] for row in people.json(usage)} == {"ana", "nightly"}

    for line in lifts:
        people.run(line)
    for line in admins:
        people.create_key(line)
    assert people.ask("ops").status_code == 403
    assert {entry["action"] for entry in people.json("llmgw audit list")} >= {
        "project.create", "key.create", "key.update", "key.block", "budget.lift", "budget.reset",
    }  # fmt: skip

    assert LISTENS in own_use
    answer = people.run(own_use.replace(LISTENS, people.url), LLMGW_API_KEY=people.keys["ana"])
    assert json.loads(answer)["object"]
