"""Responses bodies in chat's words, beside a second implementation and a recorded body of Codex."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw._core import ChatRequest
from tests.support.processes import ROOT
from tests.support.responses_reference import CALLS, OUTPUTS, Json, Reference

RECORDED = ROOT.parent / "shared" / "review" / "codex.json"
CORPUS = ROOT / "tests" / "corpus" / "responses"

ids = st.sampled_from(["a", "b", "call_1"])
texts = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
names = st.sampled_from(["f", "exec", "apply_patch", "n__f", "名", "x" * 70])
namespaces = st.sampled_from(["n", "mcp__fs__", "functions", "y" * 60])


def _maybe(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | value


def _object(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[Json]:  # noqa: ANN401
    fixed = {k: v if isinstance(v, st.SearchStrategy) else st.just(v) for k, v in required.items()}
    return st.fixed_dictionaries(fixed, optional=optional)


text_parts = st.sampled_from(["input_text", "output_text"]).flatmap(
    lambda kind: _object({"type": kind, "text": texts})
)
media_parts = st.one_of(
    _object(
        {"type": "input_image", "image_url": texts.filter(bool)},
        detail=_maybe(st.sampled_from(["low", "original"])),
    ),
    _object({"type": "input_image", "file_id": "file_1"}),
    _object({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
    _object({"type": "input_file", "file_data": texts.filter(bool)}, filename=texts.filter(bool)),
    _object({"type": "input_file", "file_url": texts}),
    _object({"type": "input_video"}),
)
contents = texts | st.lists(text_parts | media_parts, max_size=3)
calls = st.one_of(
    _object(
        {"type": "function_call", "call_id": ids, "name": names},
        arguments=texts | st.just({"x": [1, "é\n"]}),
        namespace=_maybe(namespaces),
        id=texts,
    ),
    _object(
        {"type": "custom_tool_call", "call_id": ids, "name": names, "input": texts},
        namespace=_maybe(namespaces),
    ),
    _object(
        {"type": "local_shell_call", "call_id": ids},
        action=st.just({"type": "exec", "command": ["ls", "é"], "env": {}, "user": None}),
    ),
)
outputs = st.one_of(
    st.sampled_from(sorted(OUTPUTS - {"local_shell_call_output"})).flatmap(
        lambda kind: _object({"type": kind}, call_id=ids, output=_maybe(contents))
    ),
    _object({"type": "local_shell_call_output", "id": ids, "output": texts}),
)
items = st.one_of(
    _object({"role": st.sampled_from(["user", "assistant", "system", "developer"]), "content": contents}),
    _object(
        {"type": "message", "role": "assistant", "content": st.lists(text_parts, max_size=2), "id": "msg_1"}
    ),
    calls,
    outputs,
    _object(
        {
            "type": "reasoning",
            "summary": st.lists(_object({"type": "summary_text", "text": texts}), max_size=2),
        },
        content=_maybe(st.lists(_object({"type": "reasoning_text", "text": texts}), max_size=2)),
        encrypted_content=_maybe(texts),
    ),
    _object({"type": st.sampled_from(["web_search_call", "compaction", "item_reference"])}),
)
functions = _object(
    {"type": "function", "name": names},
    description=_maybe(texts),
    parameters=_maybe(st.just({"type": "object", "x": 1.0})),
    strict=_maybe(st.booleans()),
)
customs = _object(
    {"type": "custom", "name": names},
    description=texts,
    format=st.just({"type": "text"}) | _object({"type": "grammar", "syntax": "lark", "definition": texts}),
)
tools = st.one_of(
    functions,
    customs,
    _object(
        {"type": "namespace", "name": namespaces, "tools": st.lists(functions | customs, max_size=3)},
        description=texts,
    ),
    _object({"type": "local_shell"}),
    _object({"type": st.sampled_from(["web_search", "mcp", "tool_search"])}),
)
bodies = _object(
    {"model": "m", "input": texts | st.lists(items, max_size=10)},
    instructions=_maybe(texts),
    tools=_maybe(st.lists(tools, max_size=5)),
    store=st.booleans(),
)


def _converted(body: Json) -> tuple[Json, list[str]]:
    request = ChatRequest.from_responses(json.dumps(body, ensure_ascii=False).encode())
    return cast("Json", json.loads(request.body)), request.dropped


def _comparable(functions: list[Json]) -> list[Json]:
    """Without what a `local_shell` says of itself."""
    return [
        {"function": {"name": tool["function"]["name"]}}
        if "working_directory" in json.dumps(tool["function"].get("parameters"))
        or tool["function"].keys() == {"name"}
        else tool
        for tool in functions
    ]


@given(bodies)
def test_the_conversion_is_that_of_the_reference(body: Json) -> None:
    reference = Reference(body)
    if not reference.messages:
        return
    chat, dropped = _converted(body)
    assert chat["messages"] == reference.messages
    got, expected = _comparable(chat.get("tools", [])), _comparable(reference.tools)
    assert [dict(tool, type="function") for tool in got] == [dict(tool, type="function") for tool in expected]
    assert sorted(dropped) == sorted(reference.dropped)


@given(bodies)
def test_field_38_every_call_has_its_tool_message_right_behind(body: Json) -> None:
    if not Reference(body).messages:
        return
    messages = _converted(body)[0]["messages"]
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            continue
        assert not waiting
        waiting = [call["id"] for call in message.get("tool_calls", [])]
    assert not waiting


@given(st.lists(items, max_size=8), st.lists(items, min_size=1, max_size=5))
def test_a_conversation_that_goes_on_keeps_its_beginning(before: list[Json], after: list[Json]) -> None:
    """Providers keep what they have read, as long as nothing before it changes."""
    before = [*before, {"role": "user", "content": "Go on"}]
    after = [item for item in after if item.get("type") not in OUTPUTS]
    begun = _converted({"model": "m", "input": before})[0]["messages"]
    gone_on = _converted({"model": "m", "input": before + after})[0]["messages"]
    assert gone_on[: len(begun)] == begun


@given(bodies)
def test_no_text_is_lost_without_a_name(body: Json) -> None:
    reference = Reference(body)
    if not reference.messages:
        return
    chat, dropped = _converted(body)
    told = {text for message in chat["messages"] for text in _texts_of(message)}
    whole = "\n".join(told)
    for item in reference.items:
        kind = item["type"]
        if f"input.{kind}" in dropped or kind == "additional_tools":
            continue
        if kind == "reasoning" and item.get("content"):
            continue  # its summary gives way to it
        for text in _texts_of(item):
            assert text in whole, (text, item)


def _texts_of(value: object) -> list[str]:
    """What of an item or a message is text for a model."""
    if isinstance(value, list):
        return [text for entry in value for text in _texts_of(entry)]
    if not isinstance(value, dict):
        return []
    own = [value[name] for name in ("text", "content", "reasoning_content", "output") if name in value]
    strings = [text for text in own if isinstance(text, str)]
    return strings + [text for entry in value.values() for text in _texts_of(entry)]


CODEX = [file.name for file in sorted(CORPUS.glob("*.json"))]


@pytest.mark.parametrize("name", CODEX)
def test_field_35_a_body_of_codex_becomes_a_chat_body(name: str) -> None:
    body = json.loads((CORPUS / name).read_bytes())
    _check_codex(body)


def test_field_35_the_recorded_body_of_codex() -> None:
    if not RECORDED.exists():
        pytest.skip(f"{RECORDED} is missing")
    recorded = json.loads(RECORDED.read_bytes())
    body = recorded["first_request"]["body"]
    body["input"] += recorded["second_request_input_tail"]
    _check_codex(body)
    _check_codex(body | {"input": [recorded["known_model_input_0"], *body["input"]], "tools": None})


def _check_codex(body: Json) -> None:
    reference = Reference(body)
    chat, dropped = _converted(body)
    assert chat["messages"] == reference.messages
    assert [tool["function"]["name"] for tool in chat["tools"]] == [
        tool["function"]["name"] for tool in reference.tools
    ]
    assert set(dropped) <= {"tools.web_search", "text.verbosity", "input.reasoning"}
    assert chat["tool_choice"] == "auto"
    assert {tool["type"] for tool in chat["tools"]} == {"function"}
    assert not any("responses_custom_tool" in json.dumps(tool) for tool in chat["tools"])


def test_the_corpus_has_bodies() -> None:
    assert CODEX
    assert CALLS
    assert Path(CORPUS).is_dir()
