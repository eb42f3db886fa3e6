"""The guard of the admin API: who comes in, how many at once, and what becomes of failures behind it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from llmgw.access.keyring import KeyRing
from llmgw.access.keys import create_key
from llmgw.admin.guard import KEY, MAX_BODY_BYTES, MAX_WAITING, Api, Guard
from llmgw.asgi.request import read_fields
from llmgw.asgi.responder import Responder
from llmgw.asgi.types import Message, Receive, Scope, Send
from llmgw.errors import ApiError
from llmgw.store import Store, open_store

Answer = tuple[int, dict[str, Any]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/llmgw.db")


class Door:
    """A guard, and requests to it."""

    def __init__(self, store: Store, api: Api, *, at_once: int = 2, body_timeout_s: float = 5.0) -> None:
        self.token = create_key(store, actor="test", kind="admin", name="ops").token
        self.reader = create_key(store, actor="test", kind="admin_read").token
        self.guard = Guard(api, KeyRing(store), body_timeout_s=lambda: body_timeout_s, at_once=at_once)

    async def ask(
        self,
        method: str = "POST",
        body: bytes = b"{}",
        *,
        token: str | None = None,
        receive: Receive | None = None,
        **headers: str,
    ) -> Answer:
        """Status and body; 0 if there was no answer."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def whole() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        fields = {"authorization": f"Bearer {token or self.token}", "host": "x", **headers}
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": "/admin/v1/x",
            "query_string": b"group_by[]=a&b%5B%5D=c",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()],
        }
        responder = Responder(send, "req_1")
        try:
            await self.guard.serve(scope, read_fields(scope), receive or whole, responder)
        except ApiError as error:
            return error.status, {"code": error.code}
        if not sent:
            return 0, {}
        content = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], json.loads(content)


def run(work: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401
    async def main() -> Any:  # noqa: ANN401
        return await work()

    return asyncio.run(main())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what came through."""
    message = await receive()
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    told = {
        "method": scope["method"],
        "key": scope[KEY].name,
        "query": scope["query_string"].decode(),
        "body": message["body"].decode(),
        "type": headers["content-type"],
        "after": (await receive())["type"],
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


def test_what_comes_through(store: Store) -> None:
    async def work() -> Answer:
        return await Door(store, echo).ask(body=b'{"a": 1}', content_type="text/plain")

    status, told = run(work)
    assert status == 200
    assert told == {
        "method": "POST", "key": "ops", "query": "group_by=a&b=c", "body": '{"a": 1}',
        "type": "application/json", "after": "http.disconnect",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "how", "expected"),
    [
        ("a look", {"method": "GET"}, (200, None)),
        ("a look at the head", {"method": "HEAD"}, (200, None)),
        ("a body of the largest size", {"body": b" " * MAX_BODY_BYTES}, (200, None)),
        ("a larger one", {"body": b" " * (MAX_BODY_BYTES + 1)}, (413, "body_too_large")),
        ("an announced larger one", {"content_length": str(MAX_BODY_BYTES + 1)}, (413, "body_too_large")),
        ("a packed body", {"content_encoding": "gzip"}, (415, "unsupported_encoding")),
        ("another key", {"token": "sk-gtw-admin-nobody"}, (401, "invalid_api_key")),
        ("no bearer token", {"authorization": "Basic abc"}, (401, "invalid_api_key")),
    ],
)
def test_who_and_what_comes_in(
    store: Store, name: str, how: dict[str, Any], expected: tuple[int, str | None]
) -> None:
    async def work() -> Answer:
        return await Door(store, echo).ask(**how)

    status, told = run(work)
    assert (status, told.get("code")) == expected, name


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 403), ("DELETE", 403)])
def test_a_key_that_may_only_look(store: Store, method: str, status: int) -> None:
    async def work() -> Answer:
        door = Door(store, echo)
        return await door.ask(method, token=door.reader)

    assert run(work)[0] == status


def test_no_more_than_so_many_at_once_and_a_bounded_number_wait(store: Store) -> None:
    running, most = 0, 0
    gate = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        await echo(scope, receive, send)
        running -= 1

    async def work() -> list[Answer]:
        door = Door(store, slow, at_once=2)
        asked = [asyncio.ensure_future(door.ask()) for _ in range(2 + MAX_WAITING + 3)]
        refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert all(task.result() == (503, {"code": "overloaded"}) for task in refused)
        gate.set()
        return await asyncio.gather(*asked)

    statuses = [status for status, _ in run(work)]
    assert statuses.count(200) == 2 + MAX_WAITING
    assert statuses.count(503) == 3
    assert most == 2


def test_a_body_that_does_not_come(store: Store) -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def work() -> Answer:
        return await Door(store, echo, body_timeout_s=0.05).ask(receive=never)

    assert run(work) == (408, {"code": "request_timeout"})


def test_a_client_that_leaves_gets_nothing(store: Store) -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def work() -> Answer:
        return await Door(store, echo).ask(receive=gone)

    assert run(work) == (0, {})


def test_a_database_that_fails_is_no_defect(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        raise OperationalError("SELECT 'what a client asked'", {}, Exception("disk I/O error"))

    async def work() -> Answer:
        return await Door(store, broken).ask()

    assert run(work) == (503, {"code": "overloaded"})
    assert "disk I/O error" in caplog.text
    assert "what a client asked" not in caplog.text


def test_half_an_answer_is_never_sent(store: Store) -> None:
    async def defect(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ZeroDivisionError

    async def work() -> Answer:
        return await Door(store, defect).ask()

    with pytest.raises(ZeroDivisionError):
        run(work)
