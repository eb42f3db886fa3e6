"""The real Anthropic SDK against a live gateway, whichever family answers: text, thinking, tools, errors."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message

from tests.live.test_doors import MESSAGES, STREAM, http_chunk
from tests.live.test_reasoning import SECRET_WORDS, config
from tests.support.chat import PNG, mark
from tests.support.gateway import Gateway
from tests.support.scripted import EVENT_STREAM_HEAD, Reset, ScriptedUpstream
from tests.support.simulator import SimulatorProcess
from tests.support.validated import AsyncValidatedTransport2, ValidatedTransport2

FAMILIES = ("qwen3.6-plus", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3")
INSISTING = ("deepseek-v4-pro", "kimi-k2.6")
"""They refuse an assistant message of a conversation with tools that has lost its reasoning."""
HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
SHOWN: Any = {"type": "adaptive", "display": "summarized"}
OMITTED: Any = {"type": "adaptive", "display": "omitted"}
OURS = "bGxtZ3cB"
"""How every signature of ours begins."""
each_family = pytest.mark.parametrize("model", FAMILIES)
each_way = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])


def tool(name: str) -> Any:  # noqa: ANN401 - JSON
    properties = {"city": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["city"]}
    return {"name": name, "description": f"{name} of a city.", "input_schema": schema}


TOOLS = [tool("get_weather"), tool("get_time")]


def create(client: Anthropic, *, stream: bool, **asked: Any) -> Message:  # noqa: ANN401 - parameters
    """The message, plain or as the SDK's stream helper adds it up."""
    parameters: dict[str, Any] = {"max_tokens": 2000, "messages": HELLO, **asked}
    if not stream:
        message: Message = client.messages.create(**parameters)
        return message
    with client.messages.stream(**parameters) as answer:
        return answer.get_final_message()


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@each_family
@each_way
def test_text(anthropic_client: Anthropic, model: str, *, stream: bool) -> None:
    message = create(anthropic_client, model=model, stream=stream)
    assert f"llmgw's simulator speaking as {model}" in text_of(message)
    assert (message.model, message.role, message.type) == (model, "assistant", "message")
    assert message.id.startswith("msg_")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert {block.type for block in message.content} == {"text"}, "nobody asked for thinking"


@each_family
@each_way
def test_field_09_thinking_is_shown_with_our_signature(
    anthropic_client: Anthropic, model: str, *, stream: bool
) -> None:
    message = create(anthropic_client, model=model, stream=stream, thinking=SHOWN)
    thinking, text = message.content
    assert thinking.type == "thinking"
    assert SECRET_WORDS in thinking.thinking
    assert thinking.signature.startswith(OURS)
    assert text.type == "text"


@each_family
@pytest.mark.parametrize("thinking", [None, SHOWN, OMITTED], ids=["hidden", "shown", "omitted"])
@each_way
def test_field_04_thinking_is_no_text(
    anthropic_client: Anthropic, model: str, thinking: object, *, stream: bool
) -> None:
    asked = {} if thinking is None else {"thinking": thinking}
    text = text_of(create(anthropic_client, model=model, stream=stream, **asked))
    assert SECRET_WORDS not in text
    assert "<think>" not in text
    assert f"llmgw's simulator speaking as {model}" in text


@pytest.mark.parametrize("signature", ["EqQBCkYIBxgCKkBb", ""], ids=["foreign", "empty"])
def test_field_10_thinking_that_comes_back_is_no_text(
    anthropic_client: Anthropic, simulator: SimulatorProcess, signature: str
) -> None:
    marked = mark()
    thinking = {"type": "thinking", "thinking": "I thought so.", "signature": signature}
    redacted = {"type": "redacted_thinking", "data": "EmwKAhgB"}
    said = {"type": "text", "text": "Hello."}
    history = [{"role": "assistant", "content": [thinking, redacted, said]}]
    question = {"role": "user", "content": "And now?"}
    metadata = {"user_id": marked}
    create(
        anthropic_client,
        model="glm-5",
        stream=False,
        messages=[*HELLO, *history, question],
        metadata=metadata,
    )
    [_, answer, _] = sent(simulator, marked)
    assert answer == {"role": "assistant", "content": "Hello.", "reasoning_content": "I thought so."}


