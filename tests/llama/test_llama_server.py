"""llama.cpp's server behind the gateway: what a real inference server sends, and what it is sent."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import httpx2
import pytest
from openai import OpenAI

from tests.llama.conftest import API_KEY, CONTEXT, LlamaServer
from tests.support.chat import HELLO, WEATHER, body, streamed
from tests.support.frames import Stream, check_stream
from tests.support.gateway import Gateway
from tests.support.processes import wait_until
from tests.support.validated import take

BUSY_WITHIN_S = 20.0
IDLE_WITHIN_S = 20.0
LOOK_INTERVAL_S = 2.5
"""The server looks for clients that left after a second without any result, of a look at its slots either."""
CHAT = "/v1/chat/completions"
OFF_TOKENS = 4
"""`<think>`, a blank line, `</think>`, a blank line: what the template adds where thinking is off."""


def whole_stream(gateway: Gateway, model: str, **more: Any) -> Stream:  # noqa: ANN401 - JSON values
    answer = gateway.post(streamed(model, include_usage=True, **more))
    assert answer.status == 200, answer.body
    return check_stream(answer.body, include_usage=True)


@pytest.mark.parametrize("switch", ["llmgw_thinking", "enable_thinking"])
@pytest.mark.parametrize("thinking", [True, False])
def test_streamed(llama_gateway: Gateway, hello: LlamaServer, switch: str, *, thinking: bool) -> None:
    answer = llama_gateway.post(streamed("hello", include_usage=True, **{switch: thinking}))
    assert answer.status == 200, answer.body
    asked = "on" if thinking else "off"
    assert answer.headers["x-llmgw-thinking"] == f"{asked}; chat_template_kwargs"
    stream = check_stream(answer.body, include_usage=True)
    choice = stream.only
    assert choice.content == hello.script.answer_text
    assert choice.reasoning.strip() == (hello.script.reasoning_text if thinking else "")
    assert choice.finish_reason == "stop"
    assert stream.usage is not None
    spoken = hello.script.answer_tokens + (hello.script.reasoning_tokens if thinking else 0)
    assert stream.usage["completion_tokens"] == spoken

    row = llama_gateway.ledger(answer.headers["x-request-id"])
    assert (row["thinking_asked"], row["thinking_sent"]) == (asked, "chat_template_kwargs")
    assert bool(row["thinking_observed"]) is thinking
    counted = (row["prompt_tokens"], row["completion_tokens"], row["finish_reason"], row["usage_source"])
    assert counted == (stream.usage["prompt_tokens"], spoken, "stop", "upstream")


@pytest.mark.parametrize("thinking", [True, False])
def test_plain(llama_gateway: Gateway, hello: LlamaServer, *, thinking: bool) -> None:
    answer = llama_gateway.post(body("hello", llmgw_thinking=thinking))
    assert answer.status == 200, answer.body
    completion = answer.json()
    [choice] = completion["choices"]
    assert choice["message"] == {"role": "assistant", "content": hello.script.answer_text}
    assert choice["finish_reason"] == "stop"
    spoken = hello.script.answer_tokens + (hello.script.reasoning_tokens if thinking else 0)
    assert completion["usage"]["completion_tokens"] == spoken
    assert bool(llama_gateway.ledger(answer.headers["x-request-id"])["thinking_observed"]) is thinking


def test_the_switch_changes_the_prompt(llama_gateway: Gateway, hello: LlamaServer) -> None:
    """Counted by the server on what the gateway sent, and rendered by the server."""
    tokens = {}
    for thinking in (True, False, None):
        switch = {} if thinking is None else {"llmgw_thinking": thinking}
        usage = llama_gateway.post(body("hello", **switch)).json()["usage"]
        tokens[thinking] = usage["prompt_tokens"]
    assert tokens[None] == tokens[True] == tokens[False] - OFF_TOKENS

    for thinking, end in ((True, "<|im_start|>assistant\n"), (False, "<think>\n\n</think>\n\n")):
        kwargs = {"enable_thinking": thinking}
        rendered = hello.client.post(
            "/apply-template", json={"messages": HELLO, "chat_template_kwargs": kwargs}
        ).json()
        assert rendered["prompt"].endswith(end)


def test_the_same_with_the_sdk(llama_gateway: Gateway, hello: LlamaServer) -> None:
    http_client = httpx2.Client(trust_env=False)
    with OpenAI(
        api_key=llama_gateway.key,
        base_url=f"{llama_gateway.url}/v1",
        max_retries=0,
        http_client=http_client,
    ) as client:
        plain = client.chat.completions.create(model="hello", messages=HELLO)
        assert plain.choices[0].message.content == hello.script.answer_text
        reasoning = content = ""
        for chunk in client.chat.completions.create(model="hello", messages=HELLO, stream=True):
            for choice in chunk.choices:
                content += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
        assert (reasoning.strip(), content) == (hello.script.reasoning_text, hello.script.answer_text)


def chunks_of(data: bytes) -> Iterator[dict[str, Any]]:
    """The chunks; of what differs from run to run, only that it is there."""
    for frame in data.split(b"\n\n"):
        if frame.startswith(b"data: {"):
            chunk = json.loads(frame.removeprefix(b"data: "))
            if chunk.get("usage"):
                chunk["usage"]["prompt_tokens_details"] = sorted(chunk["usage"]["prompt_tokens_details"])
            for choice in chunk["choices"]:
                for call in choice["delta"].get("tool_calls", ()):
                    call.update(dict.fromkeys({"id"} & set(call)))
            yield chunk | {member: None for member in ("id", "created", "timings") if member in chunk}


def by_choice(chunks: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The chunks of each choice in their order."""
    return [[c for c in chunks if c["choices"] and c["choices"][0]["index"] == index] for index in range(2)]


