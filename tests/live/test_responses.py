"""The real openai SDK's `responses` against a live gateway, over simulated providers that only speak chat."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from openai import APIStatusError, AsyncOpenAI, OpenAI
from openai.types.responses import (
    Response,
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseReasoningItem,
)
from openai.types.responses.response_output_item import LocalShellCall

from tests.support.chat import mark
from tests.support.gateway import Answer, Gateway, config_text
from tests.support.responses import LAST, PATH, events_of
from tests.support.scripted import EVENT_STREAM_HEAD, Hold, Reset, ScriptedUpstream, Step, Wait
from tests.support.simulator import SimulatorProcess
from tests.support.validated import ValidatedTransport2

MODELS = ("deepseek-v4-pro", "qwen3.6-plus", "glm-5", "kimi-k2.6", "minimax-m3")
THEY_INSIST = ("deepseek-v4-pro", "kimi-k2.6")
"""Providers that refuse a conversation with calls whose reasoning is missing."""
SEALED: Any = ["reasoning.encrypted_content"]
THOUGHT = "simulated reasoning"
"""Stands in the reasoning of every simulated answer."""

Item = TypeVar("Item")

each_model = pytest.mark.parametrize("model", MODELS)


def function(name: str) -> Any:  # noqa: ANN401 - a tool as the SDK takes it
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "name": name, "parameters": parameters, "strict": False}


WEATHER, CLOCK = function("get_weather"), function("get_time")
APPLY_PATCH: Any = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files. Do not wrap the patch in JSON.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch"'},
}
NAMESPACE: Any = {
    "type": "namespace",
    "name": "mcp__clocks",
    "description": "Clocks of the world.",
    "tools": [CLOCK],
}
LOCAL_SHELL: Any = {"type": "local_shell"}


def of(response: Response, kind: type[Item]) -> list[Item]:
    """The items of one kind."""
    return [item for item in response.output if isinstance(item, kind)]


def bare(response: Response) -> list[Any]:
    """What Codex gives back of an answer: reasoning only sealed, items without their status."""
    items = [item.model_dump(exclude_none=True) for item in response.output]
    for item in items:
        item.pop("status", None)
        if item["type"] == "reasoning":
            item["summary"] = []
    return items


def upstream_messages(simulator: SimulatorProcess, name: str) -> list[dict[str, Any]]:
    """The messages of the last request that names this user, as the provider got them."""
    messages: list[dict[str, Any]] = json.loads(simulator.requests(name)[-1].body)["messages"]
    return messages


def streamed(client: OpenAI, **asked: Any) -> list[Any]:  # noqa: ANN401 - of `create`
    """The events of one response."""
    return list(client.responses.create(stream=True, **asked))


@each_model
def test_plain_and_streamed(openai_client: OpenAI, model: str) -> None:
    asked: dict[str, Any] = {"model": model, "input": "Say hello.", "extra_body": {"seed": 1}}
    plain = openai_client.responses.create(**asked)
    assert f"llmgw's simulator speaking as {model}" in plain.output_text
    assert (plain.object, plain.status, plain.model) == ("response", "completed", model)
    assert [item.type for item in plain.output] == ["message"]
    assert plain.usage is not None
    assert plain.usage.total_tokens == plain.usage.input_tokens + plain.usage.output_tokens

    events = streamed(openai_client, **asked)
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    last = events[-1]
    assert last.type == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == last.response.output_text == plain.output_text
    assert last.response.usage is not None


@each_model
def test_the_sdk_s_own_accumulator(openai_client: OpenAI, model: str) -> None:
    with openai_client.responses.stream(
        model=model,
        input="How is the weather in Paris, and what time is it there? Both, please.",
        tools=[WEATHER, CLOCK],
        reasoning={"effort": "high", "summary": "auto"},
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    summary = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
    calls, [reasoning] = of(final, ResponseFunctionToolCall), of(final, ResponseReasoningItem)
    assert THOUGHT in summary
    assert [part.text for part in reasoning.summary] == [summary]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("get_weather", {"city": "Paris"}),
        ("get_time", {"city": "Paris"}),
    ]
    assert len({call.call_id for call in calls}) == len(calls)


@pytest.mark.parametrize("model", ["always-streams", "never-streams", "scripted-merged"])
def test_however_the_upstream_is_asked(openai_client: OpenAI, scripted: ScriptedUpstream, model: str) -> None:
    """An upstream may be asked for a stream where the client wants none, and the other way round."""
    script = scripted.script(EVENT_STREAM_HEAD, FIRST, REST)
    asked: dict[str, Any] = {"model": model, "input": "Hello", "user": script, "extra_body": {"seed": 1}}
    asked["reasoning"] = {"effort": "none"}
    plain = openai_client.responses.create(**asked)
    last = streamed(openai_client, **asked)[-1]
    assert (plain.status, last.type) == ("completed", "response.completed")
    assert plain.output_text == last.response.output_text != ""


def test_async(async_openai_client: AsyncOpenAI) -> None:
    async def run() -> tuple[str, str, str]:
        asked: dict[str, Any] = {"model": "glm-5", "input": "Hello", "extra_body": {"seed": 1}}
        async with async_openai_client as client:
            plain = await client.responses.create(**asked)
            events = [event async for event in await client.responses.create(stream=True, **asked)]
            async with client.responses.stream(**asked) as stream:
                final = await stream.get_final_response()
            last = events[-1]
            assert last.type == "response.completed"
            return plain.output_text, last.response.output_text, final.output_text

    plain, streamed, accumulated = asyncio.run(run())
    assert plain == streamed == accumulated
    assert plain


@each_model
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_field_24_two_rounds_of_tools(
    openai_client: OpenAI,
    simulator: SimulatorProcess,
    model: str,
    stream: bool,  # noqa: FBT001
) -> None:
    """The client gives the reasoning back sealed, and the provider gets it as it was, apart from the text."""
    name = mark()
    history: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    thoughts: list[str] = []
    for choice in ("auto", "required", "auto"):
        response = ask(
            openai_client, stream=stream, model=model, input=history, tools=[WEATHER], tool_choice=choice,
            reasoning={"effort": "high", "summary": "auto"}, include=SEALED, store=False, user=name,
        )  # fmt: skip
        thoughts += [part.text for item in of(response, ResponseReasoningItem) for part in item.summary]
        history += bare(response)
        for call in of(response, ResponseFunctionToolCall):
            output = f"18 degrees in {json.loads(call.arguments)['city']}"
            history.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
    assert "18 degrees in Paris" in history[-1]["content"][0]["text"]
    assert len(thoughts) == 3
    messages = upstream_messages(simulator, name)
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant", "tool"]
    if model in THEY_INSIST:
        assert [message.get("reasoning_content") for message in messages[1::2]] == thoughts[:2]


def ask(client: OpenAI, *, stream: bool, **asked: Any) -> Response:  # noqa: ANN401 - of `create`
    """One response, streamed or not."""
    if not stream:
        plain: Response = client.responses.create(**asked)
        return plain
    last = streamed(client, **asked)[-1]
    assert last.type == "response.completed", last
    response: Response = last.response
    return response


@pytest.mark.parametrize("model", THEY_INSIST)
def test_field_31_sealed_reasoning_opens_for_its_client_alone(
    gateway: Gateway, openai_client: OpenAI, simulator: SimulatorProcess, model: str
) -> None:
    """What does not open is no error: for a client with another key the reasoning is not there."""
    asked: dict[str, Any] = {"model": model, "include": SEALED, "store": False}
    first = openai_client.responses.create(input="Hello", **asked)
    [reasoning], [said] = of(first, ResponseReasoningItem), of(first, ResponseOutputMessage)
    assert reasoning.summary == []
    assert THOUGHT not in (reasoning.encrypted_content or THOUGHT)
    tampered = {**reasoning.model_dump(), "encrypted_content": f"{reasoning.encrypted_content}AAAA"}
    foreign = {**reasoning.model_dump(), "encrypted_content": "gAAAAABm-of-another-gateway"}
    for key, item, found in (
        (gateway.key, reasoning.model_dump(), True),
        (gateway.new_key(), reasoning.model_dump(), False),
        (gateway.new_key(), tampered, False),
        (gateway.new_key(), foreign, False),
    ):
        name = mark()
        with client_of(gateway, key) as client:
            history: Any = [{"role": "user", "content": "Hello"}, item, said.model_dump(), user("Go on.")]
            client.responses.create(input=history, user=name, **asked)
        messages = upstream_messages(simulator, name)
        kept = messages[1].get("reasoning_content") or ""
        assert (THOUGHT in kept) is found, item["encrypted_content"]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def client_of(gateway: Gateway, key: str) -> OpenAI:
    http_client = httpx2.Client(transport=ValidatedTransport2(), trust_env=False)
    return OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0, http_client=http_client)


@pytest.mark.parametrize("model", THEY_INSIST)
def test_a_conversation_of_the_chat_door_goes_on_here(
    gateway: Gateway, simulator: SimulatorProcess, model: str
) -> None:
    """The chat answer had no reasoning, so the client has none; the provider gets it all the same."""
    name = mark()
    question: Any = user("How is the weather in Paris?")
    chat_tool: Any = {
        "type": "function",
        "function": {key: value for key, value in WEATHER.items() if key in {"name", "parameters"}},
    }
    with client_of(gateway, gateway.key) as client:
        chat = client.chat.completions.create(
            model=model,
            messages=[question],
            tools=[chat_tool],
        )
        [call] = chat.choices[0].message.tool_calls or []
        assert call.type == "function"
        history: Any = [
            question,
            {
                "type": "function_call",
                "call_id": call.id,
                "name": call.function.name,
                "arguments": call.function.arguments,
            },
            {"type": "function_call_output", "call_id": call.id, "output": "18 degrees"},
        ]
        response = client.responses.create(model=model, input=history, tools=[WEATHER], user=name)
    assert "18 degrees" in response.output_text
    assert THOUGHT in upstream_messages(simulator, name)[1]["reasoning_content"]


@each_model
def test_field_28_a_custom_tool_is_called_with_its_raw_input(
    openai_client: OpenAI, simulator: SimulatorProcess, model: str
) -> None:
    """And fields 22 and 29: it comes whole in `output_item.done`, and upstream it is a function."""
    name = mark()
    asked: dict[str, Any] = {"model": model, "tools": [APPLY_PATCH], "user": name}
    question: Any = user('*** Begin Patch\n+a "quoted" \\ line\n*** End Patch')
    events = streamed(openai_client, input=[question], **asked)
    items = [event.item for event in events if event.type == "response.output_item.done"]
    [done] = [item for item in items if isinstance(item, ResponseCustomToolCall)]
    assert done.name == "apply_patch"
    deltas = "".join(event.delta for event in events if event.type == "response.custom_tool_call_input.delta")
    assert done.input == deltas != ""
    assert not done.input.startswith("{")
    sent = json.loads(simulator.request(name).body)
    assert [tool["type"] for tool in sent["tools"]] == ["function"]
    [call] = of(openai_client.responses.create(input=[question], **asked), ResponseCustomToolCall)
    history: list[Any] = [question, call.model_dump(exclude_none=True)]
    history.append({"type": "custom_tool_call_output", "call_id": call.call_id, "output": "Done: a.py"})
    response = openai_client.responses.create(input=history, **asked)
    assert "Done: a.py" in response.output_text


def test_field_30_a_tool_of_a_namespace_comes_back_as_one(
    openai_client: OpenAI, simulator: SimulatorProcess
) -> None:
    name = mark()
    asked: dict[str, Any] = {"model": "glm-5", "tools": [NAMESPACE], "user": name}
    first = openai_client.responses.create(input="What time is it in Tokyo?", **asked)
    [call] = of(first, ResponseFunctionToolCall)
    assert (call.namespace, call.name) == ("mcp__clocks", "get_time")
    assert json.loads(call.arguments) == {"city": "Tokyo"}
    history = [user("What time is it in Tokyo?"), *bare(first)]
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "Noon."})
    second = openai_client.responses.create(input=history, **asked)
    assert "Noon." in second.output_text
    called = upstream_messages(simulator, name)[1]["tool_calls"][0]["function"]["name"]
    offered = json.loads(simulator.requests(name)[0].body)["tools"][0]["function"]["name"]
    assert called == offered != "get_time"


def test_a_local_shell_is_called_with_an_action(openai_client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "deepseek-v4-pro", "tools": [LOCAL_SHELL], "include": SEALED}
    first = openai_client.responses.create(input="List the files.", **asked)
    [call] = of(first, LocalShellCall)
    assert call.action.type == "exec"
    assert call.action.command
    history: list[Any] = [user("List the files."), *bare(first)]
    history.append({"type": "local_shell_call_output", "call_id": call.call_id, "output": "a.py b.py"})
    second = openai_client.responses.create(input=history, **asked)
    assert "a.py b.py" in second.output_text


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_answer_that_is_cut_off_is_incomplete(openai_client: OpenAI, stream: bool) -> None:  # noqa: FBT001
    asked: dict[str, Any] = {"model": "qwen3-max", "input": "Hello", "max_output_tokens": 5}
    if stream:
        last = streamed(openai_client, **asked)[-1]
        assert last.type == "response.incomplete"
        response = last.response
    else:
        response = openai_client.responses.create(**asked)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert [item.status for item in of(response, ResponseOutputMessage)] == ["incomplete"]


@each_model
def test_field_32_a_stream_that_breaks_off_has_failed(openai_client: OpenAI, model: str) -> None:
    for fault in ("fail_after_chunks", "end_after_chunks", "error_after_chunks"):
        body = {"simulate": {fault: 6}}
        events = streamed(openai_client, model=model, input="Hello", extra_body=body)
        assert [event.type for event in events if event.type in LAST] == ["response.failed"], fault
        last = events[-1]
        assert last.type == "response.failed"
        assert last.response.error is not None
        assert last.response.error.code == "server_error"
        assert last.response.output == []


@pytest.mark.parametrize(
    ("asked", "status", "code", "param"),
    [
        ({"model": "no-such-model"}, 404, "model_not_found", "model"),
        ({"model": "glm-5", "input": 7}, 400, "invalid_type", "input"),
        ({"model": "glm-5", "input": None}, 400, "missing_field", "input"),
        ({"model": "glm-5", "previous_response_id": "resp_1"}, 400, None, "previous_response_id"),
    ],
)
def test_errors_have_openai_s_shape(
    gateway: Gateway, asked: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    answer = gateway.post({"input": "Hello", **asked}, path=PATH)
    assert answer.status == status
    assert answer.error["param"] == param
    assert code is None or answer.error["code"] == code


def test_an_upstream_s_refusal_is_an_error_with_its_status(openai_client: OpenAI) -> None:
    """Before the first event there is no stream to fail."""
    with pytest.raises(APIStatusError) as refused:
        openai_client.responses.create(
            model="glm-5", input="Hello", stream=True, extra_body={"simulate": {"status": 429}}
        )
    assert refused.value.status_code == 429


def test_the_ledger_knows_the_door(gateway: Gateway) -> None:
    for stream in (False, True):
        answer = gateway.post({"model": "glm-5", "input": "Hello", "stream": stream}, path=PATH)
        response = final(answer) if stream else answer.json()
        row = gateway.ledger(answer.headers["x-request-id"])
        usage = response["usage"]
        assert (row["api"], row["model"], row["stream"], row["status"]) == ("responses", "glm-5", stream, 200)
        assert (row["prompt_tokens"], row["completion_tokens"]) == (
            usage["input_tokens"],
            usage["output_tokens"],
        )


def final(answer: Answer) -> dict[str, Any]:
    """The response of a stream's last event."""
    response: dict[str, Any] = events_of(answer.body)[-1]["response"]
    return response


