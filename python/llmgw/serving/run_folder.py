"""How `llmgw reload` reaches a running gateway, and how its workers learn of a new config.

`llmgw.db.run/`, next to the database, has a folder for each serving process, named by its process id:

    lock               locked while the process lives
    current.json       the active config, as text, and its number (generation)
    request-ID.json    what `llmgw reload` asks for
    result-ID.json     the answer
    worker-PID.json    the generation that a worker uses, or why it can't

These are files because they outlive a worker: its replacement reads the active config here, since the config
file may have been edited meanwhile. Each file is written whole and renamed into place. Files may hold
secrets; only their owner can read them.
"""

import fcntl
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from llmgw.config import SQLITE_PREFIX, Config, Fault, parse_text

RUN_FOLDER_ENV: Final = "LLMGW_RUN_FOLDER"
"""Tells a worker where the folder is. Set by the parent process."""
_LOCK: Final = "lock"
_ACTIVE_CONFIG: Final = "current.json"


@dataclass(frozen=True)
class ActiveConfig:
    """A config as the workers get it."""

    generation: int
    """1 at the start; grows with every reload."""
    source: str
    """The file that it was read from. Relative paths in it start from its folder."""
    changed_s: int
    """When that file was last changed, in seconds since the epoch."""
    text: str

    @classmethod
    def of(cls, config: Config, generation: int) -> Self:
        """Not checked again: `config` has been."""
        return cls(generation, str(config.source), config.created_s, config.text)

    def load(self) -> Config:
        """Check it again, with this process's environment and the current secrets. Raises ConfigError."""
        return parse_text(self.text, Path(self.source), changed_s=self.changed_s)


@dataclass(frozen=True)
class ReloadRequest:
    """A request of `llmgw reload`."""

    id: str
    config: str
    """The config file to load."""


@dataclass(frozen=True)
class ReloadResult:
    """The serving process's answer to a request."""

    generation: int
    """The generation that is active afterwards."""
    faults: list[Fault]
    """Why the new config was refused. Empty: it is active."""
    workers: list[int]
    """Their process ids."""


@dataclass(frozen=True)
class WorkerState:
    """What a worker reports about the latest generation that it has seen."""

    generation: int
    problem: str | None
    """Why it can't use that config; None: it does."""


class RunFolder:
    """The folder of one serving process. All methods are blocking and raise OSError."""

    def __init__(self, path: Path) -> None:
        """`path` must exist; see `create` and `running`."""
        self.path = path
        self._lock: int | None = None

    @property
    def pid(self) -> int:
        """The serving process's id."""
        return int(self.path.name)

    @classmethod
    def create(cls, store_url: str) -> Self:
        """Create this process's folder, and remove those of dead processes."""
        parent = _parent(store_url)
        parent.mkdir(mode=0o700, exist_ok=True)
        for other in _folders(parent):
            if not _is_locked(other):
                shutil.rmtree(other, ignore_errors=True)
        folder = cls(parent / str(os.getpid()))
        folder.path.mkdir(mode=0o700)
        folder._lock = os.open(folder.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A POSIX lock, because forked workers do not inherit it.
        fcntl.lockf(folder._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return folder

    @classmethod
    def running(cls, store_url: str) -> list[Self]:
        """The folders of all running gateways that use a database."""
        return [cls(path) for path in _folders(_parent(store_url)) if _is_locked(path)]

    @classmethod
    def of_worker(cls) -> Self:
        """The folder of the process that started this worker. Raises KeyError in other processes."""
        return cls(Path(os.environ[RUN_FOLDER_ENV]))

    def remove(self) -> None:
        """Remove the folder and release its lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def activate(self, active: ActiveConfig) -> None:
        """Make a config the active one; the workers see it at their next check."""
        self._write(_ACTIVE_CONFIG, asdict(active))

    def active(self) -> ActiveConfig:
        """The active config."""
        return ActiveConfig(**self._read(_ACTIVE_CONFIG))

    def stamp(self) -> tuple[int, int]:
        """Changes with each `activate`. Cheap, and needs no file descriptor."""
        status = (self.path / _ACTIVE_CONFIG).stat()
        return status.st_ino, status.st_mtime_ns

    def ask(self, config: Path) -> ReloadRequest:
        """Write a request to load a config file. The caller then sends the process SIGHUP."""
        request = ReloadRequest(uuid.uuid4().hex, str(config))
        self._write(f"request-{request.id}.json", asdict(request))
        return request

    def take_requests(self) -> list[ReloadRequest]:
        """All requests since the last call."""
        requests = []
        for path in sorted(self.path.glob("request-*.json")):
            requests.append(ReloadRequest(**self._read(path.name)))
            path.unlink()
        return requests

    def answer(self, request: ReloadRequest, result: ReloadResult) -> None:
        """Write the answer to a request."""
        self._write(f"result-{request.id}.json", asdict(result))

    def result(self, request: ReloadRequest) -> ReloadResult | None:
        """The answer to a request, once; None if there is none yet."""
        path = self.path / f"result-{request.id}.json"
        try:
            read = self._read(path.name)
        except FileNotFoundError:
            return None
        path.unlink()
        return ReloadResult(read["generation"], [Fault(*fault) for fault in read["faults"]], read["workers"])

    def report_state(self, state: WorkerState) -> None:
        """Write which generation this worker uses."""
        self._write(f"worker-{os.getpid()}.json", asdict(state))

    def worker_state(self, pid: int) -> WorkerState | None:
        """The last report of a worker."""
        try:
            return WorkerState(**self._read(f"worker-{pid}.json"))
        except FileNotFoundError:
            return None

    def _write(self, name: str, value: dict[str, Any]) -> None:
        number, path = tempfile.mkstemp(dir=self.path)  # for its owner alone
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(value, file)
        Path(path).rename(self.path / name)

    def _read(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.path / name).read_text("utf-8"))
        return value


def _parent(store_url: str) -> Path:
    return Path(store_url.removeprefix(SQLITE_PREFIX) + ".run")


def _folders(parent: Path) -> Iterator[Path]:
    return (path for path in sorted(parent.glob("*")) if path.name.isdigit())


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
