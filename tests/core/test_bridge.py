"""`llmgw._core` on real event loops: blocks, cancellation, many at once, many loops, forks, panics."""

import asyncio
import contextlib
import gc
import json
import socket
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Final

import pytest
import uvloop

from llmgw import _core

PATIENCE_S = 10
"""Far longer than anything here takes: who waits so long has failed."""
PROMPT_S = 5
"""How soon an upstream must see that its answer is no longer wanted."""

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"

HEARTBEAT_S: Final = 15.0

Run = Callable[[Coroutine[None, None, None]], None]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    """An event that comes out as it went in."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


FIRST = event({"role": "assistant", "content": "one"})
LAST = event({}, "stop")


def completion(content: str) -> bytes:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps({**body, "usage": usage}).encode()


def response(status: str, body: bytes, headers: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


def prepared(content: str = "hi", *, stream: bool = True) -> _core.PreparedRequest:
    message = {"role": "user", "content": content}
    body = json.dumps({"model": "a", "messages": [message], "stream": stream}).encode()
    return _core.ChatRequest(body).rewrite(_core.Route("m"))


async def read_request(reader: asyncio.StreamReader) -> str:
    """The content of the request's first message."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
    body = json.loads(await reader.readexactly(int(length.partition(":")[2])))
    content: str = body["messages"][0]["content"]
    return content


def upstream_for(
    base_url: str,
    *,
    api_key: str | None = None,
    connect_timeout_s: float = 5.0,
    idle_timeout_s: float = 60.0,
    total_timeout_s: float = 900.0,
) -> _core.Upstream:
    """An upstream with timeouts that no test waits for."""
    return _core.Upstream(
        base_url,
        api_key=api_key,
        connect_timeout_s=connect_timeout_s,
        first_event_timeout_s=60.0,
        idle_timeout_s=idle_timeout_s,
        total_timeout_s=total_timeout_s,
    )


@contextlib.asynccontextmanager
async def upstream_at(handler: Handler) -> AsyncIterator[_core.Upstream]:
    """An upstream whose every connection `handler` serves."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield upstream_for(f"http://127.0.0.1:{port}/v1")
    finally:
        server.close()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that tokio's thread does, and of which it tells nobody."""
    while not condition():  # noqa: ASYNC110  # there is no event to wait for
        await asyncio.sleep(0.001)


def told(exchange: _core.Exchange) -> dict[str, object]:
    """All that the exchange's report says."""
    report = exchange.report()
    values = {name: getattr(report, name) for name in dir(report) if not name.startswith("_")}
    # An exception is made anew each time it is asked for.
    return {name: vars(value) if isinstance(value, Exception) else value for name, value in values.items()}


async def rest(exchange: _core.Exchange) -> bytes:
    blocks = []
    while (block := await exchange.next_block()) is not None:
        blocks.append(block)
    return b"".join(blocks)


def in_time(main: Coroutine[None, None, None]) -> Coroutine[None, None, None]:
    async def timed() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await main

    return timed()


def run_asyncio(main: Coroutine[None, None, None]) -> None:
    asyncio.run(in_time(main))


def run_uvloop(main: Coroutine[None, None, None]) -> None:
    uvloop.run(in_time(main))


