"""Properties of the boundary, with hypothesis: what Python hands to Rust comes out as the contract says.

The same and more is shown on the Rust side with proptest; here the reference is Python's own json module.
"""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw import _core

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
READ = {
    "model", "messages", "max_tokens", "temperature", "top_p", "seed", "stream", "stream_options", "tools",
    "tool_choice", "enable_thinking", "llmgw_thinking", "response_format", "stop", "reasoning_effort",
    "thinking", "chat_template_kwargs", "max_completion_tokens", "reasoning", "system", "stop_sequences",
    "anthropic_version",
}  # fmt: skip
"""What the gateway reads. Anything else may be anything."""
EXTRAS = st.dictionaries(TEXT.filter(lambda name: name not in READ), JSON, max_size=5)
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 2]),
        "separators": st.sampled_from([(",", ":"), (" , ", " : "), (", ", ": ")]),
    }
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXT}),
    min_size=1,
    max_size=3,
)


def encode(body: dict[str, Any], style: dict[str, Any]) -> bytes:
    return json.dumps(body, **style).encode("utf-8", "surrogatepass")


def encode_any(value: object) -> bytes:
    return json.dumps(value).encode()


@given(messages=MESSAGES, extras=EXTRAS, style=STYLES)
def test_a_body_without_a_switch_is_not_touched(
    messages: list[dict[str, str]], extras: dict[str, Any], style: dict[str, Any]
) -> None:
    body = encode({"model": "glm-5", "messages": messages, **extras}, style)
    prepared = _core.ChatRequest(body).rewrite(_core.Route("glm-5"))
    assert prepared.body == body
    assert prepared.thinking_asked is None


@given(
    messages=MESSAGES,
    extras=EXTRAS,
    style=STYLES,
    switch=st.sampled_from(["enable_thinking", "llmgw_thinking"]),
    on=st.booleans(),
    stream=st.booleans(),
)
def test_a_rewrite_changes_what_it_names_and_nothing_else(
    messages: list[dict[str, str]],
    extras: dict[str, Any],
    style: dict[str, Any],
    switch: str,
    *,
    on: bool,
    stream: bool,
) -> None:
    asked = {switch: on, "model": "m", **extras, "messages": messages, "stream": stream}
    prepared = _core.ChatRequest(encode(asked, style)).rewrite(_core.Route("glm-5"))
    expected = {name: value for name, value in asked.items() if name != switch}
    expected |= {"model": "glm-5", "thinking": {"type": "enabled" if on else "disabled"}}
    if stream:
        expected["stream_options"] = {"include_usage": True}
    assert json.loads(prepared.body) == expected


@given(
    st.binary(max_size=60)
    | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | JSON.map(encode_any)
)
def test_what_is_no_request_is_refused_and_never_worse(body: bytes) -> None:
    with pytest.raises(_core.RequestError) as refusal:
        _core.ChatRequest(body)
    assert refusal.value.code in {"invalid_json", "invalid_type", "missing_field", "duplicate_field"}
    assert 0 <= refusal.value.offset <= len(body)


CHUNKS = [
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    + delta
    + b',"finish_reason":null}]}\r\n\r\n'
    for delta in (
        b'{"role":"assistant","content":""}',
        '{"role":"assistant","reasoning":"想"}'.encode(),
        b'{"content":[{"type":"text","text":"a"}],"tool_calls":null}',
        b'{"tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}',
    )
]
STREAM = (
    b"\xef\xbb\xbf"
    + b": hi\n\n".join(CHUNKS)
    + b'data:{"choices":[{"finish_reason":"stop"}]}\r\rdata: [DONE]'
)


@given(cuts=st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=8), usage=st.booleans())
def test_a_stream_comes_out_the_same_however_it_is_cut(cuts: list[int], *, usage: bool) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in itertools.pairwise(edges)]
    whole = _core.transform([STREAM], include_usage=usage)
    assert whole.endswith(b"data: [DONE]\n\n")
    assert _core.transform(pieces, include_usage=usage) == whole
    assert _core.merge(pieces) == _core.merge([STREAM])
