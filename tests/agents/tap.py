"""A tap between an agent and the gateway: it passes every byte on, at once, and remembers both directions."""

import http.client
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from tests.agents.loopback import Handler, Loopback

PIECE_BYTES: Final = 64 * 1024
TIMEOUT_S: Final = 60.0
_OF_A_CONNECTION: Final = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "content-length", "host")
)
_NO_BODY: Final = (204, 304)


@dataclass
class Exchange:
    """One request and its answer, as they passed."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    status: int = 0
    answer_headers: list[tuple[str, str]] = field(default_factory=list)
    answer: bytearray = field(default_factory=bytearray)
    whole: bool = False
    """Did the answer reach its end?"""


class Tap(Loopback):
    """Listens on a free port and speaks to the gateway at `url`."""

    def __init__(self, url: str) -> None:
        """Serves at once."""
        self.exchanges: list[Exchange] = []
        self._gateway = urlsplit(url).netloc
        tap = self

        class Passing(Handler):
            def respond(self) -> None:
                tap._pass(self)

        super().__init__(Passing)

    def _pass(self, handler: Handler) -> None:
        headers = list(handler.headers.items())
        exchange = Exchange(handler.command, handler.path, headers, _body(handler))
        self.exchanges.append(exchange)
        gateway = http.client.HTTPConnection(self._gateway, timeout=TIMEOUT_S)
        try:
            gateway.putrequest(exchange.method, exchange.path, skip_host=True, skip_accept_encoding=True)
            gateway.putheader("host", self._gateway)
            for name, value in headers:
                if name.lower() not in _OF_A_CONNECTION:
                    gateway.putheader(name, value)
            if exchange.body or exchange.method == "POST":
                gateway.putheader("content-length", str(len(exchange.body)))
            gateway.endheaders(exchange.body)
            _pass_back(gateway.getresponse(), handler, exchange)
        except (OSError, http.client.HTTPException):
            handler.close_connection = True  # what broke there breaks here
        finally:
            gateway.close()


def _body(handler: Handler) -> bytes:
    if handler.headers.get("transfer-encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("content-length") or 0))
    parts = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    while handler.rfile.readline().strip():
        pass
    return b"".join(parts)


def _pass_back(answer: http.client.HTTPResponse, handler: Handler, exchange: Exchange) -> None:
    exchange.status = answer.status
    exchange.answer_headers = answer.getheaders()
    handler.send_response_only(answer.status, answer.reason)
    length = answer.getheader("content-length")
    for name, value in exchange.answer_headers:
        if name.lower() not in _OF_A_CONNECTION:
            handler.send_header(name, value)
    bodiless = exchange.method == "HEAD" or answer.status in _NO_BODY
    chunked = length is None and not bodiless
    handler.send_header(*(("transfer-encoding", "chunked") if chunked else ("content-length", length or "0")))
    handler.end_headers()
    while piece := b"" if bodiless else answer.read1(PIECE_BYTES):
        exchange.answer += piece
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        handler.wfile.write(b"0\r\n\r\n")
    exchange.whole = True
