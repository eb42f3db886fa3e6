"""The clients: how each is installed, started and what it has no place for."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.node import NODE_BIN
from tests.support.processes import ROOT

SOURCES = ROOT / "tests" / "clients"
BUILT = ROOT / "target" / "clients"
VENVS = ("openai_python", "openai_python_1", "langchain", "anthropic_python")
"""Environments of Python, each from its own lock file."""
NODE_FOLDER = BUILT / "node"
QWEN_CODE = str(NODE_FOLDER / "node_modules" / "@qwen-code" / "qwen-code" / "cli.js")
GO_FOLDERS = ("go", "go_1", "go_2", "go_3_42")
"""The newest SDK for Go, and those before 3.43.0, which no comment with a blank line behind it may reach."""

NO_CODE = {"error.code": "Anthropic's errors have a type in its place"}

ENVIRONMENT = {
    "CI": "true",
    "NO_COLOR": "1",
    "NO_PROXY": "127.0.0.1",
    "LANGSMITH_TRACING": "false",
    "NO_UPDATE_NOTIFIER": "1",
    "NODE_OPTIONS": f"--import={NODE_FOLDER / 'loopback-only.mjs'}",
}


@dataclass(frozen=True)
class Client:
    """One row of the table."""

    name: str
    package: str
    version: str
    command: tuple[str, ...]
    cannot: Mapping[str, str] = field(default_factory=dict)
    """What it has no place for, and why: parts of an answer (`judge.PARTS`, `error.code`) or scenarios."""
    asks_for_thinking: bool = False
    """It is shown thinking only if it asks for it, so it does where it streams."""
    agent: bool = False
    """It writes its own prompts: `agent_cases`, judged by what the provider received."""


def python_of(venv: str) -> str:
    """The interpreter of one of the environments that `install` makes."""
    return str(BUILT / "venvs" / venv / "bin" / "python")


def locked(lock: str, package: str) -> str:
    """The version of a package in a requirements lock of ours."""
    text = (SOURCES / lock / "requirements.lock").read_text("utf-8")
    [version] = re.findall(rf"^{re.escape(package)}==([^ \\]+)", text, re.MULTILINE)
    return str(version)


def locked_node(package: str, folder: str = "node") -> str:
    """The version of a package in a package-lock.json of ours."""
    lock = json.loads((SOURCES / folder / "package-lock.json").read_text("utf-8"))
    return str(lock["packages"][f"node_modules/{package}"]["version"])


def go_program(name: str) -> Path:
    """The program that `install` builds with the SDK that one of `GO_FOLDERS` asks for."""
    return BUILT / name / "client"


def go_sdk(name: str) -> str:
    """The import path of that SDK."""
    return _go_module(name)[0]


def locked_go(name: str) -> str:
    """Its version."""
    return _go_module(name)[1]


def _go_module(name: str) -> tuple[str, str]:
    text = (SOURCES / name / "go.mod").read_text("utf-8")
    [(path, version)] = re.findall(r"^require (\S+) v(\S+)$", text, re.MULTILINE)
    return str(path), str(version)


def _node(script: str) -> tuple[str, ...]:
    return (str(NODE_BIN / "node"), str(NODE_FOLDER / script))


def clients() -> Sequence[Client]:
    """All of them, in the order of the table."""
    openai_python = str(SOURCES / "openai_python" / "client.py")
    langchain = str(SOURCES / "langchain" / "client.py")
    return (
        Client(
            "OpenAI SDK for Python",
            "openai",
            locked("openai_python", "openai"),
            (python_of("openai_python"), openai_python),
        ),
        Client(
            "OpenAI SDK for Python, the last 1.x",
            "openai",
            locked("openai_python_1", "openai"),
            (python_of("openai_python_1"), openai_python),
        ),
        Client("OpenAI SDK for Node", "openai", locked_node("openai"), _node("openai.mjs")),
        Client(
            "OpenAI SDK for Node, Responses",
            "openai",
            locked_node("openai"),
            _node("openai-responses.mjs"),
            {"error.code": "a response that failed has one of OpenAI's own codes"},
        ),
        Client(
            "Anthropic SDK for Python, Messages",
            "anthropic",
            locked("anthropic_python", "anthropic"),
            (python_of("anthropic_python"), str(SOURCES / "anthropic_python" / "client.py")),
            NO_CODE,
            asks_for_thinking=True,
        ),
        Client(
            "Anthropic SDK for Node, Messages",
            "@anthropic-ai/sdk",
            locked_node("@anthropic-ai/sdk"),
            _node("anthropic.mjs"),
            NO_CODE,
            asks_for_thinking=True,
        ),
        Client(
            "Vercel AI SDK",
            "@ai-sdk/openai-compatible",
            locked_node("@ai-sdk/openai-compatible"),
            _node("ai-sdk.mjs"),
        ),
        Client(
            "LangChain, ChatOpenAI",
            "langchain-openai",
            locked("langchain", "langchain-openai"),
            (python_of("langchain"), langchain),
            {"reasoning": "ChatOpenAI drops members that OpenAI's API does not have"},
        ),
        Client(
            "LangChain, ChatDeepSeek",
            "langchain-deepseek",
            locked("langchain", "langchain-deepseek"),
            (python_of("langchain"), langchain, "deepseek"),
        ),
        *(
            Client(name, "openai-go", locked_go(folder), (str(go_program(folder)),))
            for folder, name in zip(
                GO_FOLDERS,
                (
                    "OpenAI SDK for Go",
                    "OpenAI SDK for Go, the last 1.x",
                    "OpenAI SDK for Go, the last 2.x",
                    "OpenAI SDK for Go, the last 3.x that comments broke",
                ),
                strict=True,
            )
        ),
        Client(
            "Qwen Code, non-interactive",
            "@qwen-code/qwen-code",
            locked_node("@qwen-code/qwen-code"),
            (sys.executable, str(SOURCES / "qwen_code.py"), str(NODE_BIN / "node"), QWEN_CODE),
            {
                "plain": "it always streams",
                "finish_reason": "its output does not contain it",
                "error.code": "its output has only status and message",
            },
            agent=True,
        ),
    )
