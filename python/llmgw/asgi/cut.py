"""Cuts off TCP connections of this process by their peers' addresses.

ASGI can't close a connection whose client reads nothing, and a server that waits for that client's window
never closes by itself.
"""

import errno
import os
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Final, TypeAlias

Peer: TypeAlias = tuple[str, int]
"""The address and the port of the other end."""
FILES: Final = Path("/dev/fd")
"""The process's open files, by their numbers: on Linux and macOS alike."""


LAST_OFFER_MS: Final = 10_000
"""The system goes on to offer what the peer has not taken, for about so long instead of minutes."""


def cut_connections(peers: Collection[Peer]) -> set[Peer]:
    """Shut down the connections with these peers; returns those that were found.

    One look at all open files, whatever the number of peers. Blocking, for about a millisecond per thousand
    files: call it in a thread.
    """
    wanted = set(peers)
    cut: set[Peer] = set()
    for file in list(FILES.iterdir()):
        if not wanted:
            break
        try:
            number = int(file.name)
            peer = _peer(number)
            if peer is None or peer not in wanted:
                continue
            # By now the number may be another connection's. A duplicate keeps its meaning: look again.
            with socket.socket(fileno=os.dup(number)) as connection:
                if connection.getpeername()[:2] == peer:
                    _give_up_in_time(connection)
                    connection.shutdown(socket.SHUT_RDWR)
                    wanted.discard(peer)
                    cut.add(peer)
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                break
    return cut


def _give_up_in_time(connection: socket.socket) -> None:
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:  # on Linux
        connection.setsockopt(socket.IPPROTO_TCP, option, LAST_OFFER_MS)


def _peer(number: int) -> Peer | None:
    """The other end of an open file, if it is a TCP connection. Raises OSError for most that are not."""
    borrowed = socket.socket(fileno=number)
    try:
        if borrowed.family not in {socket.AF_INET, socket.AF_INET6} or borrowed.type != socket.SOCK_STREAM:
            return None
        name = borrowed.getpeername()
        return str(name[0]), int(name[1])
    finally:
        borrowed.detach()
