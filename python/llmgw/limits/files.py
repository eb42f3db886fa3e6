"""How many requests and connections the process's file descriptors allow."""

import contextlib
import resource
from typing import Final

from llmgw.config import ServerConfig

_OTHER_FILES: Final = 64
"""Database, logs, runtimes, and room for what is pooled."""

_MAX_CONNECTIONS: Final = 65_536


def raise_file_limit() -> None:
    """Let this process and its children have as many file descriptors as the system allows them."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != most:
        # macOS says that there is no limit, and then refuses.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def possible_requests(server: ServerConfig) -> int:
    """`max_in_flight_requests`, or fewer where the process has too few file descriptors for them.

    A request needs two, and whoever is turned away needs one to be told.
    """
    return min(server.max_in_flight_requests, max(_spare_files() // 3, 1))


def possible_connections(server: ServerConfig) -> int:
    """How many connections a worker may accept, so that its requests still find a file descriptor."""
    return min(_MAX_CONNECTIONS, max(_spare_files() - possible_requests(server), 2))


def _spare_files() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (3 * _MAX_CONNECTIONS if files == resource.RLIM_INFINITY else files) - _OTHER_FILES
