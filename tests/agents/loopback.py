"""A threaded HTTP server on a free port of loopback, for the length of a block."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

POLL_S = 0.05


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open, writes no log, and answers every method in one place."""

    protocol_version = "HTTP/1.1"

    def respond(self) -> None:
        """Answer the request that has come in."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """A request for something."""
        self.respond()

    def do_HEAD(self) -> None:
        """A question whether something is there."""
        self.respond()

    def do_POST(self) -> None:
        """A request with a body."""
        self.respond()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Silence."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        if not isinstance(sys.exception(), ConnectionError):  # a client that has left is no error
            super().handle_error(request, client_address)


class Loopback:
    """Serves as soon as it is made."""

    def __init__(self, handler: type[Handler]) -> None:
        """`handler` answers the requests, each connection in its own thread."""
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, args=(POLL_S,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Already serving."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
