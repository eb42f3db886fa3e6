"""The agents: how each is told of the gateway, and how it is started without anybody at the terminal.

docs/agents.md shows these very settings: `Setup` is data, from which the test makes files and a process, and
the page its examples.
"""

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.agents import tools
from tests.clients.clients import BUILT, NODE_BIN, NODE_FOLDER, QWEN_CODE, locked_node

MODULES: Final = BUILT / "agents" / "node_modules"
NODE: Final = str(NODE_BIN / "node")
_MACHINE: Final = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_SYSTEM: Final = f"{platform.system().lower()}-{_MACHINE}"


@dataclass(frozen=True)
class Site:
    """Where an agent finds the gateway, and with which model it works."""

    home: Path
    url: str
    """Of the gateway, without `/v1`."""
    key: str
    model: str
    sees: bool = False
    """Does the model take pictures?"""
    thinking: bool = True
    """False: the agent is to switch it off."""


@dataclass(frozen=True)
class Setup:
    """Everything that an agent is told."""

    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """By their paths below the home folder."""
    ask: tuple[str, ...] = ()
    """The options in front of what the user says."""
    again: tuple[str, ...] = ()
    """The same for another turn of the last session."""
    attach: tuple[str, ...] = ()
    """The option in front of a picture's path, behind what the user says."""


@dataclass(frozen=True)
class Agent:
    """One row of the table."""

    name: str
    program: str
    """What a user types."""
    package: str
    version: str
    api: str
    """`messages`, `responses` or `chat`."""
    launch: tuple[str, ...]
    prepare: Callable[[Site], Setup]
    wording: tools.Wording

    @property
    def slug(self) -> str:
        """Its name in file names and prompts."""
        return self.name.lower().replace(" ", "-")


def _claude_code(site: Site) -> Setup:
    env = {
        "ANTHROPIC_BASE_URL": site.url,
        "ANTHROPIC_AUTH_TOKEN": site.key,
        "ANTHROPIC_MODEL": site.model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    if not site.thinking:
        env["MAX_THINKING_TOKENS"] = "0"
    options = ("--allowedTools", "Read,Edit,Bash", "-p")
    return Setup(env, {}, options, ("--continue", *options))


def _codex(site: Site) -> Setup:
    model = {
        "slug": site.model,
        "display_name": site.model,
        "base_instructions": "You are a coding agent. Work in the current folder, with your tools.",
        "visibility": "list",
        "priority": 1,
        "supported_in_api": True,
        "supported_reasoning_levels": [{"effort": "high", "description": "It thinks."}],
        "supports_reasoning_summaries": True,
        "support_verbosity": False,
        "supports_parallel_tool_calls": True,
        "shell_type": "unified_exec",
        "apply_patch_tool_type": "freeform",
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"] if site.sees else ["text"],
        "context_window": 200_000,
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
    }
    config = f"""\
model = "{site.model}"
model_provider = "llmgw"
model_catalog_json = "models.json"
model_reasoning_effort = "{"high" if site.thinking else "none"}"

[model_providers.llmgw]
name = "llmgw"
base_url = "{site.url}/v1"
env_key = "LLMGW_KEY"
wire_api = "responses"
"""
    files = {".codex/config.toml": config, ".codex/models.json": _json({"models": [model]})}
    options = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    return Setup(
        {"LLMGW_KEY": site.key},
        files,
        ("exec", *options),
        ("exec", "resume", "--last", *options),
        ("--image",),
    )


def _qwen_code(site: Site) -> Setup:
    env = {"OPENAI_BASE_URL": f"{site.url}/v1", "OPENAI_API_KEY": site.key, "OPENAI_MODEL": site.model}
    settings: dict[str, Any] = {
        "general": {"enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
        "security": {"auth": {"selectedType": "openai"}},
    }
    if not site.thinking:
        settings["model"] = {"generationConfig": {"extra_body": {"llmgw_thinking": False}}}
    options = ("--approval-mode", "yolo", "-p")
    return Setup(env, {".qwen/settings.json": _json(settings)}, options, ("--continue", *options))


def _opencode(site: Site) -> Setup:
    model: dict[str, Any] = {}
    if site.sees:
        model["modalities"] = {"input": ["text", "image"], "output": ["text"]}
    if not site.thinking:
        model["options"] = {"llmgw_thinking": False}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{site.url}/v1", "apiKey": site.key},
        "models": {site.model: model},
    }
    config = {"autoupdate": False, "share": "disabled", "provider": {"llmgw": provider}}
    run = ("run", "--model", f"llmgw/{site.model}")
    return Setup(
        {"OPENCODE_DISABLE_MODELS_FETCH": "1"},
        {".config/opencode/opencode.json": _json(config)},
        run,
        (*run, "--continue"),
        ("--file",),
    )


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _codex_program() -> str:
    target = "apple-darwin" if platform.system() == "Darwin" else "unknown-linux-musl"
    vendor = MODULES / "@openai" / f"codex-{_SYSTEM}" / "vendor"
    machine = {"x64": "x86_64", "arm64": "aarch64"}.get(_MACHINE, _MACHINE)
    return str(vendor / f"{machine}-{target}" / "bin" / "codex")


def agents() -> Sequence[Agent]:
    """All of them, in the order of the table."""
    return (
        Agent(
            "Claude Code",
            "claude",
            "@anthropic-ai/claude-code",
            locked_node("@anthropic-ai/claude-code", "agents"),
            "messages",
            (str(MODULES / "@anthropic-ai" / f"claude-code-{_SYSTEM}" / "claude"),),
            _claude_code,
            tools.claude_code,
        ),
        Agent(
            "Codex",
            "codex",
            "@openai/codex",
            locked_node("@openai/codex", "agents"),
            "responses",
            (_codex_program(),),
            _codex,
            tools.codex,
        ),
        Agent(
            "Qwen Code",
            "qwen",
            "@qwen-code/qwen-code",
            locked_node("@qwen-code/qwen-code"),
            "chat",
            (NODE, QWEN_CODE),
            _qwen_code,
            tools.qwen_code,
        ),
        Agent(
            "opencode",
            "opencode",
            "opencode-ai",
            locked_node("opencode-ai", "agents"),
            "chat",
            (str(MODULES / f"opencode-{_SYSTEM}" / "bin" / "opencode"),),
            _opencode,
            tools.opencode,
        ),
    )


ENVIRONMENT: Final = {
    "CI": "true",
    "NO_COLOR": "1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "NO_PROXY": "127.0.0.1,localhost",
    "NODE_OPTIONS": f"--import={NODE_FOLDER / 'loopback-only.mjs'}",
}
"""No agent leaves this machine: those of Node by a preload, others by a proxy that is not there."""