@each_family
@each_way
def test_thinking_is_omitted_and_travels_in_its_signature(
    anthropic_client: Anthropic, model: str, *, stream: bool
) -> None:
    thinking, text = create(anthropic_client, model=model, stream=stream, thinking=OMITTED).content
    assert thinking.type == "thinking"
    assert (thinking.thinking, text.type) == ("", "text")
    assert thinking.signature.startswith(OURS)
    assert len(thinking.signature) > 4 / 3 * len(SECRET_WORDS)


@each_way
def test_thinking_is_off(anthropic_client: Anthropic, *, stream: bool) -> None:
    off: Any = {"type": "disabled"}
    message = create(anthropic_client, model="glm-5", stream=stream, thinking=off)
    assert [block.type for block in message.content] == ["text"]


def test_the_async_half_streams_too(gateway: Gateway) -> None:
    async def said() -> tuple[str, str, Message]:
        http = httpx2.AsyncClient(transport=AsyncValidatedTransport2(), trust_env=False)
        async with AsyncAnthropic(api_key=gateway.key, base_url=gateway.url, http_client=http) as client:
            texts, thoughts = "", ""
            async with client.messages.stream(
                model="glm-5", max_tokens=2000, messages=HELLO, thinking=SHOWN
            ) as stream:
                async for event in stream:
                    texts += event.text if event.type == "text" else ""
                    thoughts += event.thinking if event.type == "thinking" else ""
                return texts, thoughts, await stream.get_final_message()

    texts, thoughts, message = asyncio.run(said())
    assert texts == text_of(message)
    assert SECRET_WORDS in thoughts


@dataclass
class Conversation:
    """A client with tools, and its history."""

    client: Anthropic
    model: str
    keeps_thinking: bool
    thinking: Any = None
    stream: bool = True
    mark: str = field(default_factory=mark)
    messages: list[Any] = field(default_factory=list)

    def ask(self, question: str, *, rounds: int = 1) -> str:
        """A question, the calls that answer it, their results, and the text that comes of them."""
        self.messages.append({"role": "user", "content": question})
        for number in range(rounds):
            choice: dict[str, Any] = {"tool_choice": {"type": "any"}} if number else {}
            calls = [block for block in self.turn(**choice).content if block.type == "tool_use"]
            assert calls
            results = [
                {
                    "type": "tool_result",
                    "tool_use_id": call.id,
                    "content": f"18 degrees, says {call.name} of {call.input['city']}",
                }
                for call in calls
            ]
            self.messages.append({"role": "user", "content": results})
        return text_of(self.turn())

    def turn(self, **more: Any) -> Message:  # noqa: ANN401 - parameters
        """One request; the answer goes to the history."""
        asked: dict[str, Any] = {"model": self.model, "messages": self.messages, "tools": TOOLS, **more}
        asked["metadata"] = {"user_id": self.mark}
        if self.thinking is not None:
            asked["thinking"] = self.thinking
        message = create(self.client, stream=self.stream, **asked)
        content = [
            block.model_dump(exclude_none=True)
            for block in message.content
            if self.keeps_thinking or block.type != "thinking"
        ]
        self.messages.append({"role": "assistant", "content": content})
        return message


def sent(simulator: SimulatorProcess, mark_of_it: str) -> list[dict[str, Any]]:
    """The messages of the last request with this mark, as the provider got them."""
    messages: list[dict[str, Any]] = json.loads(simulator.requests(mark_of_it)[-1].body)["messages"]
    return messages


def thought(messages: list[dict[str, Any]]) -> list[bool]:
    """Of each assistant message, whether it has its reasoning."""
    answers = [message for message in messages if message["role"] == "assistant"]
    return [SECRET_WORDS in (message.get("reasoning_content") or "") for message in answers]


