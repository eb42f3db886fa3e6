"""`POST /v1/completions` over real sockets: the same pipeline as chat, with text in place of messages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from tests.support.frames import split_frames, without_heartbeats
from tests.support.gateway import Gateway, config_text
from tests.support.scripted import (
    EVENT_STREAM_HEAD,
    Hold,
    ScriptedUpstream,
    event_stream,
    json_answer,
    partial_event_stream,
)
from tests.support.simulator import SimulatorProcess
from tests.support.validated import ValidatedTransport2

PATH = "/v1/completions"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
ONE: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "scripted",
    "choices": [{"index": 0, "text": "Hi", "logprobs": None, "finish_reason": "stop"}],
}


def chunk(text: str, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
    return {**ONE, "choices": [choice], **more}


def frame(event: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(event).encode()


DONE = b"data: [DONE]\n\n"
GOOD = frame(chunk("Hel")) + frame(chunk("lo")) + frame(chunk("", "stop"))


def ask(script: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"model": "scripted", "prompt": "def f(", "script": script, **more}


def test_a_whole_answer_and_its_row(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    said = json.dumps({**ONE, "usage": USAGE, "x": [10**30, "\u00e9"]}, indent=1).encode()
    script = scripted.script(json_answer(said))
    answer = gateway.post(ask(script, suffix=")"), path=PATH)
    assert (answer.status, answer.body) == (200, said)  # no byte needs a change
    received = scripted.received(script)
    assert received.head.startswith(b"POST /v1/completions HTTP/1.1\r\n")
    assert json.loads(received.body) == ask(script, suffix=")")
    row = gateway.ledger(answer.headers["x-request-id"])
    expected = {
        "status": 200, "model": "scripted", "upstream": "scripted", "stream": 0, "finish_reason": "stop",
        "error_kind": None, "prompt_tokens": 3, "completion_tokens": 2, "usage_source": "upstream",
        "thinking_asked": None, "attempts": 1,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_streamed_answer_and_its_row(
    gateway: Gateway,
    scripted: ScriptedUpstream,
    include_usage: bool,  # noqa: FBT001
) -> None:
    usage = {**ONE, "choices": [], "usage": USAGE}
    script = scripted.script(*event_stream(GOOD + frame(usage) + DONE))
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    answer = gateway.post(ask(script, stream=True, **options), path=PATH)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.body == GOOD + (frame(usage) if include_usage else b"") + DONE
    sent = json.loads(scripted.received(script).body)
    assert sent["stream_options"] == {"include_usage": True}  # for the ledger, in any case
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["prompt_tokens"], row["completion_tokens"], row["stream"]) == (3, 2, 1)
    assert (row["finish_reason"], row["error_kind"]) == ("stop", None)


def test_what_a_provider_adds_is_untouched_and_usage_rides_alone(
    gateway: Gateway, scripted: ScriptedUpstream
) -> None:
    """VLLM's members stay; its usage on the last chunk moves to a chunk of its own."""
    first = chunk("a", stop_reason=None, prompt_logprobs=None)
    script = scripted.script(*event_stream(frame(first) + frame(chunk("b", "length", usage=USAGE)) + DONE))
    answer = gateway.post(ask(script, stream=True, stream_options={"include_usage": True}), path=PATH)
    frames = split_frames(answer.body)
    assert frames[0] + b"\n\n" == frame(first)
    chunks = [json.loads(one.removeprefix(b"data: ")) for one in frames[1:-1]]
    assert [one.get("usage") for one in chunks] == [None, USAGE]
    assert [one["choices"] for one in chunks] == [chunk("b", "length")["choices"], []]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_field", "model"),
        ({"model": "scripted"}, "missing_field", "prompt"),
        ({"model": "scripted", "prompt": 1}, "invalid_type", "prompt"),
        ({"model": "scripted", "prompt": {}}, "invalid_type", "prompt"),
        ({"model": "scripted", "prompt": "a", "stream": "yes"}, "invalid_type", "stream"),
        ({"model": "scripted", "prompt": "a", "stop": 1}, "invalid_type", "stop"),
        ({"model": "no-such-model", "prompt": "a"}, "model_not_found", "model"),
    ],
)
def test_a_bad_body_is_refused(gateway: Gateway, body: dict[str, Any], code: str, param: str) -> None:
    answer = gateway.post(body, path=PATH)
    assert (answer.error["code"], answer.error["param"]) == (code, param)
    assert answer.status == (404 if code == "model_not_found" else 400)


