"""The repository's Markdown pages, taken apart: headings, sections, tables, blocks of code."""

import re
from typing import NamedTuple

from tests.support.processes import ROOT


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    text: str


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def prose(page: str) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```\w*\n.*?^```$", "", read(page), flags=re.DOTALL | re.MULTILINE)


def blocks(page: str) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", read(page), re.DOTALL | re.MULTILINE)
    return [Block(language, text) for language, text in found]


def headings(page: str) -> list[tuple[int, str]]:
    """Level and text of each."""
    return [(len(marks), text) for marks, text in re.findall(r"^(#+) (.+)$", prose(page), re.MULTILINE)]


def sections(page: str) -> list[str]:
    """The text under each heading, up to the next one."""
    return re.split(r"^#+ .+$", prose(page), flags=re.MULTILINE)[1:]


def section(page: str, title: str) -> str:
    """The text under the heading with this title (backticks apart), up to the next heading."""
    titles = [text.replace("`", "") for _, text in headings(page)]
    return sections(page)[titles.index(title)]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, headers and rulers left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    rulers = {number for number, cells in enumerate(table) if set("".join(cells)) <= set("-| ")}
    heads = {number - 1 for number in rulers}
    return [cells for number, cells in enumerate(table) if number not in rulers | heads]


def names(cell: str) -> list[str]:
    """The words in backticks."""
    return re.findall(r"`([^`]+)`", cell)