@pytest.fixture(params=[run_asyncio, run_uvloop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on a new event loop, as each server does that llmgw could run under."""
    runner: Run = request.param
    return runner


def test_blocks_come_as_the_upstream_sends_them(run: Run) -> None:
    async def main() -> None:
        first_seen = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(STREAM_HEAD + FIRST)
            await first_seen.wait()
            writer.write(LAST + DONE)

        async with upstream_at(handler) as upstream:
            started_s = time.perf_counter()
            exchange = upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)
            assert await exchange.next_block() == FIRST
            first_seen.set()
            assert await rest(exchange) == LAST + DONE
            assert await exchange.next_block() is None
            report = exchange.report()
            assert (report.finish_reason, report.complete) == ("stop", True)
            assert (report.usage_source, report.error_kind) == ("none", None)
            assert report.first_event_s is not None
            assert 0 < report.first_event_s <= time.perf_counter() - started_s

    run(main())


ENDS = {
    "done": LAST + DONE,
    "no done": LAST,
    "error event": b'data: {"error":{"message":"no"}}\n\n',
    "truncated": b"",
}


@pytest.mark.parametrize("end", ENDS)
def test_the_last_block_is_known_before_it_is_sent_on(run: Run, end: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        for _ in range(5):
            writer.write(FIRST)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(ENDS[end])

    async def main() -> None:
        async with upstream_at(handler) as upstream:
            for _ in range(20):  # the end comes with more or less before it
                exchange = upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)
                blocks = []
                while not exchange.finished:
                    block = await exchange.next_block()
                    assert block is not None, "the end came without having been announced"
                    blocks.append(block)
                at_the_end = told(exchange)
                assert await exchange.next_block() is None
                assert blocks[-1].endswith(DONE) or b'"error"' in blocks[-1]
                assert told(exchange) == at_the_end

    run(main())


def test_a_plain_answer_is_one_block(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response("200 OK", completion(await read_request(reader))))

    async def main() -> None:
        async with upstream_at(handler) as upstream:
            exchange = upstream.start(prepared("你好", stream=False), request_id="r", heartbeat_s=HEARTBEAT_S)
            block = await exchange.next_block()
            assert block is not None
            assert json.loads(block)["choices"][0]["message"]["content"] == "你好"
            assert exchange.finished
            assert await exchange.next_block() is None
            report = exchange.report()
            assert (report.prompt_tokens, report.completion_tokens) == (3, 2)
            assert (report.usage_source, report.first_event_s) == ("upstream", None)
            assert report.complete

    run(main())


def test_a_block_that_is_ready_costs_no_trip_through_the_loop(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + FIRST + LAST + DONE)

    async def main() -> None:
        async with upstream_at(handler) as upstream:
            exchange = upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)
            await eventually(lambda: exchange.report().finish_reason == "stop")
            step = iter(exchange.next_block().__await__())
            with pytest.raises(StopIteration) as ready:
                next(step)
            assert ready.value.value.startswith(FIRST)

    run(main())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            response("429 Too Many", b'{"error":{"message":"slow down"}}', "retry-after: 7\r\n"),
            ("status", 429, 7.0, "slow down"),
        ),
        (response("500 Oops", b"<html>secret</html>"), ("status", 500, None, None)),
        (response("302 Found", b"", "location: http://127.0.0.1:1/\r\n"), ("redirect", 302, None, None)),
        (response("200 OK", b"{}"), ("truncated", None, None, None)),
        (STREAM_HEAD, ("truncated", None, None, None)),
        (
            STREAM_HEAD + b'data: {"error":{"message":"no capacity","code":503}}\n\n',
            ("error_event", 503, None, "no capacity"),
        ),
        (b"no HTTP\r\n\r\n", ("protocol", None, None, None)),
    ],
)
def test_what_an_upstream_error_says(
    said: bytes, expected: tuple[str, int | None, float | None, str | None]
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)

    async def main() -> None:
        async with upstream_at(handler) as upstream:
            exchange = upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)
            with pytest.raises(_core.UpstreamError) as raised:
                await exchange.next_block()
            error = raised.value
            assert (error.kind, error.status, error.retry_after_s, error.message) == expected
            assert exchange.report().error_kind == expected[0]
            assert not exchange.report().complete
            assert await exchange.next_block() is None, "an error is raised once"

    run_asyncio(main())


def test_what_a_request_error_says() -> None:
    with pytest.raises(_core.RequestError) as raised:
        _core.ChatRequest(b'{"model": 7, "messages": []}')
    error = raised.value
    assert (error.code, error.param, error.offset) == ("invalid_type", "model", 10)
    assert error.message == str(error)


@pytest.mark.parametrize("said", [b"", STREAM_HEAD, STREAM_HEAD + FIRST], ids=["nothing", "head", "frame"])
def test_a_cancelled_task_aborts_at_once(said: bytes, run: Run) -> None:
    async def main() -> None:
        arrived = asyncio.Event()
        closed = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(said)
            arrived.set()
            # An end or a reset: gone is gone.
            with contextlib.suppress(ConnectionError):
                await reader.read()
            closed.set()

        async with upstream_at(handler) as upstream:
            exchange = upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)
            if FIRST in said:
                assert await exchange.next_block() == FIRST
            task = asyncio.ensure_future(exchange.next_block())
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # `exchange` is still referenced, so it is the cancellation that closes the connection.
            async with asyncio.timeout(PROMPT_S):
                await closed.wait()
            assert exchange.report().error_kind == "aborted"

    run(main())


@pytest.mark.parametrize("end", ["abort", "drain", "drop"])
def test_an_exchange_that_is_ended_from_outside(end: str, run: Run) -> None:
    async def main() -> None:
        arrived, closed = asyncio.Event(), asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            content = await read_request(reader)
            writer.write(STREAM_HEAD + (FIRST if content == "begin" else b""))
            arrived.set()
            with contextlib.suppress(ConnectionError):
                await reader.read()
            closed.set()

        async with upstream_at(handler) as upstream:
            begun = upstream.start(prepared("begin"), request_id="r", heartbeat_s=HEARTBEAT_S)
            assert await begun.next_block() == FIRST
            if end == "drop":
                del begun
            else:
                waiting = asyncio.ensure_future(rest(begun))
                await asyncio.sleep(0)
                getattr(begun, end)()
                assert (await waiting).startswith(b"" if end == "abort" else b'data: {"error"')
            async with asyncio.timeout(PROMPT_S):
                await closed.wait()
            if end != "drop":
                arrived.clear()
                closed.clear()
                silent = upstream.start(prepared("wait"), request_id="r", heartbeat_s=HEARTBEAT_S)
                first = asyncio.ensure_future(silent.next_block())
                await arrived.wait()
                getattr(silent, end)()
                with pytest.raises(_core.UpstreamError) as raised:
                    await first
                assert raised.value.kind == {"abort": "aborted", "drain": "draining"}[end]
                async with asyncio.timeout(PROMPT_S):
                    await closed.wait()

    run(main())


def test_many_at_once_do_not_mix(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        content = await read_request(reader)
        writer.write(STREAM_HEAD)
        for index in range(10):
            writer.write(
                event(
                    {"role": "assistant", "content": f"{content}.{index}"}
                    if not index
                    else {"content": f"{content}.{index}"}
                )
            )
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(LAST + DONE)

    async def one(upstream: _core.Upstream, name: str) -> None:
        body = await rest(upstream.start(prepared(name), request_id=name, heartbeat_s=HEARTBEAT_S))
        chunks = [json.loads(line[6:]) for line in body.split(b"\n\n")[:-2]]
        contents = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
        assert contents == [*(f"{name}.{index}" for index in range(10)), None]

    async def main() -> None:
        async with upstream_at(handler) as upstream:
            await asyncio.gather(*(one(upstream, f"n{number}") for number in range(200)))

    run(main())


def test_who_may_wait(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def elsewhere(exchange: _core.Exchange) -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await exchange.next_block()

    async def main() -> None:
        async with upstream_at(handler) as upstream:
            exchange = upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)
            await asyncio.to_thread(run, elsewhere(exchange))
            first = asyncio.ensure_future(exchange.next_block())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task"):
                await exchange.next_block()
            assert not first.done()
            first.cancel()

    run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        upstream_for("http://127.0.0.1:1").start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)


class _Deaf(asyncio.Future[None]):
    def set_result(self, _result: None) -> None:
        raise RuntimeError("deaf")


class _Loop(asyncio.SelectorEventLoop):
    is_deaf = False

    def create_future(self) -> asyncio.Future[None]:
        return _Deaf(loop=self) if self.is_deaf else super().create_future()


def test_a_waiter_that_can_not_be_woken_strands_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))

    async def main(silent: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, _Loop)
        upstream = upstream_for(f"http://127.0.0.1:{silent.getsockname()[1]}")
        exchanges = [upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S) for _ in range(3)]
        waiting = []
        for exchange, loop.is_deaf in zip(exchanges, [False, True, False], strict=True):
            waiting.append(asyncio.ensure_future(exchange.next_block()))
            await asyncio.sleep(0)
        # Nobody has accepted the connections: they are reset, and all three are to be woken at once.
        silent.close()
        while not all(exchange.finished for exchange in exchanges):
            time.sleep(0.001)  # noqa: ASYNC251  # the loop must not run meanwhile
        for other in (waiting[0], waiting[2]):
            with pytest.raises(_core.UpstreamError):
                await other
        assert not waiting[1].done()
        waiting[1].cancel()

    with socket.create_server(("127.0.0.1", 0)) as silent, asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(in_time(main(silent)))
    assert [str(error) for error in told] == ["deaf"]


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def one_exchange() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + FIRST + LAST + DONE)

    async with upstream_at(handler) as upstream:
        assert (
            await rest(upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S))
            == FIRST + LAST + DONE
        )


def test_many_loops_leave_no_files_open(run: Run) -> None:
    before = 0

    async def count() -> None:
        nonlocal before
        before = open_files()

    # Both counts are taken on a running loop, which has files of its own.
    run(one_exchange())
    run(count())
    for _ in range(30):
        run(one_exchange())
    gc.collect()
    # The last connections are closed on tokio's thread.
    run(eventually(lambda: open_files() <= before))


def test_a_loop_closed_under_a_waiting_task_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async def wait(upstream: _core.Upstream) -> None:
        await upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S).next_block()

    async def main(upstream: _core.Upstream) -> None:
        tasks.append(asyncio.ensure_future(wait(upstream)))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    loop = asyncio.new_event_loop()
    # Connections are accepted by the kernel, and nobody ever answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        loop.run_until_complete(main(upstream_for(f"http://127.0.0.1:{silent.getsockname()[1]}")))
    loop.close()
    gone = weakref.ref(loop)
    del loop
    tasks.clear()
    # The closed loop's bridge, which knows whom to wake, is let go when another loop gets its own.
    run_asyncio(one_exchange())
    gc.collect()
    assert gone() is None
    assert "Task was destroyed but it is pending" in caplog.text


def test_a_panic_is_one_exception() -> None:
    for _ in range(2):
        with pytest.raises(_core.CoreError, match="the Rust core panicked"):
            _core._panic_for_tests()
    run_asyncio(one_exchange())


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_one_runtime_for_all_loops() -> None:
    for _ in range(3):
        run_asyncio(one_exchange())
        run_uvloop(one_exchange())
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    assert names.count("llmgw-upstream") == 1


def test_a_forked_child_goes_on_with_a_runtime_of_its_own() -> None:
    script = """
        import asyncio, os, socket, sys
        from llmgw import _core

        listener = socket.create_server(("127.0.0.1", 0))
        upstream = _core.Upstream(
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            connect_timeout_s=5,
            first_event_timeout_s=60,
            idle_timeout_s=60,
            total_timeout_s=900,
        )
        body = b'{"model":"a","messages":[{"role":"user","content":"x"}]}'
        request = _core.ChatRequest(body).rewrite(_core.Route("m", upstream_stream="never"))

        async def refuse(reader, writer):
            await reader.readuntil(b"}]}")
            writer.write(b"HTTP/1.1 418 No\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")

        async def main():
            server = await asyncio.start_server(refuse, sock=listener.dup())
            try:
                await upstream.start(request, request_id="r", heartbeat_s=15).next_block()
            except _core.UpstreamError as error:
                assert error.status == 418, error
            server.close()

        asyncio.run(main())
        child = os.fork()
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        asyncio.run(main())
    """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)]
    subprocess.run(command, check=True, timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: upstream_for("ftp://host"), "base_url"),
        (lambda: upstream_for("https://user:secret@host"), "without user"),
        (lambda: upstream_for("http://host", api_key="a\nb"), "api_key"),
        (lambda: upstream_for("http://host", idle_timeout_s=0), "idle_timeout_s"),
        (lambda: upstream_for("http://host", total_timeout_s=float("nan")), "total_timeout_s"),
        (lambda: upstream_for("http://host", connect_timeout_s=1e9), "connect_timeout_s"),
        (
            lambda: _core.Route("m", dialect="esperanto"),  # type: ignore[arg-type]
            "a thinking dialect is one of",
        ),
        (
            lambda: _core.Route("m", upstream_stream="maybe"),  # type: ignore[arg-type]
            "upstream_stream",
        ),
    ],
)
def test_what_can_not_be_made(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert "secret" not in str(raised.value)
