"""Streams on a real socket: the rules for frames, heartbeats, the held-back head, and broken upstreams."""

import json
import socket
import threading
from typing import Any

import pytest

from tests.support.chat import CLOCK, WEATHER, body, streamed
from tests.support.frames import Choice, check_stream, split_frames, without_heartbeats
from tests.support.gateway import CHAT_COMPLETIONS, Gateway
from tests.support.scripted import EVENT_STREAM_HEAD, Reset, ScriptedUpstream, Step, Wait, json_answer

pytestmark = pytest.mark.alone

DEFAULTS = ("qwen3.6-plus", "qwen3-max", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3", "minimax-m2")
CHUNK: dict[str, Any] = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
SILENCE_S = 0.3
TIMEOUT_S = 10.0


def event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({**CHUNK, "choices": [choice]}).encode() + b"\n\n"


FIRST = event({"role": "assistant", "content": "Hel"})
SECOND = event({"content": "lo"})
LAST = event({}, "stop")
DONE = b"data: [DONE]\n\n"


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = http_chunk(b"")


@pytest.mark.parametrize("model", DEFAULTS)
@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tools": [WEATHER], "messages": [{"role": "user", "content": "The weather in Paris?"}]},
        {
            "tools": [WEATHER, CLOCK],
            "messages": [{"role": "user", "content": "Both for Paris, in parallel."}],
        },
        {"reasoning_split": True, "tool_stream": True, "n": 2},
        {"max_tokens": 3},
        {"enable_thinking": True},
        {"enable_thinking": False},
    ],
    ids=["text", "tool", "parallel", "split and n", "length", "on", "off"],
)
def test_every_family_s_stream_obeys_the_rules(
    gateway: Gateway,
    model: str,
    include_usage: bool,  # noqa: FBT001
    more: dict[str, Any],
) -> None:
    if model == "minimax-m2" and more == {"enable_thinking": False}:
        more = {"enable_thinking": True}  # it always thinks: see test_thinking_modes
    answer = gateway.post({**streamed(model, include_usage=include_usage), **more})
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-request-id"]
    stream = check_stream(answer.body, include_usage=include_usage)
    assert stream.error is None
    assert bool(stream.usage) is include_usage
    assert len(stream.choices) == more.get("n", 1)
    for choice in stream.choices.values():
        expected = "tool_calls" if "tools" in more else "length" if "max_tokens" in more else "stop"
        assert choice.finish_reason == expected
        assert len(choice.tool_calls) == len(more.get("tools", []))
        for call in choice.tool_calls:
            assert json.loads(call.arguments) == {"city": "Paris"}


def play(gateway: Gateway, scripted: ScriptedUpstream, *steps: Step, model: str = "scripted") -> bytes:
    """The body of a stream whose upstream plays these steps behind the head of an event stream."""
    script = scripted.script(EVENT_STREAM_HEAD, *steps)
    answer = gateway.post(streamed(model, script=script))
    assert answer.status == 200, answer.body
    return answer.body


