"""The agents: one row of the table each."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.agents import setups, tools
from tests.agents.script import TASK_NAMES
from tests.agents.setups import Setup, Site
from tests.clients.clients import BUILT, NODE_FOLDER, QWEN_CODE, locked_node
from tests.support.node import NODE_BIN

MODULES: Final = BUILT / "agents" / "node_modules"
NODE: Final = str(NODE_BIN / "node")
_MACHINE: Final = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_SYSTEM: Final = f"{platform.system().lower()}-{_MACHINE}"


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
    quick: tuple[str, ...] = TASK_NAMES
    """The tasks of the quick form."""
    cannot: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Tasks that it has no place for, and why, in English and in Chinese."""
    not_with: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Providers that it does not understand, and why."""

    @property
    def slug(self) -> str:
        """Its name in file names and prompts."""
        return self.name.lower().replace(" ", "-")


def _codex_program() -> str:
    target = "apple-darwin" if platform.system() == "Darwin" else "unknown-linux-musl"
    vendor = MODULES / "@openai" / f"codex-{_SYSTEM}" / "vendor"
    machine = {"x64": "x86_64", "arm64": "aarch64"}.get(_MACHINE, _MACHINE)
    return str(vendor / f"{machine}-{target}" / "bin" / "codex")


_FEW: Final = ("work",)
"""For agents whose API and paths through the gateway others take as well."""


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
            setups.claude_code,
            tools.claude_code,
        ),
        Agent(
            "Codex",
            "codex",
            "@openai/codex",
            locked_node("@openai/codex", "agents"),
            "responses",
            (_codex_program(),),
            setups.codex,
            tools.codex,
        ),
        Agent(
            "Qwen Code",
            "qwen",
            "@qwen-code/qwen-code",
            locked_node("@qwen-code/qwen-code"),
            "chat",
            (NODE, QWEN_CODE),
            setups.qwen_code,
            tools.qwen_code,
        ),
        Agent(
            "opencode",
            "opencode",
            "opencode-ai",
            locked_node("opencode-ai", "agents"),
            "chat",
            (str(MODULES / f"opencode-{_SYSTEM}" / "bin" / "opencode"),),
            setups.opencode,
            tools.opencode,
            cannot={
                "broken": (
                    "it asks again, with an empty message of the first attempt, which some refuse",
                    "会重试，但会带上第一次留下的空消息，有的服务商会拒绝",
                )
            },
        ),
        Agent(
            "pi",
            "pi",
            "@earendil-works/pi-coding-agent",
            locked_node("@earendil-works/pi-coding-agent", "agents"),
            "chat",
            (NODE, str(MODULES / "@earendil-works" / "pi-coding-agent" / "dist" / "cli.js")),
            setups.pi,
            tools.pi,
            _FEW,
            {
                "off": (
                    "it has a switch for each family, and none that means them all",
                    "各系列的开关各不相同",
                )
            },
        ),
        Agent(
            "Continue CLI",
            "cn",
            "@continuedev/cli",
            locked_node("@continuedev/cli", "agents"),
            "chat",
            (NODE, str(MODULES / "@continuedev" / "cli" / "dist" / "cn.js")),
            setups.continue_cli,
            tools.continue_cli,
            _FEW,
            {
                "image": ("its tools show no pictures", "它的工具不能查看图片"),
                "broken": ("it does not ask again by itself", "断流后不会自行重试"),
            },
        ),
        Agent(
            "GitHub Copilot CLI",
            "copilot",
            "@github/copilot",
            locked_node("@github/copilot", "agents"),
            "chat",
            (NODE, str(MODULES / "@github" / "copilot" / "npm-loader.js")),
            setups.copilot,
            tools.copilot,
            _FEW,
            {
                "off": (
                    "it has no switch, and sends no members of one's own",
                    "没有开关，也不能附加自定义字段",
                ),
                "broken": (
                    "it asks again, but drops a call that needed two attempts",
                    "会重试，但丢掉重试得到的工具调用",
                ),
            },
            {"minimax": ("it passes over its tool calls", "不理会它的工具调用")},
        ),
        Agent(
            "Kimi Code",
            "kimi",
            "@moonshot-ai/kimi-code",
            locked_node("@moonshot-ai/kimi-code", "agents"),
            "chat",
            (NODE, str(MODULES / "@moonshot-ai" / "kimi-code" / "dist" / "main.mjs")),
            setups.kimi_code,
            tools.kimi_code,
            _FEW,
            {
                "off": (
                    "a provider of the type `openai` has no switch",
                    "类型为 `openai` 的 provider 没有开关",
                )
            },
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
