"""What the doors of all APIs have in common, in each one's own words: heartbeats, broken ends, the ledger."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import ResponseFailedEvent

from tests.support import anthropic_schemas
from tests.support.disk import bounded_files
from tests.support.gateway import Gateway, config_text
from tests.support.scripted import (
    EVENT_STREAM_HEAD,
    Hold,
    Reset,
    ScriptedUpstream,
    Step,
    Wait,
    json_answer,
)
from tests.support.simulator import SimulatorProcess

MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
END = b"0\r\n\r\n"


def frame(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    """One event of an upstream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(event).encode()


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM = frame({"role": "assistant", "content": "One "}) + frame({"content": "two."}) + frame({}, "stop")
FIRST = http_chunk(frame({"role": "assistant", "content": "One "}))
USED = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}\n\n'
FIRST_AND_USED = http_chunk(frame({"role": "assistant", "content": "One "}) + USED)
"""In one piece, so that who has seen the one is known to have used the other."""
LAST = http_chunk(frame({"content": "two."}) + frame({}, "stop"))


def message(script: str, **more: object) -> dict[str, Any]:
    """A streamed request whose answer is a script."""
    asked = [{"role": "user", "content": "Hi"}]
    named = {"user_id": script}
    return {
        "model": "scripted",
        "max_tokens": 9,
        "stream": True,
        "messages": asked,
        "metadata": named,
        **more,
    }


def asked_at(path: str, script: str, **more: object) -> dict[str, Any]:
    """The same in the words of the API that has this path."""
    if path == MESSAGES:
        return message(script, **more)
    return {"model": "scripted", "stream": True, "input": "Hi", "script": script, "user": script, **more}


def events(received: bytes) -> list[dict[str, Any]]:
    """The events of a stream of named ones, each of which has its name as its type."""
    found = []
    for each in received.split(b"\n\n")[:-1]:
        name, data = each.split(b"\ndata: ")
        event = json.loads(data)
        assert name == b"event: " + event["type"].encode()
        found.append(event)
    return found


def without_pings(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in told if event["type"] != "ping"]


@pytest.mark.parametrize(
    ("before", "after"), [((), (FIRST, LAST)), ((FIRST,), (LAST,))], ids=["at first", "later"]
)
def test_pings_are_the_heartbeats_of_messages(
    strict_gateway: Gateway, scripted: ScriptedUpstream, before: tuple[Step, ...], after: tuple[Step, ...]
) -> None:
    gate = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, *before, Wait(gate), *after, END)
    received = b""
    with strict_gateway.stream(message(script), path=MESSAGES) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            received += piece
            if received.count(PING) >= 2:
                gate.set()
    told = events(received)
    assert b": keep-alive" not in received
    assert len(told) - len(without_pings(told)) >= 2
    assert [event["type"] for event in without_pings(told)][:: len(without_pings(told)) - 1] == [
        "message_start",
        "message_stop",
    ]


WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
LOOK = {"name": "look", "input_schema": {"type": "object"}}
WHOLE = {
    "id": "c",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}


@pytest.mark.parametrize(
    ("tools", "upstream", "dropped"),
    [
        ([WEB_SEARCH], "200 OK", "tools.web_search_20250305"),
        ([LOOK, WEB_SEARCH, WEB_SEARCH], "200 OK", "tools.web_search_20250305"),
        ([WEB_SEARCH], "429 Too Many Requests", "tools.web_search_20250305"),
        ([LOOK], "200 OK", None),
    ],
)
def test_what_a_conversion_left_out_is_named(
    gateway: Gateway, scripted: ScriptedUpstream, tools: list[object], upstream: str, dropped: str | None
) -> None:
    """With a refusal too: it may be about what is missing."""
    said = WHOLE if upstream.startswith("200") else {"error": {"message": "No."}}
    asked = message(scripted.script(json_answer(said, upstream)), tools=tools) | {"stream": False}
    answer = gateway.post(asked, path=MESSAGES)
    assert answer.status == int(upstream[:3])
    assert answer.headers.get("x-llmgw-dropped") == dropped


