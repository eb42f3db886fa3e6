"""Installs the clients into `target/clients`, from the lock files in here; a second run does nothing."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.clients.clients import BUILT, GO_PROGRAM, NODE_BIN, NODE_FOLDER, SOURCES, VENVS

UV = str(Path(sys.executable).with_name("uv"))
LOCK_FLAGS = (
    "--quiet", "--upgrade", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate",
    "--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock-clients",
)  # fmt: skip
GO_SETTINGS = {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
STAMP = ".installed-from"


def install() -> None:
    """Everything. RuntimeError says which step failed, and quotes it."""
    for name in VENVS:
        _venv(name)
    node = SOURCES / "node"
    _once(NODE_FOLDER, [node / "package.json", node / "package-lock.json"], _node_modules)
    for program in node.glob("*.mjs"):  # beside node_modules, where Node looks for packages
        shutil.copy(program, NODE_FOLDER)
    _go()


def lock() -> None:
    """Resolve every lock file anew from its ranges: requirements.in, package.json, go.mod."""
    for name in (*VENVS, "go"):
        wanted, locked = SOURCES / name / "requirements.in", SOURCES / name / "requirements.lock"
        _run([UV, "pip", "compile", str(wanted), "--output-file", str(locked), *LOCK_FLAGS])
    _venv("node")
    _npm(SOURCES / "node", "update", "--package-lock-only")
    _run([_go_tool(), "get", "github.com/openai/openai-go/v3@latest"], folder=SOURCES / "go", **GO_SETTINGS)
    _run([_go_tool(), "mod", "tidy"], folder=SOURCES / "go", **GO_SETTINGS)


def _once(folder: Path, inputs: list[Path], make: Callable[[Path], None]) -> None:
    """Make a folder anew unless it was made from just these files."""
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text("ascii") == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in inputs:
        shutil.copy(path, folder)
    make(folder)
    stamp.write_text(wanted, "ascii")


def _venv(name: str) -> Path:
    """An environment of Python with just what its lock file says."""

    def make(folder: Path) -> None:
        _run([UV, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)])
        python = str(folder / "bin" / "python")
        lock_file = str(folder / "requirements.lock")
        _run([UV, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock_file])

    folder = BUILT / "venvs" / name
    _once(folder, [SOURCES / name / "requirements.lock"], make)
    return folder


def _node_modules(folder: Path) -> None:
    # Not `npm ci`: it refuses a lock file that lacks optional packages of other systems, which we leave out
    # anyway. What is installed is held against the lock file's hashes all the same.
    lock_file = folder / "package-lock.json"
    before = lock_file.read_bytes()
    _npm(folder, "install", "--omit=optional")
    if lock_file.read_bytes() != before:
        raise RuntimeError("package.json and package-lock.json do not fit each other: make lock-clients")


def _npm(folder: Path, *command: str) -> None:
    # No install scripts: none of these packages needs one, and a script could do anything.
    flags = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    path = os.pathsep.join((str(NODE_BIN), os.environ["PATH"]))
    _run([str(NODE_BIN / "npm"), *command, *flags], folder=folder, PATH=path)


def _go() -> None:
    GO_PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    _run(
        [_go_tool(), "build", "-mod=readonly", "-o", str(GO_PROGRAM), "."],
        folder=SOURCES / "go",
        **GO_SETTINGS,
    )


def _go_tool() -> str:
    """Go of this machine where it is new enough for go.mod; else one from the lock file in `go`."""
    wanted = re.findall(r"^go (\S+)$", (SOURCES / "go" / "go.mod").read_text("utf-8"), re.MULTILINE)[0]
    tool = shutil.which("go")
    if tool is not None:
        found = subprocess.run([tool, "env", "GOVERSION"], capture_output=True, text=True, check=False,
                               env={**os.environ, "GOTOOLCHAIN": "local"})  # fmt: skip
        if _numbers(found.stdout) >= _numbers(wanted):
            return tool
    return str(_venv("go") / "bin" / "go")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _run(command: list[str], *, folder: Path = SOURCES, **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
