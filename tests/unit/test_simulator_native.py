"""The simulated providers' Messages and Responses: what they answer, what they refuse, how they say it."""

import json
from typing import Any

import pytest

from tests.unit.test_simulator import Json, call

TOOL: Json = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
FUNCTION: Json = {"type": "function", "name": "get_weather", "parameters": TOOL["input_schema"]}
PATCH: Json = {"type": "custom", "name": "apply_patch"}
ASKED: Json = {"role": "user", "content": "How is the weather in Paris?"}
USED: Json = {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Paris"}}
RESULT: Json = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}]}
THOUGHT: Json = {"type": "thinking", "thinking": "hm", "signature": ""}
CALLED: Json = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"}
OUTPUT: Json = {"type": "function_call_output", "call_id": "c1", "output": "rain"}
REASONED: Json = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
SUMMED: Json = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
OFF = {"thinking": {"type": "disabled"}}
MESSAGES = {
    "deepseek-v4-pro": "/deepseek/anthropic/v1/messages",
    "minimax-m3": "/minimax/anthropic/v1/messages",
    "minimax-m2": "/minimax/anthropic/v1/messages",
    "kimi-k2.6": "/kimi/anthropic/v1/messages",
    "glm-5": "/glm/anthropic/v1/messages",
    "glm-5-flash": "/glm/anthropic/v1/messages",
    "qwen3.6-plus": "/qwen/apps/anthropic/v1/messages",
    "qwen3-max": "/qwen/apps/anthropic/v1/messages",
}
RESPONSES = {
    "deepseek-v4-pro": "/deepseek/responses",
    "qwen3.6-plus": "/qwen/compatible-mode/v1/responses",
    "qwen3-max": "/qwen/compatible-mode/v1/responses",
}


def post(path: str, body: Json, **headers: str) -> Any:  # noqa: ANN401 - a status and JSON or events
    family = path.split("/")[1]
    response = call("POST", path, json=body, headers=headers or {"authorization": f"Bearer sim-{family}"})
    if not body.get("stream") or response.status_code != 200:
        return response.status_code, response.json()
    frames = response.text.split("\n\n")
    assert frames.pop() == ""
    events = []
    for frame in frames:
        name, data = frame.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return response.status_code, events


def messages(model: str, *said: Json, **more: Any) -> Any:  # noqa: ANN401
    body = {"model": model, "max_tokens": 4096, "messages": list(said) or [ASKED], **more}
    return post(MESSAGES[model], body)


def responses(model: str, *items: Json, **more: Any) -> Any:  # noqa: ANN401
    return post(RESPONSES[model], {"model": model, "input": list(items) or [ASKED], **more})


def merged(events: list[Json]) -> list[Json]:
    """The blocks of a Messages stream, as a client puts them together; the order is checked on the way."""
    kinds = [e["type"] for e in events if e["type"] != "ping"]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    blocks: list[Json] = []
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append(event["content_block"])
            case "content_block_delta":
                assert event["index"] == len(blocks) - 1
                for name, text in event["delta"].items():
                    member = {"partial_json": "json"}.get(name, name)
                    if name != "type":
                        blocks[-1][member] = blocks[-1].get(member, "") + text
    for block in blocks:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block.pop("json", "{}"))
    return blocks


@pytest.mark.parametrize(
    ("model", "more", "thinks"),
    [
        ("deepseek-v4-pro", {}, True),
        ("deepseek-v4-pro", OFF, False),
        ("minimax-m3", {}, True),
        ("minimax-m3", OFF, False),
        ("minimax-m2", OFF, True),
        ("kimi-k2.6", OFF, False),
        ("glm-5", {}, True),
        ("qwen3.6-plus", {}, True),
        ("qwen3-max", {}, False),
        ("qwen3-max", {"thinking": {"type": "enabled", "budget_tokens": 100}}, True),
    ],
)
@pytest.mark.parametrize("tools", [[], [TOOL]])
def test_messages_streamed_and_whole(model: str, more: Json, thinks: bool, tools: list[Json]) -> None:  # noqa: FBT001
    more = {**more, "seed": 1, "tools": tools}
    status, whole = messages(model, **more)
    assert status == 200
    status, events = messages(model, stream=True, **more)
    kinds = (["thinking"] if thinks else []) + (["tool_use"] if tools else ["text"])
    assert [b["type"] for b in whole["content"]] == kinds
    blocks = merged(events)
    for each in (blocks, whole["content"]):
        for block in each:
            block.pop("signature", None), block.pop("id", None)
    assert blocks == whole["content"]
    assert whole["stop_reason"] == events[-2]["delta"]["stop_reason"] == ("tool_use" if tools else "end_turn")
    assert whole["usage"] == events[-2]["usage"]


