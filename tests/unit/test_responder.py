"""An answer on its way to the server."""

import asyncio

import pytest

from llmgw.asgi.responder import PIECE_BYTES, Responder
from llmgw.asgi.types import Message
from llmgw.errors import ApiError


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


def test_an_error_can_t_follow_the_head_of_another_answer() -> None:
    """The server would refuse it; the connection ends instead, and the log tells why."""

    async def main() -> None:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        responder = Responder(send, "req_1")
        await responder.start(200, [])
        error = ApiError("overloaded", "no files left")
        with pytest.raises(
            RuntimeError, match="overloaded after the answer had begun: no files left"
        ) as raised:
            await responder.error(error)
        assert raised.value.__cause__ is error
        assert [message["type"] for message in sent] == ["http.response.start"]

    asyncio.run(main())