@pytest.mark.parametrize("more", [{}, {"tools": [WEATHER]}, {"n": 2}, {"logprobs": True, "top_logprobs": 2}])
@pytest.mark.parametrize("model", ["hello", "weather"])
def test_the_server_s_chunks_come_through_as_they_are(
    llama_gateway: Gateway, hello: LlamaServer, weather: LlamaServer, model: str, more: dict[str, Any]
) -> None:
    """But for `n`: the server counts each choice by itself, at its end; only the last count is kept."""
    request = streamed(model, include_usage=True, **more)
    through = list(chunks_of(llama_gateway.post(request).body))
    if "logprobs" in more:  # the server's have no `refusal`, which OpenAI's schema wants there
        assert all("$.choices[].logprobs required: 'refusal'" in fault for fault in take())
    server = {"hello": hello, "weather": weather}[model]
    answer = server.client.post(CHAT, json=request | {"model": "scripted"})
    assert answer.status_code == 200
    direct = list(chunks_of(answer.content))
    counts = [chunk for chunk in direct if "usage" in chunk]
    assert len(counts) == more.get("n", 1)
    if len(counts) > 1:  # they take turns as they like
        assert by_choice(through) == by_choice(direct)
        assert [chunk for chunk in through if "usage" in chunk] == [through[-1]] == [counts[-1]]
    else:
        assert through == direct


@pytest.mark.parametrize("stream", [True, False])
def test_a_tool_call(llama_gateway: Gateway, stream: bool) -> None:  # noqa: FBT001
    if stream:
        choice = whole_stream(llama_gateway, "weather", tools=[WEATHER]).only
        [call] = choice.tool_calls
        name, arguments, finish = call.name, call.arguments, choice.finish_reason
    else:
        answer = llama_gateway.post(body("weather", tools=[WEATHER]))
        assert answer.status == 200, answer.body
        [only] = answer.json()["choices"]
        assert "reasoning_content" not in only["message"]
        [made] = only["message"]["tool_calls"]
        assert made["id"]
        name, arguments = made["function"]["name"], made["function"]["arguments"]
        finish = only["finish_reason"]
    assert (name, json.loads(arguments), finish) == ("get_weather", {"city": "Oslo"}, "tool_calls")


def test_a_tool_s_result_goes_back(llama_gateway: Gateway) -> None:
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
    }
    turns: list[Any] = [
        {"role": "assistant", "content": None, "reasoning_content": "Look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "Rain."},
    ]
    first = whole_stream(llama_gateway, "weather", tools=[WEATHER])
    second = whole_stream(llama_gateway, "weather", tools=[WEATHER], messages=HELLO + turns)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage["prompt_tokens"] > first.usage["prompt_tokens"]
    assert second.only.finish_reason == "tool_calls"


def test_a_schema_is_kept(llama_gateway: Gateway) -> None:
    """The server forces the answer into the schema, whatever its model would say.

    Between the tokens of JSON its grammar allows some 20 characters of space, which this model may well want.
    """
    schema = {"type": "object", "properties": {"ok": {"const": True}}, "required": ["ok"]}
    response_format = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
    answer = llama_gateway.post(
        body("hello", response_format=response_format, llmgw_thinking=False, max_tokens=500)
    )
    assert answer.status == 200, answer.body
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"ok": True}


