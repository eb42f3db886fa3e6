"""`python -m tests.faults.upstream`: providers that misbehave as each request tells them to (`script.py`).

One asyncio process on raw sockets; a port for each upstream, and one for control. It stamps every event
(`stamp.py`) and keeps its own ledger of what it said to whom.
"""

import argparse
import asyncio
import contextlib
import gzip
import itertools
import json
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from tests.faults.script import (
    ARGUMENTS_HEAD,
    ARGUMENTS_TAIL,
    KEY_PREFIX,
    PROMPT_TOKENS,
    Act,
    Exchange,
    Says,
    act_for,
)
from tests.faults.stamp import Stamper

CANARY = "chaos-canary-page"
"""Stands in error pages: no client may see it."""
EARLY_STREAM = "early-stream"
EARLY_REFUSAL = "early-refusal"
"""These two answer without reading the request's body; the mark of such an answer is its request id."""
_EVENT_STREAM = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
_ENDLESS_PIECE = b"x" * 65_536
_BOMB_PIECE = b"\0" * (1 << 20)
_DISCARD_TIMEOUT_S = 10.0
ODD_PAD = "odd \u2028 \ufffd pad"
"""What the client must read in an event of the `odd` framing, which has an invalid byte for the U+FFFD."""


class _Gone(Exception):  # noqa: N818  (not an error: gateways may leave)
    """The gateway closed the connection."""


class _Connection:
    """One connection of the gateway, which may carry many exchanges."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self.reader = reader
        self.writer = writer
        self.idle = True
        self.exchange: Exchange | None = None
        self.gone: asyncio.Future[bytes] | None = None

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises _Gone."""
        if self.gone is not None and self.gone.done():
            raise _Gone
        if self.exchange is not None:
            self.exchange.last_write_s = time.monotonic()
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            raise _Gone from None
        if self.exchange is not None:
            self.exchange.written_bytes += len(data)

    async def pause(self, seconds: float) -> None:
        """Say nothing for so long. Raises _Gone if the gateway leaves meanwhile."""
        assert self.gone is not None
        done, _ = await asyncio.wait({self.gone}, timeout=seconds)
        if done:
            raise _Gone

    async def forever(self) -> None:
        """Say nothing until the gateway leaves."""
        assert self.gone is not None
        await asyncio.wait({self.gone})
        raise _Gone

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
        self.writer.transport.abort()


