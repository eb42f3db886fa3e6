"""What limits and prices count of a request, against a count in Python."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw import _core
from tests.support import facts_reference as reference
from tests.support.facts_reference import facts_of

CORPUS = Path(__file__).parents[1] / "corpus" / "fuzz"
TEXT = st.text(max_size=12) | st.sampled_from(["", "text", '\x00\n"\\/', "网关", "😀", "\ud83d", "\ude00x"])
NUMBERS = st.integers(-3, 400) | st.sampled_from([0.5, 7.0, 1e3, -1e300, 10**12, 2**70]) | st.none() | TEXT
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXT | st.sampled_from(sorted(reference.MEDIA)), inner, max_size=3)
    ),
    max_leaves=8,
)
STYLES = st.fixed_dictionaries(
    {"ensure_ascii": st.sampled_from([True]), "indent": st.sampled_from([None, 1])}
) | st.fixed_dictionaries({"separators": st.sampled_from([(",", ":"), (" , ", " : ")])})

PARTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "image_url", "image", "file", "refusal"]) | ANY,
        "text": ANY,
        "image_url": ANY,
        "input_audio": ANY,
        "refusal": TEXT,
    },
)
CALLS = st.fixed_dictionaries(
    {"id": TEXT, "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"])},
    optional={
        "content": ANY | st.lists(PARTS | ANY, max_size=3),
        "tool_calls": st.lists(CALLS, max_size=2) | ANY,
        **dict.fromkeys(("reasoning_content", "reasoning", "refusal", "function_call", "name"), ANY),
        "tool_call_id": TEXT,
    },
)
FORMATS = st.fixed_dictionaries({"type": TEXT}, optional={"json_schema": ANY})
OTHERS = dict.fromkeys(("n", "best_of", "max_output_tokens"), NUMBERS) | {
    "metadata": ANY,
    "functions": ANY,
    "suffix": ANY,
    "stop": TEXT,
}
LIMIT = NUMBERS.filter(lambda value: not isinstance(value, str))
CHAT = st.fixed_dictionaries(
    {"model": TEXT, "messages": st.lists(MESSAGES, min_size=1, max_size=3)},
    optional={
        "tools": st.lists(ANY, max_size=3) | st.none(),
        "response_format": FORMATS | st.none(),
        "max_tokens": LIMIT,
        "max_completion_tokens": LIMIT,
        **OTHERS,
    },
)
COMPLETIONS = st.fixed_dictionaries(
    {"model": TEXT, "prompt": TEXT | st.lists(TEXT | st.integers(0, 9) | ANY, max_size=4)},
    optional={"max_tokens": LIMIT, **OTHERS},
)
EMBEDDINGS = st.fixed_dictionaries(
    {"model": TEXT, "input": TEXT | st.lists(ANY, max_size=4) | st.dictionaries(TEXT, ANY, max_size=3)},
    optional={name: OTHERS[name] for name in ("n", "max_output_tokens", "metadata")},
)
RERANK = st.fixed_dictionaries(
    {"model": TEXT, "query": TEXT | st.dictionaries(TEXT, ANY), "documents": st.lists(ANY, max_size=4)},
    optional={"instruct": ANY, "instruction": TEXT, "top_n": st.integers()},
)


def encode(body: dict[str, Any], style: dict[str, Any]) -> bytes:
    return json.dumps(body, **style).encode("utf-8", "surrogatepass")


@given(body=CHAT, style=STYLES)
def test_a_chat_body_counts_as_python_counts_it(body: dict[str, Any], style: dict[str, Any]) -> None:
    text = encode(body, style)
    assert facts_of(_core.ChatRequest(text)) == reference.chat(text)


@given(body=COMPLETIONS, style=STYLES)
def test_a_batch_of_prompts_counts_whole(body: dict[str, Any], style: dict[str, Any]) -> None:
    text = encode(body | {"functions": None}, style)
    assert facts_of(_core.CompletionRequest(text)) == reference.completion(text)


@given(body=EMBEDDINGS, style=STYLES)
def test_inputs_count_whole(body: dict[str, Any], style: dict[str, Any]) -> None:
    text = encode(body, style)
    assert facts_of(_core.EmbeddingRequest(text)) == reference.retrieval(text, "input")


@given(body=RERANK, style=STYLES)
def test_documents_count_whole(body: dict[str, Any], style: dict[str, Any]) -> None:
    text = encode(body, style)
    assert facts_of(_core.RerankRequest(text)) == reference.retrieval(text, "query", "documents")


def corpus(*folders: str) -> list[bytes]:
    """The saved bodies that Python reads too, and in which no key comes twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            raise ValueError
        return members

    found = []
    for file in sorted(file for folder in folders for file in (CORPUS / folder).iterdir()):
        try:
            json.loads(file.read_bytes(), object_pairs_hook=once)
        except ValueError:
            continue
        found.append(file.read_bytes())
    return found


