"""docs/agents.md in both languages: the parts that are made from the settings and from the recordings."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from llmgw.cli.demo import MODEL
from llmgw.simulator.model import JsonObject
from tests.agents import compact, recordings
from tests.agents.agents import Agent, agents
from tests.agents.judge import CELLS
from tests.agents.session import PROVIDERS
from tests.agents.setups import Setup, Site
from tests.agents.shape import SAME
from tests.support.processes import ROOT

BEGIN: Final = "<!-- made by make agent-table: {name} -->\n"
END: Final = "<!-- end of {name} -->\n"
EXAMPLE: Final = Site(Path("~"), "http://127.0.0.1:8000", "sk-gtw-…", MODEL, sees=True)
"""What the examples name; the test's own values stand in the same places."""
_PATHS: Final = {"messages": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}


@dataclass(frozen=True)
class Words:
    """What differs between the languages."""

    page: Path
    agent: str
    version: str
    api: str
    columns: tuple[str, ...]
    file: str
    start: str
    again: str
    off: str
    in_file: str
    more: str
    tools: str
    stop: str
    """The end of a sentence in front of an example."""
    comma: str
    gap: str
    place: int
    """Of the language, in `Agent.cannot`."""


ENGLISH: Final = Words(
    ROOT / "docs" / "agents.md",
    "agent",
    "version",
    "API",
    CELLS,
    "File",
    "Start",
    "Another turn of the last session",
    "Thinking off",
    "In `{file}`",
    "members beside model and conversation",
    "tools",
    ":",
    ", ",
    " ",
    0,
)
CHINESE: Final = Words(
    ROOT / "docs" / "agents.zh-CN.md",
    "智能体",
    "版本",
    "接口",
    ("读文件", "改文件", "跑命令", "思考", "续接会话", "关闭思考", "并行工具", "图片", "断流"),
    "文件",
    "启动",
    "接着上一次会话",
    "关闭思考",
    "写在 `{file}` 里",
    "除模型和对话以外的字段",
    "工具",
    "：",
    "，",
    "",
    1,
)


def parts(words: Words) -> dict[str, str]:
    """The made parts of a page, by their names."""
    kept = {agent.name: recordings.read(agent) for agent in agents()}
    return {
        "results": _table(
            (words.agent, words.version, words.api, *words.columns),
            (_results(agent, kept[agent.name]) for agent in agents()),
        )
        + "".join(_reasons(words)),
        "requests": _table(
            (words.agent, words.more, words.tools), (_requests(agent, kept[agent.name]) for agent in agents())
        ),
        "settings": "\n".join(_settings(agent, words) for agent in agents()),
    }


def made(words: Words) -> str:
    """The whole page as it should be."""
    page = words.page.read_text("utf-8")
    for name, text in parts(words).items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        head, rest = page.split(begin)
        _, tail = rest.split(end)
        page = f"{head}{begin}\n{text}\n{end}{tail}"
    return page


def write() -> None:
    """Write both pages."""
    for words in (ENGLISH, CHINESE):
        words.page.write_text(made(words), "utf-8")


def stale() -> list[str]:
    """The pages that say something else."""
    return [words.page.name for words in (ENGLISH, CHINESE) if words.page.read_text("utf-8") != made(words)]


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _results(agent: Agent, kept: JsonObject) -> tuple[str, ...]:
    cells = (_cell(agent, cell, kept.get("results", {}).get(cell, {})) for cell in CELLS)
    return (agent.name, f"`{agent.package}` {agent.version}", f"`{_PATHS[agent.api]}`", *cells)


def _reasons(words: Words) -> Iterator[str]:
    """Why there is an n/a."""
    yield "\n"
    for agent in agents():
        for cell, why in agent.cannot.items():
            what = f"{agent.name}{words.comma}{words.columns[CELLS.index(cell)]}"
            yield f"- {what}{words.stop}{words.gap}{why[words.place]}\n"
        for provider, why in agent.not_with.items():
            what = f"{agent.name}{words.comma}`{provider}`"
            yield f"- {what}{words.stop}{words.gap}{why[words.place]}\n"


def _cell(agent: Agent, cell: str, results: dict[str, str]) -> str:
    """Passed everywhere; or where it did not."""
    if cell in agent.cannot:
        return "n/a"
    failed = [name for name in PROVIDERS if results.get(name, recordings.PASS) != recordings.PASS]
    if not results:
        return "–"
    return f"{recordings.FAIL}: {', '.join(failed)}" if failed else recordings.PASS


def _requests(agent: Agent, kept: JsonObject) -> tuple[str, str, str]:
    """Of the task that reads, edits and runs: members of the body, and the tools that were offered."""
    exchanges = kept.get("tasks", {}).get("work", {}).get("exchanges", [])
    body = sorted({name for each in exchanges if each["body"] != SAME for name in each["body"]} - {"model"})
    tools: list[str] = next((each["tools"] for each in exchanges if each.get("tools")), [])
    return agent.name, ", ".join(f"`{name}`" for name in body), str(len(tools))


def _settings(agent: Agent, words: Words) -> str:
    setup = agent.prepare(EXAMPLE)
    lines = [f"### {agent.name}", ""]
    for name, text in setup.files.items():
        language = name.rpartition(".")[2]
        lines += [f"{words.file} `~/{name}`{words.stop}", "", f"```{language}", text.rstrip("\n"), "```", ""]
    lines += [
        f"{words.start}{words.stop}",
        "",
        "```sh",
        *_exports(setup),
        _command(agent, setup.ask),
        "```",
        "",
    ]
    lines += [f"{words.again}{words.stop}", "", "```sh", _command(agent, setup.again), "```", ""]
    if "off" not in agent.cannot:
        lines += _off(setup, agent.prepare(replace(EXAMPLE, thinking=False)), words)
    return "\n".join(lines)


def _off(on: Setup, off: Setup, words: Words) -> Iterator[str]:
    """The lines by which the settings with and without thinking differ."""
    yield from (f"{words.off}{words.stop}", "")
    if exports := [line for line in _exports(off) if line not in set(_exports(on))]:
        yield from ("```sh", *exports, "```", "")
    for name, text in off.files.items():
        language = name.rpartition(".")[2]
        if added := _added(on.files[name], text, language):
            yield from (words.in_file.format(file=f"~/{name}") + words.stop, "")
            yield from (f"```{language}", added, "```", "")


def _added(on: str, off: str, language: str) -> str:
    """What a file has only without thinking: in TOML whole lines, in JSON members with those around them."""
    if language == "toml":
        return "\n".join(line for line in off.splitlines() if line not in on.splitlines())
    return "" if on == off else compact.dumps(_more(json.loads(on), json.loads(off)), width=80)


def _more(on: Any, off: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(on, dict) and isinstance(off, dict):
        return {name: _more(on.get(name), each) for name, each in off.items() if on.get(name) != each}
    if isinstance(on, list) and isinstance(off, list):
        return [_more(*pair) for pair in zip(on, off, strict=True)]
    return off


def _exports(setup: Setup) -> Iterator[str]:
    for name, value in setup.env.items():
        yield f"export {name}={value if value == EXAMPLE.key else shlex.quote(value)}"


def _command(agent: Agent, options: tuple[str, ...]) -> str:
    return f'{agent.program} {shlex.join(options)} "…"'
