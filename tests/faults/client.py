"""A client that verifies what it gets, byte for byte, on raw sockets; it can also misbehave.

`Seen` is the client's ledger: one object for each request, whatever became of it.
"""

import asyncio
import contextlib
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self

from tests.faults.script import ARGUMENTS_HEAD, ARGUMENTS_TAIL, KEY_PREFIX, Acts, chaos
from tests.faults.stamp import Verified
from tests.support.doors import PATHS, Door, read_stream, read_whole
from tests.support.frames import Stream, check_stream

TIMEOUT_S = 60.0
"""Nothing that a client waits for may take longer: a hang is a failure of the case, not of the run."""
CHAT_COMPLETIONS = "/v1/chat/completions"
_READ_BYTES = 1 << 18
_marks = itertools.count(1)


def new_mark() -> str:
    """A word that names one request everywhere."""
    return f"m{next(_marks)}"


@dataclass
class Seen:
    """One request as its client saw it. Times are of the monotonic clock."""

    mark: str
    stream: bool
    sent_s: float
    door: Door = "chat"
    counted: bool = True
    """It had a valid key, so the gateway's ledger has a row of it."""
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    """The HTTP answer came to its proper end."""
    left: bool = False
    """The client itself went away before the end."""
    cut: bool = False
    """A process on the way was killed: the answer may break off, or never begin."""
    row_owed: bool = True
    """False: such a process may have taken the row with it."""
    first_byte_s: float | None = None
    ended_s: float = 0.0
    # What the verification found:
    origin: str | None = None
    events: int = 0
    finish_reason: str | None = None
    tokens: int | None = None
    """Of the usage that was shown."""
    error: dict[str, Any] | None = None
    """Of an error answer, or of an error frame."""

    @property
    def request_id(self) -> str | None:
        """The gateway's name for it; None where no header has come."""
        return self.headers.get("x-request-id")

    @property
    def completed(self) -> bool:
        """A success from its beginning to its end."""
        return self.status == 200 and self.whole and self.error is None and not self.left

    @property
    def code(self) -> str | None:
        """The error's code."""
        return None if self.error is None else self.error["code"]

    @property
    def took_s(self) -> float:
        """From the sending to the end."""
        return self.ended_s - self.sent_s

    def verify(self) -> None:
        """Check all that was received. AssertionError (or BrokenChainError) says what is wrong."""
        assert KEY_PREFIX.encode() not in self.body, f"{self.mark}: an upstream's key is shown: {self.body!r}"
        if self.status is None:
            assert self.left or self.cut, f"{self.mark}: no answer, and the connection was closed"
            return
        if self.cut and self.request_id is None:
            return  # a balancer's own answer
        assert self.request_id, f"{self.mark}: an answer without x-request-id"
        assert self.whole or self.left or self.cut, (
            f"{self.mark}: an answer that breaks off: {self.body[-200:]!r}"
        )
        if self.status != 200:
            self._verify_error()
        elif self.stream:
            self._verify_stream()
        elif self.whole:
            self._verify_answer()

    def _verify_error(self) -> None:
        if not self.whole:
            return
        body = json.loads(self.body)
        if self.door == "messages":
            assert body["type"] == "error", f"{self.mark}: {self.body[:200]!r}"
            self.error = {"code": body["error"]["type"], "message": body["error"]["message"]}
            return
        assert set(body) == {"error"}, f"{self.mark}: {self.body[:200]!r}"
        assert set(body["error"]) == {"message", "type", "param", "code"}, f"{self.mark}: {body}"
        self.error = body["error"]

    def _verify_stream(self) -> None:
        if self.door != "chat":
            whole_events = self.body if self.whole else self.body[: self.body.rfind(b"\n\n") + 2]
            told = read_stream(self.door, whole_events)
            said = told.text + told.reasoning + _said_in(told.arguments)
            self._take(Verified(self._said_mark, said))
            self.finish_reason, self.tokens, self.error = told.finish_reason, told.tokens, told.error
            return
        if self.left or self.cut:
            # Only whole frames can be judged; what they say must be a prefix all the same.
            self._take(Verified(self._said_mark, _content_of(self.body)))
            return
        stream: Stream = check_stream(self.body, include_usage=True)
        self.error = stream.error
        choice = stream.choices.get(0)
        if choice is not None:
            self._take(Verified(self._said_mark, choice.content))
            self.finish_reason = choice.finish_reason
        if stream.usage is not None:
            self.tokens = stream.usage["completion_tokens"]

    def _verify_answer(self) -> None:
        if self.door != "chat":
            told = read_whole(self.door, self.body)
            self._take(Verified(self._said_mark, told.text))
            self.finish_reason, self.tokens = told.finish_reason, told.tokens
            return
        body = json.loads(self.body)
        assert body["object"] == "chat.completion", body
        [choice] = body["choices"]
        self._take(Verified(self._said_mark, choice["message"]["content"] or ""))
        self.finish_reason = choice["finish_reason"]
        self.tokens = body["usage"]["completion_tokens"]

    @property
    def _said_mark(self) -> str:
        # An upstream that answers before it has read the request can only know the request id.
        return self.mark if self.mark.startswith("m") else self.request_id or ""

    def _take(self, verified: Verified) -> None:
        self.events, self.origin = verified.events, verified.origin


