"""What tells a conversation from others: the same for all turns, spellings and APIs."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw._core import ChatRequest

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.builds(lambda sign, times: sign * times, st.sampled_from("aé你😀"), st.integers(1000, 4200)),
)
"""The longer ones are about as long as what is read of one."""
BILLING = "x-anthropic-billing-header: cc_version=2.1.332; cch=0a1b2;"


def chat(messages: list[dict[str, Any]], **spelling: Any) -> ChatRequest:  # noqa: ANN401 - of json.dumps
    return ChatRequest(json.dumps({"model": "m", "messages": messages}, **spelling).encode())


def turned(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same with the members of its objects in the other order."""
    if isinstance(value, dict):
        return {name: turned(inner) for name, inner in reversed(value.items())}
    return [turned(inner) for inner in value] if isinstance(value, list) else value


def parts(text: str, url: str | None = None) -> list[dict[str, Any]]:
    """With a mark, which a client puts elsewhere in the next turn."""
    mark = {"cache_control": {"type": "ephemeral"}}
    found: list[dict[str, Any]] = [{"type": "text", "text": text, **mark}]
    if url is not None:
        found.append({"type": "image_url", "image_url": {"url": url, "detail": "low"}})
    return found


@settings(deadline=None)
@given(
    TEXTS,
    TEXTS,
    st.none() | TEXTS,
    st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), TEXTS)),
)
def test_every_turn_and_every_spelling(
    system: str, first: str, url: str | None, turns: list[tuple[str, str]]
) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": system},
        {"role": "user", "content": parts(first, url)},
    ]
    digest = chat(messages).opening_digest()
    assert digest is not None
    messages += [{"role": role, "content": text} for role, text in turns]
    assert chat(messages).opening_digest() == digest
    assert chat(messages, ensure_ascii=False, indent=1).opening_digest() == digest
    assert chat(turned(messages), separators=(",", ":")).opening_digest() == digest
    messages[0] = {"content": parts(system), "role": "developer", "name": "x"}
    assert chat(messages).opening_digest() == digest


@settings(deadline=None)
@given(TEXTS.filter(str.strip), TEXTS.filter(str.strip), TEXTS.filter(str.strip))
def test_all_apis_tell_the_same(system: str, first: str, answer: str) -> None:
    said = [("user", first), ("assistant", answer), ("user", "Go on")]
    turns = [{"role": role, "content": text} for role, text in said]
    expected = chat([{"role": "system", "content": system}, *turns]).opening_digest()
    messages = {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": BILLING}, {"type": "text", "text": system}],
        "messages": turns,
    }
    assert ChatRequest.from_messages(json.dumps(messages).encode()).opening_digest() == expected
    responses = {"model": "m", "instructions": system, "input": turns}
    assert ChatRequest.from_responses(json.dumps(responses).encode()).opening_digest() == expected


def test_what_changes_each_time_does_not_count() -> None:
    def asked(system: str) -> int | None:
        return chat(
            [{"role": "system", "content": system}, {"role": "user", "content": "Hi"}]
        ).opening_digest()

    assert asked(f"{BILLING}\nBe brief.") == asked("Be brief.") != asked("Be long.")
    assert asked("y" * 4096 + "12:00") == asked("y" * 4096 + "12:01")
    assert asked("y" * 4095 + "1") != asked("y" * 4095 + "2")


@pytest.mark.parametrize(
    ("body", "cache_key", "session"),
    [
        ({"prompt_cache_key": "k"}, "k", None),
        ({"prompt_cache_key": "k" * 257}, None, None),
        ({"prompt_cache_key": ""}, None, None),
        ({"prompt_cache_key": ["k"]}, None, None),
        ({"user": "anna"}, None, None),
        ({"user": "user_1f_account__session_9-a"}, None, "9-a"),
    ],
)
def test_what_a_client_calls_it(body: dict[str, Any], cache_key: str | None, session: str | None) -> None:
    hi = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    request = ChatRequest(json.dumps({**hi, **body}).encode())
    assert (request.prompt_cache_key, request.client_session) == (cache_key, session)


def test_the_other_apis_name_it_too() -> None:
    user = json.dumps({"device_id": "d", "account_uuid": "", "session_id": "s-1"})
    turns = [{"role": "user", "content": "Hi"}]
    messages = {"model": "m", "max_tokens": 9, "messages": turns, "metadata": {"user_id": user}}
    assert ChatRequest.from_messages(json.dumps(messages).encode()).client_session == "s-1"
    responses = {"model": "m", "input": "Hi", "prompt_cache_key": "k"}
    assert ChatRequest.from_responses(json.dumps(responses).encode()).prompt_cache_key == "k"
