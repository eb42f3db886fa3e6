"""Tokens counted by the provider itself, where it counts them."""

import asyncio
import json
from pathlib import Path

import pytest

from llmgw._core import ChatRequest, Route
from llmgw.config import parse_text
from llmgw.pipeline.counting import counted_at
from llmgw.routing.router import Router
from llmgw.simulator import tokens
from tests.live.native.support import MESSAGES, config, message, post
from tests.support.chat import mark as marker
from tests.support.gateway import Gateway
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess


@pytest.fixture(scope="module")
def router(simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Router:
    return Router(parse_text(config(simulator.url, scripted.base_url), Path("llmgw.toml"), changed_s=0))


def count(router: Router, model: str, text: str) -> int | None:
    [target] = router.models[model].targets.all
    request = ChatRequest.from_messages(json.dumps(message(model, text)).encode())
    headers = [(b"anthropic-version", b"2099-01-01")]
    return asyncio.run(counted_at(target, request, request_id="req", headers=headers))


def test_who_counts_and_who_does_not(router: Router, simulator: SimulatorProcess) -> None:
    mark = marker()
    # By the simulator's own rule.
    text = f"{mark} one two"
    assert count(router, "minimax-m3", text) == tokens.TOKENS_PER_MESSAGE + tokens.count(text)
    received = simulator.request(mark)
    assert received.path == "/minimax/anthropic/v1/messages/count_tokens"
    assert (received.headers["x-api-key"], received.headers["anthropic-version"]) == (
        "sim-minimax",
        "2099-01-01",
    )
    # DeepSeek has the Messages and no count; the other two are not asked in Messages.
    for model in ("deepseek-v4-pro", "converted", "qwen3.6-plus"):
        assert count(router, model, "hi") is None


def test_the_endpoint_takes_the_count_and_else_its_estimate(
    native: Gateway, simulator: SimulatorProcess
) -> None:
    for model, path in [
        ("minimax-m3", "/minimax/anthropic/v1/messages/count_tokens"),
        ("deepseek-v4-pro", None),
    ]:
        mark = marker()
        versions = {"anthropic-version": "2023-06-01", "anthropic-beta": "token-counting-2024-11-01"}
        body = {"model": model, "messages": [{"role": "user", "content": mark}]}
        answer = post(native, f"{MESSAGES}/count_tokens?beta=true", body, **versions)
        assert answer.status_code == 200
        counted = answer.json()["input_tokens"]
        truth = tokens.TOKENS_PER_MESSAGE + tokens.count(mark)
        assert counted == truth if path else counted > 0
        # The simulator does not record what it has no path for.
        received = simulator.requests(mark)
        assert [request.path for request in received] == ([path] if path else [])
        if path:
            assert versions.items() <= received[0].headers.items()


def test_a_body_to_be_counted_is_the_clients_own() -> None:
    route = Route("other", speaks=["messages"])
    body = b'{"model" : "m","messages":[{"role":"user","content":"hi"}],"max_tokens":9, "x":1.0}'
    prepared = ChatRequest.from_messages(body).count_tokens(route)
    assert (prepared.api, prepared.mode) == ("count_tokens", "plain")
    assert prepared.body == body.replace(b'"m"', b'"other"')
    for request, other in [
        (ChatRequest.from_messages(body), Route("other")),
        (ChatRequest(body), route),
    ]:
        with pytest.raises(ValueError, match="does not speak Messages"):
            request.count_tokens(other)