@pytest.mark.parametrize("prompt", ["a", ["a", "b"], [1, 2, 3], [[1, 2], [3]]])
def test_every_form_of_prompt_passes(
    gateway: Gateway, scripted: ScriptedUpstream, prompt: str | list[Any]
) -> None:
    script = scripted.script(json_answer(ONE))
    assert gateway.post({**ask(script), "prompt": prompt}, path=PATH).status == 200
    assert json.loads(scripted.received(script).body)["prompt"] == prompt


@pytest.mark.parametrize(
    ("name", "events", "kind"),
    [
        ("an end without a finish reason", frame(chunk("a")) + DONE, "truncated"),
        ("no end at all", frame(chunk("a")), "truncated"),
        ("an error in mid-stream", frame(chunk("a")) + frame({"error": {"message": "x"}}), "error_event"),
    ],
)
def test_a_stream_that_breaks_is_never_dressed_up(
    gateway: Gateway, scripted: ScriptedUpstream, name: str, events: bytes, kind: str
) -> None:
    answer = gateway.post(ask(scripted.script(*event_stream(events)), stream=True), path=PATH)
    first, last = split_frames(answer.body)
    assert first + b"\n\n" == frame(chunk("a")), name
    assert set(json.loads(last.removeprefix(b"data: "))) == {"error"}
    assert gateway.ledger(answer.headers["x-request-id"])["error_kind"] == kind


def test_an_error_before_anything_is_shown_is_a_status(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    script = scripted.script(*event_stream(frame({"error": {"message": "bad prompt", "code": 400}})))
    answer = gateway.post(ask(script, stream=True), path=PATH)
    assert (answer.status, answer.error["message"]) == (400, "bad prompt")


def test_a_second_target_answers_where_the_first_fails(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    targets = (
        '[[models]]\nid = "two"\ntargets = [{upstream = "scripted"}, {upstream = "hasty", priority = 2}]\n'
    )
    config = config_text(simulator.url, scripted.base_url) + targets
    script = scripted.script()
    scripted.plays(script, (json_answer({"error": {"message": "no"}}, "500 No"),), event_stream(GOOD + DONE))
    with Gateway(tmp_path, config) as gateway:
        answer = gateway.post({**ask(script, stream=True), "model": "two"}, path=PATH)
        assert answer.headers["x-llmgw-attempts"] == "2"
        assert answer.body == GOOD + DONE
        row = gateway.ledger(answer.headers["x-request-id"])
        assert (row["attempts"], row["attempt_errors"], row["upstream"]) == (
            2,
            'scripted: answered 500 "no"',
            "hasty",
        )


def test_silence_brings_heartbeats_and_a_lost_client_ends_the_upstream(
    strict_gateway: Gateway, scripted: ScriptedUpstream
) -> None:
    script = scripted.script(*partial_event_stream(frame(chunk("a"))), Hold())
    with strict_gateway.stream(ask(script, stream=True), path=PATH) as answer:
        seen = b""
        for piece in answer.iter_raw():
            seen += piece
            # One may come before the first event too.
            if b": keep-alive\n\n" in seen.partition(frame(chunk("a")))[2]:
                break
    assert without_heartbeats(seen) == frame(chunk("a"))
    assert scripted.received(script).closed.wait(5)
    assert strict_gateway.ledger(answer.headers["x-request-id"])["error_kind"] == "client_gone"


def test_a_plain_answer_is_expected_where_a_stream_was_asked(
    gateway: Gateway, scripted: ScriptedUpstream
) -> None:
    """Events tell what they are by their first bytes. This API has no merging."""
    event = b'data: {"choices":[{"text":"a"}]}\n\n'
    said = EVENT_STREAM_HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)
    answer = gateway.post(ask(scripted.script(said)), path=PATH)
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[OpenAI]:
    http_client = httpx2.Client(transport=ValidatedTransport2(), trust_env=False)
    with OpenAI(
        api_key=gateway.key, base_url=f"{gateway.url}/v1", max_retries=0, http_client=http_client
    ) as client:
        yield client


@pytest.mark.parametrize("model", ["deepseek-v4-pro", "qwen3.6-plus"])
def test_the_sdk_completes_with_simulated_providers(sdk: OpenAI, model: str) -> None:
    whole = sdk.completions.create(model=model, prompt="def add(a, b):", suffix="\n", max_tokens=16, seed=1)
    [choice] = whole.choices
    assert choice.text
    assert choice.finish_reason in {"stop", "length"}
    assert whole.usage is not None
    pieces = sdk.completions.create(
        model=model,
        prompt="def add(a, b):",
        suffix="\n",
        max_tokens=16,
        seed=1,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(pieces)
    assert "".join(one.choices[0].text for one in chunks if one.choices) == choice.text
    assert chunks[-1].usage == whole.usage
    [reason] = [
        one.choices[0].finish_reason for one in chunks if one.choices and one.choices[0].finish_reason
    ]
    assert reason == choice.finish_reason
