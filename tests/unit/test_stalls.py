"""Clients that take nothing: who counts as one, and how its connection is found."""

import asyncio
import socket
from typing import Any

import pytest

from llmgw.asgi.responder import PIECE_BYTES, Responder
from llmgw.asgi.stalls import StallWatch, cut_connection
from llmgw.asgi.types import Message

HTTP_2: dict[str, Any] = {"http_version": "2", "client": ("127.0.0.1", "1")}


async def blocked(_: Message) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("name", "steps", "cut_at_s"),
    [
        ("a write that never ends", [(0, None)], 10),
        ("a write that begins late", [(7, None)], 17),
        ("a short wait, then another", [(0, 6), (7, None)], 17),
        ("only short waits", [(0, 9), (10, 19), (20, 29)], None),
        ("nothing to write", [], None),
    ],
)
def test_who_is_cut_off(name: str, steps: list[tuple[int, int | None]], cut_at_s: int | None) -> None:
    """Each step is a write: when it begins, and when it ends. The watch looks every second."""

    async def run() -> int | None:
        watch, cut = StallWatch(), list[int]()
        responder = Responder(blocked, "req")
        now_s = 0
        task = asyncio.create_task(asyncio.Event().wait())
        watch.add(responder, HTTP_2, lambda: cut.append(now_s), asyncio.current_task())
        for now_s in range(40):
            responder._writes += sum((now_s == begin) + (now_s == end) for begin, end in steps)
            watch.look(float(now_s), 10.0)
            if cut:
                break
        current = asyncio.current_task()
        assert current is not None
        assert bool(cut) is bool(current.cancelling())  # HTTP/2: the request alone is ended
        if cut:
            current.uncancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.sleep(0)
        task.cancel()
        return cut[0] if cut else None

    assert asyncio.run(run()) == cut_at_s, name


def test_at_the_end_of_a_drain_whoever_waits_is_cut_off() -> None:
    async def run() -> list[str]:
        watch, cut = StallWatch(), list[str]()
        scope = {"http_version": "1.1", "client": ("127.0.0.1", "1")}
        for name, writes in (("idle", 4), ("waiting", 5)):
            responder = Responder(blocked, name)
            responder._writes = writes
            watch.add(responder, scope, lambda name=name: cut.append(name), None)  # type: ignore[misc]
        watch.cut_waiting()
        return cut

    assert asyncio.run(run()) == ["waiting"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_one_connection_is_cut_and_no_other(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        clients = [socket.create_connection(listener.getsockname()[:2], timeout=5) for _ in range(3)]
        servers = [listener.accept()[0] for _ in clients]
        host, port = clients[1].getsockname()[:2]
        assert cut_connection((host, port))
        assert clients[1].recv(1) == b""
        for client, server in ((clients[0], servers[0]), (clients[2], servers[2])):
            server.sendall(b"x")
            assert client.recv(1) == b"x"
        for connection in (*clients, *servers):
            connection.close()
        assert not cut_connection((host, port))


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 3 * PIECE_BYTES + 7])
def test_a_long_body_goes_out_in_pieces(size: int) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    body = bytes(range(256)) * (size // 256 + 1)
    asyncio.run(Responder(send, "req").whole(200, [], body[:size]))
    start, *pieces = sent
    assert (b"content-length", b"%d" % size) in start["headers"]
    assert b"".join(piece["body"] for piece in pieces) == body[:size]
    assert all(len(piece["body"]) <= PIECE_BYTES for piece in pieces)
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