def test_deepseek_knows_only_its_own_models() -> None:
    body = {"model": "gpt-5", "max_tokens": 10, "messages": [ASKED]}
    status, answered = post(MESSAGES["deepseek-v4-pro"], body)
    assert (status, answered["error"]["message"]) == (400, "Model Not Exist")


def test_signatures_are_the_providers_own() -> None:
    _, deepseek = messages("deepseek-v4-pro")
    assert deepseek["content"][0]["signature"] == deepseek["id"]
    assert deepseek["id"].count("-") == 4
    _, minimax = messages("minimax-m3")
    assert len(minimax["content"][0]["signature"]) == 64


@pytest.mark.parametrize(
    ("model", "block", "more", "refused"),
    [
        (
            "deepseek-v4-pro",
            None,
            {"tools": [TOOL]},
            "`content[].thinking` in the thinking mode must be passed",
        ),
        ("deepseek-v4-pro", None, {}, "must be passed back"),
        ("deepseek-v4-pro", THOUGHT, {"tools": [TOOL]}, None),
        ("deepseek-v4-pro", {"type": "thinking", "thinking": "hm"}, {"tools": [TOOL]}, "must be passed back"),
        ("deepseek-v4-pro", None, {"tools": [TOOL], **OFF}, None),
        ("kimi-k2.6", None, {}, "reasoning_content is missing in assistant tool call message at index 1"),
        ("kimi-k2.6", THOUGHT, {}, None),
        ("minimax-m3", None, {"tools": [TOOL]}, None),
        ("glm-5", None, {"tools": [TOOL]}, None),
    ],
)
def test_who_wants_thinking_back(model: str, block: Json | None, more: Json, refused: str | None) -> None:
    answer = {"role": "assistant", "content": [*([block] if block else []), USED]}
    status, answered = messages(model, ASKED, answer, RESULT, **more)
    if refused:
        assert (status, refused in answered["error"]["message"]) == (400, True)
    else:
        assert (status, "rain" in answered["content"][-1]["text"]) == (200, True)


@pytest.mark.parametrize(
    ("model", "body", "said"),
    [
        ("deepseek-v4-pro", {"messages": [{"role": "tool", "content": "x"}]}, "unknown variant `tool`"),
        ("minimax-m3", {"messages": [{"role": "tool", "content": "x"}]}, "invalid role: tool"),
        ("kimi-k2.6", {"messages": [{"role": "tool", "content": "x"}]}, 'Unexpected role "tool"'),
        ("glm-5", {"max_tokens": None}, "max_tokens: Field required"),
        ("glm-5", {"messages": []}, "at least one message"),
        ("glm-5-flash", OFF, "cannot be disabled"),
        ("deepseek-v4-pro", {"thinking": {"type": "auto"}}, "unknown variant `auto`"),
    ],
)
def test_messages_refused(model: str, body: Json, said: str) -> None:
    status, answered = messages(model, **body)
    assert (status, said in answered["error"]["message"]) == (400, True)
    # DeepSeek says it in OpenAI's shape on this path too.
    assert (answered.get("type") == "error") is (model != "deepseek-v4-pro")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-api-key": "sim-minimax"}, 200),
        ({"authorization": "Bearer sim-minimax"}, 200),
        ({"authorization": "Bearer other", "x-api-key": "sim-minimax"}, 401),
        ({"accept": "*/*"}, 401),
    ],
)
def test_either_header_has_the_key(headers: dict[str, str], status: int) -> None:
    body = {"model": "minimax-m3", "max_tokens": 10, "messages": [ASKED]}
    assert post(MESSAGES["minimax-m3"], body, **headers)[0] == status


def test_usage_without_cached_tokens_and_the_limit() -> None:
    long = {"role": "user", "content": "word " * 100}
    answer = {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "yes"}]}
    _, answered = messages("deepseek-v4-pro", long, answer, ASKED, max_tokens=5)
    usage = answered["usage"]
    assert usage["cache_read_input_tokens"] == 96
    assert usage["input_tokens"] > 0
    assert (usage["output_tokens"], answered["stop_reason"]) == (5, "max_tokens")


