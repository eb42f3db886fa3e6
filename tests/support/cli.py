"""The command line run in this process, and a server that answers it."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

UPSTREAM_SECRET = "sk-upstream-secret"
CONFIG = """
[upstreams.local]
base_url = "{base_url}"
api_key = "env:CLI_TEST_KEY"

[[models]]
id = "qwen3-max"
upstream = "local"

[[models]]
id = "vendor/glm-5"
upstream = "local"
upstream_model = "glm-5"
"""


class Outcome(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


def write_config(folder: Path, upstream: str) -> Path:
    """`./llmgw.toml` with this base URL; where it is."""
    file = folder / "llmgw.toml"
    file.write_text(CONFIG.format(base_url=upstream), "utf-8")
    return file


class Canned(NamedTuple):
    """One answer of a `Server`."""

    status: int
    body: bytes
    headers: dict[str, str] = {}  # noqa: RUF012  (never changed)


class Server:
    """Answers every request with what `answer` says, and remembers them."""

    def __init__(self, answer: Callable[[str], Canned], tls: ssl.SSLContext | None = None) -> None:
        """`answer` gets the path. With `tls` the URL's host is the one of tests/corpus/tls."""
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                requests.append((self.path, dict(self.headers), json.loads(body) if body else None))
                canned = answer(self.path)
                self.send_response(canned.status)
                for name, value in {"content-length": str(len(canned.body)), **canned.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(canned.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Silence."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        origin = "http://127.0.0.1" if tls is None else "https://localhost"
        self.url = f"{origin}:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(answer: Callable[[str], Canned], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A `Server` for the length of a block."""
    server = Server(answer, tls)
    try:
        yield server
    finally:
        server.close()
