"""Answers in Anthropic's words, as the anthropic SDK reads them: every recorded stream and every quirk.

Each event is validated by the SDK's own types, and the SDK's own stream helper adds them up. What it gets is
the answer that comes whole, and says what the chat answer says.
"""

import json
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from llmgw import _core
from tests.streams import test_quirks
from tests.support.recordings import each_recording, read

EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
ASKED: dict[str, Any] = {
    "model": "alias",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "Hi"}],
    "thinking": {"type": "adaptive", "display": "summarized"},
}
SEAL = _core.Seal(bytes(32), b"client")


def asked() -> _core.ChatRequest:
    return _core.ChatRequest.from_messages(json.dumps(ASKED).encode(), seal=SEAL)


def sdk_message(stream: bytes) -> Message:
    """What the SDK makes of a stream."""
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=stream))
    with (
        httpx2.Client(transport=transport) as http,
        Anthropic(api_key="k", base_url="http://gateway", http_client=http, max_retries=0) as client,
        client.messages.stream(**ASKED) as answer,
    ):
        return answer.get_final_message()


def data_of(stream: bytes) -> list[bytes]:
    """The data of each event."""
    return [event.partition(b"\ndata: ")[2] for event in stream.split(b"\n\n")[:-1]]


def without_signatures(message: Message) -> dict[str, Any]:
    """No seal is like another. Of a message that streamed, what the SDK's helper adds is left out."""
    plain = Message.model_validate(message.to_dict()).model_dump(mode="json")
    for block in plain["content"]:
        assert block.pop("signature", "bGxtZ3cB").startswith("bGxtZ3cB")
        block.pop("parsed_output", None)
    return plain


def check(stream: bytes, *, tags: str | None = None) -> None:
    """Everything that must hold of one upstream stream."""
    options: dict[str, Any] = {"reasoning_tags": tags, "request_id": "req-1"}
    events = _core.answer(asked(), [stream], **options)
    last = json.loads(data_of(events)[-1])
    if last["type"] == "error":
        with pytest.raises(_core.UpstreamError):
            _core.answer(asked(), [stream], stream=False, **options)
        assert b"event: message_stop" not in events
        return
    for data in data_of(events):
        EVENT.validate_json(data)
    whole = Message.model_validate_json(_core.answer(asked(), [stream], stream=False, **options))
    said = _core.merge([stream], **options)
    check_said(whole, json.loads(said)["choices"])
    assert without_signatures(sdk_message(events)) == without_signatures(whole)


def check_said(whole: Message, choices: list[dict[str, Any]]) -> None:
    """The message says what the first choice of the merged chat answer says."""
    [message] = [choice["message"] for choice in choices if choice["index"] == 0] or [{}]
    text = "".join(block.text for block in whole.content if block.type == "text")
    assert text == (message.get("content") or message.get("refusal") or "")
    calls = [(block.id, block.name) for block in whole.content if block.type == "tool_use"]
    of_chat = message.get("tool_calls", ())
    called = [(call["id"], call.get("function") or call.get("custom")) for call in of_chat]
    assert calls == [(call_id, tool["name"]) for call_id, tool in called if tool]


@each_recording
def test_field_02_a_recording(recording: str) -> None:
    """Also failures 3 and 9: what the recording thinks is there, in blocks of its own."""
    check(read(recording))


@test_quirks.each_case
def test_a_quirk(name: str) -> None:
    tags = test_quirks.options(name)["reasoning_tags"]
    check(test_quirks.read(name, "in.sse"), tags=tags)
