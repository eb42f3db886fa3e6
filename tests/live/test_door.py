"""What a stranger may send to the open paths: it costs what it is, and nobody else notices."""

import socket

import pytest

from tests.support.gateway import Gateway

ODD_QUERIES = [
    b"\xc3\xa9",
    b"a=%ff",
    b"verbose=%ff",
    b"%",
    b"&&==&",
    b"a=" + b"&" * 5000,
]


def ask(gateway: Gateway, request: bytes) -> bytes:
    """The status line of the answer to a request."""
    with gateway.connect(body=request) as connection:
        return connection.recv(65_536).split(b"\r\n")[0]


NO_UTF_8 = [b"verbose=\xe9", b"\xed\xa0\x80"]
"""The server's own 400."""


@pytest.mark.parametrize("path", [b"/healthz", b"/readyz"])
def test_odd_queries_are_nothing_special(gateway: Gateway, path: bytes) -> None:
    before = len(gateway.process.output)
    for query in ODD_QUERIES + NO_UTF_8:
        status = ask(gateway, b"GET %b?%b HTTP/1.1\r\nhost: x\r\n\r\n" % (path, query))
        assert status == b"HTTP/1.1 400 Bad Request" if query in NO_UTF_8 else b"HTTP/1.1 200 OK", query
    assert "Traceback" not in gateway.process.output[before:]


def test_a_stranger_writes_nothing_into_the_log(gateway: Gateway) -> None:
    """Whatever is sent, by however many: at most a line a second."""
    before = len(gateway.process.output)
    requests = [
        b"GET /%ff?\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \xff\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n",
        b"\x00\x16\x03 nonsense\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: \xff\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /readyz?\xc3\xa9 HTTP/9.9\r\n\r\n",
    ]
    for request in requests * 5:
        with gateway.connect(body=request) as connection:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
    assert len(gateway.process.output) - before < 2000


def test_the_page_of_the_metrics_is_rendered_once_a_second(gateway: Gateway) -> None:
    """Those who ask together, however often, get the same one."""
    request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    asking = [gateway.connect(body=request) for _ in range(20)]
    pages = set()
    for connection in asking:
        with connection, connection.makefile("rb") as answer:
            pages.add(answer.read().partition(b"\r\n\r\n")[2])
    assert len(pages) <= 5
