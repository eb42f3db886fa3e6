"""A request's body in pieces: rules that a socket can't be made to show at will."""

import asyncio
from collections.abc import Sequence

import pytest

from llmgw.asgi.request import JOINED_PIECES, PROMISED_BYTES, RequestBody, read_fields
from llmgw.asgi.types import Message, Receive, Scope
from llmgw.errors import ApiError, ClientGone

LIMIT_BYTES = 10


def received(*messages: Message) -> Receive:
    """An ASGI `receive`; behind the last message it waits for ever."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def scope(*headers: tuple[bytes, bytes]) -> Scope:
    return {"type": "http", "headers": list(headers)}


async def read(scope: Scope, receive: Receive, held: list[int]) -> Sequence[bytes]:
    return await RequestBody(read_fields(scope), receive).read(limit_bytes=LIMIT_BYTES, hold=held.append)


@pytest.mark.parametrize(
    ("name", "length", "messages", "pieces", "held"),
    [
        # Nobody asks for more than was announced: the next message never comes.
        ("announced", b"4", [piece(b"ab"), piece(b"cd")], [b"ab", b"cd"], [4]),
        ("announced, and its end said", b"2", [piece(b"ab", more=False)], [b"ab"], [2]),
        ("announced as empty", b"0", [piece(b"", more=False)], [b""], [0]),
        ("not announced", None, [piece(b"ab"), piece(b"", more=False)], [b"ab", b""], [2, 0]),
        ("as long as allowed", b"10", [piece(b"x" * 10)], [b"x" * 10], [10]),
    ],
)  # fmt: skip
def test_a_body(
    name: str, length: bytes | None, messages: list[Message], pieces: list[bytes], held: list[int]
) -> None:
    headers = [] if length is None else [(b"content-length", length)]
    counted: list[int] = []
    body = asyncio.run(asyncio.wait_for(read(scope(*headers), received(*messages), counted), 5))
    assert (list(body), counted) == (pieces, held), name


def test_of_an_announced_body_only_a_little_counts_before_it_comes() -> None:
    big = PROMISED_BYTES // 2 + 1
    messages = [piece(b"x" * big), piece(b"y" * big), piece(b"z" * big)]
    counted: list[int] = []
    body = RequestBody({b"content-length": [b"%d" % (3 * big)]}, received(*messages))
    pieces = asyncio.run(body.read(limit_bytes=3 * big, hold=counted.append))
    assert b"".join(pieces) == b"x" * big + b"y" * big + b"z" * big
    assert counted == [PROMISED_BYTES, 2, big]


def test_tiny_pieces_are_joined() -> None:
    """A piece of two bytes takes fifty, and a body may consist of millions of them."""
    size = 100_000
    messages = [piece(b"%02d" % (number % 100)) for number in range(size // 2)]
    body = RequestBody({b"content-length": [b"%d" % size]}, received(*messages))
    pieces = asyncio.run(body.read(limit_bytes=size, hold=lambda _: None))
    assert len(pieces) < size / JOINED_PIECES
    assert b"".join(pieces) == b"".join(b"%02d" % (number % 100) for number in range(size // 2))


def test_large_pieces_are_not_copied() -> None:
    big = b"x" * 1024
    count = 3 * JOINED_PIECES
    body = RequestBody({}, received(*[piece(big)] * count, piece(b"", more=False)))
    pieces = asyncio.run(body.read(limit_bytes=count * 1024, hold=lambda _: None))
    assert all(one is big for one in pieces[:-1])


@pytest.mark.parametrize(
    ("headers", "messages", "code"),
    [
        ([(b"content-length", b"11")], [], "body_too_large"),
        ([], [piece(b"x" * 6), piece(b"x" * 5)], "body_too_large"),
    ],
)
def test_a_body_that_is_refused(
    headers: list[tuple[bytes, bytes]], messages: list[Message], code: str
) -> None:
    with pytest.raises(ApiError) as raised:
        asyncio.run(asyncio.wait_for(read(scope(*headers), received(*messages), []), 5))
    assert raised.value.code == code


def test_a_client_that_leaves_in_the_middle_of_its_body() -> None:
    receive = received(piece(b"ab"), {"type": "http.disconnect"})
    with pytest.raises(ClientGone):
        asyncio.run(asyncio.wait_for(read(scope(), receive, []), 5))


def test_a_body_that_does_not_come() -> None:
    async def main() -> None:
        body = RequestBody({}, received(piece(b"ab")))
        body.expire_in(0.01)
        with pytest.raises(ApiError) as raised:
            await asyncio.wait_for(body.read(limit_bytes=LIMIT_BYTES, hold=lambda _: None), 5)
        assert raised.value.code == "request_timeout"

    asyncio.run(main())


def test_a_body_whose_time_is_over_as_a_piece_comes() -> None:
    """The timer can't cancel a wait that just ended; without a second look the body could take for ever."""

    async def main() -> None:
        async def receive() -> Message:
            body._expire()
            return piece(b"ab")

        body = RequestBody({}, receive)
        with pytest.raises(ApiError) as raised:
            await asyncio.wait_for(body.read(limit_bytes=LIMIT_BYTES, hold=lambda _: None), 5)
        assert raised.value.code == "request_timeout"

    asyncio.run(main())


def test_a_cancelled_task_is_no_body_that_does_not_come() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(read(scope(), received(), []))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_transfer_coding_decides_where_a_body_ends_and_no_length_beside_it() -> None:
    both = scope((b"content-length", b"2"), (b"transfer-encoding", b"chunked"))
    held: list[int] = []
    receive = received(piece(b"ab"), piece(b"cd"), piece(b"", more=False))
    body = asyncio.run(asyncio.wait_for(read(both, receive, held), 5))
    assert (b"".join(body), held) == (b"abcd", [2, 2, 0])
