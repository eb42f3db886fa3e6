"""A connection to a provider that rests between two requests, over TLS: when it may be used again."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import create_server, socket

import pytest

from tests.live.test_tls_upstream import CERTIFICATES, COMPLETION, gateway_for
from tests.support.chat import body
from tests.support.processes import wait_until
from tests.support.scripted import json_answer

pytestmark = pytest.mark.alone

SOON_S = 10.0
ANSWER = json_answer(COMPLETION).replace(b"connection: close\r\n", b"")
UNASKED = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
Rest = Callable[[ssl.SSLSocket], None]


def closes(connection: ssl.SSLSocket) -> None:
    """close_notify and then FIN, as servers do after their own keep-alive time."""
    with contextlib.suppress(OSError):
        connection.settimeout(0.2)
        connection.unwrap()
    connection.close()


def closes_without_a_word(connection: ssl.SSLSocket) -> None:
    """FIN alone."""
    connection.close()


def answers_unasked(connection: ssl.SSLSocket) -> None:
    """An unasked 408, as HAProxy sends it on idle connections; the connection stays open."""
    connection.sendall(UNASKED)


def stays(_: ssl.SSLSocket) -> None:
    """Nothing but the tickets of TLS 1.3, which came behind the handshake."""


class Server:
    """Answers requests on kept connections; after each answer it does what `rest` says."""

    def __init__(self, rest: Rest) -> None:
        """On a free port, in threads."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
        self._listener = create_server(("127.0.0.1", 0))
        self._context = context
        self._rest = rest
        self.base_url = f"https://localhost:{self._listener.getsockname()[1]}/v1"
        self.connections = 0
        self.rested = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket) -> None:
        with (
            contextlib.suppress(OSError, ValueError),
            self._context.wrap_socket(raw, server_side=True) as connection,
        ):
            while self._request(connection):
                connection.sendall(ANSWER)
                self._rest(connection)
                self.rested += 1

    @staticmethod
    def _request(connection: ssl.SSLSocket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65_536)
            if not piece:
                return False
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        [length] = [int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"]
        while len(rest) < length:
            rest += connection.recv(65_536)
        return True

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(request.param)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("server", "connections"),
    [(closes, 3), (closes_without_a_word, 3), (answers_unasked, 3), (stays, 1)],
    indirect=["server"],
)
def test_what_a_resting_connection_does(
    tmp_path_factory: pytest.TempPathFactory, server: Server, connections: int
) -> None:
    """What the server closed or spoke on is not used again: no request fails or is sent twice."""
    trusts = str(Path(CERTIFICATES / "ca.pem"))
    with gateway_for(tmp_path_factory, server.base_url, trusts=trusts) as gateway:
        for number in range(1, 4):
            answer = gateway.post(body("scripted"))
            assert (answer.status, answer.headers["x-llmgw-attempts"]) == (200, "1"), answer.body
            wait_until(lambda n=number: server.rested == n, "the rest", timeout_s=SOON_S)  # type: ignore[misc]
        assert server.connections == connections