@pytest.mark.parametrize("stream", [True, False])
def test_a_limit_in_the_middle_of_the_reasoning(llama_gateway: Gateway, stream: bool) -> None:  # noqa: FBT001
    if stream:
        choice = whole_stream(llama_gateway, "hello", max_tokens=4, llmgw_thinking=True).only
        assert choice.reasoning
        assert (choice.content, choice.finish_reason) == ("", "length")
    else:
        answer = llama_gateway.post(body("hello", max_tokens=4, llmgw_thinking=True))
        [only] = answer.json()["choices"]
        assert (only["message"].get("content") or "", only["finish_reason"]) == ("", "length")


def test_several_choices(llama_gateway: Gateway, hello: LlamaServer) -> None:
    stream = whole_stream(llama_gateway, "hello", n=2)
    assert [choice.content for choice in stream.choices.values()] == [hello.script.answer_text] * 2
    plain = llama_gateway.post(body("hello", n=2)).json()
    assert [choice["message"]["content"] for choice in plain["choices"]] == [hello.script.answer_text] * 2


def test_streams_in_quick_succession_need_no_second_attempt(llama_gateway: Gateway) -> None:
    """The server closes each stream's connection, promised otherwise: no request may meet one that ends."""
    answers = [llama_gateway.post(streamed("hello")) for _ in range(200)]
    assert {(answer.status, answer.headers["x-llmgw-attempts"]) for answer in answers} == {(200, "1")}


def test_many_at_once_do_not_mix(llama_gateway: Gateway, hello: LlamaServer) -> None:
    requests = [("hello", {}), ("weather", {"tools": [WEATHER]})] * 4
    with ThreadPoolExecutor(len(requests)) as pool:
        streams = list(pool.map(lambda r: whole_stream(llama_gateway, r[0], **r[1]).only, requests))
    assert [s.content for s in streams[::2]] == [hello.script.answer_text] * 4
    assert [s.tool_calls[0].name for s in streams[1::2]] == ["get_weather"] * 4


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_the_slot(
    llama_gateway: Gateway,
    hello: LlamaServer,
    stream: bool,  # noqa: FBT001
) -> None:
    """The answer would go on until the context is full: nothing but the departure ends it so early."""
    endless = body("hello", stream=stream, ignore_eos=True, max_tokens=-1)
    with httpx.Client(
        base_url=llama_gateway.url, trust_env=False, timeout=httpx.Timeout(60, read=1)
    ) as client:
        headers = llama_gateway.headers()
        if stream:
            with client.stream("POST", CHAT, json=endless, headers=headers) as response:
                pieces = response.iter_raw()  # named, for its end would be the connection's
                assert next(pieces)
                wait_until(lambda: bool(hello.busy()), "a busy slot", timeout_s=BUSY_WITHIN_S)
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post(CHAT, json=endless, headers=headers)
    wait_until(lambda: not hello.busy(), "an idle slot", timeout_s=IDLE_WITHIN_S, interval_s=LOOK_INTERVAL_S)
    held = [slot.get("n_prompt_tokens", 0) for slot in hello.client.get("/slots").json()]
    assert 0 < max(held) < CONTEXT / 2
    assert llama_gateway.post(body("hello")).status == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_prompt_beyond_the_context(llama_gateway: Gateway, stream: bool) -> None:  # noqa: FBT001
    messages = [{"role": "user", "content": "x" * (CONTEXT + 1000)}]
    answer = llama_gateway.post(body("hello", messages=messages, stream=stream))
    assert answer.status == 400, answer.body
    assert answer.error["code"] == "upstream_error"
    assert "context" in answer.error["message"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_that_the_server_refuses(llama_gateway: Gateway, stream: bool) -> None:  # noqa: FBT001
    answer = llama_gateway.post(body("hello", stream=stream, grammar="root ::= ("))
    assert answer.status == 400, answer.body
    assert answer.error["code"] == "upstream_error"


def test_check_finds_the_server_and_its_model(llama_gateway: Gateway) -> None:
    command = [sys.executable, "-m", "llmgw", "check", "--config", str(llama_gateway.config)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = {line.split()[0]: line for line in checked.stdout.splitlines() if line}
    assert lines["hello"].endswith(" ok")
    assert lines["weather"].endswith(" ok")
    assert "refuses the API key" in lines["locked-out"]
    assert checked.returncode == 1


def test_a_wrong_upstream_key(llama_gateway: Gateway) -> None:
    answer = llama_gateway.post(body("locked-out"))
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    assert b"wrong-key" not in answer.body
    assert API_KEY not in llama_gateway.process.output
