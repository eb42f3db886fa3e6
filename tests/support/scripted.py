"""An upstream that says exactly the bytes that a test wrote, in exactly its cuts, over real TCP."""

import asyncio
import itertools
import json
import random
import ssl
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Any, Self

EVENT_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n"
    b"connection: close\r\n\r\n"
)
WAIT_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Pause:
    """Say nothing for so long."""

    seconds: float


@dataclass(frozen=True)
class Wait:
    """Go on when the test sets the event."""

    event: threading.Event


@dataclass(frozen=True)
class Hold:
    """Say nothing more until the gateway closes the connection."""


@dataclass(frozen=True)
class Reset:
    """End the connection with a TCP reset."""


Step = bytes | Pause | Wait | Hold | Reset


@dataclass
class ScriptedRequest:
    """What came in, and whether the connection is closed again."""

    head: bytes
    body: bytes
    closed: threading.Event = field(default_factory=threading.Event)


class ScriptedUpstream:
    """A TCP server on loopback in a thread.

    A request names its script in a body member: `script`, or `user`, which other APIs' requests keep.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Starts it, over TLS if there is a context for that."""
        self._scheme = "https" if tls else "http"
        self.requests: list[ScriptedRequest] = []
        self._scripts: dict[str, list[Sequence[Step]]] = {}
        self._names = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls), self._loop
        ).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def base_url(self) -> str:
        """For the config."""
        host = "localhost" if self._scheme == "https" else "127.0.0.1"  # a certificate names the host
        return f"{self._scheme}://{host}:{self.port}/v1"

    def script(self, *steps: Step) -> str:
        """Register a script; its name, for the request's `script` member. Then the connection ends."""
        name = f"script-{next(self._names)}"
        self.plays(name, steps)
        return name

    def plays(self, name: str, *scripts: Sequence[Step]) -> None:
        """What the requests with this name get, one after the other; the last one stays."""
        self._scripts[name] = list(scripts)

    def number(self, script: str) -> int:
        """How many requests named this script."""
        return sum(_named(request.body) == script for request in self.requests)

    def received(self, script: str) -> ScriptedRequest:
        """The one request that named this script."""
        [only] = [request for request in self.requests if _named(request.body) == script]
        return only

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        closed: list[threading.Event] = []
        try:
            request = await _read_request(reader)
            self.requests.append(request)
            closed.append(request.closed)
            scripts = self._scripts[_named(request.body)]
            await _play(scripts.pop(0) if len(scripts) > 1 else scripts[0], reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            for event in closed:
                event.set()
            writer.close()

    def __enter__(self) -> Self:
        """Already started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it and its connections."""

        async def end() -> None:
            self._server.close()
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _named(body: bytes) -> str:
    """The script that a request asks for; empty if it names none."""
    # Integers stay text: Python converts no more than 4,300 digits.
    members = json.loads(body, parse_int=str)
    return str(members.get("script") or members.get("user") or "")


async def _read_request(reader: asyncio.StreamReader) -> ScriptedRequest:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
    return ScriptedRequest(head, await reader.readexactly(length))


async def _play(steps: Sequence[Step], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Play a script, until its end or until the gateway closes the connection."""
    gone = asyncio.ensure_future(reader.read(1))
    try:
        for step in steps:
            if gone.done():
                return
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                case Pause(seconds):
                    await asyncio.wait({gone}, timeout=seconds)
                case Wait(event):
                    await asyncio.to_thread(event.wait, WAIT_TIMEOUT_S)
                case Hold():
                    await gone
                case Reset():
                    # Close with a zero linger: the kernel sends RST instead of FIN.
                    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                    return
    finally:
        gone.cancel()


def chunked(body: bytes, rng: random.Random, *, largest: int = 4096) -> bytes:
    """HTTP chunked framing with random chunk sizes, its end included."""
    return (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in cuts(body, rng, largest=largest))
        + b"0\r\n\r\n"
    )


def cuts(data: bytes, rng: random.Random, *, largest: int = 4096) -> Iterator[bytes]:
    """The data in pieces of random lengths, most of them short."""
    start = 0
    while start < len(data):
        size = min(largest, int(2 ** rng.uniform(0, 12)))
        yield data[start : start + size]
        start += size


def event_stream(body: bytes) -> tuple[bytes, ...]:
    """A whole successful event stream as one script."""
    return (EVENT_STREAM_HEAD, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


def partial_event_stream(body: bytes) -> tuple[bytes, ...]:
    """Head and one HTTP chunk, and the end of the chunks still to come."""
    return (EVENT_STREAM_HEAD, b"%x\r\n%b\r\n" % (len(body), body))


def json_answer(body: bytes | dict[str, Any], status: str = "200 OK", headers: bytes = b"") -> bytes:
    """A whole answer with a JSON body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n".encode()
    return head + headers + b"content-length: %d\r\n\r\n%b" % (len(data), data)
