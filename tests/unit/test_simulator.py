"""The simulated providers: each obeys its own switch, refuses what the real one does, has its own shape."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from llmgw.simulator import MODELS, PROVIDERS, Model, tokens
from llmgw.simulator.app import Simulator
from llmgw.simulator.recorder import Recorder
from llmgw.simulator.values import value_for

Json = dict[str, Any]

HELLO = [{"role": "user", "content": "Say hello."}]
ON, OFF = {"type": "enabled"}, {"type": "disabled"}
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
CLOCK: Json = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
}
CALLED: list[Json] = [
    {"role": "user", "content": "How is the weather in Paris?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "18 degrees, rain"},
]
DEFAULTS = {"qwen": "qwen3-max", "deepseek": "deepseek-v4-pro", "glm": "glm-5", "kimi": "kimi-k2.6"}
DEFAULTS["minimax"] = "minimax-m3"


def call(method: str, path: str, *, app: Simulator | None = None, **options: Any) -> httpx.Response:  # noqa: ANN401
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app or Simulator(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
            return await client.request(method, path, **options)

    return asyncio.run(run())


def chat(model: str, *, app: Simulator | None = None, **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON values
    family = next(m.provider for m in MODELS if m.id == model)
    return call(
        "POST",
        f"/{family}/v1/chat/completions",
        app=app,
        json={"model": model, "messages": HELLO, **body},
        headers={"authorization": f"Bearer sim-{family}"},
    )


def events(response: httpx.Response) -> list[Json]:
    """The chunks of a whole stream; `[DONE]` must end it."""
    frames = response.text.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2] if not frame.startswith(":")]


def deltas(response: httpx.Response) -> list[Json]:
    return [choice["delta"] or {} for chunk in events(response) for choice in chunk["choices"]]


def reasons(response: httpx.Response) -> bool:
    """Did reasoning come, in whatever way the family sends it?"""
    return any(d.get("reasoning_content") or d.get("reasoning_details") for d in deltas(response)) or any(
        "<think>" in (d.get("content") or "") for d in deltas(response)
    )


def content(response: httpx.Response) -> str:
    return "".join(d.get("content") or "" for d in deltas(response))


def user(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("model", "body", "thinks"),
    [
        ("qwen3.6-plus", {}, True),
        ("qwen3.6-plus", {"enable_thinking": False}, False),
        ("qwen3-max", {}, False),
        ("qwen3-max", {"enable_thinking": True}, True),
        ("qwen3-max", {"thinking": ON, "messages": user("hi /think")}, False),
        ("qwen3-next-80b-a3b-thinking", {}, True),
        ("deepseek-v4-pro", {}, True),
        ("deepseek-v4-pro", {"thinking": OFF}, False),
        ("deepseek-v4-pro", {"messages": user("hi /no_think")}, False),
        ("deepseek-v4-pro", {"messages": user("hi /think"), "thinking": OFF}, True),
        ("deepseek-v4-pro", {"messages": user("is /no_think a word?")}, True),
        ("deepseek-v4-pro", {"messages": user("hi/no_think")}, True),
        ("deepseek-v4-pro", {"messages": [{"role": "system", "content": "hi /no_think"}]}, False),
        ("deepseek-v4-pro", {"enable_thinking": False}, True),
        ("glm-5", {}, True),
        ("glm-5", {"thinking": OFF}, False),
        ("glm-5", {"enable_thinking": False, "messages": user("hi /no_think")}, True),
        ("glm-5-flash", {"thinking": ON}, True),
        ("kimi-k2.6", {}, True),
        ("kimi-k2.6", {"thinking": OFF}, False),
        ("kimi-k2.6", {"enable_thinking": False}, True),
        ("kimi-k2-thinking", {"thinking": OFF}, True),
        ("minimax-m3", {}, True),
        ("minimax-m3", {"thinking": OFF}, False),
        ("minimax-m3", {"enable_thinking": False}, True),
        ("minimax-m2", {"thinking": OFF}, True),
    ],
)
def test_each_family_obeys_its_own_switch_only(model: str, body: Json, thinks: bool) -> None:  # noqa: FBT001
    response = chat(model, stream=True, **body)
    assert response.status_code == 200, response.text
    assert reasons(response) is thinks


@pytest.mark.parametrize(
    ("model", "body", "status", "said"),
    [
        ("qwen3.6-plus", {}, 400, "parameter.enable_thinking must be set to false for non-streaming calls"),
        ("qwen3-max", {"enable_thinking": True}, 400, "must be set to false for non-streaming calls"),
        ("qwen3-max", {"enable_thinking": "yes"}, 400, "must be a boolean"),
        (
            "qwen3-next-80b-a3b-thinking",
            {"enable_thinking": False, "stream": True},
            400,
            "restricted to True",
        ),
        (
            "deepseek-v4-pro",
            {"messages": CALLED, "stream": True},
            400,
            "The reasoning_content in the thinking mode must be passed back to the API.",
        ),
        ("deepseek-v4-pro", {"thinking": {"type": "auto"}}, 400, "thinking.type"),
        ("glm-5-flash", {"thinking": OFF}, 400, '"1210"'),
        (
            "kimi-k2.6",
            {"messages": CALLED},
            400,
            "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
        ),
        ("kimi-k2.6", {"thinking": True}, 400, "must be an object"),
        ("minimax-m3", {"thinking": ON}, 400, "adaptive or disabled"),
        ("qwen3-max", {"messages": []}, 400, "messages"),
        ("qwen3-max", {"simulate": {"delay": 1}}, 400, "simulate.delay is unknown"),
        ("qwen3-max", {"simulate": {"delay_ms": True}}, 400, "simulate.delay_ms must be a number"),
        ("glm-5", {"simulate": {"status": 503}}, 503, "simulated status 503"),
    ],
)
def test_refusals(model: str, body: Json, status: int, said: str) -> None:
    response = chat(model, **body)
    assert response.status_code == status
    assert said in response.text


@pytest.mark.parametrize("reasoning", ["because", ""])
def test_deepseek_takes_a_tool_turn_back_only_with_its_reasoning(reasoning: str) -> None:
    messages = [CALLED[0], {**CALLED[1], "reasoning_content": reasoning}, CALLED[2]]
    response = chat("deepseek-v4-pro", messages=messages, stream=True)
    assert response.status_code == (200 if reasoning else 400)


@pytest.mark.parametrize(
    ("model", "more", "reasoning", "status"),
    [
        ("deepseek-v4-pro", {"tools": [WEATHER]}, "because", 200),
        ("deepseek-v4-pro", {"tools": [WEATHER]}, None, 400),
        ("deepseek-v4-pro", {"tools": [WEATHER]}, "", 400),
        ("deepseek-v4-pro", {"tools": [WEATHER], "thinking": OFF}, None, 200),
        ("deepseek-v4-pro", {"tools": []}, None, 200),
        ("deepseek-v4-pro", {}, None, 200),
        ("kimi-k2.6", {"tools": [WEATHER]}, None, 200),
    ],
)
def test_who_wants_the_reasoning_of_a_plain_answer(
    model: str, more: Json, reasoning: str | None, status: int
) -> None:
    answer = {"role": "assistant", "content": "It rains.", "reasoning_content": reasoning}
    messages = [CALLED[0], answer, {"role": "user", "content": "And in Rome?"}]
    assert chat(model, messages=messages, **more).status_code == status


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("qwen", {"message", "type", "param", "code"}),
        ("deepseek", {"message", "type", "param", "code"}),
        ("glm", {"message", "code"}),
        ("kimi", {"message", "type"}),
        ("minimax", {"message", "type", "http_code"}),
    ],
)
def test_wrong_keys_and_unknown_models_are_refused_in_the_family_s_shape(
    family: str, expected: set[str]
) -> None:
    path = f"/{family}/v1/chat/completions"
    body = {"model": "nothing", "messages": HELLO}
    wrong_key = call("POST", path, json=body, headers={"authorization": "Bearer sim-other"})
    assert wrong_key.status_code == 401
    assert set(wrong_key.json()["error"]) == expected
    unknown = call("POST", path, json=body, headers={"authorization": f"Bearer sim-{family}"})
    assert unknown.status_code in {400, 404}
    assert set(unknown.json()["error"]) == expected
    assert call("GET", f"/{family}/v1/models").status_code == 401


@pytest.mark.parametrize("family", PROVIDERS)
def test_models_are_listed(family: str) -> None:
    listed = call("GET", f"/{family}/v1/models", headers={"authorization": f"Bearer sim-{family}"}).json()
    provider = PROVIDERS[family]
    models = [*(m.id for m in provider.models), *(r.model for r in provider.retrieval)]
    assert [m["id"] for m in listed["data"]] == models


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
@pytest.mark.parametrize("stream", [True, False])
def test_every_model_names_itself_a_simulator(model: Model, stream: bool) -> None:  # noqa: FBT001
    response = chat(model.id, stream=stream)
    if response.status_code == 400:
        assert (model.provider, stream) == ("qwen", False)
        return
    text = content(response) if stream else response.json()["choices"][0]["message"]["content"]
    assert f"llmgw's simulator speaking as {model.id}" in text


def test_chinese_questions_get_chinese_answers() -> None:
    text = content(chat("glm-5", stream=True, messages=user("解释什么是 RESTful API")))
    assert "我是 llmgw 的模拟器" in text
    assert "解释什么是 RESTful API" in text


def test_qwen_shape() -> None:
    chunks = events(chat("qwen3.6-plus", stream=True, stream_options={"include_usage": True}))
    assert list(chunks[0]) == [
        "choices",
        "object",
        "usage",
        "created",
        "system_fingerprint",
        "model",
        "id",
    ]
    assert chunks[0]["choices"][0]["delta"] == {"content": None, "role": "assistant", "reasoning_content": ""}
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    usage = chunks[-1]["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] > 0
    assert events(chat("qwen3.6-plus", stream=True))[-1]["choices"][0]["finish_reason"] == "stop"


def test_deepseek_shape() -> None:
    chunks = events(chat("deepseek-v4-pro", stream=True))
    assert list(chunks[0]) == ["id", "object", "created", "model", "system_fingerprint", "choices", "usage"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["prompt_cache_miss_tokens"] == chunks[-1]["usage"]["prompt_tokens"]


def test_glm_shape() -> None:
    chunks = events(chat("glm-5", stream=True))
    assert all(chunk["choices"][0]["delta"]["role"] == "assistant" for chunk in chunks)
    assert all("finish_reason" not in chunk["choices"][0] for chunk in chunks[:-1])
    assert "usage" in chunks[-1]


def test_kimi_counts_the_calls_of_a_conversation() -> None:
    asked: Json = {
        "messages": [{"role": "user", "content": "Both, in parallel."}],
        "tools": [WEATHER, CLOCK],
    }
    first = chat("kimi-k2.6", **asked).json()["choices"][0]["message"]
    assert [called["id"] for called in first["tool_calls"]] == [
        "functions.get_weather:0",
        "functions.get_time:1",
    ]
    results = [
        {"role": "tool", "tool_call_id": called["id"], "content": "?"} for called in first["tool_calls"]
    ]
    asked["messages"] += [first, *results, {"role": "user", "content": "And the time?"}]
    again = chat("kimi-k2.6", **asked).json()["choices"][0]["message"]
    assert [called["id"] for called in again["tool_calls"]] == ["functions.get_time:2"]


def test_kimi_shape() -> None:
    last = events(chat("kimi-k2.6", stream=True))[-1]
    assert "usage" not in last
    assert "cached_tokens" in last["choices"][0]["usage"]


def test_minimax_shape() -> None:
    chunks = events(chat("minimax-m3", stream=True))
    assert chunks[0]["choices"][0]["delta"]["role"] == ""
    assert chunks[-1]["choices"][0]["delta"] is None
    assert chunks[-1]["usage"]["prompt_tokens"] > 0
    text = content(chat("minimax-m3", stream=True))
    assert text.startswith("<think>\n")
    assert "\n</think>\n\nThis is llmgw's simulator" in text
    split = chat("minimax-m3", stream=True, reasoning_split=True)
    assert "<think>" not in content(split)
    assert any(d["reasoning_details"][0]["text"] for d in deltas(split) if "reasoning_details" in d)
    cut = content(chat("minimax-m2", stream=True, max_tokens=3))
    assert cut.startswith("<think>")
    assert "</think>" not in cut


@pytest.mark.parametrize("model", DEFAULTS.values())
def test_tools_are_called_in_pieces_and_whole(model: str) -> None:
    question = user("How is the weather in Paris?")
    streamed = chat(model, stream=True, messages=question, tools=[WEATHER])
    arguments, ids, names = "", [], []
    for delta in deltas(streamed):
        for piece in delta.get("tool_calls") or []:
            arguments += piece["function"]["arguments"]
            ids += [piece["id"]] if piece.get("id") else []
            names += [piece["function"]["name"]] if piece["function"].get("name") else []
    assert (json.loads(arguments), len(ids), names) == ({"city": "Paris"}, 1, ["get_weather"])
    assert events(streamed)[-1]["choices"][0]["finish_reason"] == "tool_calls"
    whole = chat(model, messages=question, tools=[WEATHER]).json()["choices"][0]
    assert whole["finish_reason"] == "tool_calls"
    assert json.loads(whole["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}


@pytest.mark.parametrize(
    ("body", "called"),
    [
        ({}, ["get_weather"]),
        ({"messages": user("What time is it?")}, ["get_time"]),
        ({"messages": user("Weather and time in Paris, in parallel please")}, ["get_weather", "get_time"]),
        ({"messages": user("同时查询天气和时间")}, ["get_weather", "get_time"]),
        ({"messages": user("both"), "parallel_tool_calls": False}, ["get_weather"]),
        ({"tool_choice": "none"}, []),
        ({"tool_choice": {"type": "function", "function": {"name": "get_time"}}}, ["get_time"]),
        ({"messages": CALLED}, []),
        ({"messages": CALLED, "tool_choice": "required"}, ["get_weather"]),
    ],
)
def test_which_tools_are_called(body: Json, called: list[str]) -> None:
    message = chat("qwen3-max", tools=[WEATHER, CLOCK], **body).json()["choices"][0]["message"]
    assert [c["function"]["name"] for c in message.get("tool_calls", [])] == called


def test_a_tool_s_result_is_used() -> None:
    message = chat("qwen3-max", messages=CALLED, tools=[WEATHER]).json()["choices"][0]["message"]
    assert "18 degrees, rain" in message["content"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, {}),
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}}, {"a": 3}),
        ({"type": "object", "properties": {"a": {"enum": ["x", "blue"]}}}, {"a": "blue"}),
        ({"type": "object", "properties": {"a": {"const": None}}}, {"a": None}),
        ({"properties": {"a": {"type": ["null", "boolean"]}}}, {"a": True}),
        ({"properties": {"a": {"type": "array", "items": {"type": "number"}, "minItems": 2}}}, {"a": [1, 1]}),
        ({"properties": {"a": {"anyOf": [{"type": "string", "format": "date"}]}}}, {"a": "2026-01-01"}),
        ({"properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"type": "boolean"}}}, {"a": True}),
        (
            {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b"]},
            {"b": "my blue car"},
        ),
        ({"properties": {"city": {"type": "string"}}}, {"city": "Beijing"}),
    ],
)
def test_values_follow_the_schema(schema: Json, expected: Json) -> None:
    assert value_for(schema, "my blue car") == expected


def test_a_schema_that_names_itself_ends() -> None:
    schema = {"properties": {"a": {"$ref": "#"}}, "required": ["a"]}
    assert json.dumps(value_for(schema, "")).count("a") < 50


def test_images_are_counted_and_refused_by_text_models() -> None:
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is in these?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ],
        }
    ]
    assert "I saw 2 images." in content(chat("qwen3.6-plus", stream=True, messages=messages))
    refused = chat("qwen3-max", messages=messages)
    assert (refused.status_code, "takes text only" in refused.text) == (400, True)


def test_structured_answers() -> None:
    text = chat("qwen3-max", response_format={"type": "json_object"}).json()["choices"][0]["message"][
        "content"
    ]
    assert json.loads(text)["simulated"] is True
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}},
        "required": ["n"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    text = chat("qwen3-max", response_format=wanted).json()["choices"][0]["message"]["content"]
    assert json.loads(text) == {"n": 1, "ok": True}


def test_stop_max_tokens_seed_effort_and_n() -> None:
    whole = chat("qwen3-max", seed=7).json()["choices"][0]
    assert chat("qwen3-max", seed=7).json()["choices"][0] == whole
    stopped = chat("qwen3-max", seed=7, stop=["nothing", "speaking"]).json()["choices"][0]
    assert stopped["message"]["content"] == "This is llmgw's simulator "
    short = chat("qwen3-max", seed=7, max_tokens=4).json()
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 4
    assert whole["message"]["content"].startswith(short["choices"][0]["message"]["content"])
    efforts = [
        chat("glm-5", reasoning_effort=effort).json()["usage"]["completion_tokens_details"][
            "reasoning_tokens"
        ]
        for effort in ("low", "medium", "high")
    ]
    assert efforts == sorted(set(efforts))
    three = events(chat("kimi-k2.6", stream=True, n=3))
    assert {choice["index"] for chunk in three for choice in chunk["choices"]} == {0, 1, 2}
    assert len(chat("qwen3-max", n=2).json()["choices"]) == 2


def test_qwen_limits_content_and_reasoning_apart() -> None:
    body: Json = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "thinking_budget": 3,
    }
    usage = events(chat("qwen3.6-plus", **body))[-1]["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 3
    assert usage["completion_tokens"] == 8


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("a b", 2), ("解释API", 3), ("x-1", 3), (" \n", 0)],
)
def test_counting_tokens(text: str, count: int) -> None:
    assert tokens.count(text) == count


@pytest.mark.parametrize(
    ("limit", "expected"), [(0, ""), (1, "abcd"), (2, "abcdef"), (3, "abcdef g "), (9, "abcdef g ")]
)
def test_cutting_at_a_token(limit: int, expected: str) -> None:
    assert tokens.cut("abcdef g ", limit) == expected


@pytest.mark.parametrize(
    ("simulate", "chunks", "tail"),
    [
        ({"end_after_chunks": 2}, 2, ""),
        ({"end_after_chunks": 0}, 0, ""),
        ({"error_after_chunks": 1}, 1, "simulated failure in the middle of the stream"),
        ({"fail_after_chunks": 3}, 3, ""),
    ],
)
def test_streams_that_break(simulate: Json, chunks: int, tail: str) -> None:
    text = chat("qwen3-max", stream=True, simulate=simulate).text
    assert text.count('"chat.completion.chunk"') == chunks
    assert "[DONE]" not in text
    assert tail in text


def test_a_rate_limit_says_when_to_come_back() -> None:
    response = chat("kimi-k2.6", simulate={"status": 429, "retry_after_s": 7})
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    assert response.json()["error"]["type"] == "rate_limit_reached_error"


def test_requests_are_recorded_byte_for_byte() -> None:
    app = Simulator()
    body = b'{ "model":"qwen3-max" ,"messages":[{"role":"user","content":"\\u0068i"}], "seed": 1e0 }'
    headers = {"authorization": "Bearer sim-qwen", "x-request-id": "r1"}
    call("POST", "/qwen/v1/chat/completions", app=app, content=body, headers=headers)
    chat("qwen3-max", app=app)
    found = call("GET", "/_requests", app=app, params={"x_request_id": "r1"}).json()["requests"]
    assert [base64.b64decode(r["body"]) for r in found] == [body]
    assert found[0]["state"] == "answered"
    assert ["authorization", "Bearer sim-qwen"] in found[0]["headers"]
    assert len(call("GET", "/_requests", app=app, params={"contains": "Say hello."}).json()["requests"]) == 1


def test_the_record_is_bounded_by_number_and_by_bytes() -> None:
    recorder = Recorder(max_requests=3, max_bytes=10)
    for number in range(5):
        recorder.add("/", [], str(number).encode())
    assert [r.body for r in recorder.find()] == [b"2", b"3", b"4"]
    recorder.add("/", [], b"9 bytes..")
    assert [r.body for r in recorder.find()] == [b"4", b"9 bytes.."]


def test_other_paths() -> None:
    assert call("GET", "/healthz").json() == {"status": "ok"}
    assert call("GET", "/qwen/v1/nothing").status_code == 404
    assert call("GET", "/openai/v1/models").status_code == 404


def complete(model: str, *, path: str = "v1/completions", **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON values
    provider = next(m.provider for m in MODELS if m.id == model)
    return call(
        "POST",
        f"/{provider}/{path}",
        json={"model": model, "prompt": "def add(", **body},
        headers={"authorization": f"Bearer sim-{provider}"},
    )


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("deepseek-v4-pro", "v1/completions"),
        ("deepseek-v4-pro", "beta/completions"),
        ("qwen3-max", "v1/completions"),
    ],
)
def test_text_completions_are_the_same_streamed_and_not(model: str, path: str) -> None:
    body: Json = {"suffix": ")", "seed": 1, "max_tokens": 400}
    whole = complete(model, path=path, **body).json()
    (choice,) = whole["choices"]
    assert (whole["object"], whole["model"], choice["finish_reason"]) == ("text_completion", model, "stop")
    assert model in choice["text"]
    assert whole["usage"]["total_tokens"] == tokens.count("def add(") + 3 + tokens.count(choice["text"])

    chunks = events(complete(model, path=path, stream=True, stream_options={"include_usage": True}, **body))
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["text"] for choice in choices) == choice["text"]
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["stop"]
    usage = chunks[-1]["usage"]
    assert {name: usage[name] for name in usage if name != "prompt_tokens_details"} == {
        name: value for name, value in whole["usage"].items() if name != "prompt_tokens_details"
    }


def test_where_text_completions_tell_their_usage() -> None:
    fim = events(complete("deepseek-v4-pro", stream=True))
    assert [chunk["usage"] is None for chunk in fim] == [True] * (len(fim) - 1) + [False]
    assert fim[-1]["choices"][0]["finish_reason"] == "stop"
    vllm = events(complete("qwen3-max", stream=True))
    assert all("usage" not in chunk and chunk["choices"][0]["stop_reason"] is None for chunk in vllm)
    asked = events(complete("qwen3-max", stream=True, stream_options={"include_usage": True}))
    assert (asked[-1]["choices"], asked[-1]["usage"]["completion_tokens"]) == ([], 16)


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [("deepseek-v4-pro", {"max_tokens": 5}, 5), ("qwen3-max", {"max_tokens": 20}, 20), ("qwen3-max", {}, 16)],
)
def test_text_completions_stop_at_their_length(model: str, body: Json, expected: int) -> None:
    answer = complete(model, **body).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == expected


def test_several_prompts() -> None:
    for prompt, count in ((["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)):
        answer = complete("qwen3-max", prompt=prompt, n=2).json()
        assert [choice["index"] for choice in answer["choices"]] == list(range(2 * count))
        assert all(choice["prompt_logprobs"] is None for choice in answer["choices"])


@pytest.mark.parametrize(
    ("model", "body", "status", "said"),
    [
        ("deepseek-v4-pro", {"prompt": None}, 400, "missing field `prompt`"),
        ("deepseek-v4-pro", {"prompt": ["a"]}, 400, "prompt: invalid type, expected a string"),
        ("qwen3-max", {"prompt": ""}, 400, "Either prompt or prompt_embeds must be provided"),
        ("qwen3-max", {"prompt": [None]}, 400, "Either prompt or prompt_embeds must be provided"),
        ("qwen3-max", {"simulate": {"status": 429}}, 429, "simulated status 429"),
    ],
)
def test_text_completions_that_are_refused(model: str, body: Json, status: int, said: str) -> None:
    response = complete(model, **body)
    assert response.status_code == status
    assert said in response.json()["error"]["message"]


def test_a_model_without_text_completions() -> None:
    for model in ("glm-5", "kimi-k2.6", "minimax-m3"):
        assert complete(model).status_code == 404
    assert complete("qwen3-max", path="beta/completions").status_code == 404


def test_a_text_completion_that_breaks_off() -> None:
    frames = complete("deepseek-v4-pro", stream=True, simulate={"error_after_chunks": 1}).text.split("\n\n")
    assert len(frames) == 3
    assert "error" in json.loads(frames[1].removeprefix("data: "))


REFUSALS_OF_DEVELOPERS = {
    "qwen": "developer is not one of",
    "deepseek": "unknown variant `developer`",
    "glm": "developer",
    "kimi": "role 'developer' is not allowed",
    "minimax": "invalid role: developer",
}


@pytest.mark.parametrize("family", REFUSALS_OF_DEVELOPERS)
def test_developers_are_refused(family: str) -> None:
    answer = chat(DEFAULTS[family], messages=[*HELLO, {"role": "developer", "content": "Be brief."}])
    assert answer.status_code == 400
    assert REFUSALS_OF_DEVELOPERS[family] in answer.json()["error"]["message"]


@pytest.mark.parametrize("family", DEFAULTS)
def test_only_glm_refuses_empty_text_parts(family: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}]
    answer = chat(DEFAULTS[family], messages=[{"role": "user", "content": parts}])
    if family != "glm":
        assert answer.status_code == 200
        return
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "1214")
    assert error["message"].startswith("messages[0].content[1].text")


@pytest.mark.parametrize("family", DEFAULTS)
def test_which_limits_hold(family: str) -> None:
    [choice] = chat(DEFAULTS[family], max_completion_tokens=1).json()["choices"]
    assert (choice["finish_reason"] == "length") == (family not in {"deepseek", "glm"})