@each_family
@each_way
def test_tools(anthropic_client: Anthropic, model: str, *, stream: bool) -> None:
    conversation = Conversation(anthropic_client, model, keeps_thinking=True, stream=stream)
    conversation.messages.append({"role": "user", "content": "How is the weather in Paris?"})
    message = conversation.turn()
    [call] = [block for block in message.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    assert call.id
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("model", INSISTING)
@pytest.mark.parametrize("thinking", [None, SHOWN, OMITTED], ids=["hidden", "shown", "omitted"])
@pytest.mark.parametrize("keeps_thinking", [True, False], ids=["kept", "dropped"])
@each_way
def test_field_01_two_rounds_of_tools_keep_their_reasoning(
    anthropic_client: Anthropic,
    simulator: SimulatorProcess,
    model: str,
    thinking: object,
    *,
    keeps_thinking: bool,
    stream: bool,
) -> None:
    conversation = Conversation(
        anthropic_client, model, keeps_thinking=keeps_thinking, thinking=thinking, stream=stream
    )
    for city in ("Paris", "Tokyo"):
        text = conversation.ask(f"{conversation.mark}: how is the weather in {city}?", rounds=2)
        assert f"18 degrees, says get_weather of {city}" in text
    messages = sent(simulator, conversation.mark)
    assert thought(messages) == [True] * 5
    assert OURS not in json.dumps(messages), "failure 13: no provider gets our signatures"


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess) -> Iterator[Gateway]:
    """Its model `left-alone` gets no reasoning back from what the gateway keeps."""
    with Gateway(tmp_path_factory.mktemp("forgetful"), config(simulator)) as gateway:
        yield gateway


def client_of(gateway: Gateway) -> Anthropic:
    http = httpx2.Client(transport=ValidatedTransport2(), trust_env=False)
    return Anthropic(api_key=gateway.key, base_url=gateway.url, max_retries=0, http_client=http)


@pytest.mark.parametrize("thinking", [SHOWN, OMITTED], ids=["shown", "omitted"])
@each_way
def test_what_the_client_carries_is_enough(
    forgetful: Gateway, simulator: SimulatorProcess, thinking: object, *, stream: bool
) -> None:
    with client_of(forgetful) as client:
        conversation = Conversation(
            client, "left-alone", keeps_thinking=True, thinking=thinking, stream=stream
        )
        conversation.ask(f"{conversation.mark}: how is the weather in Paris?")
        assert thought(sent(simulator, conversation.mark)) == [True]
        conversation.keeps_thinking = False
        with pytest.raises(anthropic.BadRequestError, match="reasoning_content"):
            conversation.ask("And in Tokyo?")


@pytest.mark.parametrize("model", INSISTING)
def test_a_turn_of_the_chat_door_goes_on_at_this_one(
    gateway: Gateway, anthropic_client: Anthropic, simulator: SimulatorProcess, model: str
) -> None:
    conversation = Conversation(anthropic_client, model, keeps_thinking=False)
    question = f"{conversation.mark}: how is the weather in Paris?"
    tools = [
        {"type": "function", "function": {"name": each["name"], "parameters": each["input_schema"]}}
        for each in TOOLS
    ]
    asked = {"model": model, "messages": [{"role": "user", "content": question}], "tools": tools}
    [call] = gateway.post(asked).json()["choices"][0]["message"]["tool_calls"]
    used = {"type": "tool_use", "id": call["id"], "name": call["function"]["name"]}
    used["input"] = json.loads(call["function"]["arguments"])
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "18 degrees"}
    conversation.messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result]},
    ]
    conversation.turn()
    assert thought(sent(simulator, conversation.mark)) == [True]


