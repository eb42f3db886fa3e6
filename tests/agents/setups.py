"""How each agent is told of the gateway, and how it is started without anybody at the terminal.

docs/agents.md shows these very settings: `Setup` is data, from which the test makes files and a process, and
the page its examples.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.agents import compact


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


def claude_code(site: Site) -> Setup:
    """Without `/v1`; the key goes out as a Bearer token."""
    env = {
        "ANTHROPIC_BASE_URL": site.url,
        "ANTHROPIC_AUTH_TOKEN": site.key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    if not site.thinking:
        # Its own switch leaves `thinking` out, which says nothing.
        env["CLAUDE_CODE_EXTRA_BODY"] = '{"thinking":{"type":"disabled"}}'
    options = ("--model", site.model, "--allowedTools", "Read,Edit,Bash", "-p")
    return Setup(env, {}, options, ("--continue", *options))


def codex(site: Site) -> Setup:
    """A catalog of its own says that the model takes `apply_patch`, pictures and a larger context."""
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
env_key = "LLMGW_API_KEY"
wire_api = "responses"
"""
    files = {".codex/config.toml": config, ".codex/models.json": _json({"models": [model]})}
    options = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    return Setup(
        {"LLMGW_API_KEY": site.key},
        files,
        ("exec", *options),
        ("exec", "resume", "--last", *options),
        ("--image",),
    )


def qwen_code(site: Site) -> Setup:
    """Everything in the environment, but that it sends no statistics."""
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


def opencode(site: Site) -> Setup:
    """A provider of the AI SDK."""
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


def pi(site: Site) -> Setup:
    """A file of models."""
    model = {"id": site.model, "reasoning": True, "input": ["text", "image"] if site.sees else ["text"]}
    provider = {
        "baseUrl": f"{site.url}/v1",
        "api": "openai-completions",
        "apiKey": site.key,
        "models": [model],
    }
    options = ("--provider", "llmgw", "--model", site.model, "-p")
    files = {".pi/agent/models.json": _json({"providers": {"llmgw": provider}})}
    return Setup({"PI_OFFLINE": "1"}, files, options, ("--continue", *options))


def continue_cli(site: Site) -> Setup:
    """A file in YAML, of which JSON is a part."""
    model: dict[str, Any] = {
        "name": site.model,
        "provider": "openai",
        "model": site.model,
        "apiBase": f"{site.url}/v1",
        "apiKey": site.key,
        "roles": ["chat"],
    }
    if not site.thinking:
        model["requestOptions"] = {"extraBodyProperties": {"llmgw_thinking": False}}
    config = {"name": "llmgw", "version": "1.0.0", "schema": "v1", "models": [model]}
    options = ("--auto", "-p")
    return Setup(
        {"CONTINUE_TELEMETRY_ENABLED": "0"},
        {".continue/config.yaml": _json(config)},
        options,
        ("--resume", *options),
    )


def copilot(site: Site) -> Setup:
    """Everything in the environment."""
    env = {
        "COPILOT_OFFLINE": "true",
        "COPILOT_MODEL": site.model,
        "COPILOT_PROVIDER_API_KEY": site.key,
        "COPILOT_PROVIDER_BASE_URL": f"{site.url}/v1",
        "COPILOT_PROVIDER_TYPE": "openai",
    }
    options = ("--allow-all-tools", "-p")
    return Setup(env, {}, options, ("--continue", *options), ("--attachment",))


def kimi_code(site: Site) -> Setup:
    """A provider of the type `openai`: the type `kimi` sends a thinking object that only Kimi takes."""
    capabilities = ["image_in", "thinking"] if site.sees else ["thinking"]
    config = f"""\
default_model = "llmgw"

[providers.llmgw]
type = "openai"
base_url = "{site.url}/v1"
api_key = "{site.key}"

[models.llmgw]
provider = "llmgw"
model = "{site.model}"
max_context_size = 200000
capabilities = {json.dumps(capabilities)}
"""
    return Setup({}, {".kimi-code/config.toml": config}, ("-p",), ("--continue", "-p"))


def _json(value: object) -> str:
    return compact.dumps(value, width=80) + "\n"
