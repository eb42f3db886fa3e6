"""What a gateway must tell the harness in order to be measured."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from benches.gateway.machine import ROOT
from benches.gateway.processes import BenchError
from benches.gateway.workloads import UPSTREAM_MODELS, Door

PEERS_DIR: Final = ROOT / "target" / "bench-peers"
"""Where peers are installed, each in its folder."""
INSTALL_LIMIT_S: Final = 600


@dataclass(frozen=True)
class Launch:
    """How a gateway is started and asked."""

    command: Sequence[str]
    port: int | None
    """None: it chooses one and prints its URL."""
    health: str
    """A path that is answered as soon as it serves."""
    path: str = "/v1/chat/completions"
    doors: Sequence[Door] = ("chat",)
    """Through which it is measured."""
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=lambda: {name: name for name in UPSTREAM_MODELS})
    ready_timeout_s: float = 90.0


class Peer(Protocol):
    """A gateway."""

    @property
    def name(self) -> str:
        """As the options and the tables call it."""

    @property
    def settings(self) -> str:
        """How it is configured and where that is recommended; one line of Markdown."""

    def absent(self) -> str | None:
        """Why it can't be measured here; None if it can."""

    def install(self) -> None:
        """Put it below `PEERS_DIR`. Raises BenchError."""

    def version(self) -> str:
        """Of what is installed."""

    def launch(self, upstream_port: int, folder: Path) -> Launch:
        """Write its config to `folder` and say how to start it."""


def run(command: Sequence[str | Path], *, cwd: Path | None = None) -> str:
    """Run a short command; what it prints. Raises BenchError."""
    arguments = [str(argument) for argument in command]
    try:
        done = subprocess.run(
            arguments, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{arguments[0]}: {error}") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        reason = re.sub(r"https?://\S+", "…", " / ".join(line.strip() for line in lines[-3:]))
        raise BenchError(f"{Path(arguments[0]).name} failed: {reason[:500]}")
    return done.stdout + done.stderr


def install_python_package(name: str, requirement: str) -> None:
    """A virtual environment of its own with one package in it. Raises BenchError."""
    folder = PEERS_DIR / name
    try:
        run(["python3", "-m", "venv", "--clear", folder])
        run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", requirement])
    except BenchError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def python_package_version(name: str, package: str) -> str:
    """The version in that environment."""
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return run([PEERS_DIR / name / "bin" / "python", "-c", code]).strip()


def not_installed(name: str, program: Path) -> str | None:
    """The reason why a peer is absent, if its program is."""
    if program.exists():
        return None
    return f"not installed: python -m benches.gateway.peers install {name}"
