"""What an exchange's report counts: of answers that end, that break off, and that nobody wants any more."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from llmgw import _core
from tests.core.test_bridge import HEARTBEAT_S, STREAM_HEAD, eventually, in_time, response, rest

XAI: Final = {
    "prompt_tokens": 12,
    "completion_tokens": 2,
    "total_tokens": 354,
    "prompt_tokens_details": {"cached_tokens": 11},
    "completion_tokens_details": {"reasoning_tokens": 340},
}
"""Its completion tokens leave the reasoning out."""
CACHED: Final = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 4,
    "cache_read_input_tokens": 3,
    "output_tokens": 20,
}
MESSAGE: Final = {"role": "assistant", "content": "a网", "reasoning_content": "hm"}
SAID_BYTES: Final = 6
COUNTS: Final = (
    "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "cache_write_tokens",
    "output_bytes",
)  # fmt: skip


def chat(*, stream: bool, merged: bool = False) -> _core.PreparedRequest:
    body = {"model": "a", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    route = _core.Route("m", upstream_stream="always" if merged else "never")
    return _core.ChatRequest(json.dumps(body).encode()).rewrite(route)


def messages(*speaks: Any, stream: bool = True) -> _core.PreparedRequest:  # noqa: ANN401
    body = {"model": "a", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return _core.ChatRequest.from_messages(json.dumps(body).encode()).rewrite(_core.Route("m", speaks=speaks))


def responses(*, stream: bool = True) -> _core.PreparedRequest:
    body = {"model": "a", "input": "hi", "stream": stream}
    route = _core.Route("m", speaks=["responses"])
    return _core.ChatRequest.from_responses(json.dumps(body).encode()).rewrite(route)


def embeddings() -> _core.PreparedRequest:
    return _core.EmbeddingRequest(b'{"model":"a","input":"hi"}').rewrite(_core.Route("m"))


def events(*each: dict[str, Any]) -> bytes:
    return STREAM_HEAD + b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in each)


def chunk(choices: list[dict[str, Any]], **more: object) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        **more,
    }


DELTA: Final = chunk([{"index": 0, "delta": MESSAGE, "finish_reason": None}])
FINISH: Final = chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
STREAM: Final = events(DELTA, FINISH, chunk([], usage=XAI))
WHOLE: Final = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": XAI,
}
NATIVE_MESSAGE: Final = events(
    {"type": "message_start", "message": {"usage": {**CACHED, "output_tokens": 1}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a网no"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}},
    {"type": "message_stop"},
)
NATIVE_RESPONSE: Final = events(
    {"type": "response.created", "response": {"id": "r"}},
    {"type": "response.output_text.delta", "delta": "a网no"},
    {
        "type": "response.completed",
        "response": {
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "a网no"}]}],
            "usage": {"input_tokens": 12, "output_tokens": 342, "total_tokens": 354},
        },
    },
)
VECTORS: Final = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}


@contextlib.asynccontextmanager
async def upstream_that_answers(answer: bytes, *, closes: bool = True) -> AsyncIterator[_core.Upstream]:
    """An upstream with each API, whose every answer is this one."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if not closes:
                await gone.wait()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield _core.Upstream(
            url,
            messages_url=url + "/messages",
            responses_url=url + "/responses",
            connect_timeout_s=5.0,
            first_event_timeout_s=60.0,
            idle_timeout_s=60.0,
            total_timeout_s=60.0,
        )
    finally:
        gone.set()
        server.close()


def counts(report: _core.ExchangeReport) -> tuple[int | None, ...]:
    return tuple(getattr(report, name) for name in COUNTS)


@pytest.mark.parametrize(
    ("request_", "answer", "expected", "shown"),
    [
        pytest.param(
            chat(stream=True),
            STREAM,
            (12, 342, 340, 11, None, SAID_BYTES),
            None,
            id="a stream without usage for the client",
        ),
        pytest.param(
            chat(stream=False, merged=True),
            STREAM,
            (12, 342, 340, 11, None, SAID_BYTES),
            b'"completion_tokens": 2,',
            id="merged",
        ),
        pytest.param(
            chat(stream=False),
            response("200 OK", json.dumps(WHOLE).encode()),
            (12, 342, 340, 11, None, SAID_BYTES),
            b'"completion_tokens": 2,',
            id="plain",
        ),
        pytest.param(
            messages(), STREAM, (12, 342, 340, 11, None, SAID_BYTES), b'"output_tokens":2,', id="converted"
        ),
        pytest.param(
            messages("messages"),
            NATIVE_MESSAGE,
            (17, 20, None, 3, 4, SAID_BYTES),
            b'"usage": {"output_tokens": 20}',
            id="a message of an upstream's own",
        ),
        pytest.param(
            responses(),
            NATIVE_RESPONSE,
            (12, 342, None, None, None, SAID_BYTES),
            b'"output_tokens": 342',
            id="a response of an upstream's own",
        ),
        pytest.param(
            embeddings(),
            response("200 OK", json.dumps(VECTORS).encode()),
            (5, None, None, None, None, 0),
            b'"total_tokens": 5',
            id="embeddings",
        ),
    ],
)
def test_field_b3_counts_of_the_account_and_those_of_the_client(
    request_: _core.PreparedRequest, answer: bytes, expected: tuple[int | None, ...], shown: bytes | None
) -> None:
    """Reasoning is in the completion, caches are in the prompt; the client sees what its upstream said."""

    async def main() -> None:
        async with upstream_that_answers(answer) as upstream:
            exchange = upstream.start(request_, request_id="r", heartbeat_s=HEARTBEAT_S)
            answered = await rest(exchange)
            report = exchange.report()
            assert report.complete, answered
            assert counts(report) == expected
            assert shown is None or shown in answered, answered

    asyncio.run(in_time(main()))


@pytest.mark.parametrize("request_", [chat(stream=True), messages()], ids=["chat", "converted"])
def test_field_b2_a_stream_that_breaks_counts_what_came(request_: _core.PreparedRequest) -> None:
    async def main() -> None:
        async with upstream_that_answers(events(DELTA)) as upstream:
            exchange = upstream.start(request_, request_id="r", heartbeat_s=HEARTBEAT_S)
            await rest(exchange)
            report = exchange.report()
            assert (report.error_kind, report.usage_source) == ("truncated", "none")
            assert counts(report) == (None, None, None, None, None, SAID_BYTES)

    asyncio.run(in_time(main()))


@pytest.mark.parametrize(
    ("request_", "merged"), [(chat(stream=True), False), (chat(stream=False, merged=True), True)]
)
def test_field_b2_an_answer_that_nobody_wants_counts_what_came(
    request_: _core.PreparedRequest,
    merged: bool,  # noqa: FBT001
) -> None:
    async def main() -> None:
        async with upstream_that_answers(events(DELTA), closes=False) as upstream:
            exchange = upstream.start(request_, request_id="r", heartbeat_s=HEARTBEAT_S)
            if not merged:
                await exchange.next_block()
            await eventually(lambda: exchange.report().output_bytes > 0)
            exchange.abort()
            report = exchange.report()
            assert (report.error_kind, report.output_bytes) == ("aborted", SAID_BYTES)

    asyncio.run(in_time(main()))
