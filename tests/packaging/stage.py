"""`python -m tests.packaging.stage FOLDER`: copies the sources there, with the commit in their version.

Two wheels of one version can't follow each other: pip keeps the one that it has. So a wheel's version is that
of Cargo.toml and, as a local version (PEP 440), the time and the hash of its commit; a later commit is newer.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_SOURCES: Final = (
    "Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "THIRD-PARTY-NOTICES.txt", "pyproject.toml", "python",
    "rust",
)  # fmt: skip
_BUILT: Final = shutil.ignore_patterns("__pycache__", "*.so", "target", "artifacts")
CONSOLE: Final = Path("python", "llmgw", "admin", "static")
"""What `make console` builds. Git ignores it, maturin does not (`include` in pyproject.toml)."""
_VERSIONED: Final = ("Cargo.toml", "Cargo.lock")
"""Files with the version of our crates."""


def local_version(root: Path = ROOT) -> str:
    """Such as `20261126081500.g1a2b3c4d5e`, with `.dirty` for uncommitted changes; empty without git."""
    commit = _git(root, "log", "-1", "--format=%cd.g%h", "--date=format-local:%Y%m%d%H%M%S", "--abbrev=10")
    if not commit:
        return ""
    return f"{commit}.dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else commit


def stage(folder: Path, root: Path = ROOT) -> str:
    """Copy what the build reads; the version. FileNotFoundError where the console was not built."""
    if not (root / CONSOLE / "index.html").is_file():
        raise FileNotFoundError(f"{root / CONSOLE} lacks the console, which `make console` builds")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _SOURCES:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=_BUILT)
        else:
            shutil.copy2(source, folder / name)
    base = _base(root)
    local = local_version(root)
    version = f"{base}+{local}" if local else base
    for name in _VERSIONED:
        file = folder / name
        file.write_text(_renamed(file.read_text("utf-8"), base, version), "utf-8")
    return version


def _base(root: Path) -> str:
    lines = (root / "Cargo.toml").read_text("utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version = "))


def _renamed(text: str, base: str, version: str) -> str:
    """With the version of our own crates changed: Cargo.toml's first one, and Cargo.lock's of `llmgw-…`."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        is_ours = (
            lines[at - 1].startswith('name = "llmgw-') or "[workspace.package]" in lines[max(0, at - 2) : at]
        )
        if line == f'version = "{base}"' and is_ours:
            lines[at] = f'version = "{version}"'
    return "\n".join([*lines, ""])


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    environment = {"TZ": "UTC", "PATH": os.environ["PATH"]}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    try:
        sys.stdout.write(stage(Path(sys.argv[1])) + "\n")
    except FileNotFoundError as error:
        sys.exit(str(error))
