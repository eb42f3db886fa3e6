"""Clients that take nothing of their answer any more.

A write waits while its client is slow, and the upstream with it: that is right, up to a point. A timer for
each write would cost more than the write. So a write only counts (`Responder.writes`), and one look at all
answers now and then finds the writes that have not moved.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from llmgw.asgi.responder import Responder
from llmgw.asgi.types import Scope

_FILES: Final = Path("/dev/fd")
"""The process's open files, by their numbers: on Linux and macOS alike."""


class _Watched:
    __slots__ = ("cut", "on_stall", "scope", "since_s", "task", "writes")

    def __init__(self, scope: Scope, on_stall: Callable[[], None], task: "asyncio.Task[Any] | None") -> None:
        self.scope = scope
        self.task = task
        self.on_stall = on_stall
        self.writes = 0
        self.since_s = 0.0
        self.cut = False


class StallWatch:
    """The answers that are being written. For the event loop's thread only."""

    def __init__(self) -> None:
        """Watches nothing yet."""
        self._watched: dict[Responder, _Watched] = {}

    def add(
        self,
        responder: Responder,
        scope: Scope,
        on_stall: Callable[[], None],
        task: "asyncio.Task[Any] | None",
    ) -> None:
        """Watch what a task writes. `on_stall` is called before its client is cut off."""
        self._watched[responder] = _Watched(scope, on_stall, task)

    def discard(self, responder: Responder) -> None:
        """Watch it no longer."""
        self._watched.pop(responder, None)

    def look(self, now_s: float, timeout_s: float) -> None:
        """Cut off the stalled. `now_s` is of any monotonic clock; precise to the time between two looks."""
        for responder, watched in list(self._watched.items()):
            writes = responder.writes
            if writes != watched.writes:
                watched.writes = writes
                watched.since_s = now_s
            elif writes % 2 and now_s - watched.since_s >= timeout_s:
                watched.since_s = now_s
                _cut(watched)

    def cut_waiting(self) -> None:
        """Cut off whoever keeps a write waiting, for however short a time."""
        for responder, watched in list(self._watched.items()):
            if responder.writes % 2:
                _cut(watched)


def _cut(watched: _Watched) -> None:
    watched.on_stall()
    client = watched.scope.get("client")
    several = watched.scope["http_version"].startswith("2")
    if client and not several and not watched.cut:
        # The write then fails by itself. (granian gives the port as a string.)
        watched.cut = True
        peer = (client[0], int(client[1]))
        asyncio.get_running_loop().run_in_executor(None, cut_connection, peer)
    elif watched.task is not None:
        # Other requests may share an HTTP/2 connection: only this one may end.
        watched.task.cancel()


def cut_connection(peer: tuple[str, int]) -> bool:
    """Shut down this process's TCP connection with an address and port; False if it is not found.

    ASGI has no way to say it, and a server that waits for the client's window would never close by itself.
    Blocking, for a millisecond or so per thousand open files: call it in a thread.
    """
    for file in list(_FILES.iterdir()):
        try:
            number = int(file.name)
            if _peer(number) != peer:
                continue
            # By now, the number may stand for another connection. A duplicate keeps its meaning: look again.
            with socket.socket(fileno=os.dup(number)) as connection:
                if connection.getpeername()[:2] == peer:
                    connection.shutdown(socket.SHUT_RDWR)
                    return True
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                return False
    return False


def _peer(number: int) -> tuple[str, int] | None:
    """The other end of an open file, if it is a TCP connection. Raises OSError for most that are not."""
    borrowed = socket.socket(fileno=number)
    try:
        if borrowed.family not in {socket.AF_INET, socket.AF_INET6} or borrowed.type != socket.SOCK_STREAM:
            return None
        name = borrowed.getpeername()
        return str(name[0]), int(name[1])
    finally:
        borrowed.detach()
