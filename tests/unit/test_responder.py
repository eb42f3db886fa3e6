"""An answer on its way to the server."""

import asyncio

import pytest

from llmgw.asgi.responder import PIECE_BYTES, Responder
from llmgw.asgi.types import Message


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
