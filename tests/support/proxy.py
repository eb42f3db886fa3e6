"""A network between a client and a server that can be slow, silent, cut, and cut at the worst moment."""

import contextlib
import select
import socket
import threading
import time
from types import TracebackType
from typing import Final, Self

_PIECE: Final = 65_536
_POLL_S: Final = 0.02
COMMIT: Final = b"COMMIT"
"""In a simple query of PostgreSQL's protocol, as drivers end a transaction."""


class Proxy:
    """Listens on loopback and passes bytes to a port of it; each connection on a thread."""

    def __init__(self, target_port: int) -> None:
        """Begins to listen."""
        self.target_port = target_port
        self.delay_s = 0.0
        """Each piece waits for so long, in either direction."""
        self.lost_commits = 0
        """So many COMMITs to come are done, and their connections cut before the answer. Counts down."""
        self._silent = False
        self._closed = False
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self) -> None:
        """From now on no byte passes, and no connection ends: as a network that drops everything."""
        self._silent = True

    def speak(self) -> None:
        """What was held back passes."""
        self._silent = False

    def cut(self) -> None:
        """End all connections that there are."""
        with self._lock:
            for pair in self._pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    @property
    def connections(self) -> int:
        """How many there are."""
        with self._lock:
            return len(self._pairs)

    def close(self) -> None:
        """Listen no more, and end all."""
        self._closed = True
        self._listener.shutdown(socket.SHUT_RDWR)  # else the thread would wait for one more
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self.target_port)) as server,
        ):
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            try:
                self._pump(client, server)
            finally:
                with self._lock:
                    self._pairs.remove(pair)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        loses = False
        while not self._closed:
            if self._silent:
                time.sleep(_POLL_S)
                continue
            for source in select.select([client, server], [], [], _POLL_S)[0]:
                piece = source.recv(_PIECE)
                if not piece:
                    return
                if source is server and loses:
                    return  # the server has done it, and the client will never know
                loses = source is client and self._takes_commit(piece)
                if self.delay_s:
                    time.sleep(self.delay_s)
                (server if source is client else client).sendall(piece)

    def _takes_commit(self, piece: bytes) -> bool:
        with self._lock:
            if self.lost_commits and COMMIT in piece:
                self.lost_commits -= 1
                return True
        return False

    def __enter__(self) -> Self:
        """Already listening."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self.close()
