"""`python -m tests.support.node`: Node with npm, out of locked wheels, for the clients and for the console.

The machine's own Node, if there is one, plays no part. `make demo` runs this before it has more than the
packages of llmgw itself, so only the standard library and pip are used.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.once import once

_ROOT: Final = Path(__file__).parents[2]
NODE_LOCK: Final = _ROOT / "tests" / "clients" / "node" / "requirements.lock"
NODE_VENV: Final = _ROOT / "target" / "clients" / "venvs" / "node"
NODE_BIN: Final = NODE_VENV / "bin"
"""`node`, `npm` and `npx`. The Makefile has the same path."""


def install_node() -> None:
    """Just what the lock file says; a second call does nothing. RuntimeError quotes what went wrong."""
    once(NODE_VENV, [NODE_LOCK], _make)


def _make(folder: Path) -> None:
    _run("venv", "--without-pip", folder)
    own = folder / "bin" / "python"
    _run("pip", "--quiet", "--python", own, "install", "--require-hashes", "--requirement", NODE_LOCK)


def _run(module: str, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no Node: {module} ended with {done.returncode}:\n{done.stderr or done.stdout}")


if __name__ == "__main__":
    try:
        install_node()
    except RuntimeError as error:
        sys.exit(str(error))
