"""How a stream of Responses ends that could have ended well."""

import json
from typing import Any

import pytest

from llmgw.endpoints.responses import error_frame
from llmgw.errors import ApiError

LATER = ApiError("overloaded", "Later.\n网")
DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":17}\n\n'
)
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": {"reason": "max_output_tokens"},
    "model": "m",
    "output": [{"type": "message"}],
    "usage": {"total_tokens": 3},
    "tools": [],
}


def completed(**more: object) -> bytes:
    event = {"type": "response.completed", "response": RESPONSE | more, "sequence_number": 18}
    return b"event: response.completed\ndata: %b\n\n" % json.dumps(event).encode()


def event_of(frame: bytes) -> dict[str, Any]:
    """The one event of a frame, whose name is its type."""
    head, data = frame.split(b"\ndata: ")
    event: dict[str, Any] = json.loads(data)
    assert head == b"event: " + event["type"].encode()
    assert frame.endswith(b"}\n\n")
    assert frame.count(b"\n") == 3
    return event


def test_the_response_has_failed() -> None:
    """With the number of the first event that was not sent, and nothing of the answer."""
    assert event_of(error_frame(LATER, "req_1", DELTA + completed())) == {
        "type": "response.failed",
        "response": {
            "id": "resp_1",
            "object": "response",
            "status": "failed",
            "error": {"code": "server_error", "message": "Later.\n网"},
            "incomplete_details": None,
            "model": "m",
            "output": [],
            "usage": None,
            "tools": [],
        },
        "sequence_number": 17,
    }


def test_a_number_in_a_tool_s_schema_is_not_the_event_s() -> None:
    tools = [{"parameters": {"properties": {"sequence_number": 5}}}]
    assert event_of(error_frame(LATER, "req_1", completed(tools=tools)))["sequence_number"] == 18


@pytest.mark.parametrize(
    ("block", "number"),
    [
        (b"", 0),
        (b": keep-alive\n\n", 0),
        (DELTA, 17),
        (DELTA + b"event: x\ndata: {\n\n", 17),
        (DELTA + b"event: x\ndata: [1]\n\n", 17),
        (DELTA + completed(output=["x" * 300_000]), 17),
        (b": keep-alive\n\n" + DELTA, 17),
        (completed(output=["x" * 300_000]).replace(b'": ', b'":'), 18),
    ],
)
def test_where_the_end_says_nothing_of_the_response_it_is_an_error(block: bytes, number: int) -> None:
    assert event_of(error_frame(LATER, "req_1", block)) == {
        "type": "error",
        "code": "server_error",
        "message": "Later.\n网",
        "param": None,
        "sequence_number": number,
    }
