"""Requests that last leave nothing behind, however they end: no object of ours, of the server, of asyncio.

A request is watched only once it has lasted for a moment (see `llmgw.asgi.grace`), so each of these lasts
longer. The objects are counted where they live, in the worker, since a leak of a kilobyte a request shows in
no figure of memory that a test of seconds could read.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from llmgw.access.keys import update_key
from llmgw.access.settings import BudgetSetting, LimitChange, LimitName
from llmgw.asgi.grace import GRACE_S
from llmgw.store import open_store
from tests.support import http2
from tests.support.counting import COUNTS_PATH
from tests.support.gateway import CHAT_COMPLETIONS, Gateway, config_text
from tests.support.http2 import Kind, Reader
from tests.support.processes import ROOT, wait_until
from tests.support.scripted import EVENT_STREAM_HEAD, Pause, Reset, ScriptedUpstream, json_answer
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

LASTS = Pause(GRACE_S * 3)
REQUESTS = 150
"""Or rather twice as many: two on a connection."""
AT_ONCE = 50
LEFT_BEHIND = REQUESTS // 2
"""Fewer than this may be more: caches fill, and Python clears its dead weak references in batches."""
SETTLES_WITHIN_S = 20.0
ROUNDS = 3
STORED_WITHIN_S = 1.5
COMPLETIONS = "/v1/completions"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
RELOADS = 6
PLACES = 250
"""At once: fewer than requests of any kind here, so that lost places would be missed."""
BUDGET = 10**12
"""Tokens."""
CANCEL = (8).to_bytes(4, "big")
"""The error code of HTTP/2 for a stream that is no longer wanted."""
PATHS = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "python")))}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "text": "", "finish_reason": finish_reason}
    data = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return chunk(b"data: %b\n\n" % json.dumps(data).encode())


def whole(name: str) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "a"},
        "text": "a",
        "finish_reason": "stop",
    }
    data = json.dumps({"id": "c", "object": name, "created": 1, "model": "m", "choices": [choice]}).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
    return f"{head}{len(data)}\r\n\r\n".encode() + data


BEGINS = EVENT_STREAM_HEAD + event({"role": "assistant", "content": "a"})
ENDS = event({}, "stop") + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
LARGE = event({"content": "a" * 200_000})
STREAM = (LASTS, BEGINS, LASTS, ENDS)
THINKS = (LASTS, BEGINS, event({"reasoning_content": "b"}), LASTS, ENDS)
VECTORS = {"data": [{"object": "embedding", "index": 0, "embedding": [0.5] * 1000}]}
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"

# name ⇒ path, body, what the upstream says, how much of the answer the client reads (None: all of it)
KINDS: dict[str, tuple[str, dict[str, Any], tuple[Any, ...], int | None]] = {
    "streamed": (CHAT_COMPLETIONS, {"stream": True}, STREAM, None),
    "merged": (CHAT_COMPLETIONS, {"model": "scripted-merged"}, STREAM, None),
    "plain": (CHAT_COMPLETIONS, {}, (LASTS, whole("chat.completion")), None),
    "refused by the upstream": (CHAT_COMPLETIONS, {}, (LASTS, REFUSAL), None),
    "broken": (CHAT_COMPLETIONS, {"stream": True}, (LASTS, BEGINS, LASTS, Reset()), None),
    "broken before the first event": (CHAT_COMPLETIONS, {"stream": True}, (LASTS, Reset()), None),
    "timed out": (CHAT_COMPLETIONS, {"model": "hasty", "stream": True}, (Pause(1.0),), None),
    "cancelled before the first byte": (CHAT_COMPLETIONS, {"stream": True}, (Pause(0.5), BEGINS), 0),
    "cancelled in the middle": (CHAT_COMPLETIONS, {"stream": True}, (BEGINS, Pause(0.5), ENDS), 1),
    "cancelled while it is merged": (CHAT_COMPLETIONS, {"model": "scripted-merged"}, (BEGINS, Pause(0.5)), 0),
    "read slowly": (CHAT_COMPLETIONS, {"stream": True}, (BEGINS, *[LARGE] * 4, LASTS, ENDS), -1),
    "messages, streamed": (MESSAGES, {"stream": True, "thinking": {"type": "adaptive"}}, THINKS, None),
    "messages, whole": (MESSAGES, {}, (LASTS, whole("chat.completion")), None),
    "messages, broken": (MESSAGES, {"stream": True}, (LASTS, BEGINS, LASTS, Reset()), None),
    "messages, cancelled": (MESSAGES, {"stream": True}, (BEGINS, Pause(0.5), ENDS), 1),
    "responses, streamed": (RESPONSES, {"stream": True, "reasoning": {"summary": "auto"}}, THINKS, None),
    "responses, plain": (RESPONSES, {}, (LASTS, whole("chat.completion")), None),
    "responses, broken": (RESPONSES, {"stream": True}, (LASTS, BEGINS, LASTS, Reset()), None),
    "responses, cancelled": (RESPONSES, {"stream": True}, (BEGINS, Pause(0.5), ENDS), 1),
    "text, streamed": (COMPLETIONS, {"stream": True}, STREAM, None),
    "embeddings": (
        "/v1/embeddings",
        {"model": "scripted-embedding", "input": "a", "encoding_format": "base64"},
        (LASTS, json_answer(VECTORS)),
        None,
    ),
    "embeddings, cancelled": (
        "/v1/embeddings",
        {"model": "scripted-embedding", "input": "a"},
        (Pause(0.5), json_answer(VECTORS)),
        0,
    ),
    "rerank": (
        "/v1/rerank",
        {"model": "scripted-rerank", "query": "a", "documents": ["b"]},
        (LASTS, json_answer({"results": [{"index": 0, "relevance_score": 0.5}]})),
        None,
    ),
    "text, plain": (COMPLETIONS, {}, (LASTS, whole("text_completion")), None),
}


@pytest.fixture(scope="module")
def counted(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    config = config_text(simulator.url, scripted.base_url, server="http2 = true\nclient_write_timeout_s = 2")
    with Gateway(
        tmp_path_factory.mktemp("counted"), config, program="tests.support.counting", env=PATHS
    ) as gateway:
        limit(gateway)
        yield gateway
        nothing_is_held(gateway)


def limit(gateway: Gateway) -> None:
    """Every request of these tests reserves something of all kinds of limits, and of a budget."""
    rates: dict[LimitName, int | None] = {"requests_per_minute": 10**9, "tokens_per_minute": 10**12}
    limits = [LimitChange({**rates, "concurrent_requests": PLACES})]
    store = open_store(f"sqlite:///{gateway.database}")
    update_key(store, "1", actor="test", limits=limits, budgets=[BudgetSetting(BUDGET, "tokens", "total")])
    store.close()
    wait_until(lambda: left(gateway) is not None, "the limits", timeout_s=SETTLES_WITHIN_S)


def left(gateway: Gateway) -> str | None:
    """What is left of the budget while nothing but a request of one token or two runs."""
    answer = gateway.post({"model": "text-embedding-v4", "input": "a"}, path="/v1/embeddings")
    remaining: str | None = answer.headers.get("x-llmgw-budget-remaining")
    return remaining


def nothing_is_held(gateway: Gateway) -> None:
    """No place among those at once, and of the budget nothing but what the ledger says was used."""

    def all_came_back() -> bool:
        spent = gateway.query("SELECT spent FROM budget_windows")[0]["spent"]
        # The one that asks holds one itself.
        return left(gateway) == f"{BUDGET - spent - 1} tokens; total"

    # Slower than the ledger's writer: until the row of the one that asked last is stored, it holds, too.
    wait_until(all_came_back, "what requests held", timeout_s=SETTLES_WITHIN_S, interval_s=STORED_WITHIN_S)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lefts = list(pool.map(lambda _: left(gateway), range(PLACES)))
    assert None not in lefts


def alive(gateway: Gateway) -> dict[str, int]:
    counts: dict[str, int] = gateway.client.get(COUNTS_PATH).json()
    return counts


async def ask(gateway: Gateway, path: str, body: bytes, read: int | None) -> None:
    """Two requests on a connection that stays open in between; one that is left ends with its client."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1 << 20)
    try:
        for _ in range(1 if read is not None and read >= 0 else 2):
            writer.write(gateway.chat_head(len(body)).replace(CHAT_COMPLETIONS, path).encode() + body)
            await writer.drain()
            if read is None or read < 0:
                await asyncio.sleep(0 if read is None else GRACE_S * 6)
                await read_answer(reader)
            else:
                assert len(await reader.read(read)) == read
                await asyncio.sleep(GRACE_S * 3)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        await reader.readuntil(b"\r\n0\r\n\r\n")
    else:
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        await reader.readexactly(int(length[1]))


