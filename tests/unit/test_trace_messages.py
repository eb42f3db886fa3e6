"""What bodies say, as the conventions for generative AI write messages."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.observe.copies import Held
from llmgw.observe.tracing.content import MAX_ATTRIBUTE_CHARS, MAX_COPIED_BYTES, Content
from llmgw.observe.tracing.messages import input_of, output_of

PICTURE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,SECRET"}}
CALL: Final = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
CALLED: Final = {"type": "tool_call", "id": "c", "name": "f", "arguments": '{"a":1}'}


def text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


@pytest.mark.parametrize(
    ("api", "request_", "messages", "instructions"),
    [
        (
            "chat",
            {
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]},
                    {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "c", "content": "42"},
                ]
            },
            [
                {"role": "system", "parts": [text("Be kind.")]},
                {"role": "user", "parts": [text("What is it?"), {"type": "image_url"}]},
                {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}, CALLED]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "result": "42"}]},
            ],
            [],
        ),
        (
            "messages",
            {
                "system": [{"type": "text", "text": "Be kind."}],
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                            {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
                        ],
                    },
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "c", "content": "42"}],
                    },
                ],
            },
            [
                {"role": "user", "parts": [text("Hi")]},
                {
                    "role": "assistant",
                    "parts": [{"type": "reasoning", "content": "Hm."}, {**CALLED, "arguments": {"a": 1}}],
                },
                {"role": "user", "parts": [{"type": "tool_call_response", "id": "c", "result": "42"}]},
            ],
            [text("Be kind.")],
        ),
        (
            "responses",
            {"input": "Hi", "instructions": "Be kind."},
            [{"role": "user", "parts": [text("Hi")]}],
            [text("Be kind.")],
        ),
        (
            "responses",
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                    {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
                    {"type": "function_call_output", "call_id": "c", "output": "42"},
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
                ]
            },
            [
                {"role": "user", "parts": [text("Hi")]},
                {"role": "assistant", "parts": [CALLED]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "result": "42"}]},
                {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}]},
            ],
            [],
        ),
        ("completions", {"prompt": ["a", "b"]}, [{"role": "user", "parts": [text(p)]} for p in "ab"], []),
        ("embeddings", {"input": "a"}, [], []),
    ],
)
def test_a_request(api: str, request_: Any, messages: Any, instructions: Any) -> None:  # noqa: ANN401 - JSON
    asked = input_of(api, json.dumps(request_).encode())
    assert asked.messages == messages
    assert asked.instructions == instructions


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"


def delta(reason: str | None = None, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    return {"choices": [{"index": 0, "delta": said, "finish_reason": reason}]}


def part_of_call(**function: str) -> dict[str, Any]:
    return delta(tool_calls=[{"index": 0, "function": function}])


SAID: Final = [
    {
        "role": "assistant",
        "parts": [{"type": "reasoning", "content": "Hm."}, text("Hello"), CALLED],
        "finish_reason": "stop",
    }
]
BLOCKS: Final = [
    {"type": "thinking", "thinking": "Hm."},
    {"type": "text", "text": "Hello"},
    {"type": "tool_use", "id": "c", "name": "f", "input": '{"a":1}'},
]


@pytest.mark.parametrize(
    ("api", "answer", "messages"),
    [
        (
            "chat",
            {
                "choices": [
                    {
                        "message": {
                            "role": "assistant",
                            "content": "Hello",
                            "reasoning_content": "Hm.",
                            "tool_calls": [CALL],
                        },
                        "finish_reason": "stop",
                    }
                ]
            },
            SAID,
        ),
        (
            "chat",
            sse(
                delta(role="assistant", reasoning_content="Hm"),
                delta(reasoning_content="."),
                delta(content="Hel"),
                delta(content="lo"),
                delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]),
                part_of_call(arguments='{"a"'),
                part_of_call(arguments=":1}"),
                delta("stop"),
            ),
            SAID,
        ),
        ("messages", {"type": "message", "content": BLOCKS, "stop_reason": "stop"}, SAID),
        (
            "messages",
            sse(
                {"type": "message_start", "message": {"role": "assistant"}},
                {
                    "type": "content_block_start",
                    "index": 0,
                    "content_block": {"type": "thinking", "thinking": ""},
                },
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "thinking_delta", "thinking": "Hm."},
                },
                {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}},
                {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
                {
                    "type": "content_block_start",
                    "index": 2,
                    "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {}},
                },
                {
                    "type": "content_block_delta",
                    "index": 2,
                    "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'},
                },
                {"type": "message_delta", "delta": {"stop_reason": "stop"}},
            ),
            SAID,
        ),
        (
            "responses",
            sse(
                {"type": "response.created", "response": {"output": []}},
                {
                    "type": "response.completed",
                    "response": {
                        "status": "stop",
                        "output": [
                            {"type": "reasoning", "summary": [{"text": "Hm."}]},
                            {
                                "type": "message",
                                "role": "assistant",
                                "content": [{"type": "output_text", "text": "Hello"}],
                            },
                            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
                        ],
                    },
                },
            ),
            SAID,
        ),
        (
            "completions",
            {"choices": [{"text": "Hello", "finish_reason": "stop"}]},
            [{"role": "assistant", "parts": [text("Hello")], "finish_reason": "stop"}],
        ),
        ("chat", {"error": {"message": "no"}}, []),
        ("messages", {"type": "error", "error": {"message": "no"}}, []),
        ("responses", {"error": {"message": "no"}}, []),
        ("embeddings", {"data": []}, []),
    ],
)
def test_an_answer(api: str, answer: Any, messages: Any) -> None:  # noqa: ANN401 - JSON
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    assert output_of(api, body) == messages


APIS: Final = ("chat", "messages", "responses", "completions", "embeddings")
WORDS: Final = st.sampled_from(
    ["messages", "content", "role", "type", "text", "tool_calls", "function", "choices", "delta", "index",
     "input",
     "output", "system", "tools", "response", "content_block", "tool_use", "thinking", "content_block_start",
     "content_block_delta", "message_delta", "message", "reasoning", "prompt", "text_delta", "item"]
)  # fmt: skip
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
OBJECTS: Final = st.dictionaries(WORDS, VALUES, max_size=4)


@given(
    st.sampled_from(APIS),
    st.dictionaries(WORDS, VALUES, max_size=4),
    st.lists(OBJECTS, max_size=4),
)
def test_no_body_makes_it_fail(api: str, body: dict[str, Any], events: list[dict[str, Any]]) -> None:
    content = Content(Held(1 << 20))
    content.asked([json.dumps(body).encode()])
    content.answered(sse(*events))
    for value in content.attributes(api).values():
        json.loads(value)
    output_of(api, json.dumps(body).encode())


def asked(content: Content, *texts: str) -> list[Any]:
    messages = [{"role": "user", "content": each} for each in texts]
    content.asked([json.dumps({"messages": messages}).encode()])
    found: list[Any] = json.loads(content.attributes("chat").get("gen_ai.input.messages", "[]"))
    return found


def test_a_long_history_loses_its_beginning() -> None:
    found = asked(Content(Held(1 << 22)), *(f"{number} " + "x" * 1000 for number in range(200)))
    said = [int(each["parts"][0]["content"].split()[0]) for each in found]
    assert said == list(range(200 - len(said), 200))
    assert 55 < len(said) < 66
    assert len(json.dumps(found)) <= MAX_ATTRIBUTE_CHARS


def test_a_long_message_is_cut() -> None:
    found = asked(Content(Held(1 << 22)), "short", "y" * 200_000)
    kept = found[-1]["parts"][0]["content"]
    assert kept.startswith("yyyy")
    assert kept.endswith("…")
    assert len(json.dumps(found, ensure_ascii=False)) <= MAX_ATTRIBUTE_CHARS


def test_what_is_too_long_to_be_copied_is_left_out() -> None:
    assert asked(Content(Held(1 << 22)), "z" * MAX_COPIED_BYTES) == []


def test_all_copies_together_are_bounded_and_given_back() -> None:
    held = Held(1000)
    first, second = Content(held), Content(held)
    assert asked(first, "a" * 800)
    assert asked(second, "b" * 800) == []
    first.release()
    first.release()
    assert asked(Content(held), "c" * 800)


def test_half_a_character_is_exported_as_one_that_is_not_known() -> None:
    content = Content(Held(1 << 22))
    content.asked([rb'{"messages": [{"role": "user", "content": "a\ud800b \ud83d\ude00"}]}'])
    content.answered(rb'{"choices": [{"message": {"role": "assistant", "content": "\udc00"}}]}')
    said = content.attributes("chat")
    assert json.loads(said["gen_ai.input.messages"])[0]["parts"][0]["content"] == "a\ufffdb 😀"
    assert json.loads(said["gen_ai.output.messages"])[0]["parts"][0]["content"] == "\ufffd"
    for value in said.values():
        value.encode()
