"""How each agent is started, offline and without asking: a first turn of the user, and one that goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.agents import agents as documented
from tests.agents import setups
from tests.clients.clients import BUILT, NODE_FOLDER, locked

VIBE = BUILT / "venvs" / "vibe" / "bin" / "vibe"
NOWHERE = "http://127.0.0.1:1"
"""A proxy that nobody listens at, for agents that are not run by Node: see loopback-only.mjs."""
ENVIRONMENT = {
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
    "NODE_OPTIONS": f"--import={NODE_FOLDER / 'loopback-only.mjs'}",
}


@dataclass(frozen=True)
class Site:
    """Where an agent finds the gateway, and where it keeps its session."""

    home: Path
    base_url: str
    key: str
    model: str

    def write(self, name: str, text: str) -> str:
        """A file of the agent's own; its path."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return str(path)


@dataclass(frozen=True)
class Start:
    """The commands, each to be followed by what the user says."""

    first: tuple[str, ...]
    again: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Agent:
    """One row of the table."""

    name: str
    package: str
    version: str
    prepare: Callable[[Site], Start]

    @property
    def mount(self) -> str:
        """Its name in a URL and in the ids of its models."""
        return self.package.rpartition("/")[2]


def _as_documented(agent: documented.Agent) -> Agent:
    """An agent with the settings of docs/agents.md."""

    def prepare(site: Site) -> Start:
        url = site.base_url.removesuffix("/v1")
        setup = agent.prepare(setups.Site(site.home, url, site.key, site.model))
        for name, text in setup.files.items():
            site.write(name, text)
        return Start((*agent.launch, *setup.ask), (*agent.launch, *setup.again), setup.env)

    return Agent(agent.name, agent.package, agent.version, prepare)


def _vibe(site: Site) -> Start:
    config = f"""
active_model = "gateway"
enable_update_checks = false
enable_telemetry = false
[[providers]]
name = "gateway"
api_base = "{site.base_url}"
api_key_env_var = "GATEWAY_KEY"
api_style = "openai"
backend = "generic"
[[models]]
name = "{site.model}"
provider = "gateway"
alias = "gateway"
"""
    site.write(".vibe/config.toml", config)
    vibe = (str(VIBE), "--trust", "--agent", "auto-approve")
    return Start((*vibe, "-p"), (*vibe, "-c", "-p"), {"GATEWAY_KEY": site.key, "MISTRAL_API_KEY": "none"})


def agents() -> tuple[Agent, ...]:
    """All of them, in the order of the table."""
    others = {agent.name: agent for agent in documented.agents()}
    names = ("Continue CLI", "GitHub Copilot CLI", "Kimi Code", "opencode", "pi")
    return (
        *(_as_documented(others[name]) for name in names),
        Agent("Mistral Vibe", "mistral-vibe", locked("vibe", "mistral-vibe"), _vibe),
    )
