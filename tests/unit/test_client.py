"""A client that leaves, stalls or never sends its body: what its request learns, and when."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llmgw.asgi.client import Clients, ClientWatch
from llmgw.asgi.types import Message, Receive, Scope
from llmgw.errors import ApiError, ClientGone

HTTP_1: Scope = {"http_version": "1.1", "client": ("127.0.0.1", "1")}
HTTP_2: Scope = {"http_version": "2", "client": ("127.0.0.1", "1")}
GRACE_S = 0.01
END_OF_BODY: Message = {"type": "http.request", "body": b"", "more_body": False}
DISCONNECT: Message = {"type": "http.disconnect"}


class Answer:
    """Stands in for `Responder`."""

    def __init__(self, writes: int = 0) -> None:
        self.writes = writes


def received(*messages: Message) -> Receive:
    """An ASGI `receive`; after the last message it waits for ever."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


@contextmanager
def watched(clients: Clients, receive: Receive, **more: Any) -> Iterator[ClientWatch]:  # noqa: ANN401
    client = watch(clients, receive, **more)
    client.begin()
    try:
        yield client
    finally:
        client.end()


def watch(
    clients: Clients,
    receive: Receive,
    *,
    scope: Scope = HTTP_1,
    answer: Answer | None = None,
    on_loss: Callable[[], None] = lambda: None,
    body_timeout_s: float = 60.0,
) -> ClientWatch:
    return ClientWatch(
        clients,
        scope,
        receive,
        answer or Answer(),
        fields={},
        body_timeout_s=body_timeout_s,
        on_loss=on_loss,
    )


async def read(client: ClientWatch) -> None:
    await asyncio.wait_for(client.read_body(limit_bytes=10, hold=lambda _: None), 5)


def test_a_client_that_leaves_while_it_is_answered() -> None:
    async def main() -> None:
        lost = asyncio.Event()
        with watched(Clients(GRACE_S), received(END_OF_BODY, DISCONNECT), on_loss=lost.set) as client:
            await read(client)
            assert not client.gone
            await asyncio.wait_for(lost.wait(), 5)  # the watch begins by itself
            assert (client.gone, client.stalled) == (True, False)

    asyncio.run(main())


def test_a_client_that_leaves_in_the_middle_of_its_body() -> None:
    async def main() -> None:
        with watched(Clients(), received(DISCONNECT)) as client, pytest.raises(ClientGone):
            await read(client)

    asyncio.run(main())


def test_a_body_that_does_not_come() -> None:
    async def main() -> None:
        with (
            watched(Clients(GRACE_S), received(), body_timeout_s=GRACE_S) as client,
            pytest.raises(ApiError) as raised,
        ):
            await read(client)
        assert raised.value.code == "request_timeout"

    asyncio.run(main())


def test_a_short_request_is_never_watched() -> None:
    """The server is asked for nothing but the body: a look-out would cost as much as the request."""

    async def main() -> None:
        asked = 0
        receive = received(END_OF_BODY, DISCONNECT)

        async def counted() -> Message:
            nonlocal asked
            asked += 1
            return await receive()

        clients = Clients(60.0)
        with watched(clients, counted) as client:
            await read(client)
            assert (asked, clients.reading) == (1, set())
        assert not client.gone

    asyncio.run(main())


def test_a_pause_ends_when_the_client_leaves() -> None:
    async def main() -> None:
        lost: list[str] = []
        with watched(
            Clients(60.0), received(END_OF_BODY, END_OF_BODY, DISCONNECT), on_loss=lambda: lost.append("left")
        ) as client:
            await read(client)
            assert await client.gone_within(5)
            assert await client.gone_within(5)
            assert lost == ["left"]
        with watched(Clients(60.0), received(END_OF_BODY)) as client:
            await read(client)
            assert not await client.gone_within(GRACE_S)

    asyncio.run(main())


def test_nothing_is_told_after_the_end() -> None:
    async def main() -> None:
        lost: list[str] = []
        gate = asyncio.Event()

        async def receive() -> Message:
            await gate.wait()
            return DISCONNECT

        with watched(Clients(60.0), receive, on_loss=lambda: lost.append("left")) as client:
            assert not await client.gone_within(0)
        gate.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (client.gone, lost) == (False, [])

    asyncio.run(main())


class Awaitable(asyncio.Future[Message]):
    """Like the server's, it is unknown to the collector of cycles: something must let go of it."""


def test_the_server_s_awaitable_is_let_go() -> None:
    """With the server's own object, which no collection sees, a cycle through it would stay for good."""

    async def main() -> None:
        made: list[Any] = []

        def receive() -> Awaitable:
            awaitable = Awaitable()
            made.append(weakref.ref(awaitable))
            if len(made) == 1:
                awaitable.set_result(END_OF_BODY)
            return awaitable

        with watched(Clients(GRACE_S), receive) as client:
            await read(client)
            await client.gone_within(0)
        await asyncio.sleep(0)  # the callback of the cancelled one
        assert len(made) == 2
        assert [reference() for reference in made] == [None, None]

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


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
    """Each step is a write: when it begins, and when it ends. There is a look every second."""

    async def run() -> int | None:
        clients, cut, answer = Clients(GRACE_S), list[int](), Answer()
        now_s = 0
        with watched(
            clients,
            received(END_OF_BODY),
            scope=HTTP_2,
            answer=answer,
            on_loss=lambda: cut.append(now_s),
        ) as client:
            await read(client)
            client.lasts()
            for now_s in range(40):
                answer.writes += sum((now_s == begin) + (now_s == end) for begin, end in steps)
                clients.cut_stalled(float(now_s), 10.0)
                if cut:
                    break
            assert client.stalled is bool(cut)
            current = asyncio.current_task()
            assert current is not None
            assert bool(cut) is bool(current.cancelling())  # HTTP/2: the request alone is ended
            if cut:
                current.uncancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.sleep(0)
        assert clients.reading == set()
        return cut[0] if cut else None

    assert asyncio.run(run()) == cut_at_s, name


def test_at_the_end_of_a_drain_who_keeps_a_write_waiting_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    peers: list[set[tuple[str, int]]] = []
    monkeypatch.setattr("llmgw.asgi.client.cut_connections", peers.append)

    async def run() -> list[bool]:
        clients = Clients(GRACE_S)
        watches = [
            watch(
                clients,
                received(END_OF_BODY),
                scope={"http_version": "1.1", "client": ("127.0.0.1", str(port))},
                answer=Answer(writes),
            )
            for port, writes in ((1, 4), (2, 5), (3, 7))
        ]
        for client in watches:
            client.begin()
            await read(client)
            client.lasts()
        clients.cut_waiting()
        for client in watches:
            client.end()
        await asyncio.get_running_loop().shutdown_default_executor()
        return [client.stalled for client in watches]

    assert asyncio.run(run()) == [False, True, True]
    assert peers == [{("127.0.0.1", 2), ("127.0.0.1", 3)}]  # one look at the open files for both
