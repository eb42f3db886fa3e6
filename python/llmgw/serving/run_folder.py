"""How `llmgw reload` reaches a gateway that runs, and how its workers learn of a new config.

Beside the database stands `llmgw.db.run/`, with a folder for each serving process, named by its process id:

    lock               locked for as long as the process lives
    current.json       the config in force, as text; each has a number, its generation
    request-ID.json    what `llmgw reload` asks for
    result-ID.json     what became of it
    worker-PID.json    which generation a worker has, or why it can't have it

Files, because they outlive a worker: one that is started anew finds the config in force, which may not be
what stands in the config file by now. Each is written whole and renamed into place. They can hold secrets,
and are for their owner alone.
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
"""Where a worker finds the folder. Set by the process that starts it."""
_LOCK: Final = "lock"
_ACTIVE_CONFIG: Final = "current.json"


@dataclass(frozen=True)
class ActiveConfig:
    """The config in force."""

    generation: int
    """1 at the start; grows with every reload."""
    source: str
    """The file that it was read from; relative paths in it start from there."""
    changed_s: int
    """When that file was last changed, in seconds since the epoch."""
    text: str

    @classmethod
    def of(cls, config: Config, generation: int) -> Self:
        """As it is written down."""
        return cls(generation, str(config.source), config.created_s, config.text)

    def load(self) -> Config:
        """Check it again, with this process's environment and today's secrets. Raises ConfigError."""
        return parse_text(self.text, Path(self.source), changed_s=self.changed_s)


@dataclass(frozen=True)
class ReloadRequest:
    """What `llmgw reload` asks for."""

    id: str
    config: str
    """The config file to take over."""


@dataclass(frozen=True)
class ReloadResult:
    """What the serving process made of a request."""

    generation: int
    """That of the config in force afterwards."""
    faults: list[Fault]
    """Why the new config was refused. Empty: it is in force."""
    workers: list[int]
    """Their process ids."""


@dataclass(frozen=True)
class WorkerState:
    """What a worker says of the latest generation that it has heard of."""

    generation: int
    problem: str | None
    """None: it works with that config."""


class RunFolder:
    """The folder of one serving process. All methods are blocking and raise OSError."""

    def __init__(self, path: Path) -> None:
        """An existing one; see `create` and `running`."""
        self.path = path
        self._lock: int | None = None

    @property
    def pid(self) -> int:
        """The serving process."""
        return int(self.path.name)

    @classmethod
    def create(cls, store_url: str) -> Self:
        """That of this process. Those of processes that died are removed."""
        parent = _parent(store_url)
        parent.mkdir(mode=0o700, exist_ok=True)
        for other in _folders(parent):
            if not _is_locked(other):
                shutil.rmtree(other, ignore_errors=True)
        folder = cls(parent / str(os.getpid()))
        folder.path.mkdir(mode=0o700)
        folder._lock = os.open(folder.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A POSIX lock, since forked workers don't inherit it.
        fcntl.lockf(folder._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return folder

    @classmethod
    def running(cls, store_url: str) -> list[Self]:
        """Those of all gateways that use a database now."""
        return [cls(path) for path in _folders(_parent(store_url)) if _is_locked(path)]

    @classmethod
    def of_worker(cls) -> Self:
        """The folder of the process that started this worker. Raises KeyError in other processes."""
        return cls(Path(os.environ[RUN_FOLDER_ENV]))

    def remove(self) -> None:
        """The process ends."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def activate(self, active: ActiveConfig) -> None:
        """Put a config in force: the workers see it at their next look."""
        self._write(_ACTIVE_CONFIG, asdict(active))

    def active(self) -> ActiveConfig:
        """The config in force."""
        return ActiveConfig(**self._read(_ACTIVE_CONFIG))

    def stamp(self) -> tuple[int, int]:
        """Changes whenever another config is put in force. Cheap, and takes no file descriptor."""
        status = (self.path / _ACTIVE_CONFIG).stat()
        return status.st_ino, status.st_mtime_ns

    def ask(self, config: Path) -> ReloadRequest:
        """Write down a request to take over a config file. The process is to be told by SIGHUP."""
        request = ReloadRequest(uuid.uuid4().hex, str(config))
        self._write(f"request-{request.id}.json", asdict(request))
        return request

    def take_requests(self) -> list[ReloadRequest]:
        """What was asked since the last time."""
        requests = []
        for path in sorted(self.path.glob("request-*.json")):
            requests.append(ReloadRequest(**self._read(path.name)))
            path.unlink()
        return requests

    def answer(self, request: ReloadRequest, result: ReloadResult) -> None:
        """Say what became of a request."""
        self._write(f"result-{request.id}.json", asdict(result))

    def result(self, request: ReloadRequest) -> ReloadResult | None:
        """What became of a request, if that is known; it is told only once."""
        path = self.path / f"result-{request.id}.json"
        try:
            read = self._read(path.name)
        except FileNotFoundError:
            return None
        path.unlink()
        return ReloadResult(read["generation"], [Fault(*fault) for fault in read["faults"]], read["workers"])

    def report_state(self, state: WorkerState) -> None:
        """Say which generation this worker has."""
        self._write(f"worker-{os.getpid()}.json", asdict(state))

    def worker_state(self, pid: int) -> WorkerState | None:
        """What a worker said last."""
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
