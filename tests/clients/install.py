"""Installs the clients into `target/clients`, from the lock files in here; a second run does nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.clients.clients import (
    BUILT,
    GO_FOLDERS,
    NODE_FOLDER,
    SOURCES,
    VENVS,
    go_program,
    go_sdk,
)
from tests.support.node import NODE_BIN, install_node
from tests.support.once import once

UV = str(Path(sys.executable).with_name("uv"))
LOCK_FLAGS = (
    "--quiet", "--upgrade", "--universal", "--generate-hashes", "--no-annotate", "--no-emit-index-url",
    "--no-emit-find-links", "--custom-compile-command", "make lock-clients",
)  # fmt: skip
GO_SETTINGS = {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
VIBE = "vibe"
OLDEST_PYTHON = (3, 11)
NEW_PYTHON = (3, 12)
"""What Vibe needs; every other client runs with the oldest."""


def install() -> None:
    """Everything. RuntimeError says which step failed, and quotes it."""
    install_agents()
    for name in VENVS:
        _venv(name)
    _venv(VIBE, python=_new_python())
    for name in GO_FOLDERS:
        _go(name)


def install_agents() -> None:
    """Node and what runs on it: the agents' programs, and the clients beside one of them."""
    install_node()
    _node_modules(NODE_FOLDER, "--omit=optional")
    _node_modules(BUILT / "agents")  # some agents' programs are optional packages, one for each system
    for program in (SOURCES / "node").glob("*.mjs"):  # beside node_modules, where Node looks for packages
        shutil.copy(program, NODE_FOLDER)


def lock() -> None:
    """Resolve every lock file anew from its ranges: requirements.in, package.json, go.mod."""
    for name in (*VENVS, VIBE, "node", "go"):
        wanted, locked = SOURCES / name / "requirements.in", SOURCES / name / "requirements.lock"
        oldest = ".".join(map(str, NEW_PYTHON if name == VIBE else OLDEST_PYTHON))
        flags = ("--python-version", oldest, *LOCK_FLAGS)
        _run([UV, "pip", "compile", str(wanted), "--output-file", str(locked), *flags])
    install_node()
    for name in ("node", "agents"):
        _npm(SOURCES / name, "update", "--package-lock-only")
    _run([_go_tool(), "get", f"{go_sdk('go')}@latest"], folder=SOURCES / "go", **GO_SETTINGS)
    _run([_go_tool(), "mod", "tidy"], folder=SOURCES / "go", **GO_SETTINGS)


def _venv(name: str, *, python: str = sys.executable) -> Path:
    """An environment of Python with just what its lock file says."""

    def make(folder: Path) -> None:
        _run([UV, "venv", "--quiet", "--allow-existing", "--python", python, str(folder)])
        own = str(folder / "bin" / "python")
        lock_file = str(folder / "requirements.lock")
        _run([UV, "pip", "sync", "--quiet", "--require-hashes", "--python", own, lock_file])

    folder = BUILT / "venvs" / name
    once(folder, [SOURCES / name / "requirements.lock"], make)
    return folder


def _new_python() -> str:
    """A Python of this machine that is new enough for Vibe. RuntimeError where there is none."""
    on_path = (shutil.which(f"python3.{minor}") for minor in range(NEW_PYTHON[1], NEW_PYTHON[1] + 5))
    of_pyenv = Path.home().glob(".pyenv/versions/*/bin/python3")
    for python in (sys.executable, *filter(None, on_path), *map(str, of_pyenv)):
        asked = [python, "-c", "import sys; print(*sys.version_info[:2])"]
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.returncode == 0 and _numbers(found.stdout) >= NEW_PYTHON:
            return python
    raise RuntimeError("Mistral Vibe needs Python 3.12 or newer, and this machine has none")


def _node_modules(folder: Path, *options: str) -> None:
    """Packages for Node, just what the lock file in the source folder of the same name says."""
    files = [SOURCES / folder.name / name for name in ("package.json", "package-lock.json")]

    def make(folder: Path) -> None:
        # Not `npm ci`: it refuses a lock file that lacks optional packages of other systems, which we leave
        # out anyway. What is installed is held against the lock file's hashes all the same.
        _npm(folder, "install", *options)
        if (folder / "package-lock.json").read_bytes() != files[1].read_bytes():
            raise RuntimeError("package.json and package-lock.json do not fit each other: make lock-clients")

    once(folder, files, make)


def _npm(folder: Path, *command: str) -> None:
    # No install scripts: none of these packages needs one, and a script could do anything.
    flags = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    path = os.pathsep.join((str(NODE_BIN), os.environ["PATH"]))
    _run([str(NODE_BIN / "npm"), *command, *flags], folder=folder, PATH=path)


def _go(name: str) -> None:
    """The program of the folder `go`, with the version of the SDK that the folder `name` asks for."""
    program = go_program(name)
    sources = sorted((SOURCES / "go").glob("*.go")) + sorted((SOURCES / name).glob("go.*"))
    sources += sorted((SOURCES / name).glob("*.go"))  # in place of those of the same name

    def make(folder: Path) -> None:
        for path in folder.glob("*.go"):
            path.write_text(path.read_text("utf-8").replace(go_sdk("go"), go_sdk(name)), "utf-8")
        _run([_go_tool(), "build", "-mod=readonly", "-o", str(program), "."], folder=folder, **GO_SETTINGS)

    once(program.parent, sources, make)


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
