"""Anthropic's Messages at upstreams that speak them: the SDK, bytes, thinking, tools, headers, the ledger."""

import json
from typing import Any

import pytest
from anthropic import Anthropic, APIStatusError, BadRequestError, RateLimitError
from anthropic.types import ThinkingBlock, ToolUseBlock

from tests.live.native.support import MESSAGES, TOOL, Json, events, message, post
from tests.support.chat import mark as marker
from tests.support.gateway import Gateway
from tests.support.simulator import SimulatorProcess

PATH = "/deepseek/anthropic/v1/messages"


@pytest.mark.parametrize("model", ["deepseek-v4-pro", "minimax-m3"])
@pytest.mark.parametrize("streamed", [True, False])
def test_the_sdk_thinks_and_calls(claude: Anthropic, native: Gateway, model: str, *, streamed: bool) -> None:
    asked: Any = message(model, "How is the weather in Paris?", tools=[TOOL])
    if streamed:
        with claude.messages.stream(**asked) as stream:
            request_id = stream.response.headers["x-request-id"]
            answer = stream.get_final_message()
    else:
        raw = claude.messages.with_raw_response.create(**asked)
        request_id, answer = raw.headers["x-request-id"], raw.parse()
    thinking, call = answer.content
    assert isinstance(thinking, ThinkingBlock)
    assert isinstance(call, ToolUseBlock)
    assert thinking.thinking
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    # The provider's own, byte for byte.
    assert (thinking.signature == answer.id) if model == "deepseek-v4-pro" else len(thinking.signature) == 64
    row = native.ledger(request_id)
    assert (row["api"], row["status"], row["finish_reason"]) == ("messages", 200, "tool_calls")
    assert (row["error_kind"], row["usage_source"]) == (None, "upstream")
    usage = answer.usage
    cached = usage.cache_read_input_tokens or 0
    assert (row["prompt_tokens"], row["cached_tokens"]) == (usage.input_tokens + cached, cached)
    assert row["completion_tokens"] == usage.output_tokens
    assert row["first_event_s"] if streamed else True


def test_field_18_the_request_is_the_clients_own_bytes(native: Gateway, simulator: SimulatorProcess) -> None:
    mark = marker()
    thought = '{"type":"thinking" , "thinking":"h\\u006d","signature":"EqQBCkYIBxgCKkBb/+=="}'
    call = '{ "type":"tool_use","id":"toolu_1","name":"get_weather","input":{"b":1.50,"a":1E+2}}'
    result = (
        '{"type":"tool_result","tool_use_id":"toolu_1","content":"rain","cache_control":{"type":"ephemeral"}}'
    )
    system = (
        f'[{{"type":"text","text":"x-anthropic-billing-header: cch={mark}","cache_control":{{"type":"x"}}}}]'
    )
    body = (
        f'{{"model" : "deepseek-v4-pro","x":[ 1,2 ],\n"max_tokens":100,"system":{system},'
        f'"messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":[{thought},{call}]}},'
        f'{{"role":"user","content":[{result}]}}],"tools":[{json.dumps(TOOL)}]}}'
    )
    answer = post(native, MESSAGES, body.encode())
    assert answer.status_code == 200, answer.text
    received = simulator.request(mark)
    assert (received.path, received.body) == (PATH, body.encode())
    assert "x-llmgw-dropped" not in answer.headers


def test_field_20_unknown_blocks_stay_and_only_the_name_changes(
    native: Gateway, simulator: SimulatorProcess
) -> None:
    mark = marker()
    blocks = (
        '[{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"x"}},'
        '{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result",'
        '"encrypted_content":"EqgfCioIARgBIiQ3"}]},{"type":"text","text":"t","citations":[{"cited_text":"c"}]}]'
    )
    body = (
        f'{{"model":"renamed","max_tokens":9,"messages":[{{"role":"user","content":"{mark}"}},'
        f'{{"role":"assistant","content":{blocks}}},{{"role":"user","content":"go on"}}],'
        '"tools":[{"type":"web_search_20250305","name":"web_search"}],"thinking":{"type":"disabled"}}'
    )
    answer = post(native, MESSAGES, body.encode())
    assert answer.status_code == 200, answer.text
    assert simulator.request(mark).body == body.replace('"renamed"', '"deepseek-v4-pro"').encode()
    assert "x-llmgw-dropped" not in answer.headers


@pytest.mark.parametrize(
    ("more", "sent", "thinks"),
    [
        ({}, None, True),
        ({"llmgw_thinking": False}, {"type": "disabled"}, False),
        ({"llmgw_thinking": True, "thinking": {"type": "disabled"}}, {"type": "enabled"}, True),
        ({"thinking": {"type": "disabled"}}, {"type": "disabled"}, False),
    ],
)
def test_the_switch(
    native: Gateway, simulator: SimulatorProcess, more: Json, sent: Json | None, *, thinks: bool
) -> None:
    mark = marker()
    answer = post(native, MESSAGES, message("deepseek-v4-pro", mark, **more))
    assert [block["type"] for block in answer.json()["content"]] == [
        *(["thinking"] if thinks else []),
        "text",
    ]
    body = json.loads(simulator.request(mark).body)
    assert (body.get("thinking"), "llmgw_thinking" in body) == (sent, False)
    told = f"{'on' if thinks else 'off'}; thinking_object" if more else None
    assert answer.headers.get("x-llmgw-thinking") == told


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("first_door", ["deepseek-v4-pro", "converted"])
def test_field_37_thinking_that_a_client_dropped_comes_back(
    native: Gateway, simulator: SimulatorProcess, first_door: str, *, streamed: bool
) -> None:
    """DeepSeek refuses a turn without it. It was kept when the first answer went by."""
    mark = marker()
    asked = message(first_door, f"{mark}: how is the weather in Paris?", tools=[TOOL], stream=streamed)
    asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    first = post(native, MESSAGES, asked)
    blocks = blocks_of(first.content) if streamed else first.json()["content"]
    assert [block["type"] for block in blocks] == ["thinking", "tool_use"]
    result = {"type": "tool_result", "tool_use_id": blocks[1]["id"], "content": "rain"}
    said = [
        *asked["messages"],
        {"role": "assistant", "content": [blocks[1]]},
        {"role": "user", "content": [result]},
    ]
    second = post(native, MESSAGES, message("deepseek-v4-pro", *said, tools=[TOOL]))
    assert second.status_code == 200, second.text
    body = json.loads(simulator.requests(mark)[-1].body)
    put_back = {"type": "thinking", "thinking": blocks[0]["thinking"], "signature": ""}
    assert body["messages"][1]["content"] == [put_back, blocks[1]]