async def ask_many(gateway: Gateway, number: int, path: str, body: bytes, read: int | None) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with gate:
            await ask(gateway, path, body, read)

    await asyncio.gather(*(one() for _ in range(number)))


def ask_over_http_2(gateway: Gateway, path: str, body: bytes, *, stay: bool) -> None:
    """Two requests, one after the other, on one connection. `stay` False: the client resets both."""
    bearer = ("authorization", f"Bearer {gateway.key}")
    with gateway.connect(body=http2.PREFACE + http2.settings()) as connection:
        reader = Reader(connection)
        for stream in (1, 3):
            connection.sendall(http2.request(stream, path, bearer, method="POST", body=body))
            frame = reader.next()
            while stay and not (frame and frame.stream == stream and frame.flags & http2.END_STREAM):
                assert frame is not None
                frame = reader.next()
            if not stay:
                assert reader.until(Kind.DATA, stream) is not None
                connection.sendall(http2.frame(Kind.RST_STREAM, stream, CANCEL))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_behind(counted: Gateway, scripted: ScriptedUpstream, kind: str) -> None:
    path, more, script, read = KINDS[kind]
    body = request(path, more, scripted.script(*script))
    check(counted, lambda number: asyncio.run(ask_many(counted, number, path, body, read)))


@pytest.mark.parametrize("kind", ["streamed", "merged", "plain", "broken", "cancelled in the middle"])
def test_nothing_is_left_behind_over_http_2(counted: Gateway, scripted: ScriptedUpstream, kind: str) -> None:
    path, more, script, read = KINDS[kind]
    body = request(path, more, scripted.script(*script))

    def ask(number: int) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = [
                pool.submit(ask_over_http_2, counted, path, body, stay=read is None) for _ in range(number)
            ]
            for each in asked:
                each.result()

    check(counted, ask)


