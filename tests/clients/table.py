"""The outcome as a table: on the terminal, and in docs/clients.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.clients.agents.run import PROVIDERS, Outcome
from tests.clients.clients import Client
from tests.clients.scenarios import SCENARIOS
from tests.support.processes import ROOT

PASS, FAIL, NOT_APPLICABLE = "pass", "FAIL", "n/a"
PAGE = ROOT / "docs" / "clients.md"
BEGIN = "<!-- made by make client-table: -->\n"
END = "<!-- end of what make client-table made -->\n"
AGENTS_BEGIN = "<!-- made by make client-table, agents: -->\n"
AGENTS_END = "<!-- end of the agents that make client-table made -->\n"


@dataclass
class Row:
    """One client's outcome."""

    client: Client
    cells: dict[str, str] = field(default_factory=dict)
    """By scenario."""
    problems: list[str] = field(default_factory=list)


def as_text(rows: Sequence[Row]) -> str:
    """The cells alone, for a terminal."""
    width = max((len(row.client.name) for row in rows), default=0)
    return "\n".join(
        f"{row.client.name:{width}}  " + "  ".join(f"{name}: {cell}" for name, cell in row.cells.items())
        for row in rows
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """The table with versions, and the reasons below it."""
    lines = [
        "| client | version | " + " | ".join(SCENARIOS) + " |",
        "| --- | --- |" + " --- |" * len(SCENARIOS),
    ]
    reasons: list[str] = []
    for row in rows:
        client = row.client
        cells = [row.cells[scenario] for scenario in SCENARIOS]
        lines.append(f"| {client.name} | `{client.package}` {client.version} | " + " | ".join(cells) + " |")
        reasons += [f"- {client.name}, {part}: {why}" for part, why in client.cannot.items()]
    return "\n".join([*lines, "", *reasons]) + "\n"


def agents_as_text(outcomes: Sequence[Outcome]) -> str:
    """The same for the agents' sessions."""
    return "\n".join(
        f"{outcome.agent.name}  "
        + "  ".join(f"{name}: {cell}" for name, cell in agent_cells(outcome).items())
        for outcome in outcomes
    )


def agent_cells(outcome: Outcome) -> dict[str, str]:
    """By provider."""
    return {name: FAIL if outcome.problems.get(name, ["not run"]) else PASS for name in PROVIDERS}


def agents_as_markdown(outcomes: Sequence[Outcome]) -> str:
    """The agents' sessions with versions."""
    lines = ["| agent | version | Kimi | DeepSeek |", "| --- | --- | --- | --- |"]
    for outcome in outcomes:
        agent, cells = outcome.agent, " | ".join(agent_cells(outcome).values())
        lines.append(f"| {agent.name} | `{agent.package}` {agent.version} | {cells} |")
    return "\n".join(lines) + "\n"


def keep(rows: Sequence[Row], outcomes: Sequence[Outcome], *, write: bool) -> bool:
    """Does the page say this? With `write` it will."""
    page = PAGE.read_text("utf-8")
    wanted = _between(page, BEGIN, END, as_markdown(rows))
    wanted = _between(wanted, AGENTS_BEGIN, AGENTS_END, agents_as_markdown(outcomes))
    if write:
        PAGE.write_text(wanted, "utf-8")
        return True
    return page == wanted


def _between(page: str, begin: str, end: str, text: str) -> str:
    head, rest = page.split(begin)
    _, tail = rest.split(end)
    return f"{head}{begin}\n{text}\n{end}{tail}"
