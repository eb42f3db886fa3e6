"""Between native targets and others: fallback both ways, heartbeats, a stop, a strict ledger, exact bytes."""

import json
import signal
import threading
from typing import Any

import pytest

from tests.live.native.support import MESSAGES, RESPONSES, Json, events, message, post, stream
from tests.support.chat import mark as marker
from tests.support.gateway import Gateway
from tests.support.processes import wait_until
from tests.support.scripted import (
    EVENT_STREAM_HEAD,
    Hold,
    Pause,
    ScriptedUpstream,
    Wait,
    event_stream,
    json_answer,
)
from tests.support.simulator import SimulatorProcess

PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def event(value: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), json.dumps(value).encode())


START = event(
    {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 7, "output_tokens": 0}}}
)
BLOCK = event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
DELTA = event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "One"}})
STOP = (
    event({"type": "content_block_stop", "index": 0})
    + event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}})
    + event({"type": "message_stop"})
)
OVERLOADED = event({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
CREATED = event(
    {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "model": "m"}}
)
SERVER_ERROR = event({"type": "error", "sequence_number": 1, "code": "server_error", "message": "busy"})


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"
REFUSED = json_answer(
    {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "529 Overloaded"
)


@pytest.mark.parametrize(
    ("failure", "streamed"),
    [
        ("status", True),
        ("status", False),
        ("behind_the_opening", True),
        ("closed", True),
        ("closed", False),
    ],
)
@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
def test_from_a_native_target_to_a_converted_one(
    native: Gateway,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
    path: str,
    failure: str,
    *,
    streamed: bool,
) -> None:
    is_messages = path == MESSAGES
    opening = START + OVERLOADED if is_messages else CREATED + SERVER_ERROR
    plays = {"status": [REFUSED], "behind_the_opening": event_stream(opening), "closed": []}
    mark, script = marker(), scripted.script(*plays[failure])
    more: Json = {"script": script, "stream": streamed}
    body = {"model": "native-then-converted", "input": mark, **more}
    answer = post(native, path, message("native-then-converted", mark, **more) if is_messages else body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-llmgw-attempts"] == "2"
    assert b" /anthropic/v1/messages " in scripted.received(script).head or not is_messages
    assert simulator.request(mark).path == "/deepseek/v1/chat/completions"
    if streamed:
        last = events(answer.content)[-1]["type"]
        assert last == ("message_stop" if is_messages else "response.completed")
    row = native.ledger(answer.headers["x-request-id"])
    assert (row["upstream"], row["status"], row["error_kind"]) == ("deepseek", 200, None)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("path", "native_path"),
    [
        (MESSAGES, "/deepseek/anthropic/v1/messages"),
        (RESPONSES, "/deepseek/responses"),
    ],
)
def test_from_a_converted_target_to_a_native_one(
    native: Gateway, simulator: SimulatorProcess, path: str, native_path: str, *, streamed: bool
) -> None:
    mark = marker()
    body = {"model": "converted-then-native", "input": mark, "stream": streamed}
    if path == MESSAGES:
        body = message("converted-then-native", mark, stream=streamed)
    answer = post(native, path, body)
    assert (answer.status_code, answer.headers["x-llmgw-attempts"]) == (200, "2")
    assert simulator.request(mark).path == native_path
    assert native.ledger(answer.headers["x-request-id"])["upstream"] == "deepseek"


def test_field_18_the_answers_bytes(native: Gateway, scripted: ScriptedUpstream) -> None:
    odd = (
        b'event: content_block_delta\r\ndata: { "index":0,\r\n'
        b'data:"type":"content_block_delta", "x":"\\u00e9"}\r\n\r\n'
    )
    frames = START + BLOCK + DELTA + odd + STOP
    answer = post(
        native,
        MESSAGES,
        message("scripted", "hi", stream=True, script=scripted.script(*event_stream(frames))),
    )
    assert answer.content == frames
    assert answer.headers["content-type"].startswith("text/event-stream")
    row = native.ledger(answer.headers["x-request-id"])
    assert (row["prompt_tokens"], row["completion_tokens"], row["finish_reason"]) == (7, 3, "stop")
    whole = (
        b'{ "type":"message","content":[ {"type":"text","text":"\\u00e9"}],"stop_reason":"end_turn",'
        b'"usage":{"x":1.0}}'
    )
    answer = post(native, MESSAGES, message("scripted", "hi", script=scripted.script(json_answer(whole))))
    assert (answer.content, answer.headers["content-type"]) == (whole, "application/json")


def test_heartbeats(native: Gateway, scripted: ScriptedUpstream) -> None:
    script = scripted.script(
        EVENT_STREAM_HEAD, Pause(1.5), http_chunk(START + DELTA), Pause(1.5), http_chunk(STOP), END
    )
    answer = post(native, MESSAGES, message("scripted", "hi", stream=True, script=script))
    assert answer.content.startswith(PING)
    assert DELTA + PING in answer.content
    assert answer.content.replace(PING, b"") == START + DELTA + STOP
    script = scripted.script(EVENT_STREAM_HEAD, Pause(1.5), http_chunk(CREATED + SERVER_ERROR), END)
    answer = post(native, RESPONSES, {"model": "scripted", "input": "hi", "stream": True, "script": script})
    assert answer.content.startswith(b": keep-alive\n\n")
    assert [each["type"] for each in events(answer.content)] == ["response.created", "response.failed"]


def test_a_stop_is_told_in_the_apis_words(own: Gateway, scripted: ScriptedUpstream) -> None:
    script = scripted.script(EVENT_STREAM_HEAD, http_chunk(START + DELTA), Hold())
    answers: list[Any] = []
    body = message("scripted", "hi", stream=True, script=script)
    asking = threading.Thread(target=lambda: answers.append(post(own, MESSAGES, body)))
    asking.start()
    wait_until(lambda: bool(scripted.number(script)), "the request", timeout_s=10)
    own.process.process.send_signal(signal.SIGTERM)
    asking.join(timeout=20)
    told = events(answers[0].content)
    assert told[-1]["error"]["type"] == "overloaded_error"
    assert own.ledger(answers[0].headers["x-request-id"])["error_kind"] == "draining"


def test_a_strict_ledger_has_the_row_when_the_answer_ends(own: Gateway, scripted: ScriptedUpstream) -> None:
    seen = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, http_chunk(START + DELTA), Wait(seen), http_chunk(STOP), END)
    received, rows = b"", []
    asked = message("scripted", "hi", stream=True, script=script)
    with stream(own, MESSAGES, asked) as response:
        for piece in response.iter_raw():
            received += piece
            seen.set()
            if b"message_stop" in received:
                rows = [r for r in own.ledger_rows() if r["request_id"] == response.headers["x-request-id"]]
                break
    [row] = rows
    assert (row["completion_tokens"], row["finish_reason"], row["api"]) == (3, "stop", "messages")


def test_an_upstream_that_speaks_another_api_there(native: Gateway, scripted: ScriptedUpstream) -> None:
    """A URL that is wrong is told as what it is, not passed on."""
    chat = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
    script = scripted.script(*event_stream(chat + b"data: [DONE]\n\n"))
    answer = post(native, MESSAGES, message("scripted", "hi", stream=True, script=script))
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "api_error"
    assert native.ledger(answer.headers["x-request-id"])["error_kind"] == "invalid_event"
