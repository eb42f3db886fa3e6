"""`python -m tests.packaging.notices`: writes THIRD-PARTY-NOTICES.txt, which the wheel carries.

The extension links crates whose licences want their text to come along. The file lists those of every
platform that wheels are made for, each with the licence files of its source package. Cargo must have fetched
them.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
NOTICES: Final = ROOT / "THIRD-PARTY-NOTICES.txt"
EXTENSION: Final = "llmgw-python"
PLATFORMS: Final = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
)
_NAMES: Final = ("LICEN", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")
"""How names of licence files begin, in capitals."""
_RULE: Final = "=" * 100
_HEAD: Final = """\
llmgw is licensed under the Apache License 2.0 (LICENSE). Its compiled extension contains the Rust standard
library (MIT OR Apache-2.0, The Rust Project Contributors) and the crates below, each under its own licence.
The console contains packages from npm: llmgw/admin/static/licenses.md, which a gateway serves as
/console/licenses.md, has them with their licences.
"""


class Crate(NamedTuple):
    """A crate that the extension links."""

    name: str
    version: str
    licence: str
    folder: Path

    def __str__(self) -> str:
        """As a line of the list, without the licence."""
        return f"{self.name} {self.version}"


def linked_crates(platforms: Iterable[str] = PLATFORMS) -> list[Crate]:
    """All that is linked into the extension on any of these platforms, in order."""
    found = {crate for platform in platforms for crate in _linked_on(platform)}
    return sorted(found)


def _linked_on(platform: str) -> set[Crate]:
    options = ("--format-version", "1", "--locked", "--offline", "--filter-platform", platform)
    told = subprocess.run(["cargo", "metadata", *options], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S607
    graph = json.loads(told)
    packages = {package["id"]: package for package in graph["packages"]}
    dependencies = {node["id"]: node["deps"] for node in graph["resolve"]["nodes"]}
    seen: set[str] = set()
    waiting = [each for each, package in packages.items() if package["name"] == EXTENSION]
    while waiting:
        at = waiting.pop()
        if at not in seen:
            seen.add(at)
            waiting += [dep["pkg"] for dep in dependencies[at] if _is_linked(dep, packages[dep["pkg"]])]
    return {_crate(packages[each]) for each in seen if packages[each]["source"]}


def _is_linked(dependency: dict[str, Any], package: dict[str, Any]) -> bool:
    """False for what only builds, tests, or writes code."""
    normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
    return normal and not any("proc-macro" in target["kind"] for target in package["targets"])


def _crate(package: dict[str, Any]) -> Crate:
    folder = Path(package["manifest_path"]).parent
    return Crate(package["name"], package["version"], package["license"], folder)


def _texts(crate: Crate) -> list[str]:
    """The licence files of its source package."""
    files = sorted(path for path in crate.folder.iterdir() if path.name.upper().startswith(_NAMES))
    return [path.read_text("utf-8").strip() for path in files if path.is_file()]


def render(crates: Sequence[Crate]) -> str:
    """The whole file. A text that several crates share, white space aside, is in it once."""
    texts: dict[str, str] = {}
    whose: dict[str, list[str]] = {}
    for crate in crates:
        for text in _texts(crate):
            words = " ".join(text.split())
            texts.setdefault(words, text)
            whose.setdefault(words, []).append(str(crate))
    without = {str(crate) for crate in crates} - {name for names in whose.values() for name in names}
    if without:
        sys.exit(f"no licence file in {', '.join(sorted(without))}")
    listed = "\n".join(f"  {crate} ({crate.licence})" for crate in crates)
    parts = (f"{_RULE}\n{', '.join(whose[words])}\n{_RULE}\n\n{text}\n" for words, text in texts.items())
    return "\n".join([_HEAD, listed, "", *parts])


if __name__ == "__main__":
    NOTICES.write_text(render(linked_crates()), "utf-8")
