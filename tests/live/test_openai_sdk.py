"""The real OpenAI SDK against a live gateway: what a team's code does on its first day."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk

from llmgw.simulator import MODELS, Model
from tests.support.chat import CLOCK, HELLO, PNG, URL, WEATHER, mark, pictures
from tests.support.gateway import Gateway
from tests.support.simulator import SimulatorProcess

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
DEFAULTS = ("qwen3.6-plus", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3")
REASONING_MEMBERS = {"reasoning_content", "reasoning", "reasoning_details"}


def content(chunks: Iterable[ChatCompletionChunk]) -> str:
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)


def reasoning(chunks: Iterable[ChatCompletionChunk]) -> str:
    return "".join(
        (c.delta.model_extra or {}).get("reasoning_content") or "" for chunk in chunks for c in chunk.choices
    )


@each_model
def test_plain(openai_client: OpenAI, model: Model) -> None:
    completion = openai_client.chat.completions.create(model=model.id, messages=HELLO)
    assert completion.object == "chat.completion"
    assert completion.model == model.id
    assert completion.id
    [choice] = completion.choices
    assert f"llmgw's simulator speaking as {model.id}" in (choice.message.content or "")
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert "tool_calls" not in choice.message.to_dict()
    assert not REASONING_MEMBERS & set(choice.message.to_dict())
    assert completion.usage is not None
    assert (
        completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    )


@each_model
def test_streamed(openai_client: OpenAI, model: Model) -> None:
    stream = openai_client.chat.completions.create(model=model.id, messages=HELLO, stream=True)
    chunks = list(stream)
    assert f"llmgw's simulator speaking as {model.id}" in content(chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    assert {chunk.model for chunk in chunks} == {model.id}


def test_reasoning_comes_before_content_and_only_in_streams(openai_client: OpenAI) -> None:
    chunks = list(openai_client.chat.completions.create(model="glm-5", messages=HELLO, stream=True))
    said = ["reasoning" if reasoning([c]) else "content" for c in chunks if reasoning([c]) or content([c])]
    assert said == sorted(said, reverse=True)
    assert set(said) == {"reasoning", "content"}
    plain = openai_client.chat.completions.create(model="glm-5", messages=HELLO)
    assert "simulated reasoning" not in plain.model_dump_json()


@pytest.mark.parametrize("split", [{}, {"reasoning_split": True}], ids=["inline", "split"])
def test_minimax_s_reasoning_comes_out_as_everyone_else_s(
    openai_client: OpenAI, split: dict[str, bool]
) -> None:
    chunks = list(
        openai_client.chat.completions.create(
            model="minimax-m3", messages=HELLO, stream=True, extra_body=split
        )
    )
    assert "simulated reasoning" in reasoning(chunks)
    assert "<think>" not in content(chunks)
    plain = openai_client.chat.completions.create(model="minimax-m3", messages=HELLO, extra_body=split)
    assert not REASONING_MEMBERS & set(plain.choices[0].message.to_dict())
    assert "think>" not in (plain.choices[0].message.content or "")


def test_the_sdk_s_own_accumulator(openai_client: OpenAI) -> None:
    with openai_client.chat.completions.stream(
        model="qwen3.6-plus", messages=HELLO, stream_options={"include_usage": True}
    ) as stream:
        completion = stream.get_final_completion()
    assert "llmgw's simulator" in (completion.choices[0].message.content or "")
    assert completion.usage is not None
    assert completion.usage.completion_tokens > 0


def test_async(async_openai_client: AsyncOpenAI) -> None:
    async def run() -> tuple[str, str]:
        async with async_openai_client as client:
            plain = await client.chat.completions.create(model="glm-5", messages=HELLO, seed=1)
            chunks = [
                chunk
                async for chunk in await client.chat.completions.create(
                    model="glm-5", messages=HELLO, seed=1, stream=True
                )
            ]
            return plain.choices[0].message.content or "", content(chunks)

    plain, streamed = asyncio.run(run())
    assert plain == streamed
    assert plain


def test_many_at_once_do_not_mix(async_openai_client: AsyncOpenAI) -> None:
    async def ask(client: AsyncOpenAI, number: int) -> str:
        stream = await client.chat.completions.create(
            model=DEFAULTS[number % len(DEFAULTS)],
            messages=[{"role": "user", "content": f"Number {number}."}],
            stream=True,
        )
        return content([chunk async for chunk in stream])

    async def run() -> list[str]:
        async with async_openai_client as client:
            return await asyncio.gather(*(ask(client, number) for number in range(40)))

    for number, text in enumerate(asyncio.run(run())):
        assert f"“Number {number}.”" in text


@pytest.mark.parametrize("model", DEFAULTS)
def test_one_tool_plain(openai_client: OpenAI, model: str) -> None:
    completion = openai_client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "How is the weather in Paris?"}], tools=[WEATHER]
    )
    [choice] = completion.choices
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.id
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    if model != "minimax-m3":  # whose reasoning stands in the content
        assert choice.message.content is None


@pytest.mark.parametrize("model", DEFAULTS)
@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools(openai_client: OpenAI, model: str, stream: bool) -> None:  # noqa: FBT001
    messages: list[Any] = [{"role": "user", "content": "Weather and time in Tokyo, in parallel."}]
    calls: dict[int, dict[str, Any]] = {}
    if stream:
        for chunk in openai_client.chat.completions.create(
            model=model, messages=messages, tools=[WEATHER, CLOCK], stream=True
        ):
            for piece in chunk.choices[0].delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"arguments": ""})
                assert piece.function is not None
                assert isinstance(piece.function.arguments, str)
                call["arguments"] += piece.function.arguments
                for name, value in (("id", piece.id), ("name", piece.function.name)):
                    assert value is None or name not in call, f"{name} came twice"
                    if value is not None:
                        call[name] = value
    else:
        completion = openai_client.chat.completions.create(
            model=model, messages=messages, tools=[WEATHER, CLOCK]
        )
        for index, whole in enumerate(completion.choices[0].message.tool_calls or []):
            assert whole.type == "function"
            calls[index] = {"id": whole.id, **whole.function.to_dict()}
    assert [(call["name"], json.loads(call["arguments"])) for call in calls.values()] == [
        ("get_weather", {"city": "Tokyo"}),
        ("get_time", {"city": "Tokyo"}),
    ]
    assert list(calls) == [0, 1]
    assert len({call["id"] for call in calls.values()}) == 2


def test_a_tool_s_result_goes_back(openai_client: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    first = openai_client.chat.completions.create(model="glm-5", messages=messages, tools=[WEATHER])
    said = first.choices[0].message
    [call] = said.tool_calls or []
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees, rain"}]
    second = openai_client.chat.completions.create(model="glm-5", messages=messages, tools=[WEATHER])
    assert second.choices[0].finish_reason == "stop"
    assert "18 degrees, rain" in (second.choices[0].message.content or "")


@pytest.mark.parametrize(
    "choice", ["none", "required", {"type": "function", "function": {"name": "get_time"}}]
)
def test_tool_choice(openai_client: OpenAI, choice: Any) -> None:  # noqa: ANN401 - JSON
    completion = openai_client.chat.completions.create(
        model="qwen3-max", messages=HELLO, tools=[WEATHER, CLOCK], tool_choice=choice
    )
    names = [c.function.name for c in completion.choices[0].message.tool_calls or [] if c.type == "function"]
    assert names == {"none": [], "required": ["get_weather"]}.get(str(choice), ["get_time"])


@pytest.mark.parametrize(("urls", "seen"), [([URL], "1 image"), ([PNG], "1 image"), ([URL, PNG], "2 images")])
def test_images(openai_client: OpenAI, simulator: SimulatorProcess, urls: list[str], seen: str) -> None:
    marker = mark()
    messages: list[Any] = pictures(*urls)
    completion = openai_client.chat.completions.create(
        model="qwen3.6-plus", messages=messages, extra_body={"x_mark": marker}
    )
    assert seen in (completion.choices[0].message.content or "")
    assert json.loads(simulator.request(marker).body)["messages"] == messages


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_model_takes_no_image(openai_client: OpenAI, stream: bool) -> None:  # noqa: FBT001
    messages: list[Any] = [*HELLO, *pictures(URL)]
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client.chat.completions.create(model="qwen3-max", messages=messages, stream=stream)
    assert (caught.value.code, caught.value.param) == ("unsupported_modality", "messages[1].content[1]")


@pytest.mark.parametrize(
    ("model", "dialect", "switchable"),
    [
        ("qwen3.6-plus", "enable_thinking", True),
        ("qwen3-max", "enable_thinking", True),
        ("deepseek-v4-pro", "directive", True),
        ("deepseek-by-object", "thinking_object", True),
        ("glm-5", "thinking_object", True),
        ("kimi-k2.6", "ignored", False),
        ("minimax-m3", "ignored", False),
    ],
)
@pytest.mark.parametrize("switch", ["enable_thinking", "llmgw_thinking"])
@pytest.mark.parametrize("on", [True, False])
def test_the_thinking_switch_of_each_family(
    openai_client: OpenAI,
    model: str,
    dialect: str,
    switchable: bool,  # noqa: FBT001
    switch: str,
    on: bool,  # noqa: FBT001
) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, stream=True, extra_body={switch: on}
    )
    assert raw.headers["x-llmgw-thinking"] == f"{'on' if on else 'off'}; {dialect}"
    chunks = list(raw.parse())
    assert ("simulated reasoning" in reasoning(chunks)) is (on or not switchable)
    assert "think>" not in content(chunks)


@pytest.mark.parametrize("on", [True, False])
def test_the_gateway_s_own_switch_wins(openai_client: OpenAI, on: bool) -> None:  # noqa: FBT001
    chunks = list(
        openai_client.chat.completions.create(
            model="qwen3-max",
            messages=HELLO,
            stream=True,
            extra_body={"enable_thinking": not on, "llmgw_thinking": on},
        )
    )
    assert bool(reasoning(chunks)) is on


@pytest.mark.parametrize("on", [True, False])
def test_qwen_thinks_without_a_stream_too(openai_client: OpenAI, on: bool) -> None:  # noqa: FBT001
    completion = openai_client.chat.completions.create(
        model="qwen3.6-plus", messages=HELLO, extra_body={"enable_thinking": on}
    )
    assert completion.object == "chat.completion"
    assert "simulated reasoning" not in completion.model_dump_json()
    details = completion.usage and completion.usage.completion_tokens_details
    assert bool(details and details.reasoning_tokens) is on


def test_a_native_thinking_object_works_where_the_switch_does_not(openai_client: OpenAI) -> None:
    off = {"thinking": {"type": "disabled"}}
    chunks = list(
        openai_client.chat.completions.create(model="kimi-k2.6", messages=HELLO, stream=True, extra_body=off)
    )
    assert reasoning(chunks) == ""
    assert content(chunks)


def test_no_switch_no_header(openai_client: OpenAI) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(model="glm-5", messages=HELLO)
    assert "x-llmgw-thinking" not in raw.headers


def test_response_format(openai_client: OpenAI) -> None:
    as_object = openai_client.chat.completions.create(
        model="qwen3-max", messages=HELLO, response_format={"type": "json_object"}
    )
    assert json.loads(as_object.choices[0].message.content or "")["simulated"] is True
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    }
    by_schema = openai_client.chat.completions.create(
        model="glm-5",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "number", "schema": schema}},
    )
    assert json.loads(by_schema.choices[0].message.content or "") == {"n": 1}


@pytest.mark.parametrize("stop", ["speaking", ["never said", "speaking"]])
def test_stop(openai_client: OpenAI, stop: str | list[str]) -> None:
    completion = openai_client.chat.completions.create(model="qwen3-max", messages=HELLO, stop=stop)
    assert completion.choices[0].message.content == "This is llmgw's simulator "
    assert completion.choices[0].finish_reason == "stop"


def test_max_tokens(openai_client: OpenAI) -> None:
    completion = openai_client.chat.completions.create(model="qwen3-max", messages=HELLO, max_tokens=4)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 4


def test_seed(openai_client: OpenAI) -> None:
    texts = {
        openai_client.chat.completions.create(model="qwen3-max", messages=HELLO, seed=7)
        .choices[0]
        .message.content
        for _ in range(5)
    }
    assert len(texts) == 1


def test_reasoning_effort(openai_client: OpenAI) -> None:
    lengths = []
    for effort in ("low", "medium", "high"):
        stream = openai_client.chat.completions.create(
            model="glm-5", messages=HELLO, reasoning_effort=effort, stream=True
        )
        lengths.append(len(reasoning(stream)))
    assert lengths == sorted(set(lengths))


def test_a_model_may_drop_fields(openai_client: OpenAI, simulator: SimulatorProcess) -> None:
    marker = mark()
    openai_client.chat.completions.create(
        model="dropping",
        messages=HELLO,
        seed=7,
        reasoning_effort="high",
        temperature=0.5,
        extra_body={"x_mark": marker, "enable_thinking": False},
    )
    received = json.loads(simulator.request(marker).body)
    assert {"seed", "reasoning_effort"}.isdisjoint(received)
    assert received["temperature"] == 0.5


@pytest.mark.parametrize("model", DEFAULTS)
@pytest.mark.parametrize("wanted", [True, False, None])
def test_include_usage(openai_client: OpenAI, model: str, wanted: bool | None) -> None:  # noqa: FBT001
    options: Any = openai.omit if wanted is None else {"include_usage": wanted}
    chunks = list(
        openai_client.chat.completions.create(
            model=model, messages=HELLO, stream=True, stream_options=options
        )
    )
    with_usage = [chunk for chunk in chunks if chunk.usage]
    if wanted:
        assert with_usage == chunks[-1:]
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens > 0
        assert chunks[-1].usage.total_tokens > chunks[-1].usage.completion_tokens
    else:
        assert with_usage == []
        assert all(chunk.choices for chunk in chunks)


def test_several_choices(openai_client: OpenAI) -> None:
    completion = openai_client.chat.completions.create(model="qwen3.6-plus", messages=HELLO, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert all("simulator" in (choice.message.content or "") for choice in completion.choices)


def test_a_wrong_key(gateway: Gateway, openai_client: OpenAI) -> None:
    client = openai_client.with_options(api_key="sk-gtw-" + "x" * 32)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="glm-5", messages=HELLO)
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id
    assert gateway.key not in str(caught.value)


def test_an_unknown_model(openai_client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.chat.completions.create(model="glm-55", messages=HELLO)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("glm-55")


def test_models(openai_client: OpenAI) -> None:
    listed = list(openai_client.models.list())
    ids = [model.id for model in listed]
    assert {model.id for model in MODELS} | {"vendor/qwen3.6-plus", "vendor/team/kimi"} <= set(ids)
    assert len(ids) == len(set(ids))
    for model in listed:
        assert model.object == "model"
        assert openai_client.models.retrieve(model.id) == model


def test_a_model_id_with_slashes(openai_client: OpenAI) -> None:
    completion = openai_client.chat.completions.create(model="vendor/team/kimi", messages=HELLO)
    assert completion.model == "kimi-k2.6"


def test_an_error_in_the_middle_of_a_stream_is_raised(openai_client: OpenAI) -> None:
    stream = openai_client.chat.completions.create(
        model="qwen3-max", messages=HELLO, stream=True, extra_body={"simulate": {"error_after_chunks": 3}}
    )
    seen: list[ChatCompletionChunk] = []
    with pytest.raises(openai.APIError) as caught:
        seen.extend(stream)
    assert caught.value.code == "upstream_error"
