"""The validator that live tests' answers go through: what it takes, what it finds, what it lets pass."""

import json
from typing import Any

import pytest

from tests.support import schemas, validated
from tests.support.processes import ROOT

COMPLETION: dict[str, Any] = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
CHUNK: dict[str, Any] = {
    "id": "c-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}],
    "usage": None,
}
TEXT_COMPLETION: dict[str, Any] = {
    "id": "c-1",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "text": "Hi", "logprobs": None, "finish_reason": "stop"}],
}
ERROR = {"error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": "invalid_json"}}
MODEL = {"id": "m", "object": "model", "created": 1, "owned_by": "o"}
EMBEDDINGS: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "model": "m",
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
GOOD: dict[str, Any] = {
    schemas.USAGE: {"object": "page", "data": [], "has_more": False, "next_page": None},
    schemas.COMPLETION: COMPLETION,
    schemas.CHUNK: CHUNK,
    schemas.TEXT_COMPLETION: TEXT_COMPLETION,
    schemas.TEXT_CHUNK: {
        **TEXT_COMPLETION,
        "choices": [{"index": 0, "text": "H", "logprobs": None, "finish_reason": None}],
    },
    schemas.EMBEDDINGS: EMBEDDINGS,
    schemas.ERROR: ERROR,
    schemas.MODEL_LIST: {"object": "list", "data": [MODEL]},
    schemas.MODEL: MODEL,
}


def changed(value: dict[str, Any], path: str, new: object) -> dict[str, Any]:
    """A copy with another value at a path such as `choices.0.delta`; `...` takes the member away."""
    copy: dict[str, Any] = json.loads(json.dumps(value))
    *parents, last = path.split(".")
    place: Any = copy
    for parent in parents:
        place = place[int(parent) if parent.isdigit() else parent]
    if new is ...:
        del place[last]
    else:
        place[last] = new
    return copy


@pytest.mark.parametrize("kind", [*schemas.ROOTS, schemas.TEXT_CHUNK])
def test_good_ones_pass(kind: str) -> None:
    assert list(schemas.violations(kind, GOOD[kind])) == []


@pytest.mark.parametrize(
    ("kind", "path", "new", "found"),
    [
        (schemas.COMPLETION, "object", "chat.completion.chunk", "$.object enum"),
        (schemas.TEXT_COMPLETION, "choices.0.finish_reason", None, "$.choices[].finish_reason type"),
        (schemas.TEXT_CHUNK, "choices.0.finish_reason", "over", "$.choices[].finish_reason enum"),
        (schemas.TEXT_CHUNK, "choices.0.text", None, "$.choices[].text type"),
        (schemas.COMPLETION, "created", "now", "$.created type"),
        (schemas.COMPLETION, "choices", None, "$.choices type"),
        (schemas.COMPLETION, "choices.0.finish_reason", None, "$.choices[].finish_reason enum"),
        (schemas.COMPLETION, "choices.0.message.role", "user", "$.choices[].message.role enum"),
        (schemas.COMPLETION, "choices.0.message.content", ..., "$.choices[].message required"),
        (schemas.COMPLETION, "choices.0.message.content", [], "$.choices[].message.content type"),
        (schemas.COMPLETION, "choices.0.message.tool_calls", None, "$.choices[].message.tool_calls type"),
        (
            schemas.COMPLETION,
            "choices.0.message.tool_calls",
            [{"id": "a"}],
            "$.choices[].message.tool_calls[]",
        ),
        (schemas.COMPLETION, "usage.total_tokens", ..., "$.usage required"),
        (schemas.CHUNK, "choices", None, "$.choices type"),
        (schemas.CHUNK, "choices.0.delta", None, "$.choices[].delta type"),
        (schemas.CHUNK, "choices.0.delta.role", "", "$.choices[].delta.role enum"),
        (schemas.CHUNK, "choices.0.finish_reason", "", "$.choices[].finish_reason enum"),
        (schemas.CHUNK, "choices.0.finish_reason", ..., "$.choices[] required"),
        (
            schemas.CHUNK,
            "choices.0.delta.tool_calls",
            [{"id": "a"}],
            "$.choices[].delta.tool_calls[] required",
        ),
        (schemas.CHUNK, "usage", {"prompt_tokens": 1}, "$.usage required"),
        (schemas.CHUNK, "model", ..., "$ required"),
        (schemas.EMBEDDINGS, "data.0.embedding", None, "$.data[].embedding type"),
        (schemas.EMBEDDINGS, "usage", ..., "$ required"),
        (schemas.ERROR, "error.message", None, "$.error.message type"),
        (schemas.ERROR, "error.param", ..., "$.error required"),
        (schemas.ERROR, "error.upstream", "x", "$.error additionalProperties"),
        (schemas.ERROR, "detail", "x", "$ additionalProperties"),
        (schemas.MODEL_LIST, "data.0.owned_by", ..., "$.data[] required"),
        (schemas.MODEL_LIST, "data.0.root", "x", "$.data[] additionalProperties"),
        (schemas.MODEL_LIST, "data.0.context_length", None, "$.data[].context_length type"),
        (schemas.MODEL, "modalities", {"input": ["smell"]}, "$.modalities.input[] enum"),
        (schemas.MODEL_LIST, "object", "models", "$.object enum"),
        (schemas.MODEL, "created", "now", "$.created type"),
    ],
)
def test_bad_ones_do_not(kind: str, path: str, new: object, found: str) -> None:
    faults = schemas.faults(kind, changed(GOOD[kind], path, new))
    assert faults
    assert any(fault.startswith(found) for fault in faults), faults


