"""How many requests and connections do the process's file descriptors allow?"""

import contextlib
import resource
from typing import Final

from llmgw.config import ServerConfig
from llmgw.errors import CommandError

_OTHER_FILES: Final = 64
"""For the database, logs, runtimes and pooled connections."""

_MAX_CONNECTIONS: Final = 65_536


_LEAST_FILES: Final = 96
"""For one worker and a few requests; with fewer, the parts of the gateway fail one by one."""

_LEAST_FILES_PER_WORKER: Final = 8
"""In the parent process, for each further worker."""


def raise_file_limit() -> None:
    """Raise this process's limit of file descriptors to what the system allows; children inherit it."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != most:
        # macOS reports no limit and then refuses to set it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def check_file_limit(workers: int) -> None:
    """Raises CommandError if the limit is too low to start so many workers."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _LEAST_FILES + _LEAST_FILES_PER_WORKER * (workers - 1)
    if files != resource.RLIM_INFINITY and files < needed:
        problem = f"the limit of open files is {files}, and the gateway needs {needed} for this many workers"
        raise CommandError(f"{problem} ({workers}); raise it (ulimit -n, LimitNOFILE= of systemd)")


def possible_requests(server: ServerConfig) -> int:
    """`max_in_flight_requests`, or fewer if the process has too few file descriptors for them.

    A request needs two, and a refused one needs one for its answer.
    """
    return min(server.max_in_flight_requests, max(_spare_files() // 3, 1))


def possible_connections(server: ServerConfig) -> int:
    """How many connections a worker may accept while leaving a descriptor for each request's upstream."""
    return min(_MAX_CONNECTIONS, max(_spare_files() - possible_requests(server), 2))


def _spare_files() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (3 * _MAX_CONNECTIONS if files == resource.RLIM_INFINITY else files) - _OTHER_FILES