def test_tokens_are_counted_where_the_provider_counts_them() -> None:
    body = {"model": "minimax-m3", "messages": [ASKED]}
    assert post("/minimax/anthropic/v1/messages/count_tokens", body) == (200, {"input_tokens": 12})
    assert post("/deepseek/anthropic/v1/messages/count_tokens", body)[0] == 404


@pytest.mark.parametrize("path", [MESSAGES["minimax-m3"], RESPONSES["deepseek-v4-pro"]])
def test_a_failure_halfway_is_an_event_of_the_api(path: str) -> None:
    model = "minimax-m3" if "minimax" in path else "deepseek-v4-pro"
    body = {"model": model, "stream": True, "simulate": {"error_after_chunks": 4}, "max_tokens": 10}
    _, events = post(path, {**body, "messages": [ASKED], "input": "hi"})
    assert len(events) == 5
    assert events[-1]["type"] in ("error", "response.failed")
    body["simulate"] = {"end_after_chunks": 4}
    assert len(post(path, {**body, "messages": [ASKED], "input": "hi"})[1]) == 4


@pytest.mark.parametrize(
    ("model", "more", "thinks"),
    [
        ("deepseek-v4-pro", {}, True),
        ("deepseek-v4-pro", {"reasoning": {"effort": "none"}}, False),
        ("qwen3.6-plus", {}, True),
        ("qwen3.6-plus", {"enable_thinking": False, "reasoning": {"effort": "high"}}, False),
        ("qwen3-max", {}, False),
        ("qwen3-max", {"reasoning": {"effort": "low"}}, True),
    ],
)
@pytest.mark.parametrize("tools", [[], [FUNCTION], [PATCH]])
def test_responses_streamed_and_whole(model: str, more: Json, thinks: bool, tools: list[Json]) -> None:  # noqa: FBT001
    more = {**more, "seed": 1, "tools": tools}
    status, whole = responses(model, **more)
    assert status == 200
    status, events = responses(model, stream=True, **more)
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    items = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    assert items == events[-1]["response"]["output"]
    kind = (
        {"function": "function_call", "custom": "custom_tool_call"}.get(tools[0]["type"])
        if tools
        else "message"
    )
    assert [i["type"] for i in items] == [*(["reasoning"] if thinks else []), kind]
    if tools:
        said = "".join(e["delta"] for e in events if e["type"].endswith(("arguments.delta", "input.delta")))
        assert said == items[-1].get("arguments", items[-1].get("input"))
    for each in (*items, *whole["output"]):
        each.pop("id"), each.pop("call_id", None)
    assert items == whole["output"]
    assert whole["usage"] == events[-1]["response"]["usage"]


@pytest.mark.parametrize(
    ("model", "items", "more", "refused"),
    [
        ("deepseek-v4-pro", [CALLED, OUTPUT], {"tools": [FUNCTION]}, "`reasoning_text` in the thinking mode"),
        ("deepseek-v4-pro", [SUMMED, CALLED, OUTPUT], {"tools": [FUNCTION]}, "`reasoning_text`"),
        ("deepseek-v4-pro", [REASONED, CALLED, CALLED, OUTPUT, OUTPUT], {"tools": [FUNCTION]}, None),
        (
            "deepseek-v4-pro",
            [REASONED, CALLED, OUTPUT, CALLED, OUTPUT],
            {"tools": [FUNCTION]},
            "`reasoning_text`",
        ),
        ("deepseek-v4-pro", [CALLED, OUTPUT], {}, None),
        ("deepseek-v4-pro", [CALLED, OUTPUT], {"tools": [FUNCTION], "reasoning": {"effort": "none"}}, None),
        ("deepseek-v4-pro", [{"role": "tool", "content": "x"}], {}, "unknown variant `tool`"),
        ("deepseek-v4-pro", [{"type": "web_search_call", "id": "ws_1"}], {}, None),
        ("qwen3.6-plus", [CALLED, OUTPUT], {"tools": [FUNCTION]}, None),
        ("qwen3.6-plus", [], {"previous_response_id": "resp_1"}, "previous_response_id"),
        ("qwen3.6-plus", [], {"enable_thinking": 1}, "must be a boolean"),
    ],
)
def test_responses_refused(model: str, items: list[Json], more: Json, refused: str | None) -> None:
    status, answered = responses(model, ASKED, *items, **more)
    if refused:
        assert (status, refused in answered["error"]["message"]) == (400, True)
    else:
        assert status == 200, answered


def test_an_answer_that_is_cut_is_incomplete() -> None:
    _, events = responses("qwen3-max", stream=True, max_output_tokens=3)
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