@each_way
def test_field_05_17_parallel_results_with_images_are_one_turn(
    anthropic_client: Anthropic, simulator: SimulatorProcess, *, stream: bool
) -> None:
    conversation = Conversation(anthropic_client, "vendor/qwen3.6-plus", keeps_thinking=True, stream=stream)
    question = f"{conversation.mark}: weather and time in Tokyo, in parallel."
    conversation.messages.append({"role": "user", "content": question})
    calls = [block for block in conversation.turn().content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    kind, data = PNG.removeprefix("data:").split(";base64,")
    image = {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    results = [
        {
            "type": "tool_result",
            "tool_use_id": call.id,
            "content": [{"type": "text", "text": call.name}, image],
        }
        for call in calls
    ]
    text = {"type": "text", "text": "See above."}
    conversation.messages.append({"role": "user", "content": [*results, text]})
    assert conversation.turn().stop_reason in {"end_turn", "tool_use"}
    _, _, first, second, last = sent(simulator, conversation.mark)
    assert [first["role"], second["role"], last["role"]] == ["tool", "tool", "user"]
    assert [first["tool_call_id"], second["tool_call_id"]] == [call.id for call in calls]
    assert json.dumps(last).count(PNG) == 2, "failure 6: images are kept"
    assert "See above." in json.dumps(last)


@pytest.mark.parametrize(
    ("asked", "error", "kind"),
    [
        ({"model": "glm-6"}, anthropic.NotFoundError, "not_found_error"),
        ({"model": "glm-5", "messages": "Hi"}, anthropic.BadRequestError, "invalid_request_error"),
        ({"model": "wrong-upstream-key"}, anthropic.InternalServerError, "api_error"),
        ({"model": "unreachable"}, anthropic.InternalServerError, "api_error"),
    ],
    ids=lambda value: value.get("model") if isinstance(value, dict) else "",
)
@each_way
def test_errors_are_the_sdk_s_own(
    anthropic_client: Anthropic,
    asked: dict[str, Any],
    error: type[anthropic.APIStatusError],
    kind: str,
    *,
    stream: bool,
) -> None:
    with pytest.raises(error) as raised:
        create(anthropic_client, stream=stream, **asked)
    body: Any = raised.value.body
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["request_id"] == raised.value.request_id


def test_a_wrong_key_is_refused(gateway: Gateway) -> None:
    http = httpx2.Client(transport=ValidatedTransport2(), trust_env=False)
    with (
        Anthropic(api_key="wrong", base_url=gateway.url, max_retries=0, http_client=http) as client,
        pytest.raises(anthropic.AuthenticationError),
    ):
        create(client, model="glm-5", stream=False)


def test_a_broken_stream_raises(
    gateway: Gateway, anthropic_client: Anthropic, scripted: ScriptedUpstream
) -> None:
    script = scripted.script(EVENT_STREAM_HEAD, http_chunk(STREAM[: STREAM.index(b"\n\n") + 2]), Reset())
    said: list[str] = []

    def read() -> None:
        with anthropic_client.messages.stream(
            model="scripted", max_tokens=9, messages=HELLO, extra_body={"script": script}
        ) as stream:
            said.extend(stream.text_stream)

    with pytest.raises(anthropic.APIStatusError) as raised:
        read()
    assert said == ["One "]
    body: Any = raised.value.body
    assert body["error"]["type"] == "api_error"
    row = gateway.ledger(body["request_id"])
    assert (row["api"], row["error_kind"]) == ("messages", "reset")


def test_what_a_stream_of_this_door_used_is_in_the_ledger(gateway: Gateway) -> None:
    asked = {"model": "glm-5", "max_tokens": 2000, "stream": True, "messages": HELLO}
    answer = gateway.post(asked, path=MESSAGES)
    row = gateway.ledger(answer.headers["x-request-id"])
    events = answer.body.split(b"\n\n")
    [last] = [json.loads(event.partition(b"data: ")[2]) for event in events if b"message_delta" in event]
    counted = last["usage"]["input_tokens"] + last["usage"]["cache_read_input_tokens"]
    assert (row["api"], row["prompt_tokens"]) == ("messages", counted)
    assert row["completion_tokens"] == last["usage"]["output_tokens"]
