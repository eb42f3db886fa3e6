"""How `llmgw reload` finds a running gateway and talks with it.

`llmgw.db.run/`, next to the database, has a folder for each serving process, under a random name. Where the
database is a server, `Config.run_folder` says where it is.

    lock               locked while the process lives; holds its process id, for messages
    request-ID.json    what `llmgw reload` asks for
    result-ID.json     the answer
    workers.json       the process ids of the workers
    worker-PID.json    the generation that a worker uses, or why it can't
    live, live.lock    what the workers tell consoles, made by one of them for all (`admin.shelf`)

The serving process looks for requests by itself. Nobody is signalled: the two may be in different containers,
where a process id means another process. Each file is written whole and renamed into place; only its owner
can read it. No file holds a config or a secret (see `in_force`).
"""

import errno
import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from llmgw.config import Fault
from llmgw.config.files import FileError, make_private, read_regular

logger = logging.getLogger(__name__)

RUN_FOLDER_ENV: Final = "LLMGW_RUN_FOLDER"
"""Tells a worker where the folder is. Set by the parent process."""
_LOCK: Final = "lock"
_WORKERS: Final = "workers.json"
_YOUNG_SUFFIX: Final = ".new"
_YOUNG_S: Final = 60.0
"""So long a folder may be without its lock and its name: its process has just begun."""
_PRIVATE_FOLDER: Final = 0o700
_MAX_FILE_BYTES: Final = 1 << 20


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
    def pid(self) -> str:
        """The serving process's id, as that process knows it."""
        return self._read_bytes(_LOCK).decode("ascii", "replace")

    @property
    def created_s(self) -> float:
        """When the serving process made the folder, in seconds since the epoch."""
        return (self.path / _LOCK).stat().st_mtime

    @classmethod
    def create(cls, parent: Path) -> Self:
        """Create this process's folder, and remove those of dead processes. `parent`: `Config.run_folder`."""
        parent.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        make_private(parent)  # who can write here could make the gateway load a config of theirs
        for other in _leftovers(parent):
            shutil.rmtree(other, ignore_errors=True)
        name = uuid.uuid4().hex
        young = cls(parent / f"{name}{_YOUNG_SUFFIX}")
        young.path.mkdir(mode=_PRIVATE_FOLDER)
        lock = os.open(young.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A POSIX lock, because forked workers do not inherit it. The name comes after it: no other process
        # ever finds the folder of a living one without its lock.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, str(os.getpid()).encode())
        folder = cls(young.path.rename(parent / name))
        folder._lock = lock
        return folder

    @classmethod
    def running(cls, parent: Path) -> list[Self]:
        """The folders of all running gateways of this machine that use a database."""
        return [cls(path) for path in _folders(parent) if _is_locked(path)]

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

    def ask(self, config: Path) -> ReloadRequest:
        """Write a request to load a config file. The serving process finds it."""
        request = ReloadRequest(uuid.uuid4().hex, str(config))
        self._write(f"request-{request.id}.json", asdict(request))
        return request

    def take_requests(self) -> list[ReloadRequest]:
        """All requests since the last call. One that can't be read is dropped, with a word in the log."""
        requests = []
        for path in sorted(self.path.glob("request-*.json")):
            try:
                requests.append(ReloadRequest(**self._read(path.name)))
                path.unlink()
            except (ValueError, TypeError, OSError) as error:
                logger.warning("a request to reload can't be read, and is dropped: %s", error)
                _discard(path)
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

    def report_workers(self, pids: Iterable[int]) -> None:
        """Write which workers there are, and forget what others reported."""
        living = sorted(pids)
        self._write(_WORKERS, {"pids": living})
        for path in self.path.glob("worker-*.json"):
            if path.stem.removeprefix("worker-") not in map(str, living):
                path.unlink(missing_ok=True)

    def workers(self) -> list[int]:
        """The process ids of the workers; empty before the first is started."""
        try:
            pids: list[int] = self._read(_WORKERS)["pids"]
        except FileNotFoundError:
            return []
        return pids

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
        if os.geteuid() == 0:  # `llmgw reload` of root's: the gateway must be able to read it
            os.fchown(number, self.path.stat().st_uid, -1)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(value, file)
        Path(path).rename(self.path / name)

    def _read(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._read_bytes(name))
        return value

    def _read_bytes(self, name: str) -> bytes:
        try:
            return read_regular(self.path / name, max_bytes=_MAX_FILE_BYTES)
        except FileError as error:
            raise OSError(errno.EINVAL, str(error), name) from error


def _folders(parent: Path) -> Iterator[Path]:
    return (path for path in sorted(parent.glob("*")) if path.suffix != _YOUNG_SUFFIX and path.is_dir())


def _leftovers(parent: Path) -> Iterator[Path]:
    """The folders of dead processes."""
    yield from (path for path in _folders(parent) if not _is_locked(path))
    for young in parent.glob(f"*{_YOUNG_SUFFIX}"):
        with suppress(FileNotFoundError):
            if time.time() - young.stat().st_mtime > _YOUNG_S:
                yield young


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _discard(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