INTERNAL = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "of-tomorrow-2027-01-01, context-1m",
    "anthropic-dangerous-direct-browser-access": "true",
    "x-app": "cli-of-a-client",
    "x-claude-code-session-id": "session-of-a-client",
    "session_id": "session-of-a-client",
    "originator": "codex_cli_of_a_client",
    "x-codex-turn-metadata": "turn-of-a-client",
    "x-openai-internal-codex-responses-lite": "lite-of-a-client",
    "x-stainless-helper-method": "stream-of-a-client",
}


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
def test_field_34_no_header_of_a_client_reaches_a_chat_upstream(
    gateway: Gateway, scripted: ScriptedUpstream, path: str
) -> None:
    """Whatever it is, a beta of tomorrow too: it is neither passed on nor an error."""
    script = scripted.script(json_answer(WHOLE))
    asked = asked_at(path, script, stream=False)
    headers = {**gateway.headers(), **INTERNAL}
    answer = gateway.client.post(path, headers=headers, json=asked)
    assert answer.status_code == 200, answer.text
    head = scripted.received(script).head.lower()
    assert b"authorization: bearer" in head
    for name, value in INTERNAL.items():
        assert name.encode() + b":" not in head, name
        assert value.encode() not in head, name


@pytest.mark.parametrize(
    ("path", "api", "last"),
    [(MESSAGES, "messages", "error"), (RESPONSES, "responses", "response.failed")],
)
def test_field_36_a_broken_stream_has_one_row_and_says_what_it_used(
    gateway: Gateway, scripted: ScriptedUpstream, path: str, api: str, last: str
) -> None:
    script = scripted.script(EVENT_STREAM_HEAD, FIRST_AND_USED, Reset())
    asked = asked_at(path, script)
    received = gateway.post(asked, path=path)
    assert received.status == 200
    assert events(received.body)[-1]["type"] == last
    request_id = received.headers["x-request-id"]
    row = gateway.ledger(request_id)
    assert (row["api"], row["status"], row["error_kind"]) == (api, 200, "reset")
    assert (row["usage_source"], row["prompt_tokens"], row["completion_tokens"]) == ("partial", 7, 2)
    assert [each["request_id"] for each in gateway.ledger_rows()].count(request_id) == 1


@pytest.mark.parametrize(("path", "api"), [(MESSAGES, "messages"), (RESPONSES, "responses")])
def test_field_19_a_cancelled_stream_has_its_row(
    gateway: Gateway, scripted: ScriptedUpstream, path: str, api: str
) -> None:
    """With what is known of its use, and marked as that; and the upstream is told at once."""
    script = scripted.script(EVENT_STREAM_HEAD, FIRST_AND_USED, Hold())
    with gateway.stream(asked_at(path, script), path=path) as answer:
        next(answer.iter_raw())
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["api"], row["error_kind"]) == (api, "client_gone")
    assert (row["usage_source"], row["prompt_tokens"], row["completion_tokens"]) == ("partial", 7, 2)
    assert scripted.received(script).closed.wait(5)


