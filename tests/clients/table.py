"""The outcome as a table: on the terminal, and in docs/clients.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.clients.clients import Client
from tests.clients.scenarios import SCENARIOS
from tests.support.processes import ROOT

PASS, FAIL, NOT_APPLICABLE = "pass", "FAIL", "n/a"
PAGE = ROOT / "docs" / "clients.md"
BEGIN = "<!-- made by make client-table: -->\n"
END = "<!-- end of what make client-table made -->\n"


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


def keep(rows: Sequence[Row], *, write: bool) -> bool:
    """Does the page say this? With `write` it will."""
    page = PAGE.read_text("utf-8")
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    wanted = head + BEGIN + "\n" + as_markdown(rows) + "\n" + END + tail
    if write:
        PAGE.write_text(wanted, "utf-8")
        return True
    return page == wanted
