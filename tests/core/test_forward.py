"""`Exchange.forward`: blocks from an exchange into an ASGI `send`, on real event loops."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from llmgw import _core
from tests.core.test_bridge import (
    DONE,
    ENDS,
    FIRST,
    HEARTBEAT_S,
    LAST,
    STREAM_HEAD,
    Run,
    event,
    eventually,
    prepared,
    read_request,
    run_asyncio,
    run_uvloop,
    upstream_at,
)

NEXT = event({"content": "two"})
Message = dict[str, Any]
on_both_loops = pytest.mark.parametrize("run", [run_asyncio, run_uvloop], ids=["asyncio", "uvloop"])


class Sent:
    """An ASGI `send` that never waits. Its awaitable is its own iterator, as granian's are."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.more = asyncio.Event()

    def __call__(self, message: Message) -> Awaitable[None]:
        """ASGI's."""
        self.messages.append(message)
        self.more.set()
        return Ready()

    @property
    def body(self) -> bytes:
        """All that was sent."""
        return b"".join(message["body"] for message in self.messages)


class Ready(Awaitable[None]):
    """Done, as soon as somebody asks."""

    def __await__(self) -> Iterator[Any]:  # type: ignore[override]
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> None:
        raise StopIteration


class Upstream:
    """Sends what it is told to, when it is told to."""

    def __init__(self, *, holds: bool = False) -> None:
        """`holds`: at the end it waits for the other side to close."""
        self.holds = holds
        self.said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.gone = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        await read_request(reader)
        writer.write(STREAM_HEAD)
        while (said := await self.said.get()) is not None:
            writer.write(said)
            await writer.drain()
        if self.holds and not await reader.read():
            self.gone.set()

    def say(self, *pieces: bytes | None) -> None:
        """To be sent next; None: the end."""
        for piece in pieces:
            self.said.put_nowait(piece)


async def begun(upstream: _core.Upstream, script: Upstream) -> _core.Exchange:
    exchange = upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)
    script.say(FIRST)
    assert await exchange.next_block() == FIRST
    return exchange


@on_both_loops
@pytest.mark.parametrize("end", ENDS)
def test_all_blocks_are_sent_but_the_last(run: Run, end: str) -> None:
    async def main() -> None:
        script, send = Upstream(), Sent()
        async with upstream_at(script) as upstream:
            exchange = await begun(upstream, script)
            forward = exchange.forward(send)
            task = asyncio.ensure_future(forward)
            for number in range(1, 6):
                send.more.clear()
                script.say(NEXT)
                await send.more.wait()
                assert send.messages[-1] == {"type": "http.response.body", "body": NEXT, "more_body": True}
                assert send.body == NEXT * number
                assert forward.writes == 2 * number
                assert not task.done()
            script.say(ENDS[end], None)
            last = await task
            assert last is not None
            assert exchange.finished
            assert last.endswith(DONE) or b'"error"' in last
            # How much comes before the last block is a matter of time; that one is for the caller to send.
            assert send.body in (NEXT * 5, NEXT * 5 + LAST)
            with pytest.raises(RuntimeError):
                await forward

    run(main())


@on_both_loops
def test_a_send_that_waits_holds_up_the_stream_and_no_other(run: Run) -> None:
    async def main() -> None:
        slow, quick = Upstream(), Upstream()
        sent: list[bytes] = []
        waiting, room = asyncio.Event(), asyncio.Event()

        async def send_when_there_is_room(message: Message) -> None:
            waiting.set()
            await room.wait()
            await asyncio.sleep(0)
            sent.append(message["body"])

        async with upstream_at(slow) as one, upstream_at(quick) as other:
            held = await begun(one, slow)
            forward = held.forward(send_when_there_is_room)
            task = asyncio.ensure_future(forward)
            slow.say(NEXT)
            await waiting.wait()
            assert forward.writes == 1, "odd while it waits"
            slow.say(NEXT, LAST + DONE, None)

            send = Sent()
            exchange = await begun(other, quick)
            quick.say(NEXT, LAST + DONE, None)
            assert await exchange.forward(send) is not None
            assert (sent, task.done()) == ([], False)

            room.set()
            last = await task
            assert last is not None
            assert b"".join([*sent, last]) == NEXT * 2 + LAST + DONE
            assert forward.writes % 2 == 0

    run(main())


@on_both_loops
def test_what_send_raises_comes_out(run: Run) -> None:
    class BrokenError(Exception):
        pass

    def breaks(_: Message) -> Awaitable[None]:
        raise BrokenError

    async def breaks_later(_: Message) -> None:
        await asyncio.sleep(0)
        raise BrokenError

    async def main() -> None:
        sends: list[Callable[[Message], Awaitable[None]]] = [breaks, breaks_later]
        for send in sends:
            script = Upstream(holds=True)
            async with upstream_at(script) as upstream:
                exchange = await begun(upstream, script)
                task = asyncio.ensure_future(exchange.forward(send))
                script.say(NEXT, None)
                with pytest.raises(BrokenError):
                    await task
                exchange.abort()

    run(main())


@on_both_loops
@pytest.mark.parametrize("blocked", [False, True])
def test_a_cancelled_task_ends_the_exchange(run: Run, *, blocked: bool) -> None:
    async def main() -> None:
        script, send, waiting = Upstream(holds=True), Sent(), asyncio.Event()

        async def never(_: Message) -> None:
            waiting.set()
            await asyncio.Event().wait()

        async with upstream_at(script) as upstream:
            exchange = await begun(upstream, script)
            task = asyncio.ensure_future(exchange.forward(never if blocked else send))
            script.say(NEXT, None)
            await (waiting if blocked else send.more).wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await script.gone.wait()
            assert exchange.report().error_kind == "aborted"

    run(main())


@on_both_loops
def test_an_aborted_exchange_gives_no_last_block(run: Run) -> None:
    async def main() -> None:
        script, send = Upstream(holds=True), Sent()
        async with upstream_at(script) as upstream:
            exchange = await begun(upstream, script)
            task = asyncio.ensure_future(exchange.forward(send))
            script.say(NEXT, None)
            await send.more.wait()
            exchange.abort()
            assert await task is None
            await script.gone.wait()

    run(main())


@on_both_loops
def test_an_exchange_that_was_given_up_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        script, send = Upstream(holds=True), Sent()
        async with upstream_at(script) as upstream:
            exchange = await begun(upstream, script)
            task = asyncio.ensure_future(exchange.forward(send))
            script.say(NEXT, None)
            await send.more.wait()
            left = weakref.ref(send)
            task.cancel()
            await asyncio.wait([task])
            del task, send, exchange
            await eventually(lambda: gc.collect() >= 0 and left() is None)

    run(main())
