"""`POST /v1/messages/count_tokens` at a live gateway."""

import json
from typing import Any

import pytest

from tests.support.gateway import Gateway

PATH = "/v1/messages/count_tokens"
QUESTION = {"role": "user", "content": "What is the weather in Beijing?"}
WORDS = "word " * 400
TOOL = {"name": "f", "description": WORDS, "input_schema": {"type": "object"}}


def body(**more: object) -> dict[str, Any]:
    return {"model": "vendor/qwen3.6-plus", "messages": [QUESTION], **more}


def count(gateway: Gateway, asked: dict[str, Any], path: str = PATH) -> int:
    answer = gateway.post(asked, path=path)
    assert answer.status == 200, answer.body
    assert set(answer.json()) == {"input_tokens"}
    return int(answer.json()["input_tokens"])


def test_field_07_count_tokens_with_a_query(gateway: Gateway) -> None:
    assert count(gateway, body(), f"{PATH}?beta=true") == count(gateway, body()) > 0


def test_field_08_system_tools_and_results_count(gateway: Gateway) -> None:
    bare = count(gateway, body())
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "1", "content": WORDS}
    turn = [QUESTION, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    for more in ({"system": WORDS}, {"tools": [TOOL]}, {"messages": turn}):
        assert count(gateway, {**body(), **more}) >= bare + 400, more


def test_no_upstream_is_asked_and_nothing_is_charged(gateway: Gateway) -> None:
    counted = gateway.post(body(), path=PATH)
    asked = gateway.post(body(max_tokens=9), path="/v1/messages")
    # Rows are written in order: with the later one there, an earlier one would be too.
    row = gateway.ledger(asked.headers["x-request-id"])
    ids = [other["request_id"] for other in gateway.ledger_rows()]
    assert row["request_id"] in ids
    assert counted.headers["x-request-id"] not in ids


def test_a_stream_begins_with_the_same_estimate(gateway: Gateway) -> None:
    asked = body(max_tokens=9, stream=True)
    counted = count(gateway, asked)
    received = gateway.post(asked, path="/v1/messages").body
    first = json.loads(received.split(b"\n\n")[0].split(b"\ndata: ")[1])
    assert first["message"]["usage"]["input_tokens"] == counted


@pytest.mark.parametrize(
    ("name", "asked", "status", "kind"),
    [
        ("no body", {}, 400, "invalid_request_error"),
        ("a wrong type", body(system=1), 400, "invalid_request_error"),
        ("a model that is not there", {**body(), "model": "no-such"}, 404, "not_found_error"),
    ],
)
def test_what_is_refused(gateway: Gateway, name: str, asked: dict[str, Any], status: int, kind: str) -> None:
    answer = gateway.post(asked, path=PATH)
    assert (answer.status, answer.json()["error"]["type"]) == (status, kind), name
    assert answer.json()["type"] == "error"


def test_a_stranger_is_told_nothing(gateway: Gateway) -> None:
    answer = gateway.post(body(), path=PATH, key="sk-stranger")
    assert (answer.status, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert gateway.get(PATH).status == 405
