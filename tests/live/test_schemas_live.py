"""Each deliberate difference from OpenAI's schemas occurs; one that no longer does has to go from the list.

That all other answers fit is the fixture `answers_fit_the_schemas` in tests/conftest.py, for every test.
"""

import json
from typing import Any

import pytest

from tests.support import schemas
from tests.support.chat import body, streamed
from tests.support.gateway import Gateway
from tests.support.scripted import ScriptedUpstream, event_stream, json_answer

ONE_CHUNK: dict[str, Any] = {
    "id": "c-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "scripted",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}
ONE_COMPLETION: dict[str, Any] = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "scripted",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
}
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
SAID: dict[str, dict[str, Any]] = {
    "system_fingerprint": {"system_fingerprint": None},
    "service_tier": {"service_tier": ""},
    "prompt_tokens_details": {"usage": {**USAGE, "prompt_tokens_details": None}},
    "completion_tokens_details": {"usage": {**USAGE, "completion_tokens_details": None}},
}
"""What an upstream says beside the good members."""


def found(kind: str, value: Any) -> set[str]:  # noqa: ANN401 - any JSON value
    """Names of the differences in one value, which has no other fault."""
    assert schemas.faults(kind, value) == []
    known = [schemas.difference(kind, violation) for violation in schemas.violations(kind, value)]
    return {difference.name for difference in known if difference is not None}


@pytest.mark.parametrize("name", SAID)
def test_in_completions(gateway: Gateway, scripted: ScriptedUpstream, name: str) -> None:
    script = scripted.script(json_answer(ONE_COMPLETION | SAID[name]))
    answer = gateway.post(body("scripted", script=script))
    assert found(schemas.COMPLETION, answer.json()) == {name}


@pytest.mark.parametrize("name", SAID)
def test_in_chunks(gateway: Gateway, scripted: ScriptedUpstream, name: str) -> None:
    last = {**ONE_CHUNK, "choices": [], "usage": USAGE} | SAID[name]
    frames = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in (ONE_CHUNK, last))
    script = scripted.script(*event_stream(frames + b"data: [DONE]\n\n"))
    answer = gateway.post(streamed("scripted", include_usage=True, script=script))
    *_, usage_frame, done, _ = answer.body.split(b"\n\n")
    assert done == b"data: [DONE]"
    assert found(schemas.CHUNK, json.loads(usage_frame.removeprefix(b"data: "))) == {name}


@pytest.mark.parametrize(("name", "place"), [("refusal", "message"), ("logprobs", "choice")])
def test_absent_in_completions(gateway: Gateway, scripted: ScriptedUpstream, name: str, place: str) -> None:
    said = json.loads(json.dumps(ONE_COMPLETION))
    [choice] = said["choices"]
    del (choice if place == "choice" else choice["message"])[name]
    answer = gateway.post(body("scripted", script=scripted.script(json_answer(said))))
    assert found(schemas.COMPLETION, answer.json()) == {name}


def test_an_embedding_in_base64(gateway: Gateway) -> None:
    request = {"model": "text-embedding-v4", "input": "a", "encoding_format": "base64"}
    answer = gateway.post(request, path="/v1/embeddings")
    assert found(schemas.EMBEDDINGS, answer.json()) == {"embedding"}


def test_every_difference_is_exercised_above() -> None:
    assert {*SAID, "refusal", "logprobs", "embedding"} == {known.name for known in schemas.DIFFERENCES}


def test_reasoning_is_a_further_member_of_deltas_only(gateway: Gateway) -> None:
    frames = gateway.post(streamed("glm-5")).body.split(b"\n\n")
    chunks = [json.loads(frame.removeprefix(b"data: ")) for frame in frames if frame.startswith(b"data: {")]
    assert any("reasoning_content" in choice["delta"] for chunk in chunks for choice in chunk["choices"])
    [choice] = gateway.post(body("glm-5")).json()["choices"]
    assert "reasoning_content" not in choice["message"]
    known = schemas.components()["ChatCompletionStreamResponseDelta"]["properties"]
    assert "reasoning_content" not in known, "OpenAI has it now: it is no difference any more"


def test_the_models(gateway: Gateway) -> None:
    listed = gateway.get("/v1/models").json()
    assert found(schemas.MODEL_LIST, listed) == set()
    assert found(schemas.MODEL, gateway.get(f"/v1/models/{listed['data'][0]['id']}").json()) == set()


def test_errors(gateway: Gateway) -> None:
    assert found(schemas.ERROR, gateway.post(b"{").json()) == set()
    broken = gateway.post(streamed("glm-5", simulate={"error_after_chunks": 3})).body
    *_, last, _ = broken.split(b"\n\n")
    assert found(schemas.ERROR, json.loads(last.removeprefix(b"data: "))) == set()
