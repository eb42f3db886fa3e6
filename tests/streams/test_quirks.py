"""The corpus of quirks through the extension, and through the openai SDK as a client would read it.

`rust/core/tests/quirks.rs` runs the same files at every cut; the README beside them says what each is.
"""

import json
import re
from typing import Any

import httpx2
import pytest
from openai import APIError, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmgw import _core
from tests.streams.test_openai_accumulator import Said, said
from tests.support.frames import DONE, check_stream, split_frames
from tests.support.processes import ROOT

FOLDER = ROOT / "tests" / "corpus" / "quirks"
NAMES = sorted(path.name.removesuffix(".in.sse") for path in FOLDER.glob("*.in.sse"))
HALVES = {"escapes", "think-escaped"}
"""Their deltas hold half a pair of surrogates, which pydantic's strings can't."""

NOT_IN_THE_SDK = {"call-custom", "call-custom-beside-function", "call-of-another-type"}
"""Kinds of calls that the SDK's models of chunks do not have, though its accumulator takes them."""

each_case = pytest.mark.parametrize("name", NAMES)


def options(name: str) -> dict[str, Any]:
    """What `rust/core/tests/quirks.rs` has too."""
    tags = "think" if name.startswith("think-") else None
    return {
        "request_id": "req-1",
        "model": "upstream-model",
        "created_s": 1_700_000_000,
        "reasoning_tags": tags,
    }


def read(name: str, kind: str) -> bytes:
    return (FOLDER / f"{name}.{kind}").read_bytes()


def merged_error(name: str) -> dict[str, Any] | None:
    """The error that a case ends with, if it does."""
    path = FOLDER / f"{name}.merged.error"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def sdk_said(stream: bytes) -> Said:
    """What the SDK reads from a stream that comes over HTTP. Raises APIError where that holds an error."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream; charset=utf-8"}
        return httpx2.Response(200, headers=headers, content=stream)

    state = ChatCompletionStreamState()
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as transport:
        client = OpenAI(api_key="none", base_url="http://gateway.invalid/v1", http_client=transport)
        for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
            state.handle_chunk(chunk)
    completion = state.current_completion_snapshot.model_dump(warnings=False)
    for choice in completion["choices"]:
        # Python keeps the two halves of a pair of surrogates apart.
        content = choice["message"]["content"] or ""
        choice["message"]["content"] = content.encode("utf-16", "surrogatepass").decode("utf-16")
    return said(completion)


@each_case
def test_the_extension_gives_what_the_files_say(name: str) -> None:
    stream = read(name, "in.sse")
    pieces = [stream[at : at + 7] for at in range(0, len(stream), 7)]
    assert _core.transform(pieces, include_usage=True, **options(name)) == read(name, "out.sse")
    error = merged_error(name)
    if error is None:
        assert _core.merge(pieces, **options(name)) + b"\n" == read(name, "merged.json")
    else:
        with pytest.raises(_core.UpstreamError) as raised:
            _core.merge(pieces, **options(name))
        assert (raised.value.kind, raised.value.status) == (error["kind"], error["status"])


@each_case
def test_a_client_finds_nothing_odd(name: str) -> None:
    stream = read(name, "out.sse")
    checked = check_stream(stream, include_usage=True)
    error = merged_error(name)
    assert (checked.error or {}).get("message") == (error or {}).get("message")
    for frame in split_frames(stream):
        if frame != DONE and not frame.startswith(b'data: {"error"') and name not in HALVES | NOT_IN_THE_SDK:
            ChatCompletionChunk.model_validate_json(frame.removeprefix(b"data: "))
    if error is not None:
        with pytest.raises(APIError, match=re.escape(error["message"])):
            sdk_said(stream)
        return
    merged = read(name, "merged.json")
    if name not in NOT_IN_THE_SDK:
        ChatCompletion.model_validate_json(merged)
    assert sdk_said(stream) == said(json.loads(merged))
    assert {choice["message"].get("reasoning_content") for choice in json.loads(merged)["choices"]} == {None}


def test_the_readme_lists_each_case_once() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE)
    assert sorted(listed) == NAMES


def test_other_reasoning_tags_are_refused() -> None:
    refused = pytest.raises(ValueError, match="reasoning_tags is think or None")
    with refused:
        _core.transform([], include_usage=True, reasoning_tags="thought")  # type: ignore[arg-type]
    with refused:
        _core.merge([], reasoning_tags="thought")  # type: ignore[arg-type]
    with refused:
        _core.clean_completion(b"{}", reasoning_tags="thought")  # type: ignore[arg-type]


def test_a_plain_answer_is_taken_apart_like_a_stream() -> None:
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "<think>High?</think>Low."}],
                    "reasoning": "a",
                    "reasoning_content": "b",
                    "reasoning_details": [{"type": "reasoning.text", "text": "c"}],
                },
                "finish_reason": "stop",
            }
        ],
    }
    message = {"role": "assistant", "content": "<think>High?</think>Low."}
    cleaned = json.loads(_core.clean_completion(json.dumps(body).encode()))
    assert cleaned["choices"][0]["message"] == message
    cleaned = json.loads(_core.clean_completion(json.dumps(body).encode(), reasoning_tags="think"))
    assert cleaned["choices"][0]["message"] == message | {"content": "Low."}