@pytest.fixture
def lossless(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway that tells no end of an answer before its row is on disk."""
    config = config_text(simulator.url, scripted.base_url) + '\n[ledger]\ndurability = "strict"\n'
    with Gateway(tmp_path, config) as gateway:
        yield gateway


def test_a_stream_of_messages_that_can_t_be_recorded_ends_with_an_error(
    lossless: Gateway, scripted: ScriptedUpstream
) -> None:
    """And without `message_stop`, so that nobody takes it for whole."""
    gate = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, FIRST, Wait(gate), LAST, END)
    received = b""
    with bounded_files(lossless, 0), lossless.stream(message(script), path=MESSAGES) as answer:
        for piece in answer.iter_raw():
            received += piece
            gate.set()
    told = without_pings(events(received))
    assert [event["type"] for event in told[:1] + told[-1:]] == ["message_start", "error"]
    assert "message_stop" not in {event["type"] for event in told}
    assert told[-1]["error"]["type"] == "overloaded_error"
    assert told[-1]["request_id"] == answer.headers["request-id"]
    assert anthropic_schemas.faults(anthropic_schemas.ERROR, told[-1]) == []
    row = lossless.ledger(answer.headers["x-request-id"])
    assert (row["api"], row["error_kind"], row["status"]) == ("messages", "ledger_failed", 200)


def test_a_stream_of_responses_that_can_t_be_recorded_has_failed(
    lossless: Gateway, scripted: ScriptedUpstream
) -> None:
    """Its numbers go on to the end, and nobody takes it for completed."""
    gate = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, FIRST, Wait(gate), LAST, END)
    asked = asked_at(RESPONSES, script)
    received = b""
    with bounded_files(lossless, 0), lossless.stream(asked, path=RESPONSES) as answer:
        for piece in answer.iter_raw():
            received += piece
            gate.set()
    told = events(received)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    first, last = told[0], told[-1]
    assert (first["type"], last["type"]) == ("response.created", "response.failed")
    assert "response.completed" not in {event["type"] for event in told}
    response = last["response"]
    assert response["id"] == first["response"]["id"]
    assert (response["status"], response["error"]["code"], response["output"]) == (
        "failed",
        "server_error",
        [],
    )
    ResponseFailedEvent.model_validate(last)
    row = lossless.ledger(answer.headers["x-request-id"])
    assert (row["api"], row["error_kind"], row["status"]) == ("responses", "ledger_failed", 200)


def test_a_whole_answer_that_can_t_be_recorded_is_an_overload(
    lossless: Gateway, scripted: ScriptedUpstream
) -> None:
    asked = message(scripted.script(json_answer(WHOLE))) | {"stream": False}
    with bounded_files(lossless, 0):
        answer = lossless.post(asked, path=MESSAGES)
    assert (answer.status, answer.json()["error"]["type"]) == (529, "overloaded_error")
    assert answer.headers["retry-after"] == "5"
    assert "x-should-retry" not in answer.headers
    row = lossless.ledger(answer.headers["x-request-id"])
    assert (row["api"], row["error_kind"], row["status"]) == ("messages", "ledger_failed", 529)
    assert lossless.metric('llmgw_requests_total{api="messages",model="scripted",status="529"}') == 1


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("upstream", "status", "kind", "may_be_retried"),
    [
        ("400 Bad Request", 400, "invalid_request_error", False),
        ("413 Content Too Large", 413, "request_too_large", False),
        ("422 Unprocessable Content", 422, "invalid_request_error", False),
        ("401 Unauthorized", 502, "api_error", False),
        ("408 Request Timeout", 504, "timeout_error", True),
        ("429 Too Many Requests", 429, "rate_limit_error", True),
        ("500 Internal Server Error", 502, "api_error", True),
        ("503 Service Unavailable", 529, "overloaded_error", True),
        ("529 Overloaded", 529, "overloaded_error", True),
    ],
)
def test_what_an_upstream_refuses_is_told_as_anthropic_does(
    gateway: Gateway,
    scripted: ScriptedUpstream,
    upstream: str,
    status: int,
    kind: str,
    may_be_retried: bool,  # noqa: FBT001
    stream: bool,  # noqa: FBT001
) -> None:
    said = json_answer({"error": {"message": "No, thank you."}}, upstream, b"retry-after: 7\r\n")
    asked = message(scripted.script(said)) | {"stream": stream}
    answer = gateway.post(asked, path=MESSAGES)
    error = answer.json()["error"]
    assert (answer.status, error["type"]) == (status, kind)
    assert (error["message"] == "No, thank you.") is (status in {400, 413, 422})
    assert answer.headers.get("x-should-retry") == (None if may_be_retried else "false")
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["request_id"] == answer.headers["request-id"]
