"""What verbs list: as aligned columns for people, as JSON for programs."""

import argparse
import json
import unicodedata
from collections.abc import Sequence
from typing import Final

_WIDE: Final = frozenset({"W", "F"})
"""Two columns of a terminal (Unicode Standard Annex 11)."""
_MARKS: Final = frozenset({"Mn", "Me"})
"""No column: they belong to the character before."""


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def print_json(value: object) -> None:
    """One JSON value, indented. What could steer a terminal is an escape of JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    print("".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print aligned columns; those numbered in `right` are right-aligned."""
    lines = [header, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(display_width(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = []
        for column, (cell, width) in enumerate(zip(line, widths, strict=True)):
            space = " " * (width - display_width(cell))
            cells.append(space + cell if column in right else cell + space)
        print("  ".join(cells).rstrip())


def display_width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def printable(text: str) -> str:
    """The text with what could steer a terminal written as an escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
