"""One session: a fresh home, a fresh folder, and one process of the agent for each turn of the user."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.agents.agents import ENVIRONMENT, Agent
from tests.agents.provider import AgentProviders, Session
from tests.agents.script import TASKS, Task, prompt
from tests.agents.setups import Setup, Site
from tests.agents.tap import Exchange, Tap
from tests.support.gateway import Gateway
from tests.support.node import NODE_BIN

TURN_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True)
class Native:
    """A provider's own Messages or Responses: the API, the provider, its model, and the path there."""

    api: str
    family: str
    model: str
    path: str


PROVIDERS: Final = {
    "deepseek": "deepseek-v4-pro",
    "kimi": "kimi-k2.6",
    "qwen": "qwen3.6-plus",
    "glm": "glm-5",
    "minimax": "minimax-m3",
    "deepseek-messages": "deepseek-v4-flash",
    "minimax-messages": "minimax-own",
    "deepseek-responses": "deepseek-own",
    "qwen-responses": "qwen-own",
}
"""And the model that is asked for there: all of them think unless they are told not to."""
NATIVE: Final = {
    "deepseek-messages": Native("messages", "deepseek", "deepseek-v4-flash", "anthropic/v1/messages"),
    "minimax-messages": Native("messages", "minimax", "minimax-m3", "anthropic/v1/messages"),
    "deepseek-responses": Native("responses", "deepseek", "deepseek-v4-pro", "v1/responses"),
    "qwen-responses": Native("responses", "qwen", "qwen3.6-plus", "compatible-mode/v1/responses"),
}
"""Those of them that are asked in the agent's own API."""
SEEING: Final = ("qwen", "kimi", "minimax", "qwen-responses")
"""The simulated Messages of MiniMax reads no pictures in results of tools."""
SWITCHED: Final = ("qwen", "deepseek", "glm", *NATIVE)
"""Whose thinking a boolean can switch, or the agent's own API."""
QUICK: Final = {
    "work": ("deepseek", "deepseek-messages", "qwen-responses"),
    "thinking": ("kimi", "deepseek", "deepseek-messages", "deepseek-responses"),
    "off": ("qwen",),
    "parallel": ("glm",),
    "image": ("qwen",),
    "broken": ("minimax",),
}
"""The providers of each task in the quick form; the exchanges before the first of them are kept."""


@dataclass(frozen=True)
class Job:
    """An agent, a task and a provider."""

    agent: Agent
    task: Task
    provider: str

    @property
    def name(self) -> str:
        """As it stands in prompts."""
        return f"{self.agent.slug}.{self.task.name}.{self.provider}"


@dataclass(frozen=True)
class Ended:
    """How one process of an agent ended."""

    status: int | None
    """None: it did not end in time."""
    out: str
    err: str


@dataclass
class Run:
    """Everything that is known about a session."""

    job: Job
    session: Session
    left: dict[str, str]
    """The files of its folder that the task names, afterwards."""
    ended: list[Ended] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    took_s: float = 0.0


def jobs(agents: Sequence[Agent], *, quick: bool) -> list[Job]:
    """Every agent at every task, before every provider that can do it; with `quick` before few."""
    return [
        Job(agent, task, provider)
        for agent in agents
        for task in TASKS
        for provider in (QUICK[task.name] if quick else PROVIDERS)
        if task.name not in agent.cannot and _can(agent, provider, task)
        if not quick or task.name in agent.quick
    ]


def _can(agent: Agent, provider: str, task: Task) -> bool:
    if provider in agent.not_with:
        return False
    if provider in NATIVE and NATIVE[provider].api != agent.api:
        return False
    return (not task.picture or provider in SEEING) and (task.thinking or provider in SWITCHED)


def run(job: Job, gateway: Gateway, providers: AgentProviders, root: Path) -> Run:
    """Run a session. `root`: a folder for its home, outside of any repository: agents look for one."""
    home = root / job.name
    folder = home / "work"
    folder.mkdir(parents=True)
    (home / "tmp").mkdir()
    for name, content in job.task.files.items():
        (folder / name).write_bytes(content)
    session = Session(job.task, folder, job.agent.wording)
    providers.sessions[job.name] = session
    begun_s = time.monotonic()
    with Tap(gateway.url) as tap:
        setup = job.agent.prepare(
            Site(
                home,
                tap.url,
                gateway.key,
                PROVIDERS[job.provider],
                job.provider in SEEING,
                thinking=job.task.thinking,
            )
        )
        for name, text in setup.files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text, "utf-8")
        ended = [_turn(job, setup, turn, home) for turn in range(len(job.task.turns))]
    left = {
        name: (folder / name).read_text("utf-8", "replace") if (folder / name).is_file() else "(no file)"
        for name in job.task.leaves
    }
    return Run(job, session, left, ended, tap.exchanges, time.monotonic() - begun_s)


def _turn(job: Job, setup: Setup, turn: int, home: Path) -> Ended:
    picture = (*setup.attach, job.task.picture) if job.task.picture and setup.attach else ()
    options = setup.again if turn else setup.ask
    command = (*job.agent.launch, *options, prompt(job.name, job.task, turn), *picture)
    path = os.pathsep.join((str(NODE_BIN), os.environ["PATH"]))
    try:
        done = subprocess.run(
            command,
            cwd=home / "work",
            env={
                **os.environ,
                **ENVIRONMENT,
                **_own(home),
                "PWD": str(home / "work"),
                "PATH": path,
                **setup.env,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TURN_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return Ended(None, _text(late.stdout), _text(late.stderr))
    return Ended(done.returncode, _text(done.stdout), _text(done.stderr))


def _own(home: Path) -> dict[str, str]:
    """Codex puts its helper programs into no folder for temporary files, so the home must not be in one."""
    return {"HOME": str(home), "TMPDIR": str(home / "tmp")}


def _text(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")
