"""What is kept of a conversation, and what is not."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from llmgw.access.key import Key
from llmgw.config import ResponsesConfig
from llmgw.errors import ApiError
from llmgw.reasoning.responses import MAX_KEPT_RESPONSE_BYTES, Responses, open_responses
from llmgw.reasoning.store import MemoryStore

ANN = Key(1, "", "", b"a" * 32, None, datetime.now(UTC), None, None)
BOB = Key(2, "", "", b"b" * 32, None, datetime.now(UTC), None, None)
ITEMS = b'{"role":"user","content":"Hi"}'
MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hé\n"}]}


def response(status: str, output: list[Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"id": "resp_1", "object": "response", "status": status, "output": output, **more}


def whole(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False).encode()


def event(kind: str, told: dict[str, Any], before: bytes = b"") -> bytes:
    data = json.dumps({"type": kind, "response": told}, ensure_ascii=False)
    return before + b"event: %b\ndata: %b\n\n" % (kind.encode(), data.encode())


def kept(items: bytes, block: bytes, *, key: Key = ANN, max_bytes: int = 1 << 26) -> bytes | None:
    """What is found after that, by this key; None: nothing."""

    async def run() -> bytes | None:
        responses = Responses(MemoryStore(ttl_s=60, max_bytes=max_bytes))
        await responses.keep(ANN, items, block)
        try:
            return await responses.items(key, "resp_1")
        except ApiError as error:
            return None if error.code == "previous_response_not_found" else b"another error"

    return asyncio.run(run())


COMPLETED = response("completed", [MESSAGE])
TOGETHER = [json.loads(ITEMS), MESSAGE]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (whole(COMPLETED), TOGETHER),
        (event("response.completed", COMPLETED), TOGETHER),
        (event("response.completed", COMPLETED, b'event: x\ndata: {"type":"x"}\n\n'), TOGETHER),
        (event("response.incomplete", response("incomplete", [MESSAGE])), TOGETHER),
        (whole(response("completed", [])), TOGETHER[:1]),
        (event("response.failed", response("failed", [MESSAGE])), None),
        (event("response.created", response("in_progress", [])), None),
        (b'event: error\ndata: {"type":"error","message":"x"}\n\n', None),
        (b"data: [DONE]\n\n", None),
        (b"", None),
    ],
)
def test_an_answer_that_came_to_its_end_is_kept(block: bytes, expected: list[Any] | None) -> None:
    found = kept(ITEMS, block)
    assert (None if found is None else json.loads(b"[%b]" % found)) == expected


def test_another_key_finds_nothing() -> None:
    assert kept(ITEMS, whole(COMPLETED)) is not None
    assert kept(ITEMS, whole(COMPLETED), key=BOB) is None


def test_what_is_too_long_is_not_kept() -> None:
    room = MAX_KEPT_RESPONSE_BYTES - len(kept(b"", whole(COMPLETED)) or b"") - 1
    assert kept(b"1" * room, whole(COMPLETED)) is not None
    assert kept(b"1" * (room + 1), whole(COMPLETED)) is None


def test_what_all_keep_is_bounded() -> None:
    assert kept(b"1" * 4000, whole(COMPLETED), max_bytes=2000) is None


def test_nothing_is_kept_unless_the_config_says_so() -> None:
    assert open_responses(ResponsesConfig(), None) is None
    assert open_responses(ResponsesConfig(keep_s=60.0), None) is not None
