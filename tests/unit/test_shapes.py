"""Whose errors a request gets, wherever on its way through the application it fails."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmgw import app as application
from llmgw.access.keys import create_key
from llmgw.app import App
from llmgw.asgi.types import Message
from llmgw.config import load_config
from llmgw.endpoints.chat import ChatBody
from llmgw.endpoints.shapes import error_shape
from llmgw.errors import ANTHROPIC, OPENAI, ApiError, ErrorShape, anthropic_frame
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Endpoint
from llmgw.store import open_store
from tests.support import anthropic_schemas

VERSION = {b"anthropic-version": [b"2023-06-01"]}
CONFIG = """
[server]
max_body_bytes = 100

[upstreams.local]
base_url = "http://127.0.0.1:1/v1"

[[models]]
id = "m"
upstream = "local"
"""
HELLO = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}'


@pytest.mark.parametrize(
    ("path", "fields", "shape"),
    [
        ("/v1/messages", {}, ANTHROPIC),
        ("/v1/messages", VERSION, ANTHROPIC),
        ("/v1/messages/", {}, ANTHROPIC),
        ("/v1/messages/count_tokens", {}, ANTHROPIC),
        ("/v1/messages/batches/x", {}, ANTHROPIC),
        ("/v1/messages2", VERSION, OPENAI),
        ("/v1/models", VERSION, ANTHROPIC),
        ("/v1/models/vendor/m", VERSION, ANTHROPIC),
        ("/v1/models", {}, OPENAI),
        ("/v1/models-of-mine", VERSION, OPENAI),
        ("/v1/model-catalog", VERSION, OPENAI),
        ("/v1/chat/completions", VERSION, OPENAI),
        ("/v1/responses", {}, OPENAI),
        ("/", {}, OPENAI),
    ],
)
def test_the_shape_of_a_path(path: str, fields: dict[bytes, list[bytes]], shape: ErrorShape) -> None:
    assert error_shape(path, fields) is shape


def full(gateway: Gateway) -> None:
    gateway.admission.max_requests = 0


def no_files(_pieces: object, _gateway: Gateway, _key: object) -> ChatBody:
    raise OSError(24, "Too many open files")


def broken(_pieces: object, _gateway: Gateway, _key: object) -> ChatBody:
    raise ZeroDivisionError


ROWS: list[tuple[str, dict[str, Any], int, str]] = [
    ("no key", {"key": ""}, 401, "authentication_error"),
    ("a wrong key", {"key": "sk-gtw-wrong"}, 401, "authentication_error"),
    ("no host", {"headers": [(b"host", b"a"), (b"host", b"b")]}, 400, "invalid_request_error"),
    ("too many headers", {"headers": [(b"x", b"y")] * 101}, 431, "invalid_request_error"),
    ("another method", {"method": "PUT"}, 405, "invalid_request_error"),
    ("an unknown path below it", {"path": "/v1/messages/nothing"}, 404, "not_found_error"),
    ("message batches", {"path": "/v1/messages/batches"}, 404, "not_found_error"),
    ("a body that is too large", {"body": HELLO + b" " * 100}, 413, "request_too_large"),
    ("no JSON", {"body": b"{"}, 400, "invalid_request_error"),
    ("an unknown coding", {"headers": [(b"content-encoding", b"br")]}, 415, "invalid_request_error"),
    ("an unknown model", {"body": HELLO.replace(b'"m"', b'"n"')}, 404, "not_found_error"),
    ("a model that the key may not use", {"models": ["other"]}, 403, "permission_error"),
    ("too many requests at once", {"prepare": full}, 529, "overloaded_error"),
    ("no file descriptors", {"read": no_files}, 529, "overloaded_error"),
    ("a defect", {"read": broken}, 500, "api_error"),
    ("an upstream that is not there", {}, 502, "api_error"),
]


@pytest.fixture
def reading() -> Iterator[Callable[[Any], None]]:
    """Sets what reads the bodies of `/v1/messages`."""
    before = dict(application.ENDPOINTS)

    def read_with(read: Any) -> None:  # noqa: ANN401 - see Endpoint.read
        application.ENDPOINTS["/v1/messages"] = Endpoint("messages", read, anthropic_frame)

    yield read_with
    application.ENDPOINTS.clear()
    application.ENDPOINTS.update(before)


@pytest.mark.parametrize(("name", "asked", "status", "kind"), ROWS, ids=[row[0] for row in ROWS])
def test_every_failure_of_messages_is_told_as_anthropic_does(
    tmp_path: Path,
    reading: Callable[[Any], None],
    name: str,
    asked: dict[str, Any],
    status: int,
    kind: str,
) -> None:
    (tmp_path / "llmgw.toml").write_text(CONFIG, "utf-8")
    config = load_config(tmp_path / "llmgw.toml")
    open_store(config.store.url).close()  # as `llmgw serve` does before its workers
    reading(asked.get("read", ChatBody.read))

    async def run() -> list[Message]:
        app = App(config)
        gateway = app._gateway = await asyncio.to_thread(Gateway.open, config)
        key = asked.get("key")
        if not key:
            key = create_key(gateway.store, actor="test", name="k", models=asked.get("models")).token
            gateway.keyring.refresh()  # a request would wait for that only so long
        asked.get("prepare", lambda _: None)(gateway)
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": asked.get("body", HELLO), "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        given = asked.get("headers", [])
        hosts = [] if any(header == b"host" for header, _ in given) else [(b"host", b"x")]
        keys = [] if asked.get("key") == "" else [(b"x-api-key", key.encode())]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": asked.get("method", "POST"),
            "path": asked.get("path", "/v1/messages"),
            "query_string": b"",
            "headers": [*hosts, *keys, *given],
        }
        await app(scope, receive, send)
        await gateway.close()
        return sent

    start, body = asyncio.run(run())
    said = json.loads(body["body"])
    assert (start["status"], said["error"]["type"]) == (status, kind), (name, said)
    assert anthropic_schemas.faults(anthropic_schemas.ERROR, said) == []
    headers = dict(start["headers"])
    assert headers[b"request-id"] == headers[b"x-request-id"] == said["request_id"].encode()
    may_be_retried = status in {529, 500, 502}
    assert headers.get(b"x-should-retry") == (None if may_be_retried else b"false")
    if name == "too many requests at once":
        assert int(headers[b"retry-after"]) > 0


def test_an_upstream_s_503_is_an_overload_too() -> None:
    error = ApiError("upstream_error", "no", status=503)
    assert (OPENAI.status(error), ANTHROPIC.status(error)) == (503, 529)
