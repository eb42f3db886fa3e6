"""deploy/Containerfile as BuildKit's own parser reads it."""

from pathlib import Path
from typing import Final, NamedTuple

import dockerfile

from tests.support.processes import ROOT

CONTAINERFILE: Final = ROOT / "deploy" / "Containerfile"


class Instruction(NamedTuple):
    """One of them, with all its lines."""

    name: str
    words: tuple[str, ...]
    """Of `ENV` and `LABEL`: name, value, name, value, …."""
    flags: tuple[str, ...]
    is_json: bool
    """No shell runs it."""
    text: str


class Containerfile:
    """Its instructions; those of the last stage make the image."""

    def __init__(self, path: Path = CONTAINERFILE) -> None:
        """Raises dockerfile.GoParseError."""
        self.all = [
            Instruction(each.cmd, each.value, each.flags, each.json, each.original)
            for each in dockerfile.parse_file(str(path))
        ]
        stages = [number for number, each in enumerate(self.all) if each.name == "FROM"]
        self._image = self.all[stages[-1] :]

    def of(self, *names: str) -> list[Instruction]:
        """The instructions of these names, in all stages."""
        return [each for each in self.all if each.name in names]

    def one(self, name: str) -> Instruction:
        """The only instruction of this name in the image."""
        [found] = [each for each in self._image if each.name == name]
        return found

    def pairs(self, name: str) -> dict[str, str]:
        """The names and values of ENV or LABEL in the image."""
        words = self.one(name).words
        return {words[at]: words[at + 1].strip('"') for at in range(0, len(words), 2)}