@pytest.mark.parametrize(
    ("schema", "rewritten"),
    [
        ({"type": "string"}, {"type": "string"}),
        ({"type": "string", "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"nullable": True, "$ref": "#/x"}, {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]}),
        ({"nullable": True, "enum": ["a"]}, {"anyOf": [{"enum": ["a"]}, {"type": "null"}]}),
        (
            {"properties": {"a": {"type": "integer", "nullable": True}}},
            {"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}},
        ),
        (
            {"properties": {"nullable": {"type": "boolean"}}},
            {"properties": {"nullable": {"type": "boolean"}}},
        ),
        ({"allOf": [{"nullable": True}]}, {"allOf": [{"anyOf": [{}, {"type": "null"}]}]}),
    ],
)
def test_nullable_is_rewritten(schema: Any, rewritten: Any) -> None:  # noqa: ANN401 - any JSON value
    assert schemas.for_2020_12(schema) == rewritten


def test_nothing_nullable_is_left() -> None:
    assert '"nullable": true' not in json.dumps(schemas.components(), default=str)


FRAME = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
BAD_FRAME = b"data: " + json.dumps(changed(CHUNK, "choices", None)).encode() + b"\n\n"
ERROR_FRAME = b"data: " + json.dumps(ERROR, separators=(",", ":")).encode() + b"\n\n"
BAD_ERROR_FRAME = b'data: {"error":{"message":"No."}}\n\n'
CHAT = "/v1/chat/completions"
SSE = "text/event-stream; charset=utf-8"
JSON = "application/json"


@pytest.mark.parametrize(
    ("path", "status", "content_type", "body", "whole", "good"),
    [
        (CHAT, 200, SSE, b": keep-alive\n\n" + FRAME + b"data: [DONE]\n\n", True, True),
        (CHAT, 200, SSE, FRAME + ERROR_FRAME, True, True),
        (CHAT, 200, SSE, FRAME + BAD_FRAME + FRAME, True, False),
        (CHAT, 200, SSE, FRAME + BAD_ERROR_FRAME, True, False),
        (CHAT, 200, SSE, b"data: nonsense\n\n", True, False),
        (CHAT, 200, SSE, FRAME + FRAME[:20], False, True),
        (CHAT, 200, SSE, BAD_FRAME + FRAME[:20], False, False),
        (CHAT, 200, JSON, json.dumps(COMPLETION).encode(), True, True),
        (CHAT, 200, JSON, json.dumps(CHUNK).encode(), True, False),
        (CHAT, 200, JSON, b'{"id', False, True),
        (CHAT, 400, JSON, json.dumps(ERROR).encode(), True, True),
        (CHAT, 400, JSON, json.dumps(COMPLETION).encode(), True, False),
        (CHAT, 502, "text/html", b"<html>", True, False),
        ("/healthz", 405, JSON, b"{}", True, False),
        ("/readyz", 405, JSON, b"{}", True, False),
        ("/readyz", 503, JSON, b'{"status": "unavailable"}', True, True),
        ("/v1/models", 200, JSON, json.dumps(GOOD[schemas.MODEL_LIST]).encode(), True, True),
        ("/v1/models", 200, JSON, json.dumps(MODEL).encode(), True, False),
        ("/v1/models/a/b", 200, JSON, json.dumps(MODEL).encode(), True, True),
        ("/v1/models/a/b", 200, JSON, json.dumps(COMPLETION).encode(), True, False),
        ("/v1/model-catalog", 200, JSON, b"{}", True, True),
    ],
)
def test_answers_are_validated_as_what_they_are(
    path: str,
    status: int,
    content_type: str,
    body: bytes,
    whole: bool,  # noqa: FBT001
    good: bool,  # noqa: FBT001
) -> None:
    validated.note(path, status, content_type, body, whole=whole)
    noted = validated.take()
    assert (noted == []) is good, noted
    assert all(line.startswith(f"{path}, as ") for line in noted)


def test_the_page_lists_the_differences() -> None:
    page = (ROOT / "tests" / "schemas" / "README.md").read_text("utf-8")
    table = page.split("## Violations that are allowed")[1].split("## ")[0]
    named = [
        name.strip(" `") for row in table.splitlines()[7:] if row for name in row.split("|")[1].split(",")
    ]
    assert named == [known.name for known in schemas.DIFFERENCES]
