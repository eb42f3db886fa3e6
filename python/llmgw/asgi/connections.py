"""The TCP connections that this process has accepted, as its open files show them.

The server tells the application of requests, not of connections: one that never says a word is known only to
the kernel.
"""

import socket
import struct
from contextlib import suppress
from typing import Final, NamedTuple

from llmgw.asgi.client import Address
from llmgw.asgi.cut import FILES

_BYTES_ACKED: Final = struct.Struct("120x Q")
"""`tcpi_bytes_acked` in Linux's `struct tcp_info` (linux/tcp.h, since 4.1)."""


class Connection(NamedTuple):
    """A connection at one moment."""

    address: Address
    """The other end."""
    taken_bytes: int | None
    """How much of what was sent to it the other end has acknowledged. None: this system does not tell."""


def accepted_connections() -> list[Connection]:
    """All of them. Blocking, for some milliseconds per thousand open files: call it in a thread."""
    ports: set[int] = set()
    found: list[tuple[int, Connection]] = []
    for file in list(FILES.iterdir()):
        # A file may be closed meanwhile, and most are no sockets.
        with suppress(OSError):
            _look(int(file.name), ports, found)
    return [connection for port, connection in found if port in ports]


def _look(number: int, ports: set[int], found: list[tuple[int, Connection]]) -> None:
    """Note one file: a port that is listened on, or a connection with its own port."""
    borrowed = socket.socket(fileno=number)
    try:
        if borrowed.family not in {socket.AF_INET, socket.AF_INET6} or borrowed.type != socket.SOCK_STREAM:
            return
        own_port = borrowed.getsockname()[1]
        if borrowed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            ports.add(own_port)
            return
        peer = borrowed.getpeername()
        found.append((own_port, Connection((peer[0], str(peer[1])), _taken_bytes(borrowed))))
    finally:
        borrowed.detach()


def _taken_bytes(connection: socket.socket) -> int | None:
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
        taken: int = _BYTES_ACKED.unpack(info)[0]
    except (AttributeError, OSError, struct.error):
        return None
    return taken