def _said_in(arguments: str) -> str:
    """What the events say that are arguments, as far as they came."""
    said = arguments.removeprefix(ARGUMENTS_HEAD).removesuffix(ARGUMENTS_TAIL)
    return str(json.loads(f'"{said}"'))


def _content_of(body: bytes) -> str:
    content = ""
    for frame in body.split(b"\n\n")[:-1]:
        if not frame.startswith(b"data: {"):
            continue
        chunk = json.loads(frame.removeprefix(b"data: "))
        for choice in chunk.get("choices", []):
            content += choice["delta"].get("content") or ""
    return content


def request_body(
    mark: str,
    model: str,
    acts: Acts,
    *,
    stream: bool,
    door: Door = "chat",
    prompt: str = "Speak.",
    **more: Any,  # noqa: ANN401 - JSON values
) -> bytes:
    """A request that tells the upstream what to do."""
    turns = "input" if door == "responses" else "messages"
    body: dict[str, Any] = {"model": model, turns: [{"role": "user", "content": prompt}]}
    if stream:
        body["stream"] = True
    if stream and door == "chat":
        body["stream_options"] = {"include_usage": True}
    return json.dumps({**body, "chaos": chaos(mark, acts), **more}).encode()


class Connection:
    """One connection to the gateway. It can carry one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use `open`."""
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, host: str, port: int, *, receive_buffer: int | None = None) -> Self:
        """Connect. `receive_buffer` bounds what a reader that pauses is sent ahead, in bytes."""
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port, limit=receive_buffer or 1 << 20)
        return cls(reader, writer)

    async def send(self, head: bytes, body: bytes = b"") -> None:
        """Write it all."""
        self.writer.write(head + body)
        await self.writer.drain()

    async def head(self, seen: Seen) -> None:
        """Read status and headers. Raises IncompleteReadError where there are none."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        seen.first_byte_s = time.monotonic()
        status, *lines = raw.decode("latin-1").split("\r\n")
        seen.status = int(status.split(" ")[1])
        pairs = (line.partition(":") for line in lines if line)
        seen.headers = {name.lower(): value.strip() for name, _, value in pairs}

    async def rest(self, seen: Seen, *, frames: int | None = None) -> None:
        """Read the body into `seen`, to its end or until it holds so many frames."""
        pieces: list[bytes] = []
        count = 0
        try:
            length = seen.headers.get("content-length")
            if length is not None:
                pieces.append(await self.reader.readexactly(int(length)))
                seen.whole = True
                return
            while True:
                size = int((await self.reader.readline()).split(b";")[0], 16)
                piece = (await self.reader.readexactly(size + 2))[:-2]
                if not size:
                    seen.whole = True
                    return
                pieces.append(piece)
                if frames is not None:
                    count += piece.count(b"\n\n")
                    if count >= frames:
                        return
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return
        finally:
            seen.body += b"".join(pieces)
            seen.ended_s = time.monotonic()

    async def read_answer(self, seen: Seen) -> Seen:
        """Read a whole answer."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self.head(seen)
                await self.rest(seen)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except TimeoutError:
            raise AssertionError(f"{seen.mark}: no end of the answer within {TIMEOUT_S:g} s") from None
        seen.ended_s = time.monotonic()
        return seen

    def leave(self) -> float:
        """Close at once; when that was."""
        self.writer.transport.abort()
        return time.monotonic()

    async def close(self) -> None:
        """Close in good order."""
        self.writer.close()