class ChaosUpstream:
    """All upstreams of one run, and their ledger."""

    def __init__(self) -> None:
        """Needs a running loop only when it is started."""
        self.exchanges: list[Exchange] = []
        self._connections: set[_Connection] = set()
        self._marked: dict[str, list[Exchange]] = {}
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._numbers = itertools.count(1)
        self._trapped = 0
        self._trap_port = 0

    async def start(self, ports: Mapping[str, int], control: int, trap: int) -> None:
        """Listen. `trap` is where redirects point to: it counts who follows."""
        self._trap_port = trap
        for name, port in ports.items():
            await asyncio.start_server(self._serve_as(name), "127.0.0.1", port, limit=1 << 26, backlog=4096)
        await asyncio.start_server(self._control, "127.0.0.1", control)
        await asyncio.start_server(self._trap, "127.0.0.1", trap)

    async def _trap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._trapped += 1
        await reader.read(65_536)
        writer.close()

    def _serve_as(self, name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = _Connection(name, reader, writer)
            self._connections.add(connection)
            try:
                while await self._one(connection):
                    connection.idle = True
            except (ConnectionError, asyncio.IncompleteReadError, _Gone):
                pass
            finally:
                self._connections.discard(connection)
                writer.close()

        return serve

    async def _one(self, connection: _Connection) -> bool:
        """Serve one request; True if the connection may carry another."""
        head = await connection.reader.readuntil(b"\r\n\r\n")
        connection.idle = False
        headers = _headers(head)
        early = connection.name in (EARLY_STREAM, EARLY_REFUSAL)
        body = (
            {} if early else json.loads(await connection.reader.readexactly(int(headers["content-length"])))
        )
        member = body.get("chaos", {"mark": headers["x-request-id"], "acts": {}})
        act = self._act(connection.name, member)
        exchange = Exchange(
            connection.name,
            member["mark"],
            headers.get("x-request-id", ""),
            authorized=headers.get("authorization") == f"Bearer {KEY_PREFIX}{connection.name}",
            began_s=time.monotonic(),
            head=act.head,
            end=act.end,
            restored=any(message.get("reasoning_content") for message in body.get("messages", [])),
        )
        self.exchanges.append(exchange)
        self._marked.setdefault(exchange.mark, []).append(exchange)
        connection.exchange = exchange
        # What is read of an early answer's request is its body, not the end of the connection.
        leaving = asyncio.Event().wait() if early else connection.reader.read(1)
        connection.gone = asyncio.ensure_future(leaving)  # type: ignore[arg-type]  # only its end matters
        try:
            keep = await self._play(connection, act, stream=early or body.get("stream") is True)
        except _Gone:
            exchange.gone_s = time.monotonic()
            raise
        finally:
            exchange.open = False
            exchange.ended_s = time.monotonic()
            connection.gone.cancel()
            await asyncio.gather(connection.gone, return_exceptions=True)
            connection.exchange = None
        exchange.whole = True
        if early:
            # Only now is the request's body read, and thrown away.
            await _discard(connection, int(headers["content-length"]), close=connection.name == EARLY_REFUSAL)
        return keep and connection.name != EARLY_REFUSAL

    def _act(self, name: str, member: Mapping[str, Any]) -> Act:
        if name == EARLY_REFUSAL:
            return Act(head="status", status=413)
        if name == EARLY_STREAM:
            return Act(events=2000, pad=4096)  # 8 MB: more than the buffers between us hold
        attempt = self._attempts[name, member["mark"]]
        self._attempts[name, member["mark"]] += 1
        return act_for(member, name, attempt)

    async def _play(self, connection: _Connection, act: Act, *, stream: bool) -> bool:
        if act.first_delay_ms:
            await connection.pause(act.first_delay_ms / 1000)
        match act.head:
            case "good" if stream:
                return await self._stream(connection, act)
            case "good":
                return await self._whole(connection, act)
            case "stall":
                await connection.forever()
            case "silence":
                await connection.write(b"HTTP/1.1 200 OK\r\n" + _EVENT_STREAM + b"\r\n")
                await connection.forever()
            case "error_event":
                await connection.write(b"HTTP/1.1 200 OK\r\n" + _EVENT_STREAM + b"\r\n")
                error = {"message": f"not for {KEY_PREFIX}{connection.name}", "code": act.status}
                await connection.write(_chunk(_event({"error": error})))
                await connection.write(b"0\r\n\r\n")
            case "garbage":
                await connection.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
                return False
            case "hang_up":
                return False
            case _:
                key = f"{KEY_PREFIX}{connection.name}"
                await connection.write(_refusal(act, self._trap_port, key))
        return True

    async def _whole(self, connection: _Connection, act: Act) -> bool:
        exchange = connection.exchange
        assert exchange is not None
        stamper = Stamper(exchange.mark, self._origin(exchange))
        content = "".join(stamper.next("x" * act.pad) for _ in range(act.events))
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if act.calls_tool:
            message = _tool_call(exchange.mark)
        body = {
            "id": "chatcmpl-chaos",
            "object": "chat.completion",
            "created": 1,
            "model": "chaos",
            "choices": [
                {"index": 0, "message": message, "finish_reason": "tool_calls" if act.calls_tool else "stop"}
            ],
            "usage": _usage(act.events),
        }
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        if act.end != "done":
            await connection.write(head.encode() + data[: len(data) // 2])
            if act.end == "stall":
                await connection.forever()
            if act.end == "reset":
                await connection.pause(0.01)
                connection.reset()
            return False
        await connection.write(head.encode() + data)
        exchange.tokens = act.events
        exchange.events = 0 if act.calls_tool else act.events
        return True

    async def _stream(self, connection: _Connection, act: Act) -> bool:
        exchange = connection.exchange
        assert exchange is not None
        style = _ODD if act.framing == "odd" else _PLAIN
        wire = self._bytewise if act.framing == "bytes" else _Connection.write
        stamper = Stamper(exchange.mark, self._origin(exchange))
        await connection.write(b"HTTP/1.1 200 OK\r\n" + _EVENT_STREAM + b"\r\n" + _chunk(style.start))
        pad = ODD_PAD if act.framing == "odd" else "x" * act.pad
        for number in range(act.events):
            if act.delay_ms:
                await connection.pause(act.delay_ms / 1000)
            delta = _delta(act.says, stamper.next(pad), exchange.mark, first=number == 0)
            if number == 0:
                delta["role"] = "assistant"
            await wire(connection, _chunk(style.event(_content_chunk(delta, number + 1))))
            exchange.events = exchange.tokens = number + 1
        return await self._end(connection, act, style, wire)

    async def _end(
        self,
        connection: _Connection,
        act: Act,
        style: "_Style",
        wire: Callable[[_Connection, bytes], Awaitable[None]],
    ) -> bool:
        match act.end:
            case "done":
                calls = act.says == "arguments"
                tail: dict[str, Any] = {"index": 0, "function": {"arguments": ARGUMENTS_TAIL}}
                delta = {"tool_calls": [tail]} if calls else {}
                last = _content_chunk(delta, act.events, finish="tool_calls" if calls else "stop")
                await wire(connection, _chunk(style.event(last) + b"data: [DONE]\n\n") + b"0\r\n\r\n")
                return True
            case "reset":
                await connection.pause(0.02)  # a reset overtakes what the peer has not read
                connection.reset()
                return False
            case "stall":
                await connection.forever()
            case "cut":
                event = style.event(_content_chunk({"content": "never whole"}, act.events))
                await connection.write(_chunk(event[: len(event) // 2]) + b"0\r\n\r\n")
            case "close":
                await connection.write(b"0\r\n\r\n")
            case "error":
                error = {"error": {"message": "overloaded in the middle", "code": 503}}
                await connection.write(_chunk(_event(error)) + b"0\r\n\r\n")
            case "endless":
                await connection.write(_chunk(b"data: "))
                while True:
                    await connection.write(_chunk(_ENDLESS_PIECE))
        return True

    @staticmethod
    async def _bytewise(connection: _Connection, data: bytes) -> None:
        size, _, rest = data.partition(b"\r\n")
        payload = rest[: int(size, 16)]
        for byte in payload:
            await connection.write(b"1\r\n%c\r\n" % byte)
        if data.endswith(b"\r\n0\r\n\r\n"):
            await connection.write(b"0\r\n\r\n")

    def _origin(self, exchange: Exchange) -> str:
        return f"{exchange.upstream}/{next(self._numbers)}"

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode("ascii")
        answer: object
        if path == "/close-idle":
            idle = [connection for connection in self._connections if connection.idle]
            for connection in idle:
                connection.writer.close()
            answer = len(idle)
        elif path.startswith("/asked/"):
            answer = path.removeprefix("/asked/") in self._marked
        elif path.startswith("/of/"):
            answer = [asdict(exchange) for exchange in self._marked.get(path.removeprefix("/of/"), [])]
        elif path.startswith("/exchanges/"):
            start = int(path.removeprefix("/exchanges/"))
            answer = [asdict(exchange) for exchange in self.exchanges[start:]]
        else:
            answer = {
                "connections": len(self._connections),
                "open": sum(connection.exchange is not None for connection in self._connections),
                "exchanges": len(self.exchanges),
                "trapped": self._trapped,
            }
        data = json.dumps(answer).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)
        )
        await writer.drain()
        writer.close()


async def _discard(connection: _Connection, size: int, *, close: bool) -> None:
    """Read the body that nobody waited for. Closing with unread bytes would reset the answer away."""
    if close:
        connection.writer.write_eof()
    with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(_DISCARD_TIMEOUT_S):
            while size > 0:
                size -= len(await connection.reader.readexactly(min(size, 65_536)))


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _event(payload: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(payload, ensure_ascii=False).encode()


def _tool_call(mark: str) -> dict[str, Any]:
    """An assistant's message with a tool call and the reasoning that led to it."""
    call = {"id": f"call_{mark}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reasoning = f"The reasoning of {mark}."
    return {"role": "assistant", "content": None, "reasoning_content": reasoning, "tool_calls": [call]}


def _delta(says: Says, text: str, mark: str, *, first: bool) -> dict[str, Any]:
    """What one event adds."""
    if says != "arguments":
        return {says: text}
    arguments = (ARGUMENTS_HEAD if first else "") + json.dumps(text)[1:-1]
    function = {"arguments": arguments, **({"name": "f"} if first else {})}
    call: dict[str, Any] = {"index": 0, "type": "function", "function": function}
    return {"tool_calls": [{**call, "id": f"call_{mark}"} if first else call]}


def _usage(completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
    }


def _content_chunk(delta: Mapping[str, Any], tokens: int, *, finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-chaos",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "chaos",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        "usage": _usage(tokens),
    }


class _Style:
    """How events are spelled: `data: …` and a blank line."""

    start = b""

    def event(self, payload: Mapping[str, Any]) -> bytes:
        return _event(payload)


class _Odd(_Style):
    """Everything that the specification of event streams allows, in turn."""

    start = b"\xef\xbb\xbf: a comment after a byte order mark\r\n\r\n"

    def __init__(self) -> None:
        self._ends = itertools.cycle([b"\r\n", b"\r", b"\n"])

    def event(self, payload: Mapping[str, Any]) -> bytes:
        data = json.dumps(payload, ensure_ascii=False).encode().replace("\ufffd".encode(), b"\xff")
        end = next(self._ends)
        # Between members a line may be cut; the event's data then has a line feed, which JSON allows there.
        first, comma, rest = data.partition(b', "choices"')
        lines = [
            b"id: 7",
            b"event:message",
            b"retry: 10",
            b"data:" + first,
            b"data: " + comma + rest,
            b":",
            b"",
        ]
        return b"".join(line + end for line in lines)


_PLAIN = _Style()
_ODD = _Odd()


def _refusal(act: Act, trap_port: int, key: str) -> bytes:
    """A whole answer of one of the kinds that are no success. It repeats the gateway's key, as some do."""
    status, kind, more = act.status, "application/json", ""
    data = json.dumps({"error": {"message": f"refused with {status}: {key}", "type": "chaos"}}).encode()
    if act.retry_after_s is not None:
        more = f"retry-after: {act.retry_after_s:g}\r\n"
    match act.head:
        case "html":
            kind, data = "text/html", f"<html><body><h1>{CANARY} {key}</h1></body></html>".encode()
        case "wrong_type":
            # A page, not a mislabelled stream: what a body is decides, and only then its label.
            status, kind, data = 200, "text/html", f"<html><body><h1>{CANARY}</h1></body></html>".encode()
        case "redirect":
            status, more = 307, f"location: http://127.0.0.1:{trap_port}/v1/chat/completions\r\n"
        case "encoded":
            status, kind, more = 200, "text/event-stream", f"content-encoding: {act.encoding}\r\n"
            plain = _event(_content_chunk({"content": CANARY}, 1))
            # Nobody reads what no decoder is there for: only gzip is worth encoding.
            data = _gzip(plain) if act.encoding == "gzip" else plain
        case "bomb":
            status, kind, more = 200, "text/event-stream", "content-encoding: gzip\r\n"
            # A gzip of many members unpacks to all of them.
            data = _gzip(_BOMB_PIECE) * (act.pad // len(_BOMB_PIECE))
    head = f"HTTP/1.1 {status} Chaos\r\ncontent-type: {kind}\r\n{more}content-length: {len(data)}\r\n\r\n"
    return head.encode() + data


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.upstream")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--trap", type=int, required=True)
    parser.add_argument("upstreams", nargs="+", metavar="NAME=PORT")
    options = parser.parse_args()
    ports = {name: int(port) for name, _, port in (pair.partition("=") for pair in options.upstreams)}
    await ChaosUpstream().start(ports, options.control, options.trap)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except KeyboardInterrupt:
        sys.exit(0)
