"""SECURITY.md lists every cap of the program: each constant `MAX_…`, where it is and how much it is."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.pages import names, rows, section
from tests.support.processes import ROOT

RUST = re.compile(r"^\s*(?:pub(?:\([a-z]+\))? )?const (MAX_[A-Z0-9_]+): [^=]+= (.+);$", re.MULTILINE)
PYTHON = re.compile(r"^_?(MAX_[A-Z0-9_]+): Final(?:\[[^\]]+\])? = (.+?)(?:  #.*)?$", re.MULTILINE)
SOURCES = {
    "rust/core/src": RUST,
    "rust/limits/src": RUST,
    "rust/upstream/src": RUST,
    "rust/python/src": RUST,
    "python/llmgw": PYTHON,
}
ELSEWHERE = {"cli", "simulator", "tests", "tests.rs"}
"""What nobody else sends anything to."""


class Cap(NamedTuple):
    """A constant."""

    name: str
    file: str
    value: str


def caps() -> Iterator[Cap]:
    """All of the program's."""
    for folder, pattern in SOURCES.items():
        for file in sorted((ROOT / folder).rglob("*.rs" if pattern is RUST else "*.py")):
            if not ELSEWHERE.intersection(file.relative_to(ROOT).parts):
                for name, value in pattern.findall(file.read_text("utf-8")):
                    yield Cap(name, str(file.relative_to(ROOT)), value)


def test_every_cap_is_listed_with_its_value() -> None:
    listed = [Cap(*names(" ".join(cells[:3]))) for cells in rows(section("SECURITY.md", "Every cap"))]
    assert sorted(listed) == sorted(caps())


def test_every_cap_says_of_what() -> None:
    unsaid = [cells[0] for cells in rows(section("SECURITY.md", "Every cap")) if not cells[3]]
    assert unsaid == []
