"""The openai SDK's own accumulator as an independent reference for the merger, over every recorded stream.

Where the SDK accepts the raw stream at all, it and our merger must agree on what was said. The stream
that we make of it the SDK must always accept, and find the same in it.
"""

import json
from typing import Any, TypeAlias

import httpx
import pytest
from openai._models import construct_type
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from llmgw import _core
from tests.support.recordings import NAMES, each_recording, read

# Content as a list makes the SDK's own models complain.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")

# What makes the SDK give up on a raw stream; it has no typed errors here.
_GIVES_UP = (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)

_ACCUMULATES_NEITHER = {"pydantic-ai/test-openrouter-test-openrouter-web-search-annotations-stream.sse"}
"""Its deltas hold `annotations`, a list whose items have no `index`. The SDK gives up on any such list;
we have no rule for that member, and so it goes through."""

Said: TypeAlias = dict[int, dict[str, Any]]


def sdk_said(stream: bytes) -> Said:
    """What the SDK's decoder and accumulator find in a stream, by choice. Raises what they raise."""
    state = ChatCompletionStreamState()
    response = httpx.Response(200, content=stream)
    for event in SSEDecoder().iter_bytes(response.iter_bytes()):
        if event.data.startswith("[DONE]"):
            break
        data = event.json()
        if data.get("error"):
            raise RuntimeError(data["error"])
        # As loosely as the SDK itself reads what comes over the wire.
        chunk = construct_type(type_=ChatCompletionChunk, value=data)
        assert isinstance(chunk, ChatCompletionChunk)
        state.handle_chunk(chunk)
    return said(json.loads(state.current_completion_snapshot.model_dump_json(warnings=False)))


def said(completion: dict[str, Any]) -> Said:
    """Content, tool calls and finish reason of each choice."""
    found: Said = {}
    for choice in completion["choices"]:
        message = choice["message"]
        calls = message.get("tool_calls") or []
        found[choice["index"]] = {
            "content": message.get("content") or "",
            "tool_calls": [(c["id"], *_called(c)) for c in calls],
            "finish_reason": choice["finish_reason"],
        }
    return found


def _called(call: dict[str, Any]) -> tuple[str, str]:
    if custom := call.get("custom"):
        return custom["name"], custom["input"]
    return call["function"]["name"], call["function"]["arguments"]


@each_recording
def test_the_sdk_and_the_merger_agree(recording: str) -> None:
    stream = read(recording)
    normalised = _core.transform([stream], include_usage=True)
    try:
        merged = said(json.loads(_core.merge([stream])))
    except _core.UpstreamError:
        assert b"data: [DONE]" not in normalised
        return
    try:
        raw = sdk_said(stream)
    except _GIVES_UP as refusal:
        if recording not in _ACCUMULATES_NEITHER:
            assert sdk_said(normalised) == merged, "of what we make of the stream"
        pytest.skip(f"the SDK does not accept the raw stream: {type(refusal).__name__}: {refusal}"[:200])
    assert sdk_said(normalised) == merged, "of what we make of the stream"
    assert raw == merged, "of the raw stream"


@pytest.mark.skipif(not NAMES, reason="no recordings")
def test_the_sdk_accepts_most_raw_streams() -> None:
    """Keeps the comparison above from becoming a row of skips."""
    accepted = 0
    for name in NAMES:
        try:
            sdk_said(read(name))
        except _GIVES_UP:
            continue
        accepted += 1
    assert accepted >= len(NAMES) * 3 // 4
