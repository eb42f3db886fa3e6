"""OpenAI's Responses at upstreams that speak them: the SDK, bytes, reasoning, tools, the ledger."""

import json
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from openai.types.responses import ResponseFunctionToolCall

from tests.live.native.support import FUNCTION, RESPONSES, Json, events, post
from tests.support.chat import mark as marker
from tests.support.gateway import Gateway
from tests.support.simulator import SimulatorProcess

PATHS = {"deepseek-v4-pro": "/deepseek/responses", "qwen3.6-plus": "/qwen/compatible-mode/v1/responses"}
OPENING = {"response.created", "response.in_progress"}


@pytest.mark.parametrize("model", list(PATHS))
@pytest.mark.parametrize("streamed", [True, False])
def test_the_sdk_thinks_and_calls(
    codex: OpenAI, native: Gateway, simulator: SimulatorProcess, model: str, *, streamed: bool
) -> None:
    mark = marker()
    asked: Any = {"model": model, "input": f"{mark}: weather in Paris?", "tools": [FUNCTION]}
    if streamed:
        with codex.responses.stream(**asked) as stream:
            kinds = [event.type for event in stream]
            answer = stream.get_final_response()
        assert set(kinds[:2]) == OPENING
        assert kinds[-1] == "response.completed"
    else:
        answer = codex.responses.create(**asked)
    reasoning, call = answer.output
    assert reasoning.type == "reasoning"
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    received = simulator.request(mark)
    assert received.path == PATHS[model]
    row = native.ledger(received.headers["x-request-id"])
    assert (row["api"], row["status"], row["finish_reason"]) == ("responses", 200, "tool_calls")
    assert (row["error_kind"], row["usage_source"]) == (None, "upstream")
    assert answer.usage is not None
    assert (row["prompt_tokens"], row["completion_tokens"]) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
    )
    assert row["reasoning_tokens"] == answer.usage.output_tokens_details.reasoning_tokens > 0


def test_field_18_the_clients_own_bytes(native: Gateway, simulator: SimulatorProcess) -> None:
    mark = marker()
    body = (
        '{ "input":[{"type":"web_search_call","id":"ws_1","x":1.0},'
        f'{{"role":"user","content":"{mark}\\u00e9"}},'
        '{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAAABm/+=="}],'
        '"model":"qwen3.6-plus","instructions":"be brief","client_metadata":{"a":[1E2]},"store" : false,'
        '"tools":[{"type":"namespace","name":"mcp","tools":[]},{"type":"custom","name":"apply_patch"}]}'
    )
    answer = post(native, RESPONSES, body.encode())
    assert answer.status_code == 200, answer.text
    assert simulator.request(mark).body == body.encode()
    assert "x-llmgw-dropped" not in answer.headers


@pytest.mark.parametrize(
    ("model", "more", "sent", "told"),
    [
        (
            "deepseek-v4-pro",
            {"llmgw_thinking": False},
            {"reasoning": {"effort": "none"}},
            "off; reasoning_effort",
        ),
        (
            "deepseek-v4-pro",
            {"reasoning": {"effort": "none"}},
            {"reasoning": {"effort": "none"}},
            "off; reasoning_effort",
        ),
        ("qwen3.6-plus", {"llmgw_thinking": False}, {"enable_thinking": False}, "off; enable_thinking"),
        (
            "qwen3.6-plus",
            {"reasoning": {"effort": "none"}},
            {"reasoning": {"effort": "none"}, "enable_thinking": False},
            "off; enable_thinking",
        ),
    ],
)
def test_the_switch(
    native: Gateway, simulator: SimulatorProcess, model: str, more: Json, sent: Json, told: str
) -> None:
    mark = marker()
    answer = post(native, RESPONSES, {"model": model, "input": mark, **more})
    assert [item["type"] for item in answer.json()["output"]] == ["message"]
    body = json.loads(simulator.request(mark).body)
    assert body == {"model": model, "input": mark, **sent}
    assert answer.headers["x-llmgw-thinking"] == told


