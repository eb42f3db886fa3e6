"""What the relay of the admin process sends and passes back, byte for byte, and what it says of failures."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from llmgw.access.keyring import KeyRing
from llmgw.access.keys import create_key
from llmgw.admin import relay as module
from llmgw.admin.relay import Relay
from llmgw.asgi.client import Clients
from llmgw.asgi.request import read_fields
from llmgw.asgi.responder import Responder
from llmgw.asgi.types import Message
from llmgw.config import ServerConfig
from llmgw.errors import ApiError
from llmgw.store import Store, open_store
from tests.support.processes import free_port
from tests.support.scripted import EVENT_STREAM_HEAD, Pause, Reset, ScriptedUpstream, json_answer

FRAME = b'data: {"choices":[]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(FRAME), FRAME)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/llmgw.db")


class Door:
    """A relay, and requests to it."""

    def __init__(self, store: Store, port: int, **server: Any) -> None:  # noqa: ANN401  (values of [server])
        self.token = create_key(store, actor="test").token
        config = ServerConfig(**server)
        self.relay = Relay(f"http://127.0.0.1:{port}", KeyRing(store), Clients(), lambda: config)
        self.sent: list[Message] = []
        self.has_begun = asyncio.Event()

    async def ask(self, body: dict[str, Any], **headers: str) -> None:
        """POST a chat completion with a key; the answer is in `sent`."""
        content = json.dumps(body).encode()

        async def send(message: Message) -> None:
            self.sent.append(message)
            self.has_begun.set()

        waiting = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Message:
            if waiting:
                return waiting.pop()
            await asyncio.Event().wait()
            raise AssertionError

        fields = {"authorization": f"Bearer {self.token}", "host": "admin.example", **headers}
        scope: dict[str, Any] = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/chat/completions",
            "query_string": b"x=1", "client": ("127.0.0.1", "1"),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()],
        }  # fmt: skip
        await self.relay.serve(scope, read_fields(scope), receive, Responder(send, "req_ours"))

    @property
    def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers of the answer."""
        return self.sent[0]["status"], list(self.sent[0]["headers"])

    @property
    def content(self) -> bytes:
        """Its body, which is whole."""
        assert [message["more_body"] for message in self.sent[1:]][-1:] == [False]
        return b"".join(message["body"] for message in self.sent[1:])


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_what_the_gateway_is_sent(store: Store, scripted: ScriptedUpstream) -> None:
    script = scripted.script(json_answer({"ok": True}))

    async def work() -> None:
        door = Door(store, scripted.port)
        await door.ask(
            {"script": script},
            content_type="application/json",
            accept="text/event-stream",
            x_llmgw_user="ada",
            cookie="a=b",
            origin="https://elsewhere.example",
            referer="http://admin.example/console/",
            x_forwarded_for="10.0.0.1",
            accept_encoding="gzip, br",
            user_agent="Browser/1",
            x_api_key="sk-other",
            connection="keep-alive",
        )
        head = scripted.received(script).head.decode()
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        assert first == "POST /v1/chat/completions HTTP/1.1"
        content = json.dumps({"script": script})
        assert sorted(line.lower() for line in lines) == sorted(
            [
                f"host: 127.0.0.1:{scripted.port}",
                f"authorization: bearer {door.token.lower()}",
                "content-type: application/json",
                "accept: text/event-stream",
                "x-llmgw-user: ada",
                f"content-length: {len(content)}",
            ]
        )
        assert scripted.received(script).body == content.encode()

    run(work)


def test_what_comes_back(store: Store, scripted: ScriptedUpstream) -> None:
    more = (
        b"X-Request-Id: req_theirs\r\nkeep-alive: timeout=5\r\nserver: x\r\ndate: now\r\nretry-after: 3\r\n"
    )
    script = scripted.script(json_answer({"ok": True}, "429 Too Many Requests", more))

    async def work() -> None:
        door = Door(store, scripted.port)
        await door.ask({"script": script})
        assert door.head == (
            429,
            [
                (b"content-type", b"application/json"),
                (b"x-request-id", b"req_theirs"),
                (b"retry-after", b"3"),
                (b"content-length", b"12"),
            ],
        )
        assert door.content == b'{"ok": true}'

    run(work)


def test_an_answer_without_a_request_id_gets_ours(store: Store, scripted: ScriptedUpstream) -> None:
    script = scripted.script(json_answer({}))

    async def work() -> None:
        door = Door(store, scripted.port)
        await door.ask({"script": script})
        assert door.head[1][-1] == (b"x-request-id", b"req_ours")

    run(work)


@pytest.mark.parametrize("part", [b"", b"5\r\ndata:\r\n"])
def test_a_stream_that_breaks_says_so(store: Store, scripted: ScriptedUpstream, part: bytes) -> None:
    script = scripted.script(EVENT_STREAM_HEAD, CHUNK + part, Pause(0.05), Reset())

    async def work() -> None:
        door = Door(store, scripted.port)
        await door.ask({"script": script})
        assert door.head[0] == 200
        begun, _, rest = door.content.partition(FRAME)
        assert begun == b""
        left, _, frame = rest.partition(b"\n\n")
        assert left == (b"data:" if part else b"")
        assert frame.endswith(b"\n\n")
        assert json.loads(frame.removeprefix(b"data: "))["error"]["code"] == "overloaded"

    run(work)


def test_another_answer_that_breaks_is_cut_off(store: Store, scripted: ScriptedUpstream) -> None:
    script = scripted.script(json_answer({"a": "b" * 100})[:-50], Pause(0.05), Reset())

    async def work() -> None:
        door = Door(store, scripted.port)
        with pytest.raises(ApiError):
            await door.ask({"script": script})
        assert door.sent[-1]["more_body"]

    run(work)


def test_a_gateway_that_is_down(store: Store, scripted: ScriptedUpstream) -> None:
    broken = scripted.script(Reset())

    async def work() -> None:
        for port in (free_port(), scripted.port):
            door = Door(store, port)
            with pytest.raises(ApiError) as raised:
                await door.ask({"script": broken})
            assert (raised.value.code, raised.value.status) == ("overloaded", 503)
            assert raised.value.retry_after_s is not None
            assert door.sent == []
            assert (door.relay._running, door.relay._held_bytes) == (0, 0)

    run(work)


def test_bodies_have_a_sum(store: Store, scripted: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 2000)
    script = scripted.script(Pause(0.2), json_answer({}))
    request = {"script": script, "x": "y" * 900}

    async def work() -> None:
        door = Door(store, scripted.port, max_body_bytes=1500)
        answers = await asyncio.gather(*(door.ask(request) for _ in range(3)), return_exceptions=True)
        refused = [answer for answer in answers if answer is not None]
        assert [type(error) for error in refused] == [ApiError]
        assert str(refused[0]).startswith("The console's process holds as many bytes")
        await door.ask(request)
        assert (door.relay._running, door.relay._held_bytes) == (0, 0)

    run(work)


def test_what_runs_at_a_stop_is_ended(store: Store, scripted: ScriptedUpstream) -> None:
    script = scripted.script(EVENT_STREAM_HEAD, CHUNK, Pause(5.0))

    async def work() -> None:
        door = Door(store, scripted.port)
        asked = asyncio.create_task(door.ask({"script": script}))
        await door.has_begun.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await asyncio.to_thread(scripted.received(script).closed.wait, 4.0)
        assert (door.relay._running, door.relay._held_bytes) == (0, 0)
        await door.relay.close()

    run(work)