def test_field_13_our_signature_goes_to_no_provider(native: Gateway, simulator: SimulatorProcess) -> None:
    """A converted answer's thinking comes back to a native target: the text stays, our seal goes."""
    mark = marker()
    asked = message("converted", f"{mark}: weather in Paris?", tools=[TOOL])
    first = post(native, MESSAGES, {**asked, "thinking": {"type": "enabled", "budget_tokens": 1024}}).json()
    thought, call = first["content"]
    assert len(thought["signature"]) > 40
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}
    said = [
        *asked["messages"],
        {"role": "assistant", "content": [thought, call]},
        {"role": "user", "content": [result]},
    ]
    for model, expected in [
        ("deepseek-v4-pro", [{**thought, "signature": ""}, call]),
        ("minimax-m3", [call]),
    ]:
        answer = post(native, MESSAGES, message(model, *said, tools=[TOOL]))
        assert answer.status_code == 200, answer.text
        sent = simulator.requests(mark)[-1].body
        assert json.loads(sent)["messages"][1]["content"] == expected
        assert thought["signature"].encode() not in sent


def test_field_34_which_headers_go_on(native: Gateway, simulator: SimulatorProcess) -> None:
    mark = marker()
    internal = {
        "x-codex-turn-metadata": "x",
        "session_id": "s",
        "originator": "codex",
        "x-openai-internal-a": "b",
    }
    versions = {"anthropic-version": "2099-01-01", "anthropic-beta": "context-1m,unheard-of"}
    answer = post(native, MESSAGES, message("deepseek-v4-pro", mark), **internal, **versions)
    assert answer.status_code == 200
    sent = simulator.request(mark).headers
    assert versions.items() <= sent.items()
    assert not internal.keys() & sent.keys()
    assert (sent["x-api-key"], sent["authorization"]) == ("sim-deepseek", "Bearer sim-deepseek")
    mark = marker()
    post(native, MESSAGES, message("converted", mark), **versions)
    assert not versions.keys() & simulator.request(mark).headers.keys()
    mark = marker()
    post(native, MESSAGES, message("deepseek-v4-pro", mark))
    assert simulator.request(mark).headers["anthropic-version"] == "2023-06-01"


def test_errors_are_in_anthropics_shape(claude: Anthropic) -> None:
    result = {"type": "tool_result", "tool_use_id": "c", "content": "rain"}
    call = {"type": "tool_use", "id": "call_unheard_of_1", "name": "get_weather", "input": {}}
    said: list[Json | str] = [
        "hi",
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    asked: Any = message("deepseek-v4-pro", *said, tools=[TOOL])
    with pytest.raises(BadRequestError, match="must be passed back") as refused:
        claude.messages.create(**asked)
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    hello: Any = message("minimax-m3", "hi")
    with pytest.raises(RateLimitError):
        claude.messages.create(**hello, extra_body={"simulate": {"status": 429, "retry_after_s": 60}})
    hello["model"] = "deepseek-v4-pro"
    with (
        pytest.raises(APIStatusError) as failed,
        claude.messages.stream(**hello, extra_body={"simulate": {"error_after_chunks": 5}}) as stream,
    ):
        for _ in stream:
            pass
    assert failed.value.body["error"]["message"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("simulate", "kind"),
    [
        ({"error_after_chunks": 5}, "error_event"),
        ({"end_after_chunks": 5}, "truncated"),
        ({"fail_after_chunks": 5}, None),
    ],
)
def test_a_broken_stream_ends_with_an_error_event(native: Gateway, simulate: Json, kind: str | None) -> None:
    answer = post(native, MESSAGES, message("deepseek-v4-pro", "hi", stream=True, simulate=simulate))
    told = events(answer.content)
    assert (told[0]["type"], told[-1]["type"]) == ("message_start", "error")
    assert "message_stop" not in {event["type"] for event in told}
    assert told[-1]["request_id"] == answer.headers["x-request-id"]
    row = native.ledger(answer.headers["x-request-id"])
    assert row["error_kind"] in ({kind} if kind else {"reset", "truncated"})
    # Anthropic's first usage counts the prompt, and nothing of what came after it.
    assert (row["usage_source"], row["api"]) == ("estimated", "messages")


def blocks_of(stream: bytes) -> list[Json]:
    """The blocks of a stream, put together."""
    blocks: list[Json] = []
    for event in events(stream):
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            for name, text in event["delta"].items():
                if name != "type":
                    blocks[-1][name] = blocks[-1].get(name, "") + text
    for block in blocks:
        if "partial_json" in block:
            block["input"] = json.loads(block.pop("partial_json"))
    return blocks