@pytest.mark.parametrize("streamed", [True, False])
def test_field_37_reasoning_that_a_client_dropped_comes_back(
    native: Gateway, simulator: SimulatorProcess, *, streamed: bool
) -> None:
    """DeepSeek's Responses refuse a turn without its `reasoning_text`, which SDKs drop."""
    mark = marker()
    asked = {"role": "user", "content": f"{mark}: weather in Paris?"}
    body = {"model": "deepseek-v4-pro", "input": [asked], "tools": [FUNCTION], "stream": streamed}
    first = post(native, RESPONSES, body)
    output = events(first.content)[-1]["response"]["output"] if streamed else first.json()["output"]
    reasoning, call = output
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    dropped = {"type": "reasoning", "id": reasoning["id"], "summary": []}
    for said in ([asked, call, result], [asked, dropped, call, result]):
        second = post(native, RESPONSES, {**body, "input": said, "stream": False})
        assert second.status_code == 200, second.text
        sent = json.loads(simulator.requests(mark)[-1].body)["input"]
        assert [item.get("type") for item in sent] == [
            None,
            "reasoning",
            "function_call",
            "function_call_output",
        ]
        assert sent[1]["content"] == [{"type": "reasoning_text", "text": reasoning["content"][0]["text"]}]
        assert sent[2:] == [call, result]


def test_field_31_what_the_gateway_sealed_goes_to_no_provider(
    native: Gateway, simulator: SimulatorProcess
) -> None:
    """A converted answer's sealed reasoning: its text goes where it is wanted, the seal goes nowhere."""
    mark = marker()
    asked = {"role": "user", "content": f"{mark}: weather in Paris?"}
    body = {
        "model": "converted",
        "input": [asked],
        "tools": [FUNCTION],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high"},
    }
    reasoning, call = post(native, RESPONSES, body).json()["output"]
    sealed = reasoning["encrypted_content"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    for model, kinds in [
        ("deepseek-v4-pro", [None, "reasoning", "function_call", "function_call_output"]),
        ("qwen3.6-plus", [None, "function_call", "function_call_output"]),
    ]:
        answer = post(native, RESPONSES, {**body, "model": model, "input": [asked, reasoning, call, result]})
        assert answer.status_code == 200, answer.text
        sent = simulator.requests(mark)[-1].body
        assert [item.get("type") for item in json.loads(sent)["input"]] == kinds
        assert sealed.encode() not in sent


def test_field_34_internal_headers_stay_here(native: Gateway, simulator: SimulatorProcess) -> None:
    mark = marker()
    internal = {
        "x-codex-turn-metadata": "x",
        "session_id": "s",
        "x-openai-internal-a": "b",
        "anthropic-beta": "c",
    }
    answer = post(native, RESPONSES, {"model": "qwen3.6-plus", "input": mark}, **internal)
    assert answer.status_code == 200
    assert not internal.keys() & simulator.request(mark).headers.keys()


def test_errors(codex: OpenAI, native: Gateway) -> None:
    call = {"type": "function_call", "call_id": "call_unheard_of_1", "name": "get_weather", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_unheard_of_1", "output": "rain"}
    asked: Any = {"model": "deepseek-v4-pro", "input": [call, output], "tools": [FUNCTION]}
    with pytest.raises(BadRequestError, match="must be passed back"):
        codex.responses.create(**asked)
    for simulate, kinds in [
        ({"error_after_chunks": 5}, {"error_event"}),
        ({"end_after_chunks": 5}, {"truncated"}),
        ({"fail_after_chunks": 5}, {"reset", "truncated"}),
    ]:
        answer = post(
            native, RESPONSES, {"model": "qwen3.6-plus", "input": "hi", "stream": True, "simulate": simulate}
        )
        told = events(answer.content)
        assert told[-1]["type"] == "response.failed"
        assert told[-1]["response"]["id"] == told[0]["response"]["id"]
        assert [event["sequence_number"] for event in told] == list(range(len(told)))
        row = native.ledger(answer.headers["x-request-id"])
        assert row["error_kind"] in kinds


def test_an_answer_that_is_cut_is_incomplete(native: Gateway) -> None:
    body = {
        "model": "qwen3.6-plus",
        "input": "hi",
        "stream": True,
        "max_output_tokens": 3,
        "enable_thinking": False,
    }
    answer = post(native, RESPONSES, body)
    assert events(answer.content)[-1]["type"] == "response.incomplete"
    row = native.ledger(answer.headers["x-request-id"])
    assert (row["finish_reason"], row["error_kind"]) == ("length", None)
