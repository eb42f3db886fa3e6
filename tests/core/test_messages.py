"""A Messages body in chat's words: the Rust conversion against a plain one in Python."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmgw import _core
from tests.support.messages_reference import chat_body

CLAUDE_CODE = Path("/work/shared/review/claude-code.json")
OWN = Path(__file__).parent / "claude_code_turn.json"
"""A third turn of a coding session, as Claude Code writes it: ours, with texts made up."""

TEXT = st.text(max_size=12) | st.sampled_from(["", "error", "x-anthropic-billing-header: a", "Error: no"])
IDS = st.sampled_from(["1", "2", "3"])
MARK = {"type": "ephemeral"}


def block(
    kind: str,
    optional: dict[str, st.SearchStrategy[Any]] | None = None,
    **members: st.SearchStrategy[Any],
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.just(kind), **members}, optional={"cache_control": st.just(MARK), **(optional or {})}
    )


TEXTS = block("text", text=TEXT)
SOURCE = st.one_of(
    st.fixed_dictionaries({"type": st.just("base64"), "media_type": st.just("image/png"), "data": TEXT}),
    st.fixed_dictionaries({"type": st.just("url"), "url": TEXT}),
    st.fixed_dictionaries({"type": st.just("file"), "file_id": TEXT}),
)
IMAGES = block("image", source=SOURCE)
DOCUMENTS = block(
    "document",
    {"title": TEXT, "context": TEXT},
    source=st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("base64"), "media_type": st.just("application/pdf"), "data": TEXT}
        ),
        st.fixed_dictionaries({"type": st.just("text"), "media_type": st.just("text/plain"), "data": TEXT}),
        st.fixed_dictionaries(
            {"type": st.just("content"), "content": TEXT | st.lists(TEXTS | IMAGES, max_size=2)}
        ),
        st.fixed_dictionaries({"type": st.just("url"), "url": TEXT}),
    ),
)
FOUND = block("search_result", title=TEXT, source=TEXT, content=st.lists(TEXTS, max_size=2))
UNKNOWN = block("container_upload", file_id=TEXT)
INSIDE = st.one_of(TEXTS, IMAGES, DOCUMENTS, FOUND, UNKNOWN)
RESULTS = block(
    "tool_result",
    {"content": TEXT | st.none() | st.lists(INSIDE, max_size=3), "is_error": st.booleans()},
    tool_use_id=IDS,
)
CALLS = block("tool_use", id=IDS, name=TEXT, input=st.dictionaries(TEXT, TEXT | st.integers(), max_size=2))
THINKING = block("thinking", thinking=TEXT, signature=TEXT)
MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {"role": st.just("user"), "content": TEXT | st.lists(INSIDE | RESULTS, max_size=4)}
    ),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": TEXT | st.lists(TEXTS | THINKING | CALLS, max_size=4)}
    ),
    st.fixed_dictionaries({"role": st.just("system"), "content": TEXT | st.lists(TEXTS, max_size=2)}),
)
TOOLS = st.one_of(
    st.fixed_dictionaries(
        {"name": TEXT},
        optional={
            "description": TEXT,
            "input_schema": st.just({"type": "object"}),
            "strict": st.booleans(),
            "type": st.just("custom"),
            "defer_loading": st.just(True),  # noqa: FBT003
            "cache_control": st.just(MARK),
        },
    ),
    st.fixed_dictionaries({"type": st.just("web_search_20250305"), "name": TEXT}),
)
FORMAT = st.fixed_dictionaries({"type": st.just("json_schema"), "schema": st.just({"type": "object"})})
BODIES = st.fixed_dictionaries(
    {"model": TEXT, "messages": st.lists(MESSAGES, min_size=1, max_size=6)},
    optional={
        "system": TEXT | st.lists(TEXTS, max_size=3),
        "tools": st.lists(TOOLS, max_size=3),
        "tool_choice": st.fixed_dictionaries(
            {"type": st.sampled_from(["auto", "any", "none", "tool"]), "name": TEXT},
            optional={"disable_parallel_tool_use": st.booleans()},
        ),
        "stop_sequences": st.lists(TEXT, max_size=2),
        "stop": TEXT,
        "metadata": st.fixed_dictionaries({}, optional={"user_id": TEXT}),
        "user": TEXT,
        "thinking": st.fixed_dictionaries({"type": st.sampled_from(["enabled", "adaptive", "disabled"])}),
        "llmgw_thinking": st.booleans(),
        "output_config": st.fixed_dictionaries({}, optional={"effort": TEXT, "format": FORMAT}),
        "output_format": FORMAT,
        "max_tokens": st.integers(1, 9),
        "top_k": st.integers(1, 9) | st.none(),
        "stream": st.booleans() | st.none(),
        "container": TEXT,
    },
)


def converted(body: dict[str, Any], *, ensure_ascii: bool = True) -> dict[str, Any]:
    """The chat body that the core makes, arguments of calls read."""
    text = json.dumps(body, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass")
    chat = json.loads(_core.ChatRequest.from_messages(text).body)
    for message in chat["messages"]:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return dict(chat)


LINKED: dict[str, Any] = {
    "type": "document",
    "title": "T",
    "context": "C",
    "source": {"type": "url", "url": "u"},
}


BILLED = {"role": "system", "content": "x-anthropic-billing-header: a"}


@example(body={"model": "m", "messages": [{"role": "user", "content": [LINKED]}]}, ascii_only=False)
@example(body={"model": "m", "system": "hello", "messages": [BILLED]}, ascii_only=False)
@example(
    body={"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "t"}, LINKED]}]},
    ascii_only=False,
)
@given(body=BODIES, ascii_only=st.booleans())
def test_the_conversion_is_the_reference_s(body: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001
    asked = chat_body({name: value for name, value in body.items() if name != "system"})["messages"]
    if not asked:  # a prompt alone is no request
        with pytest.raises(_core.RequestError):
            converted(body)
    else:
        assert converted(body, ensure_ascii=ascii_only) == chat_body(body)


def test_a_session_of_claude_code() -> None:
    body = json.loads(OWN.read_text("utf-8"))
    assert converted(body) == chat_body(body)
    request = _core.ChatRequest.from_messages(json.dumps(body).encode())
    assert request.dropped == ["tools.defer_loading", "thinking.budget_tokens", "context_management"]


def test_a_recorded_request_of_claude_code() -> None:
    if not CLAUDE_CODE.exists():
        pytest.skip(f"{CLAUDE_CODE} is not on this machine")
    body = json.loads(CLAUDE_CODE.read_text("utf-8"))["first_request"]["body"]
    assert converted(body) == chat_body(body)


def test_field_14_and_16_the_prefix_of_a_session_stays() -> None:
    """Claude Code's billing line changes with each request, and its marks move."""
    body = json.loads(OWN.read_text("utf-8"))
    later = json.loads(
        json.dumps(body)
        .replace("cch=1a2b3", "cch=9z8y7")
        .replace(', "cache_control": {"type": "ephemeral"}', "")
    )
    assert later != body
    assert _core.ChatRequest.from_messages(json.dumps(later).encode()).body == (
        _core.ChatRequest.from_messages(json.dumps(body).encode()).body
    )