def test_a_frame_that_needs_no_change_keeps_its_bytes(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    odd = FIRST.replace(b'"content": "Hel"', b'"content" :"\\u0048e\\/",  "x":1e3')
    sent = odd + SECOND + LAST + DONE
    assert play(gateway, scripted, http_chunk(sent) + END) == sent


def test_what_is_there_goes_out_at_once(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    """Each frame reaches the client before the upstream sends the next."""
    gates = [threading.Event() for _ in range(2)]
    steps = (
        http_chunk(FIRST),
        Wait(gates[0]),
        http_chunk(SECOND),
        Wait(gates[1]),
        http_chunk(LAST + DONE),
        END,
    )
    script = scripted.script(EVENT_STREAM_HEAD, *steps)
    with gateway.stream(streamed("scripted", script=script)) as response:
        pieces = response.iter_raw()
        assert next(pieces) == FIRST
        gates[0].set()
        assert next(pieces) == SECOND
        gates[1].set()
        assert b"".join(pieces) == LAST + DONE


def raw_request(gateway: Gateway, request: dict[str, Any]) -> socket.socket:
    """Send a completion request on a socket of its own."""
    host, port = gateway.client.base_url.host, gateway.client.base_url.port
    assert port is not None
    content = json.dumps(request).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
    )
    connection = socket.create_connection((host, port), timeout=TIMEOUT_S)
    connection.sendall(head.encode() + content)
    return connection


def test_the_head_waits_for_the_first_good_event(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    """An upstream's head, comments and empty events are no reason to promise the client a 200."""
    gate = threading.Event()
    nothing = http_chunk(b": waiting\n\ndata:\n\n: waiting\n\n")
    script = scripted.script(EVENT_STREAM_HEAD, nothing, Wait(gate), http_chunk(FIRST + LAST + DONE), END)
    with raw_request(gateway, streamed("scripted", script=script)) as connection:
        connection.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        gate.set()
        connection.settimeout(TIMEOUT_S)
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_heartbeats_before_the_first_event(strict_gateway: Gateway, scripted: ScriptedUpstream) -> None:
    gate = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, Wait(gate), http_chunk(FIRST + LAST + DONE), END)
    received = b""
    with strict_gateway.stream(streamed("scripted", script=script)) as response:
        assert response.status_code == 200
        for piece in response.iter_raw():
            received += piece
            if received.count(b": keep-alive") == 2:
                gate.set()
    stream = check_stream(received, include_usage=False)
    assert stream.heartbeats >= 2
    assert without_heartbeats(received) == FIRST + LAST + DONE


def test_heartbeats_between_events(strict_gateway: Gateway, scripted: ScriptedUpstream) -> None:
    """A heartbeat never splits a frame, even while half an event has come from the upstream."""
    gate = threading.Event()
    half = len(SECOND) // 2
    steps = (http_chunk(FIRST + SECOND[:half]), Wait(gate), http_chunk(SECOND[half:] + LAST + DONE), END)
    script = scripted.script(EVENT_STREAM_HEAD, *steps)
    received = b""
    with strict_gateway.stream(streamed("scripted", script=script)) as response:
        for piece in response.iter_raw():
            received += piece
            if received.count(b": keep-alive") == 2:
                gate.set()
    assert split_frames(received)[0] == FIRST.rstrip()
    assert without_heartbeats(received) == FIRST + SECOND + LAST + DONE


@pytest.mark.parametrize(
    ("agent", "heartbeat"),
    [("OpenAI/Go 3.42.0", b": keep-alive\n"), ("OpenAI/Go 3.43.0", b": keep-alive\n\n")],
)
def test_a_heartbeat_without_its_blank_line_for_who_takes_that_for_an_event(
    strict_gateway: Gateway, scripted: ScriptedUpstream, agent: str, heartbeat: bytes
) -> None:
    early, late = threading.Event(), threading.Event()
    half = len(SECOND) // 2
    steps = (
        Wait(early),
        http_chunk(FIRST + SECOND[:half]),
        Wait(late),
        http_chunk(SECOND[half:] + LAST + DONE),
    )
    script = scripted.script(EVENT_STREAM_HEAD, *steps, END)
    headers = {**strict_gateway.headers(), "user-agent": agent}
    asked = streamed("scripted", script=script)
    received = b""
    with strict_gateway.client.stream("POST", CHAT_COMPLETIONS, headers=headers, json=asked) as response:
        for piece in response.iter_raw():
            received += piece
            _, begun, after = received.partition(FIRST)
            if not begun and len(received) >= 2 * len(heartbeat):
                early.set()
            if len(after) >= 2 * len(heartbeat):
                late.set()
    before, _, after = received.partition(FIRST)
    assert before.replace(heartbeat, b"") == b""
    beats, _, rest = after.partition(SECOND)
    assert beats.replace(heartbeat, b"") == b""
    assert (before.count(heartbeat) > 1, beats.count(heartbeat) > 1, rest) == (True, True, LAST + DONE)


def test_an_error_after_a_heartbeat_is_in_the_stream(
    strict_gateway: Gateway, scripted: ScriptedUpstream
) -> None:
    """The head has gone out with the heartbeat, so no status can tell of the error any more."""
    gate = threading.Event()
    script = scripted.script(Wait(gate), b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n")
    received = b""
    with strict_gateway.stream(streamed("scripted", script=script)) as response:
        assert response.status_code == 200
        for piece in response.iter_raw():
            received += piece
            gate.set()
    stream = check_stream(received, include_usage=False)
    assert stream.heartbeats >= 1
    assert stream.error is not None
    assert stream.error["type"] == "upstream_error"


@pytest.mark.parametrize("make", ["plain", "merged"])
def test_no_heartbeats_where_no_stream_was_asked_for(
    strict_gateway: Gateway, scripted: ScriptedUpstream, make: str
) -> None:
    gate = threading.Event()
    model = {"plain": "scripted", "merged": "scripted-merged"}[make]
    completion = {**CHUNK, "object": "chat.completion"}
    message = {"role": "assistant", "content": "Hello"}
    completion["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    whole = json.dumps(completion).encode()
    plain = json_answer(whole).removesuffix(whole)
    steps: tuple[Step, ...] = (
        (plain, Wait(gate), whole)
        if make == "plain"
        else (EVENT_STREAM_HEAD, Wait(gate), http_chunk(FIRST + SECOND + LAST + DONE), END)
    )
    script = scripted.script(*steps)
    timer = threading.Timer(3 * SILENCE_S, gate.set)  # longer than the heartbeat
    timer.start()
    answer = strict_gateway.post(body(model, script=script))
    timer.cancel()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"


BROKEN = {
    "clean end without a finish reason": ((http_chunk(FIRST + SECOND), END), "upstream_error"),
    "[DONE] without a finish reason": ((http_chunk(FIRST + SECOND + DONE), END), "upstream_error"),
    "connection closed": ((http_chunk(FIRST + SECOND),), "upstream_error"),
    "reset": ((http_chunk(FIRST + SECOND), Reset()), "upstream_error"),
    "half an event": ((http_chunk(FIRST + SECOND + LAST[:30]), END), "upstream_error"),
    "no JSON": ((http_chunk(FIRST + SECOND + b"data: {oops\n\n" + LAST + DONE), END), "upstream_error"),
    "an error event": (
        (http_chunk(FIRST + SECOND + b'event: error\ndata: {"message": "x"}\n\n'), END),
        "upstream_error",
    ),
    "an error in a chunk": (
        (http_chunk(FIRST + SECOND + b'data: {"error": {"message": "x"}}\n\n' + LAST), END),
        "upstream_error",
    ),
}


def after_frames(data: bytes) -> Choice:
    stream = check_stream(data, include_usage=False)
    assert stream.error is not None
    assert b"[DONE]" not in data
    return stream.only


@pytest.mark.parametrize(("steps", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_is_never_dressed_up(
    gateway: Gateway, scripted: ScriptedUpstream, steps: tuple[Step, ...], code: str
) -> None:
    data = play(gateway, scripted, *steps)
    assert data.startswith(FIRST + SECOND)
    choice = after_frames(data)
    assert (choice.content, choice.finish_reason) == ("Hello", None)
    assert json.loads(split_frames(data)[-1].removeprefix(b"data: "))["error"]["code"] == code


def test_silence_in_the_middle_is_a_timeout(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    gate = threading.Event()
    data = play(gateway, scripted, http_chunk(FIRST), Wait(gate), model="hasty")
    gate.set()
    assert after_frames(data).content == "Hel"
    assert b'"code":"upstream_timeout"' in data


@pytest.mark.parametrize("fault", ["fail_after_chunks", "end_after_chunks", "error_after_chunks"])
@pytest.mark.parametrize("model", ["qwen3.6-plus", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3"])
def test_every_family_s_broken_stream(gateway: Gateway, model: str, fault: str) -> None:
    answer = gateway.post(streamed(model, simulate={fault: 5}))
    assert answer.status == 200
    assert after_frames(answer.body).finish_reason is None


@pytest.mark.parametrize("fault", ["fail_after_chunks", "end_after_chunks", "error_after_chunks"])
def test_a_broken_stream_is_an_error_where_none_was_asked_for(gateway: Gateway, fault: str) -> None:
    """Qwen thinks only in streams: here the gateway merges, and can still tell the truth with a status."""
    answer = gateway.post(body("qwen3.6-plus", simulate={fault: 5}))
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")


def test_a_long_stream_is_whole(gateway: Gateway) -> None:
    answer = gateway.post(streamed("glm-5", seed=1, simulate={"repeat": 400, "chunk_chars": 7}))
    choice = check_stream(answer.body, include_usage=False).only
    plain = gateway.post(body("glm-5", seed=1, simulate={"repeat": 400})).json()
    assert choice.content == plain["choices"][0]["message"]["content"]
    assert len(choice.content) > 50_000
