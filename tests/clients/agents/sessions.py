"""How each agent is started, offline and without asking: a first turn of the user, and one that goes on."""

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.clients import BUILT, NODE_BIN, NODE_FOLDER, locked, locked_node

MODULES = BUILT / "agents" / "node_modules"
VIBE = BUILT / "venvs" / "vibe" / "bin" / "vibe"
NODE = str(NODE_BIN / "node")
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


def _node(package: str, script: str, *options: str) -> tuple[str, ...]:
    return (NODE, str(MODULES / package / script), *options)


def _continue(site: Site) -> Start:
    model = {
        "name": "gateway", "provider": "openai", "model": site.model, "apiBase": site.base_url,
        "apiKey": site.key, "roles": ["chat"],
    }  # fmt: skip
    config = {"name": "test", "version": "1.0.0", "schema": "v1", "models": [model]}
    file = site.write("config.yaml", json.dumps(config))  # JSON is YAML
    cn = _node("@continuedev/cli", "dist/cn.js", "--auto", "--config", file)
    return Start((*cn, "-p"), (*cn, "--resume", "-p"), {"CONTINUE_TELEMETRY_ENABLED": "0"})


def _copilot(site: Site) -> Start:
    env = {
        "COPILOT_OFFLINE": "true",
        "COPILOT_MODEL": site.model,
        "COPILOT_PROVIDER_API_KEY": site.key,
        "COPILOT_PROVIDER_BASE_URL": site.base_url,
        "COPILOT_PROVIDER_TYPE": "openai",
    }
    copilot = _node("@github/copilot", "npm-loader.js", "--allow-all-tools")
    return Start((*copilot, "-p"), (*copilot, "--continue", "-p"), env)


def _kimi_code(site: Site) -> Start:
    config = f"""
default_model = "gateway"
[providers.gateway]
type = "openai"
base_url = "{site.base_url}"
api_key = "{site.key}"
[models.gateway]
provider = "gateway"
model = "{site.model}"
max_context_size = 100000
"""
    site.write(".kimi-code/config.toml", config)
    kimi = _node("@moonshot-ai/kimi-code", "dist/main.mjs")
    return Start((*kimi, "-p"), (*kimi, "-c", "-p"))


def _opencode(site: Site) -> Start:
    options = {"baseURL": site.base_url, "apiKey": site.key}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {site.model: {}}}
    config = {"autoupdate": False, "share": "disabled", "provider": {"gateway": provider}}
    env = {
        "OPENCODE_CONFIG": site.write("opencode.json", json.dumps(config)),
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
    }
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    program = MODULES / f"opencode-{platform.system().lower()}-{machine}" / "bin" / "opencode"
    run = (str(program), "run", "--model", f"gateway/{site.model}")
    return Start(run, (*run, "--continue"), env)


def _pi(site: Site) -> Start:
    provider = {
        "baseUrl": site.base_url,
        "api": "openai-completions",
        "apiKey": site.key,
        "models": [{"id": site.model, "reasoning": True}],
    }
    site.write(".pi/agent/models.json", json.dumps({"providers": {"gateway": provider}}))
    pi = _node(
        "@earendil-works/pi-coding-agent", "dist/cli.js", "--provider", "gateway", "--model", site.model
    )
    return Start((*pi, "-p"), (*pi, "-c", "-p"), {"PI_OFFLINE": "1"})


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

    def node(name: str, package: str, prepare: Callable[[Site], Start]) -> Agent:
        return Agent(name, package, locked_node(package, "agents"), prepare)

    return (
        node("Continue CLI", "@continuedev/cli", _continue),
        node("GitHub Copilot CLI", "@github/copilot", _copilot),
        node("Kimi Code", "@moonshot-ai/kimi-code", _kimi_code),
        node("opencode", "opencode-ai", _opencode),
        node("pi", "@earendil-works/pi-coding-agent", _pi),
        Agent("Mistral Vibe", "mistral-vibe", locked("vibe", "mistral-vibe"), _vibe),
    )
