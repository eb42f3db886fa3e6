"""`llmgw._core` across threads and processes: loops beside each other, and what a fork leaves behind."""

import asyncio
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from llmgw import _core
from tests.core.test_bridge import HEARTBEAT_S, upstream_for

PATIENCE_S = 10
ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}]}'
)

Runner = Callable[[Coroutine[None, None, None]], None]


def prepared() -> _core.PreparedRequest:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
    return _core.ChatRequest(body).rewrite(_core.Route("m", upstream_stream="never"))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests with their own id, until the client goes."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            await reader.readexactly(int(headers[b"content-length"]))
            body = ANSWER % headers[b"x-request-id"]
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@pytest.mark.parametrize("runners", [(asyncio.run, asyncio.run), (asyncio.run, uvloop.run)])
def test_loops_in_threads_share_an_upstream(runners: tuple[Runner, Runner]) -> None:
    """Three loops at once: the servers', and two that ask through the same pool."""
    together = threading.Barrier(len(runners))

    def ask(runner: Runner, upstream: _core.Upstream, name: str) -> None:
        async def one(number: int) -> None:
            request_id = f"{name}-{number}"
            block = await upstream.start(
                prepared(), request_id=request_id, heartbeat_s=HEARTBEAT_S
            ).next_block()
            assert block == ANSWER % request_id.encode()

        async def main() -> None:
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(10):
                    await asyncio.gather(*(one(number) for number in range(20)))

        together.wait(PATIENCE_S)
        runner(main())

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        upstream = upstream_for(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(len(runners)) as threads:
            asked = [
                loop.run_in_executor(threads, ask, runner, upstream, f"loop-{number}")
                for number, runner in enumerate(runners)
            ]
            await asyncio.gather(*asked)
        server.close()

    asyncio.run(main())


def test_an_exchange_dropped_on_another_thread_is_aborted() -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"}]}")
            arrived.set()
            await reader.read()
            closed.set()
            writer.close()

        arrived = asyncio.Event()
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        upstream = upstream_for(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        held = [upstream.start(prepared(), request_id="r", heartbeat_s=HEARTBEAT_S)]
        async with asyncio.timeout(PATIENCE_S):
            await arrived.wait()
            await asyncio.to_thread(held.clear)
            await closed.wait()
        server.close()

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_an_exchange_stays_in_its_process() -> None:
    script = f"""
        import asyncio, os, socket, sys
        from llmgw import _core

        listener = socket.create_server(("127.0.0.1", 0))
        upstream = _core.Upstream(
            f"http://127.0.0.1:{{listener.getsockname()[1]}}",
            connect_timeout_s=5,
            first_event_timeout_s=60,
            idle_timeout_s=60,
            total_timeout_s=900,
        )
        body = b'{{"model":"a","messages":[{{"role":"user","content":"x"}}]}}'
        request = _core.ChatRequest(body).rewrite(_core.Route("m", upstream_stream="never"))

        def refused(call):
            try:
                call()
            except RuntimeError as error:
                return "before a fork" in str(error)
            return False

        async def main():
            exchange = upstream.start(request, request_id="r", heartbeat_s=15)
            connection, _ = await asyncio.to_thread(listener.accept)
            child = os.fork()
            if child == 0:
                calls = [exchange.abort, exchange.drain, exchange.report]
                calls.append(lambda: next(iter(exchange.next_block().__await__())))
                ok = all(refused(call) for call in calls)
                # Dropping what belongs to the parent must neither block nor close anything of it.
                del exchange, calls
                os._exit(0 if ok else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            connection.recv(65536)
            body = b'{ANSWER.decode() % "r"}'
            head = "HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n"
            connection.sendall((head % len(body)).encode() + body)
            assert await exchange.next_block() == body

        asyncio.run(asyncio.wait_for(main(), {PATIENCE_S}))
    """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)]
    subprocess.run(command, check=True, timeout=2 * PATIENCE_S)


def test_a_process_ends_in_the_midst_of_exchanges() -> None:
    """Neither an exit with pending exchanges nor the end of the interpreter hangs or crashes."""
    script = """
        import asyncio, sys
        from llmgw import _core

        upstream = _core.Upstream(
            f"http://127.0.0.1:{sys.argv[1]}",
            connect_timeout_s=5,
            first_event_timeout_s=60,
            idle_timeout_s=60,
            total_timeout_s=900,
        )
        body = b'{"model":"a","messages":[{"role":"user","content":"x"}],"stream":true}'
        request = _core.ChatRequest(body).rewrite(_core.Route("m"))
        kept = []

        async def main():
            kept.extend(upstream.start(request, request_id="r", heartbeat_s=0.001) for _ in range(50))
            kept.append(asyncio.ensure_future(kept[0].next_block()))
            await kept[1].next_block()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        if sys.argv[2] == "close":
            loop.close()
    """
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        port = str(silent.getsockname()[1])
        for end in ("close", "leave"):
            command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), port, end]
            done = subprocess.run(command, check=False, timeout=PATIENCE_S, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert "panicked" not in done.stderr
