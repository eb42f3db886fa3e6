"""How large an event and an answer of an upstream may be is the operator's to say."""

from collections.abc import Iterator

import pytest

from tests.support.chat import body, streamed
from tests.support.gateway import Gateway
from tests.support.scripted import EVENT_STREAM_HEAD, ScriptedUpstream, json_answer

pytestmark = pytest.mark.alone

CONFIG = """
[store]
url = "sqlite:///gateway.db"

[upstreams.small]
base_url = "{url}"
max_event_bytes = 65536
max_answer_bytes = 131072

[[models]]
id = "small"
upstream = "small"

[[models]]
id = "merged"
upstream = "small"
upstream_stream = "always"
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway whose upstream may say little."""
    with Gateway(tmp_path_factory.mktemp("small"), CONFIG.format(url=scripted.base_url)) as gateway:
        yield gateway


def events(*sizes: int) -> bytes:
    """A stream of events with contents of these sizes."""
    choice = b'{"index":0,"delta":{"content":"%b"},"finish_reason":null}'
    chunks = [b'data: {"choices":[%b]}\n\n' % (choice % (b"a" * size)) for size in sizes]
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    return EVENT_STREAM_HEAD + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*chunks, end, b""))


@pytest.mark.parametrize(("size", "passes"), [(60_000, True), (70_000, False)])
def test_an_event(small: Gateway, scripted: ScriptedUpstream, size: int, *, passes: bool) -> None:
    answer = small.post(streamed("small", script=scripted.script(events(10, size))))
    assert (b"[DONE]" in answer.body) is passes
    assert (b'"error"' in answer.body) is not passes
    row = small.ledger(answer.headers["x-request-id"])
    assert row["error_kind"] == (None if passes else "event_too_large")


@pytest.mark.parametrize(("number", "status"), [(2, 200), (3, 502)])
def test_a_merged_answer(small: Gateway, scripted: ScriptedUpstream, number: int, status: int) -> None:
    script = scripted.script(events(*[50_000] * number))
    assert small.post(body("merged", script=script)).status == status


@pytest.mark.parametrize(("size", "status"), [(100_000, 200), (140_000, 502)])
def test_a_whole_answer(small: Gateway, scripted: ScriptedUpstream, size: int, status: int) -> None:
    message = {"role": "assistant", "content": "a" * size}
    completion = {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    assert small.post(body("small", script=scripted.script(json_answer(completion)))).status == status
