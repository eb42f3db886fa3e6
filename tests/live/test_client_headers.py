"""What clients send in their headers: where the key is, how the body is packed."""

import gzip
import json
from collections.abc import Callable

import pytest

from tests.support.chat import HELLO, body, mark, streamed
from tests.support.frames import check_stream
from tests.support.gateway import CHAT_COMPLETIONS, Gateway
from tests.support.simulator import SimulatorProcess
from tests.support.zstd import zstd

Pack = Callable[[bytes], bytes]


def as_it_is(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize("name", ["api-key", "x-api-key", "X-Api-Key"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", CHAT_COMPLETIONS)])
def test_a_key_in_a_header_of_its_own(gateway: Gateway, name: str, method: str, path: str) -> None:
    content = json.dumps(body("glm-5")).encode() if method == "POST" else b""
    answer = gateway.client.request(method, path, headers={name: gateway.key}, content=content)
    assert answer.status_code == 200


def test_two_keys_that_differ_are_told_apart_from_one_that_is_wrong(gateway: Gateway) -> None:
    headers = {"api-key": gateway.key, "x-api-key": gateway.new_key()}
    answer = gateway.client.get("/v1/models", headers=headers)
    assert answer.status_code == 401
    assert "different API keys" in answer.json()["error"]["message"]
    same = {**gateway.headers(), "x-api-key": gateway.key, "api-key": gateway.key}
    assert gateway.client.get("/v1/models", headers=same).status_code == 200


@pytest.mark.parametrize(
    ("bearer", "alone", "status"),
    [
        ("ours", "foreign", 200),
        ("foreign", "ours", 200),
        ("ours", "wrong", 200),
        ("wrong", "ours", 401),
        ("foreign", "foreign", 401),
        ("foreign", "wrong", 401),
    ],
)
def test_a_bearer_token_comes_first_unless_it_is_somebody_else_s(
    gateway: Gateway, bearer: str, alone: str, status: int
) -> None:
    keys = {"ours": gateway.key, "foreign": "sk-ant-oat01-x", "wrong": "sk-gtw-" + "x" * 32}
    headers = {"authorization": f"Bearer {keys[bearer]}", "x-api-key": keys[alone]}
    assert gateway.client.get("/v1/models", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", as_it_is),
        ("identity", as_it_is),
        ("identity, identity", as_it_is),
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP, identity", gzip.compress),
        ("zstd", zstd.compress),
    ],
)
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_body_reaches_the_provider_as_it_was_before_it_was_packed(
    gateway: Gateway, simulator: SimulatorProcess, encoding: str, pack: Pack, size: int
) -> None:
    marked = mark()
    filler = "".join(f"{number:x} " for number in range(size // 6))
    content = json.dumps(streamed("glm-5", x_mark=marked, filler=filler)).encode()
    headers = {**gateway.headers(), "content-encoding": encoding}
    answer = gateway.client.post(CHAT_COMPLETIONS, headers=headers, content=pack(content))
    assert answer.status_code == 200, answer.text
    check_stream(answer.content, include_usage=False)
    assert json.loads(simulator.request(marked).body)["filler"] == filler


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_a_packed_body_in_chunks_and_on_the_other_path(gateway: Gateway, encoding: str, pack: Pack) -> None:
    headers = {**gateway.headers(), "content-encoding": encoding}
    for path, asked in (
        (CHAT_COMPLETIONS, {"model": "glm-5", "messages": HELLO}),
        ("/v1/completions", {"model": "deepseek-v4-pro", "prompt": "Once"}),
    ):
        packed = pack(json.dumps(asked).encode())
        pieces = (packed[at : at + 7] for at in range(0, len(packed), 7))
        answer = gateway.client.post(path, headers=headers, content=pieces)
        assert answer.status_code == 200, (path, answer.text)