def test_a_reload_leaves_nothing_of_the_old_config(counted: Gateway) -> None:
    """An upstream that changes is a new one, and so is every router."""
    original = counted.config.read_text("utf-8")

    def reload(timeout_s: float) -> None:
        counted.config.write_text(original.replace("0.5", str(timeout_s)), "utf-8")
        command = [sys.executable, "-m", "llmgw", "reload", "--config", str(counted.config)]
        subprocess.run(command, env={**os.environ, **PATHS}, check=True, capture_output=True, timeout=30)

    reload(0.6)  # from here on, one earlier config may still be known
    before = settled(counted)
    for number in range(RELOADS):
        reload(0.7 + number / 10)
    reload(0.5)

    def grown() -> dict[str, int]:
        growth = {name: number - before.get(name, 0) for name, number in alive(counted).items()}
        return {name: more for name, more in growth.items() if more >= RELOADS and name.startswith("llmgw.")}

    try:
        wait_until(lambda: not grown(), "no more than before", timeout_s=SETTLES_WITHIN_S)
    except TimeoutError:
        assert grown() == {}


def request(path: str, more: dict[str, Any], script: str) -> bytes:
    prompts = {COMPLETIONS: {"prompt": "x"}, RESPONSES: {"input": "x"}}
    prompt = prompts.get(path, {"messages": [{"role": "user", "content": "x"}]})
    return json.dumps({"model": "scripted", **prompt, "script": script, **more}).encode()


def check(gateway: Gateway, ask: Callable[[int], None]) -> None:
    """As many objects after `REQUESTS` as before. `ask` gets the number of connections.

    What the gateway does now and then (alerts, pruning) compiles its statements the first time, which stay.
    What requests leave behind, they leave behind in every round.
    """
    ask(AT_ONCE)
    growths: list[dict[str, int]] = []
    while len(growths) < ROUNDS and (growth := grown(gateway, ask)):
        growths.append(growth)
    assert len(growths) < ROUNDS, growths


def grown(gateway: Gateway, ask: Callable[[int], None]) -> dict[str, int]:
    """Of which there are more after a round; empty if of none."""
    before = settled(gateway)
    ask(REQUESTS)

    def more() -> dict[str, int]:
        after = alive(gateway)
        growth = {name: after[name] - before.get(name, 0) for name in after}
        return {name: number for name, number in growth.items() if number >= LEFT_BEHIND}

    with suppress(TimeoutError):
        wait_until(lambda: not more(), "as many objects as before", timeout_s=SETTLES_WITHIN_S)
    return more()


def settled(gateway: Gateway) -> dict[str, int]:
    """The counts once no request is running and all rows are written.

    The first rows of a process compile statements, which stay.
    """
    wait_until(
        lambda: gateway.metric("llmgw_requests_in_flight") == 0, "no request", timeout_s=SETTLES_WITHIN_S
    )

    def written() -> bool:
        return bool(gateway.ledger_rows()) and gateway.metric("llmgw_ledger_queue_rows") == 0

    wait_until(written, "the ledger is written", timeout_s=SETTLES_WITHIN_S)
    return alive(gateway)
