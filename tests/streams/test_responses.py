"""Answers as OpenAI's Responses, read with the openai SDK: its types, and its `responses.stream` helper.

The streams are the recordings and the quirks. What the SDK finds must be what the merger makes of the same
stream.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent
from pydantic import TypeAdapter

from llmgw import _core
from tests.streams.test_quirks import FOLDER, NAMES
from tests.support.recordings import each_recording
from tests.support.recordings import read as read_recording

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

BODY = {
    "model": "coder",
    "input": "What is the weather in Paris?",
    "stream": True,
    "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}],
    "reasoning": {"effort": "medium", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
}

DELTAS = {
    "response.output_text.delta",
    "response.refusal.delta",
    "response.function_call_arguments.delta",
    "response.reasoning_summary_text.delta",
}

_HALF = b"\\ud"
"""Where a stream holds half a pair of surrogates: pydantic's strings can't."""


def request(**members: object) -> _core.ChatRequest:
    seal = _core.Seal(bytes(32), b"client")
    return _core.ChatRequest.from_responses(json.dumps({**BODY, **members}).encode(), seal=seal)


def answered(stream: bytes) -> bytes:
    """The events of a stream that comes in small pieces."""
    pieces = [stream[at : at + 701] for at in range(0, len(stream), 701)]
    return _core.answer(request(), pieces, request_id="req_1", created_s=1_700_000_000)


def events(answer: bytes) -> Iterator[dict[str, Any]]:
    for frame in answer.decode().removesuffix("\n\n").split("\n\n"):
        name, data = frame.removeprefix("event: ").split("\ndata: ")
        event = json.loads(data)
        assert event["type"] == name
        yield event


def check(stream: bytes) -> None:
    """A stream's events and its whole answer, with the SDK and beside the merger."""
    answer = answered(stream)
    found = list(events(answer))
    if _HALF not in answer.lower():
        for event in found:
            EVENT.validate_python(event)
    last = found[-1]["response"]
    try:
        merged = json.loads(_core.merge([stream]))
    except _core.UpstreamError:
        assert found[-1]["type"] == "response.failed"
        assert (last["status"], last["output"]) == ("failed", [])
        with pytest.raises(_core.UpstreamError):
            _core.answer(request(), [stream], stream=False)
        return
    whole = json.loads(
        _core.answer(request(), [stream], stream=False, request_id="req_1", created_s=1_700_000_000)
    )
    assert unsealed(whole) == unsealed(last)
    if _HALF in answer.lower():
        return
    Response.model_validate(whole)
    choice = next((choice for choice in merged["choices"] if choice["index"] == 0), None)
    if choice is not None:
        agree(last, choice, merged.get("usage"))
    helped(answer, last)


def unsealed(response: dict[str, Any]) -> dict[str, Any]:
    """Without what never comes twice."""
    output = [{**item, "encrypted_content": None} for item in response["output"]]
    return {**response, "output": output}


def agree(response: dict[str, Any], choice: dict[str, Any], usage: dict[str, Any] | None) -> None:
    parsed = Response.model_validate(response)
    message = choice["message"]
    assert parsed.output_text == (message["content"] or "")
    called = [call.get("function") or call.get("custom") or {} for call in message.get("tool_calls") or []]
    expected = [(call["name"], call.get("arguments", call.get("input")) or "{}") for call in called if call]
    calls = [(item.name, item.arguments) for item in parsed.output if item.type == "function_call"]
    assert calls == expected
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    details = parsed.incomplete_details
    assert (details.reason if details else None) == reasons.get(choice["finish_reason"])
    if usage and parsed.usage:
        assert parsed.usage.input_tokens == usage["prompt_tokens"]
        assert parsed.usage.output_tokens == usage["completion_tokens"]
    assert bool(usage and "prompt_tokens" in usage) == (parsed.usage is not None)


def helped(answer: bytes, response: dict[str, Any]) -> None:
    """What the SDK's helper adds up from the events is the response that the last one has."""

    def send(_request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream; charset=utf-8"}
        return httpx2.Response(200, headers=headers, content=answer)

    with httpx2.Client(transport=httpx2.MockTransport(send)) as transport:
        client = OpenAI(api_key="none", base_url="http://gateway.invalid/v1", http_client=transport)
        with client.responses.stream(model="m", input="hi") as stream:
            deltas: defaultdict[int, str] = defaultdict(str)
            event: Any
            for event in stream:
                if event.type in DELTAS:
                    deltas[event.output_index] += event.delta
            if response["status"] == "completed":
                final = stream.get_final_response().model_dump(mode="json")
                assert [item["type"] for item in final["output"]] == [
                    item["type"] for item in response["output"]
                ]
    if response["status"] != "failed":
        assert [deltas[index] for index in range(len(response["output"]))] == [
            said(item) for item in Response.model_validate(response).output
        ]


def said(item: ResponseOutputItem) -> str:
    """What an item's deltas say."""
    match item.type:
        case "message":
            return "".join(part.text if part.type == "output_text" else part.refusal for part in item.content)
        case "reasoning":
            return "".join(part.text for part in item.summary)
        case "function_call":
            return item.arguments
        case other:
            raise AssertionError(other)


@each_recording
def test_recordings_as_responses(recording: str) -> None:
    check(read_recording(recording))


@pytest.mark.parametrize("name", NAMES)
def test_quirks_as_responses(name: str) -> None:
    check((FOLDER / f"{name}.in.sse").read_bytes())