def frame(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    """One event of an upstream, in a chunk of its own."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    data = b"data: %b\n\n" % json.dumps({"id": "c", "choices": [choice]}).encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


FIRST = frame({"role": "assistant", "content": "One "})
REST = frame({"content": "two."}) + frame({}, "stop") + b"0\r\n\r\n"


def scripted_body(script: str) -> dict[str, Any]:
    return {"model": "scripted", "input": "Hello", "stream": True, "user": script, "script": script}


@pytest.mark.parametrize(
    ("before", "after"), [((), (FIRST, REST)), ((FIRST,), (REST,))], ids=["at first", "later"]
)
def test_heartbeats_are_comments(
    strict_gateway: Gateway, scripted: ScriptedUpstream, before: tuple[Step, ...], after: tuple[Step, ...]
) -> None:
    gate = threading.Event()
    script = scripted.script(EVENT_STREAM_HEAD, *before, Wait(gate), *after)
    received = b""
    with strict_gateway.stream(scripted_body(script), path=PATH) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            received += piece
            if received.count(b"\n: keep-alive\n\n") + received.startswith(b": keep-alive") >= 2:
                gate.set()
    events = events_of(received)
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "One two."


def test_a_reset_in_mid_stream_is_a_failed_response(gateway: Gateway, scripted: ScriptedUpstream) -> None:
    script = scripted.script(EVENT_STREAM_HEAD, FIRST, Reset())
    answer = gateway.post(scripted_body(script), path=PATH)
    types = [event["type"] for event in events_of(answer.body)]
    assert types[-1] == "response.failed"
    assert "response.output_item.done" not in types
    row = gateway.ledger(answer.headers["x-request-id"])
    assert (row["api"], row["status"], row["error_kind"]) == ("responses", 200, "reset")


@pytest.fixture
def own_gateway(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """One that drains soon."""
    config = config_text(simulator.url, scripted.base_url, server="drain_timeout_s = 0.5")
    with Gateway(tmp_path, config) as gateway:
        yield gateway


def test_a_drain_ends_a_stream_as_failed(own_gateway: Gateway, scripted: ScriptedUpstream) -> None:
    script = scripted.script(EVENT_STREAM_HEAD, FIRST, Hold())
    received = b""
    with own_gateway.stream(scripted_body(script), path=PATH) as answer:
        for piece in answer.iter_raw():
            if not received:
                own_gateway.process.terminate()
            received += piece
    last = events_of(received)[-1]
    assert last["type"] == "response.failed"
    assert "restarting" in last["response"]["error"]["message"]