class Client:
    """Sends requests to one gateway and keeps what it saw."""

    def __init__(self, host: str, port: int, key: str) -> None:
        """`key` is the gateway's key."""
        self.host = host
        self.port = port
        self.key = key
        self.seen: list[Seen] = []

    def head(
        self, length: int, *, key: str | None = None, path: str = CHAT_COMPLETIONS, more: str = ""
    ) -> bytes:
        """The head of a POST."""
        return (
            f"POST {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {key or self.key}\r\ncontent-length: {length}\r\n{more}\r\n"
        ).encode()

    async def connect(self, *, receive_buffer: int | None = None) -> Connection:
        """A new connection."""
        return await Connection.open(self.host, self.port, receive_buffer=receive_buffer)

    def note(self, mark: str, *, stream: bool = True, door: Door = "chat", counted: bool = True) -> Seen:
        """Open a line in the client's ledger, right before sending."""
        seen = Seen(mark, stream, time.monotonic(), door=door, counted=counted)
        self.seen.append(seen)
        return seen

    async def begin(
        self,
        connection: Connection,
        model: str,
        acts: Acts,
        *,
        stream: bool = True,
        door: Door = "chat",
        **more: Any,  # noqa: ANN401 - JSON values
    ) -> Seen:
        """Send a request; the answer is still to be read."""
        mark = new_mark()
        body = request_body(mark, model, acts, stream=stream, door=door, **more)
        seen = self.note(mark, stream=stream, door=door)
        await connection.send(self.head(len(body), path=PATHS[door]), body)
        return seen

    async def ask(
        self,
        model: str,
        acts: Acts,
        *,
        stream: bool = True,
        connection: Connection | None = None,
        **more: Any,  # noqa: ANN401 - JSON values
    ) -> Seen:
        """One request and its whole answer, verified."""
        used = connection or await self.connect()
        seen = await self.begin(used, model, acts, stream=stream, **more)
        await used.read_answer(seen)
        if connection is None:
            await used.close()
        seen.verify()
        return seen

    async def raw(
        self, head: bytes, body: bytes = b"", *, counted: bool = True, mark: str = "raw", stream: bool = False
    ) -> Seen:
        """Bytes of the caller's own making, and the whole answer. Not verified."""
        connection = await self.connect()
        seen = self.note(mark, stream=stream, counted=counted)
        with contextlib.suppress(ConnectionError):  # an answer may have come all the same
            await connection.send(head, body)
        await connection.read_answer(seen)
        await connection.close()
        return seen

    async def post(self, body: bytes, *, counted: bool = True, key: str | None = None) -> Seen:
        """A body of the caller's own making. Not verified."""
        return await self.raw(self.head(len(body), key=key), body, counted=counted)

    async def get(self, path: str) -> Seen:
        """GET without a key."""
        head = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
        connection = await self.connect()
        seen = Seen(path, stream=False, sent_s=time.monotonic(), counted=False)
        await connection.send(head)
        await connection.read_answer(seen)
        await connection.close()
        return seen
