"""What becomes of a defect: one 500 for the request that met it, and nothing else."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmgw import _core
from llmgw.access.keys import create_key
from llmgw.app import App
from llmgw.asgi.request_id import RequestIds
from llmgw.asgi.types import Message
from llmgw.config import load_config
from llmgw.endpoints import chat
from llmgw.gateway import Gateway
from llmgw.store import open_store

CONFIG = """
[upstreams.local]
base_url = "http://127.0.0.1:1/v1"

[[models]]
id = "m"
upstream = "local"
"""


def panic(_: bytes) -> None:
    _core._panic_for_tests()


def no_files(_: bytes) -> None:
    raise OSError(24, "Too many open files")


@pytest.mark.parametrize(
    ("name", "defect", "status", "code"),
    [
        ("a panic in Rust", panic, 500, "internal_error"),
        ("no file descriptors left", no_files, 503, "overloaded"),
    ],
)
def test_one_request_fails_and_the_next_is_served(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    defect: Callable[[bytes], None],
    status: int,
    code: str,
) -> None:
    (tmp_path / "llmgw.toml").write_text(CONFIG, "utf-8")
    config = load_config(tmp_path / "llmgw.toml")
    store = open_store(config.store.url)  # as `llmgw serve` does before its workers
    token = create_key(store, actor="test", name="test").token
    store.close()
    app = App(config)

    async def ask(token: str) -> tuple[int, dict[str, Any]]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {
                "type": "http.request",
                "body": b'{"model": "none", "messages": [{}]}',
                "more_body": False,
            }

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"x"), (b"authorization", f"Bearer {token}".encode())]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": headers,
        }
        await app(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])["error"]

    async def run() -> None:
        app._gateway = await asyncio.to_thread(Gateway.open, config)
        with monkeypatch.context() as patch:
            patch.setattr(chat, "ChatRequest", defect)
            answered, error = await ask(token)
        assert (answered, error["code"]) == (status, code), name
        assert (await ask(token))[0] == 404
        assert (app._gateway.admission.requests, app._gateway.admission.bytes) == (0, 0)
        await app._gateway.close()

    asyncio.run(run())


def test_request_ids_are_unique_and_in_the_order_of_time() -> None:
    ids = RequestIds()
    made = [ids.next() for _ in range(1000)]
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", request_id) for request_id in made)
    assert len(set(made)) == len(made)
    times_ms = [int(request_id[4:16], 16) for request_id in made]
    assert times_ms == sorted(times_ms)
    assert abs(times_ms[-1] / 1000 - time.time()) < 60
    assert len({request_id[16:] for request_id in made}) == len(made)
