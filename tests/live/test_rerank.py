"""`POST /v1/rerank` over real sockets, in Jina's shape and in Cohere's."""

import json
from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.scripted import ScriptedUpstream, json_answer
from tests.support.simulator import SimulatorProcess

PATH = "/v1/rerank"
MODEL = "qwen3-rerank"
SCRIPTED = "scripted-rerank"
ESTIMATED = pytest.approx(9, abs=4)
"""Tokens of the query and the documents below, which have 36 bytes; corrected by answers that came before."""
DOCUMENTS = ["green tea", "red wine and cheese", "wine"]
JINA: dict[str, Any] = {
    "model": "scripted",
    "object": "list",
    "usage": {"total_tokens": 15},
    "results": [{"index": 2, "relevance_score": 0.90, "document": {"text": "wine"}}],
}
COHERE: dict[str, Any] = {
    "id": "r-1",
    "results": [{"index": 2, "relevance_score": 0.999}],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
}


def ask(script: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"model": SCRIPTED, "query": "wine", "documents": DOCUMENTS, "script": script, **more}


def test_the_simulated_provider_s_own_path(gateway: Gateway, simulator: SimulatorProcess) -> None:
    request = {
        "model": MODEL, "query": "red wine", "documents": DOCUMENTS, "top_n": 2, "return_documents": True
    }  # fmt: skip
    answer = gateway.post(request, path=PATH)
    assert answer.json()["results"] == [
        {"index": 1, "relevance_score": 1.0, "document": {"text": DOCUMENTS[1]}},
        {"index": 2, "relevance_score": 0.5, "document": {"text": DOCUMENTS[2]}},
    ]
    [received] = simulator.requests('"red wine"')
    assert received.path == "/qwen/compatible-api/v1/reranks"
    assert json.loads(received.body) == request
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["prompt_tokens"], row["completion_tokens"], row["api"]) == (
        answer.json()["usage"]["total_tokens"],
        None,
        "rerank",
    )


@pytest.mark.parametrize(
    ("shape", "asked", "prompt_tokens", "source"),
    [
        (JINA, {"top_n": 1, "return_documents": True}, 15, "upstream"),
        (COHERE, {"top_n": 1, "max_tokens_per_doc": 4096}, ESTIMATED, "estimated"),
        (COHERE | {"meta": {"tokens": {"input_tokens": 9}}}, {}, 9, "upstream"),
    ],
    ids=["Jina", "Cohere", "Cohere with tokens"],
)
def test_both_shapes(
    gateway: Gateway,
    scripted: ScriptedUpstream,
    shape: dict[str, Any],
    asked: dict[str, Any],
    prompt_tokens: object,
    source: str,
) -> None:
    script = scripted.script(json_answer(shape))
    answer = gateway.post(ask(script, **asked), path=PATH)
    assert answer.json() == {"object": "list", "model": "scripted", **shape}
    received = scripted.received(script)
    assert received.head.startswith(b"POST /v1/rerank HTTP/1.1\r\n")
    assert json.loads(received.body) == ask(script, **asked) | {"model": "scripted"}
    row = gateway.ledger(answer.headers["x-request-id"])
    expected = {
        "status": 200, "stream": 0, "finish_reason": None, "error_kind": None, "attempts": 1,
        "prompt_tokens": prompt_tokens, "usage_source": source,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_no_byte_changes(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    said = json.dumps(JINA | {"x": [10**30, "\u00e9"]}, indent=1).encode()
    answer = gateway.post(ask(scripted.script(json_answer(said))), path=PATH)
    assert (answer.status, answer.body) == (200, said)


@pytest.mark.parametrize(
    ("request_", "code", "param"),
    [
        ({"documents": ["a"]}, "missing_field", "query"),
        ({"query": "a"}, "missing_field", "documents"),
        ({"query": "a", "documents": "b"}, "invalid_type", "documents"),
        ({"query": ["a"], "documents": ["b"]}, "invalid_type", "query"),
    ],
)
def test_a_wrong_request(gateway: Gateway, request_: dict[str, Any], code: str, param: str) -> None:
    answer = gateway.post({"model": MODEL, **request_}, path=PATH)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)


def test_the_provider_s_refusal(gateway: Gateway) -> None:
    request = {"model": MODEL, "query": "a", "documents": ["b"] * 501}
    answer = gateway.post(request, path=PATH)
    assert (answer.status, answer.error["code"]) == (400, "upstream_error")
    assert "batch size is invalid" in answer.error["message"]


def test_an_answer_that_is_none(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    answer = gateway.post(ask(scripted.script(json_answer([{"index": 0, "score": 1}]))), path=PATH)  # type: ignore[arg-type]
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