def test_saved_bodies_count_as_python_counts_them() -> None:
    counted = 0
    for body in corpus("request", "rewrite", "cost"):
        try:
            request = _core.ChatRequest(body)
        except _core.RequestError:
            continue
        assert facts_of(request) == reference.chat(body), body
        counted += 1
    assert counted > 20, "the corpus has shrunk"


@pytest.mark.parametrize(
    ("folder", "convert"),
    [
        ("messages_request", _core.ChatRequest.from_messages),
        ("responses_request", _core.ChatRequest.from_responses),
    ],
)
def test_saved_bodies_of_other_apis_count_as_what_chat_has_of_them(folder: str, convert: Any) -> None:  # noqa: ANN401
    counted = 0
    for body in corpus(folder):
        try:
            request = convert(body)
        except _core.RequestError:
            continue
        assert facts_of(request) == reference.chat(request.body), body
        counted += 1
    assert counted > 5, "the corpus has shrunk"


def test_a_session_of_claude_code_has_its_facts() -> None:
    body = json.loads((Path(__file__).parent / "claude_code_turn.json").read_text("utf-8"))
    request = _core.ChatRequest.from_messages(json.dumps(body).encode())
    said = sum(len(text) for text in strings(body["system"]) + strings(body["messages"]))
    tools = len(json.dumps(body["tools"]))
    assert said * 0.5 + tools * 0.8 < request.facts.text_bytes < said + tools * 1.2
    assert (request.facts.max_output_tokens, request.facts.choices) == (body["max_tokens"], 1)
    # The session is new each time, the device is not.
    assert json.loads(body["metadata"]["user_id"])["device_id"] == request.facts.user


def strings(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list() | tuple():
            return [text for each in value for text in strings(each)]
        case dict():
            return strings(list(value.values()))
    return []


WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
"""Of Unicode; Python's `str.strip` has four controls more."""


@given(
    user=st.text(max_size=150) | st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zs", "L"]), max_size=9)
)
def test_a_user_can_stand_anywhere(user: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "user": user}
    shown = _core.ChatRequest(json.dumps(body).encode()).facts.user
    if shown is None:
        assert not user.strip(WHITE_SPACE)
        return
    assert 0 < len(shown.encode()) <= 128
    # Characters that are newer than Python's table print nevertheless.
    assert all(sign.isprintable() or unicodedata.category(sign) == "Cn" for sign in shown)
    if shown.startswith("sha256:"):
        assert len(shown) == len("sha256:") + 32
    elif not user.startswith(("{", "user_")):
        pairs = zip(user.strip(WHITE_SPACE), shown, strict=True)
        assert all(sign == other or (other == "?" and not sign.isprintable()) for sign, other in pairs)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"input": "hi", "user": "anna", "safety_identifier": "bert"}, "anna"),
        ({"input": "hi", "safety_identifier": "bert"}, "bert"),
        ({"input": "hi", "user": " ", "safety_identifier": "bert"}, "bert"),
        ({"input": "hi"}, None),
    ],
)
def test_the_user_of_a_response(body: dict[str, Any], expected: str | None) -> None:
    request = _core.ChatRequest.from_responses(json.dumps({"model": "m", **body}).encode())
    assert request.facts.user == expected


@pytest.mark.parametrize("metadata", [{}, {"user_id": None}, {"user_id": ""}, {"user_id": "anna"}])
def test_the_user_of_a_message(metadata: dict[str, str]) -> None:
    body = {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
        "metadata": metadata,
    }
    request = _core.ChatRequest.from_messages(json.dumps(body).encode())
    assert request.facts.user == (metadata.get("user_id") or None)
