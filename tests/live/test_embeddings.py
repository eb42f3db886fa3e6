"""`POST /v1/embeddings` over real sockets: the openai SDK, vectors in both forms, the pipeline around it."""

import asyncio
import base64
import json
import struct
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import CreateEmbeddingResponse

from llmgw.simulator.retrieval import vector
from tests.support.gateway import Gateway, config_text
from tests.support.scripted import ScriptedUpstream, json_answer
from tests.support.simulator import SimulatorProcess

PATH = "/v1/embeddings"
MODEL = "text-embedding-v4"
SCRIPTED = "scripted-embedding"
USAGE = {"prompt_tokens": 3, "total_tokens": 3}
Vector = list[float] | str


def packed(numbers: list[float]) -> str:
    """Base64 of little-endian floats, by Python's own libraries."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def as_floats(numbers: list[float]) -> list[float]:
    """What is left of them in 32 bits."""
    return list(struct.unpack(f"<{len(numbers)}f", struct.pack(f"<{len(numbers)}f", *numbers)))


def listed(*vectors: Vector, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(vectors)]
    return {"object": "list", "data": data, "model": "scripted", "usage": USAGE, **more}


def ask(script: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"model": SCRIPTED, "input": "a", "script": script, **more}


# Against the simulated DashScope, which knows floats only.


@pytest.mark.parametrize(
    "texts", ["one text", ["one text"], ["a", "b", "很好"]], ids=["text", "list", "lists"]
)
def test_the_sdk_asks_for_base64_by_default(openai_client: OpenAI, texts: str | list[str]) -> None:
    answer = openai_client.embeddings.create(model=MODEL, input=texts)
    expected = [vector(text, 1024) for text in ([texts] if isinstance(texts, str) else texts)]
    assert [each.embedding for each in answer.data] == [as_floats(numbers) for numbers in expected]
    assert [each.index for each in answer.data] == list(range(len(expected)))
    assert (answer.object, answer.model) == ("list", MODEL)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


def test_the_upstream_is_asked_for_floats_and_the_client_gets_base64(
    gateway: Gateway, simulator: SimulatorProcess
) -> None:
    request = {"model": MODEL, "input": "asked for floats", "encoding_format": "base64", "dimensions": 64}
    answer = gateway.post(request, path=PATH)
    [item] = answer.json()["data"]
    assert item["embedding"] == packed(vector("asked for floats", 64))
    received = simulator.request("asked for floats")
    assert received.path == "/qwen/v1/embeddings"
    assert json.loads(received.body) == request | {"encoding_format": "float"}


def test_floats_come_as_they_are(gateway: Gateway, openai_client: OpenAI) -> None:
    answer = openai_client.embeddings.create(
        model=MODEL, input="floats", dimensions=256, encoding_format="float"
    )
    assert answer.data[0].embedding == vector("floats", 256)
    plain = gateway.post({"model": MODEL, "input": "floats", "dimensions": 256}, path=PATH)
    assert plain.json()["data"][0]["embedding"] == vector("floats", 256)


def test_the_async_sdk(async_openai_client: AsyncOpenAI) -> None:
    async def ask_it() -> CreateEmbeddingResponse:
        async with async_openai_client as client:
            return await client.embeddings.create(model=MODEL, input=["x", "y"], dimensions=64)

    answer = asyncio.run(ask_it())
    assert [each.embedding for each in answer.data] == [as_floats(vector(text, 64)) for text in "xy"]


def test_what_the_provider_refuses_is_told(gateway: Gateway, openai_client: OpenAI) -> None:
    for wrong, told in (
        ({"input": [str(number) for number in range(11)]}, "batch size is invalid"),
        ({"input": "a", "dimensions": 65}, "dimension 65"),
        ({"input": [[1, 2, 3]]}, "neither str nor list of str"),
    ):
        with pytest.raises(openai.BadRequestError, match=told) as caught:
            openai_client.embeddings.create(model=MODEL, **wrong)
        assert caught.value.code == "upstream_error"
    metric = f'llmgw_requests_total{{api="embeddings",model="{MODEL}",status="400"}}'
    assert gateway.metric(metric) >= 3


# Against an upstream that says what a test wrote.

SOME = [0.1, -2.5, 1.0, 3e-8]
CONVERSIONS: dict[str, tuple[str | None, Vector, Vector]] = {
    # name ⇒ what the client asks for, what the upstream sends, what the client gets
    "base64 as asked": ("base64", packed(SOME), packed(SOME)),
    "the wish was ignored": ("base64", SOME, packed(SOME)),
    "nobody asked for base64": ("float", packed(SOME), [0.1, -2.5, 1.0, 3e-8]),
    "floats as asked": ("float", SOME, SOME),
    "nothing asked": (None, packed(SOME), packed(SOME)),
    "a format of the upstream's": ("int8", [1, 2], [1, 2]),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_vector_comes_in_the_form_that_was_asked_for(
    gateway: Gateway, scripted: ScriptedUpstream, name: str
) -> None:
    wanted, sent, expected = CONVERSIONS[name]
    script = scripted.script(json_answer(listed(sent, sent)))
    request = ask(script) if wanted is None else ask(script, encoding_format=wanted)
    answer = gateway.post(request, path=PATH)
    assert answer.json() == listed(expected, expected)
    assert json.loads(scripted.received(script).body) == request | {"model": "scripted"}


def test_tokens_pass_and_no_byte_changes(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    said = json.dumps(listed([0.25], x=[10**30, "\u00e9"]), indent=1).encode()
    script = scripted.script(json_answer(said))
    request = (
        f'{{"input": [[1, 2e0], [3]],"model" : "{SCRIPTED}",  "script":"{script}","user":"\\u0061", "z":1E5}}'
    ).encode()
    answer = gateway.post(request, path=PATH)
    assert (answer.status, answer.body) == (200, said)
    received = scripted.received(script)
    assert received.head.startswith(b"POST /v1/embeddings HTTP/1.1\r\n")
    assert received.body == request.replace(SCRIPTED.encode(), b"scripted")


def test_the_row_of_an_answer(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    attempts = 'llmgw_upstream_attempts_total{account="",outcome="ok",upstream="scripted"}'
    before = gateway.metric(attempts)
    answer = gateway.post(ask(scripted.script(json_answer(listed([1.0])))), path=PATH)
    row = gateway.ledger(answer.headers["x-request-id"])
    expected = {
        "status": 200, "model": SCRIPTED, "upstream": "scripted", "stream": 0, "finish_reason": None,
        "error_kind": None, "prompt_tokens": 3, "completion_tokens": None, "usage_source": "upstream",
        "thinking_asked": None, "attempts": 1, "attempt_errors": None, "api": "embeddings",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert gateway.metric(attempts) == before + 1


FAILURES: dict[str, tuple[bytes, int, str, str]] = {
    "an error in a 200": (
        json_answer({"error": {"message": "input is too long", "code": "InvalidParameter"}}),
        400,
        "upstream_error",
        "input is too long",
    ),
    "a status": (
        json_answer({"error": {"message": "not so fast"}}, status="429 Too Many Requests"),
        429,
        "upstream_rate_limited",
        "",
    ),
    "a chat completion": (
        json_answer({"choices": [{"message": {"content": "a"}}]}),
        502,
        "upstream_error",
        "",
    ),
    "base64 of nothing": (json_answer(listed("AAA=")), 502, "upstream_error", ""),
    "events": (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: {}\n\n",
        502,
        "upstream_error",
        "",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_answer_that_is_none(gateway: Gateway, scripted: ScriptedUpstream, name: str) -> None:
    said, status, code, told = FAILURES[name]
    answer = gateway.post(ask(scripted.script(said), encoding_format="float"), path=PATH)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert told in answer.error["message"]
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["status"], row["error_kind"] is None, row["prompt_tokens"]) == (status, False, None)


@pytest.mark.parametrize(
    ("path", "model", "request_", "told"),
    [
        (PATH, "qwen3-max", {"input": "a"}, "is a chat model: use POST /v1/chat/completions"),
        (PATH, "qwen3-rerank", {"input": "a"}, "is a rerank model: use POST /v1/rerank"),
        ("/v1/chat/completions", MODEL, {"messages": [{}]}, "is an embedding model: use POST /v1/embeddings"),
        ("/v1/completions", MODEL, {"prompt": "a"}, "is an embedding model: use POST /v1/embeddings"),
        ("/v1/completions", "qwen3-rerank", {"prompt": "a"}, "is a rerank model: use POST /v1/rerank"),
        ("/v1/responses", MODEL, {"input": "a"}, "is an embedding model: use POST /v1/embeddings"),
        ("/v1/rerank", MODEL, {"query": "a", "documents": []}, "use POST /v1/embeddings"),
        ("/v1/rerank", "glm-5", {"query": "a", "documents": []}, "use POST /v1/chat/completions"),
    ],
)
def test_a_model_of_another_kind(
    gateway: Gateway, path: str, model: str, request_: dict[str, Any], told: str
) -> None:
    answer = gateway.post({"model": model, **request_}, path=path)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "wrong_api", "model")
    assert told in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["model"], row["attempts"], row["error_kind"]) == (model, 0, "wrong_api")


def test_the_lists_tell_the_kind(gateway: Gateway) -> None:
    for path in ("/v1/models", "/v1/model-catalog"):
        kinds = {entry["id"]: entry["kind"] for entry in gateway.get(path).json()["data"]}
        assert (kinds[MODEL], kinds["qwen3-rerank"], kinds["glm-5"]) == ("embedding", "rerank", "chat")
    entry = gateway.get(f"/v1/model-catalog/{MODEL}").json()
    assert (entry["family"], entry["modalities"]["output"]) == ("qwen", ["embeddings"])
    assert entry["thinking"] == {"dialect": "native", "switch_effective": False, "modes": ["off"]}
    assert not any(entry["capabilities"].values())


def two_targets(simulator: SimulatorProcess, scripted: ScriptedUpstream) -> str:
    """A config with a model that the scripted upstream embeds, or else the simulated one."""
    return (
        '[store]\nurl = "sqlite:///gateway.db"\n'
        f'[upstreams.first]\nbase_url = "{scripted.base_url}"\n'
        f'[upstreams.second]\nbase_url = "{simulator.url}/qwen/v1"\napi_key = "sim-qwen"\n'
        '[[models]]\nid = "m"\nkind = "embedding"\n'
        '[[models.targets]]\nupstream = "first"\nupstream_model = "scripted"\n'
        f'[[models.targets]]\nupstream = "second"\nupstream_model = "{MODEL}"\npriority = 2\n'
    )


def test_a_second_target_answers_in_the_same_form(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    with Gateway(tmp_path, two_targets(simulator, scripted)) as gateway:
        script = scripted.script(json_answer({"error": "no"}, status="503 Service Unavailable"))
        request = {"model": "m", "input": "fallback", "encoding_format": "base64", "script": script}
        answer = gateway.post(request, path=PATH)
        assert answer.status == 200, answer.body
        assert answer.json()["data"][0]["embedding"] == packed(vector("fallback", 1024))
        assert answer.headers["x-llmgw-attempts"] == "2"
        row = gateway.ledger(answer.headers["x-request-id"])
        assert (row["upstream"], row["attempts"], row["status"]) == ("second", 2, 200)
    assert json.loads(scripted.received(script).body)["encoding_format"] == "base64"


LIMIT_BYTES = 65_536
"""Of an answer: the least that a config can say."""


def test_a_batch_as_large_as_max_answer_bytes_allows(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    """Numbers of one digit grow most on their way into base64: to 2.7 times their size."""
    numbers = [7.0] * 500
    item = f'{{"object":"embedding","index":0,"embedding":[{",".join("7" * 500)}]}}'
    count = LIMIT_BYTES // (len(item) + 1) - 1
    data = ",".join([item] * count)
    said = f'{{"object":"list","data":[{data}],"model":"scripted","usage":{json.dumps(USAGE)}}}'.encode()
    config = config_text(simulator.url, scripted.base_url).replace(
        "[upstreams.scripted]\n", f"[upstreams.scripted]\nmax_answer_bytes = {LIMIT_BYTES}\n"
    )
    with Gateway(tmp_path, config) as gateway:
        script = scripted.script(json_answer(said.ljust(LIMIT_BYTES)))
        answer = gateway.post(ask(script, encoding_format="base64"), path=PATH)
        assert answer.status == 200
        assert len(answer.body) > 2 * LIMIT_BYTES
        assert [each["embedding"] for each in answer.json()["data"]] == [packed(numbers)] * count
        script = scripted.script(json_answer(said.ljust(LIMIT_BYTES + 1)))
        answer = gateway.post(ask(script, encoding_format="base64"), path=PATH)
        assert (answer.status, answer.error["code"]) == (502, "upstream_error")


def test_a_large_answer_is_converted_whole(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    """A batch of 2048 vectors, as OpenAI allows; 32 MB of numbers."""
    numbers = vector("large", 512)
    script = scripted.script(json_answer(json.dumps(listed(*[numbers] * 2048)).encode()))
    answer = gateway.post(ask(script, encoding_format="base64"), path=PATH)
    assert answer.status == 200
    assert {each["embedding"] for each in answer.json()["data"]} == {packed(numbers)}
    assert len(answer.json()["data"]) == 2048


def test_strict_durability(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> None:
    config = config_text(simulator.url, scripted.base_url) + '\n[ledger]\ndurability = "strict"\n'
    with Gateway(tmp_path, config) as gateway:
        answer = gateway.post(ask(scripted.script(json_answer(listed([1.0])))), path=PATH)
        assert answer.status == 200
        [row] = gateway.ledger_rows()
        assert (row["request_id"], row["prompt_tokens"]) == (answer.headers["x-request-id"], 3)
