"""The reasoning of tool calls comes back: the SDK drops it, and the providers insist on it."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from openai import BadRequestError, OpenAI

from tests.support.chat import CLOCK, WEATHER, mark
from tests.support.frames import check_stream
from tests.support.gateway import Gateway
from tests.support.processes import Process, wait_until
from tests.support.redis import RedisServer
from tests.support.simulator import SimulatorProcess

CITIES = ("Paris", "Tokyo", "Berlin")
MODELS = ("deepseek-v4-pro", "kimi-k2.6")
MIXES = {
    "streamed": (True, True, True),
    "plain": (False, False, False),
    "streamed, then plain": (True, False, True),
    "plain, then streamed": (False, True, False),
}
REFUSALS = {
    "deepseek-v4-pro": "The reasoning_content in the thinking mode must be passed back to the API.",
    "kimi-k2.6": (
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1"
    ),
}
EITHER = """
[[models]]
id = "either"
targets = [
  {upstream = "kimi", upstream_model = "kimi-k2.6", priority = 1},
  {upstream = "deepseek", upstream_model = "deepseek-v4-pro", priority = 2},
]
"""
SECRET_WORDS = "simulated reasoning"
"""They stand in the reasoning of every simulated answer."""


def config(simulator: SimulatorProcess, *, workers: int = 1, cache: str = "") -> str:
    parts = [f"[server]\nworkers = {workers}", '[store]\nurl = "sqlite:///gateway.db"', f"[cache]\n{cache}"]
    parts += [
        f'[upstreams.{name}]\nbase_url = "{simulator.url}/{name}/v1"\napi_key = "sim-{name}"'
        for name in ("deepseek", "kimi")
    ]
    for model, upstream, upstream_model, more in (
        ("deepseek-v4-pro", "deepseek", "deepseek-v4-pro", ""),
        ("kimi-k2.6", "kimi", "kimi-k2.6", ""),
        ("merged", "kimi", "kimi-k2.6", 'upstream_stream = "always"'),
        ("by-object", "deepseek", "deepseek-v4-pro", 'thinking = "thinking_object"'),
        ("left-alone", "deepseek", "deepseek-v4-pro", "restore_reasoning = false"),
    ):
        names = f'id = "{model}"\nupstream = "{upstream}"\nupstream_model = "{upstream_model}"'
        parts.append(f"[[models]]\n{names}\n{more}")
    parts.append(EITHER)
    return "\n\n".join(parts) + "\n"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess) -> Iterator[Gateway]:
    """One worker, no Redis."""
    with Gateway(tmp_path_factory.mktemp("alone"), config(simulator)) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def sharing(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, redis: RedisServer
) -> Iterator[Gateway]:
    """Two workers and Redis."""
    shared = config(simulator, workers=2, cache=f'url = "{redis.url}"')
    with Gateway(tmp_path_factory.mktemp("sharing"), shared) as gateway:
        yield gateway


@pytest.fixture
def sdk() -> Iterator[Callable[..., OpenAI]]:
    """The SDK, pointed at a gateway, with a new connection for every request: any worker may get it."""
    with ExitStack() as stack:

        def connect(gateway: Gateway, key: str | None = None) -> OpenAI:
            client = httpx2.Client(trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0))
            url = f"{gateway.url}/v1"
            api_key = key or gateway.key
            return stack.enter_context(
                OpenAI(api_key=api_key, base_url=url, max_retries=0, timeout=30, http_client=client)
            )

        yield connect


@dataclass
class Conversation:
    """What a usual client sends: its history without any reasoning."""

    client: OpenAI
    model: str
    mark: str = field(default_factory=mark)
    messages: list[Any] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    reasoning: list[str] = field(default_factory=list)
    """What the streams showed of it, for turns with tool calls."""
    written: Callable[[list[Any]], list[Any]] = list
    """How the client writes its history."""

    def ask(self, question: str, *, stream: bool, rounds: int = 1) -> str:
        """A question, the tool calls that answer it, their results, and the text that comes of them."""
        self.messages.append({"role": "user", "content": question})
        for number in range(rounds):
            choice = {"tool_choice": "required"} if number else {}
            for call in self.turn(stream=stream, **choice)["tool_calls"]:
                content = f"18 degrees, says {call['function']['name']}"
                self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
        text: str = self.turn(stream=stream)["content"]
        return text

    def turn(self, *, stream: bool, **more: Any) -> Any:  # noqa: ANN401 - a message as JSON
        """One request; the answer's message goes to the history."""
        tools = [WEATHER, CLOCK]
        messages = self.written(self.messages)
        parameters: dict[str, Any] = {"model": self.model, "messages": messages, "tools": tools, **more}
        parameters |= {"user": self.mark, **self.more}
        create = self.client.chat.completions.create
        if stream:
            message, reasoning = merged(create(stream=True, **parameters))
            if "tool_calls" in message and reasoning:
                self.reasoning.append(reasoning)
        else:
            message = create(**parameters).choices[0].message.model_dump(exclude_none=True)
        assert "reasoning_content" not in message
        self.messages.append(message)
        return message


def merged(stream: Any) -> tuple[dict[str, Any], str]:  # noqa: ANN401 - the SDK's stream
    """The message of a stream, and apart from it the reasoning."""
    content, reasoning = "", ""
    calls: dict[int, dict[str, Any]] = {}
    for chunk in stream:
        for choice in chunk.choices:
            content += choice.delta.content or ""
            reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"type": "function", "function": {"arguments": ""}})
                if piece.id:
                    call["id"] = piece.id
                    call["function"]["name"] = piece.function.name
                call["function"]["arguments"] += piece.function.arguments
    message: dict[str, Any] = {"role": "assistant", "content": content or None}
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message, reasoning


def last_messages(simulator: SimulatorProcess, conversation: Conversation) -> list[dict[str, Any]]:
    """The messages in the last request of a conversation, as the provider got them."""
    messages: list[dict[str, Any]] = json.loads(simulator.requests(conversation.mark)[-1].body)["messages"]
    return messages


def sent(simulator: SimulatorProcess, conversation: Conversation) -> list[str | None]:
    """The reasoning of the tool calls among them."""
    messages = last_messages(simulator, conversation)
    return [m.get("reasoning_content") for m in messages if m.get("tool_calls")]


def outcomes(gateway: Gateway) -> dict[str, float]:
    """The counts of `llmgw_reasoning_turns_total`."""
    text = httpx.get(f"{gateway.url}/metrics", trust_env=False).text
    lines = [line for line in text.splitlines() if line.startswith("llmgw_reasoning_turns_total{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


def respaced(messages: list[Any]) -> list[Any]:
    """As Copilot CLI resumes a session: arguments written anew, null members gone, another one there."""
    copies: list[Any] = json.loads(json.dumps(messages))
    for message in copies:
        for name in [name for name, value in message.items() if value is None]:
            del message[name]
        for call in message.get("tool_calls", []):
            arguments = dict(reversed(json.loads(call["function"]["arguments"]).items()))
            call["function"]["arguments"] = json.dumps(arguments, indent=1)
            call["index"] = 0
    return copies


def in_parts(messages: list[Any]) -> list[Any]:
    """As Continue and the AI SDK do: texts as lists of parts, nothing beside calls, blank reasoning."""
    copies: list[Any] = json.loads(json.dumps(messages))
    for message in copies:
        text = message.get("content")
        message["content"] = [{"type": "text", "text": text}] if text else ""
        if message["role"] == "assistant":
            message |= {"refusal": None, "reasoning_content": ""}
        for call in message.get("tool_calls", []):
            arguments = json.loads(call["function"]["arguments"])
            call["function"]["arguments"] = json.dumps(arguments, separators=(",", ":"))
    return copies


def trimmed(messages: list[Any]) -> list[Any]:
    """As gptme does: texts without white space around them, and the time of day at the front."""
    now = {"role": "system", "content": f"It is {time.time()}."}
    copies: list[Any] = json.loads(json.dumps(messages))
    for message in copies:
        message["content"] = (message.get("content") or "").strip()
    return [now, *copies]


def without_the_oldest(messages: list[Any]) -> list[Any]:
    """As clients do whose history has become too long: only what followed the last two questions is left."""
    questions = [at for at, message in enumerate(messages) if message["role"] == "user"]
    return messages[questions[-2] :] if len(questions) > 2 else messages


def mixed(messages: list[Any]) -> list[Any]:
    """Another way each time, as when several programs go on with one session."""
    return (respaced, in_parts, trimmed, list)[len(messages) % 4](messages)


def three_turns(conversation: Conversation, mix: Sequence[bool]) -> None:
    for city, stream in zip(CITIES, mix, strict=True):
        text = conversation.ask(f"How is the weather in {city}?", stream=stream)
        assert "18 degrees, says get_weather" in text


@pytest.mark.parametrize("model", [*MODELS, "merged", "by-object"])
@pytest.mark.parametrize("mix", MIXES)
def test_three_turns(
    alone: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI], model: str, mix: str
) -> None:
    conversation = Conversation(sdk(alone), model)
    three_turns(conversation, MIXES[mix])
    reached = sent(simulator, conversation)
    assert len(reached) == 3
    for city, reasoning in zip(CITIES, reached, strict=True):
        assert SECRET_WORDS in (reasoning or "")
        assert city in (reasoning or "")
    for shown in conversation.reasoning:
        assert shown in reached


@pytest.mark.parametrize("model", [*MODELS, "merged"])
@pytest.mark.parametrize("written", [list, respaced, in_parts, trimmed, without_the_oldest, mixed])
@pytest.mark.parametrize("stream", [True, False])
def test_two_rounds_and_a_second_question_however_a_client_writes(
    alone: Gateway,
    simulator: SimulatorProcess,
    sdk: Callable[..., OpenAI],
    model: str,
    written: Callable[[list[Any]], list[Any]],
    *,
    stream: bool,
) -> None:
    conversation = Conversation(sdk(alone), model, written=written)
    for city in CITIES:
        # Asked by no other conversation of this key: a shortened history is known by its last question.
        question = f"{conversation.mark}: how is the weather in {city}?"
        conversation.ask(question, stream=stream, rounds=2)
    answers = [m for m in last_messages(simulator, conversation) if m["role"] == "assistant"]
    assert len(answers) == (5 if written is without_the_oldest else 8)
    for answer in answers:
        assert SECRET_WORDS in (answer.get("reasoning_content") or "")
    texts = [m["reasoning_content"] for m in answers if not m.get("tool_calls")]
    assert len(texts) == len(set(texts))


def test_tools_may_be_offered_later(
    alone: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    conversation = Conversation(sdk(alone), "deepseek-v4-pro")
    conversation.messages.append({"role": "user", "content": "Who are you?"})
    conversation.turn(stream=False, tools=[])
    conversation.ask("How is the weather in Paris?", stream=False)
    answers = [m for m in last_messages(simulator, conversation) if m["role"] == "assistant"]
    assert [SECRET_WORDS in m["reasoning_content"] for m in answers] == [True, True]


def test_no_provider_gets_another_one_s_reasoning(
    alone: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    conversation = Conversation(sdk(alone), "deepseek-v4-pro")
    conversation.ask("How is the weather in Paris?", stream=False)
    conversation.model = "kimi-k2.6"
    with pytest.raises(BadRequestError, match="reasoning_content is missing"):
        conversation.ask("And in Tokyo?", stream=False)
    assert sent(simulator, conversation) == [None]
    # Its other model is no other provider, and targets of one model stand in for each other.
    for model in ("by-object", "either"):
        conversation.messages.pop()
        conversation.model = model
        conversation.ask("And in Tokyo?", stream=False)
        assert None not in sent(simulator, conversation)
        conversation.messages.append({"role": "user", "content": "Thank you."})


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mix", MIXES)
def test_over_two_workers(
    sharing: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI], model: str, mix: str
) -> None:
    client = sdk(sharing)
    for _ in range(4):  # twenty-four requests, each to either worker
        assert all(sent(simulator, conversation_that_holds(client, model, MIXES[mix])))


def conversation_that_holds(client: OpenAI, model: str, mix: Sequence[bool]) -> Conversation:
    """At the third time at the latest: a worker that had to wait for Redis does without it for a second."""
    tried: list[Conversation] = []

    def holds() -> bool:
        tried.append(Conversation(client, model))
        with suppress(BadRequestError):
            three_turns(tried[-1], mix)
            return True
        return False

    wait_until(holds, "a conversation that holds", timeout_s=2.0, interval_s=1.2)
    return tried[-1]


def test_parallel_calls_are_one_turn(
    alone: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    for model in MODELS:
        conversation = Conversation(sdk(alone), model)
        conversation.ask("Weather and time in Tokyo, in parallel.", stream=False)
        assert len(conversation.messages[1]["tool_calls"]) == 2
        [reasoning] = sent(simulator, conversation)
        assert "in parallel" in (reasoning or "")


def test_two_workers_without_redis_are_warned_of_and_fail(
    tmp_path: Path, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    """The control of the test above: without a shared cache its conversations do break."""
    with Gateway(tmp_path, config(simulator, workers=2)) as gateway:
        assert "warning: each of the 2 workers keeps the reasoning" in gateway.process.output
        client = sdk(gateway)

        def converse() -> None:
            for _ in range(30):
                three_turns(Conversation(client, "deepseek-v4-pro"), MIXES["plain"])

        with pytest.raises(BadRequestError):
            converse()


@pytest.mark.parametrize("model", MODELS)
def test_a_restart_forgets_nothing_that_redis_has(
    tmp_path: Path, simulator: SimulatorProcess, redis: RedisServer, sdk: Callable[..., OpenAI], model: str
) -> None:
    text = config(simulator, workers=2, cache=f'url = "{redis.url}"')
    with Gateway(tmp_path, text) as gateway:
        key = gateway.key
        conversation = Conversation(sdk(gateway), model)
        three_turns(conversation, MIXES["streamed, then plain"])
        assert gateway.process.stop() == 0
    with Gateway(tmp_path, text) as gateway:
        conversation.client = sdk(gateway, key)
        three_turns(conversation, MIXES["plain"])
        assert len(sent(simulator, conversation)) == 6
        assert all(sent(simulator, conversation))


@pytest.mark.parametrize("model", MODELS)
def test_a_restart_without_redis_and_another_key_find_nothing(
    alone: Gateway, sdk: Callable[..., OpenAI], model: str
) -> None:
    conversation = Conversation(sdk(alone), model)
    three_turns(conversation, MIXES["plain"])
    # The same history, ids and all, by another customer of the same gateway.
    conversation.client = sdk(alone, alone.new_key())
    with pytest.raises(BadRequestError) as caught:
        conversation.ask("And in Rome?", stream=False)
    assert REFUSALS[model] in caught.value.message
    # Its owner goes on.
    conversation.messages.pop()
    conversation.client = sdk(alone)
    assert "18 degrees" in conversation.ask("And in Rome?", stream=True)


def test_kimi_s_ids_come_again_and_are_not_mixed_up(
    alone: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    """Both conversations have the call `get_weather:0`, twice, with the same arguments."""
    conversations = [Conversation(sdk(alone), "kimi-k2.6") for _ in range(2)]
    for number, city in enumerate(["Paris", "Paris"]):
        for name, conversation in zip("AB", conversations, strict=True):
            conversation.ask(f"{name}{number}: how is the weather in {city}?", stream=number == 0)
    calls = [[m["tool_calls"] for m in c.messages if m.get("tool_calls")] for c in conversations]
    assert calls[0] == calls[1]
    for name, conversation in zip("AB", conversations, strict=True):
        first, second = sent(simulator, conversation)
        assert f"{name}0" in (first or "")
        assert f"{name}1" in (second or "")


def test_what_the_client_sends_itself_is_left_alone(
    alone: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    conversation = Conversation(sdk(alone), "deepseek-v4-pro")
    conversation.ask("How is the weather in Paris?", stream=False)
    conversation.messages[1]["reasoning_content"] = "My own."
    conversation.ask("And in Tokyo?", stream=False)
    assert sent(simulator, conversation)[0] == "My own."


@pytest.mark.parametrize("blank", [None, ""])
def test_blank_reasoning_is_missing_reasoning(
    alone: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI], blank: str | None
) -> None:
    conversation = Conversation(sdk(alone), "deepseek-v4-pro")
    conversation.ask("How is the weather in Paris?", stream=False)
    conversation.messages[1]["reasoning_content"] = blank
    conversation.ask("And in Tokyo?", stream=False)
    assert SECRET_WORDS in (sent(simulator, conversation)[0] or "")


@pytest.mark.parametrize("fault", ["fail_after_chunks", "end_after_chunks", "error_after_chunks"])
def test_an_answer_that_broke_off_may_be_sent_back(
    alone: Gateway, simulator: SimulatorProcess, fault: str
) -> None:
    """As Qwen Code does: what it got of the text, blank reasoning, and a request for the rest."""
    name = mark()
    asked = {
        "model": "deepseek-v4-pro",
        "stream": True,
        "tools": [WEATHER],
        "tool_choice": "none",
        "user": name,
    }
    user = {"role": "user", "content": "Tell me something."}
    broken = alone.post(asked | {"messages": [user], "simulate": {"chunk_chars": 40, fault: 8}})
    answer = check_stream(broken.body, include_usage=False)
    [choice] = answer.choices.values()
    assert answer.error is not None
    assert choice.content
    partial = {"role": "assistant", "content": choice.content, "reasoning_content": ""}
    rest = {"role": "user", "content": "Go on."}
    again = alone.post(asked | {"messages": [user, partial, rest]})
    assert again.status == 200, again.body
    last = json.loads(simulator.requests(name)[-1].body)["messages"]
    assert last[1]["reasoning_content"] == choice.reasoning != ""


def test_with_thinking_switched_off_nothing_is_put_back(
    alone: Gateway, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    conversation = Conversation(sdk(alone), "by-object")
    conversation.ask("How is the weather in Paris?", stream=False)
    conversation.more = {"extra_body": {"llmgw_thinking": False}}
    conversation.ask("And in Tokyo?", stream=False)
    assert sent(simulator, conversation) == [None, None]


def test_a_model_may_be_left_alone(alone: Gateway, sdk: Callable[..., OpenAI]) -> None:
    conversation = Conversation(sdk(alone), "left-alone")
    with pytest.raises(BadRequestError, match="must be passed back"):
        conversation.ask("How is the weather in Paris?", stream=False)


def test_it_is_counted_and_stands_nowhere_else(alone: Gateway, sdk: Callable[..., OpenAI]) -> None:
    before = outcomes(alone)
    conversation = Conversation(sdk(alone), "deepseek-v4-pro")
    conversation.ask("How is the weather in Paris?", stream=False)
    conversation.messages[1]["tool_calls"][0]["id"] = "call_nobody_knows_this"
    conversation.messages[2]["tool_call_id"] = "call_nobody_knows_this"
    with pytest.raises(BadRequestError):
        conversation.ask("And in Tokyo?", stream=False)
    after = outcomes(alone)
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    assert {name: count for name, count in grown.items() if count} == {"kept": 2, "restored": 1, "missing": 2}
    assert alone.ledger_rows()
    database = b"".join(
        file.read_bytes() for file in alone.database.parent.glob("gateway.db*") if file.is_file()
    )
    assert SECRET_WORDS.encode() not in database
    assert SECRET_WORDS not in alone.process.output


def test_check_asks_redis(sharing: Gateway, tmp_path: Path) -> None:
    check = Process("llmgw", "check", "--config", str(sharing.config), folder=tmp_path)
    assert check.process.wait(30) == 0, check.output
    assert "cache: ok" in check.output


def test_redis_dies_and_comes_back(
    tmp_path: Path, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    with (
        RedisServer(tmp_path) as redis,
        Gateway(tmp_path, config(simulator, cache=f'url = "{redis.url}"')) as gateway,
    ):
        conversation = Conversation(sdk(gateway), "deepseek-v4-pro")
        conversation.ask("How is the weather in Paris?", stream=True)
        redis.kill()
        # The request goes on as the client sent it, and the provider says in its own words what it misses.
        with pytest.raises(BadRequestError, match="must be passed back"):
            conversation.ask("And in Tokyo?", stream=False)
        # Whoever calls no tools notices nothing; nor does a first call.
        other = Conversation(sdk(gateway), "deepseek-v4-pro")
        other.messages.append({"role": "user", "content": "How is the weather in Paris?"})
        for stream in (False, True, False):
            assert other.turn(stream=stream)
            other.messages.pop()
        log = gateway.process.output
        assert (
            log.count("the cache fails, reasoning is neither kept nor put back: Redis: ConnectionError") == 1
        )
        assert SECRET_WORDS not in log
        assert outcomes(gateway)["failed"] >= 4
        redis.start()

        def works() -> bool:
            again = Conversation(sdk(gateway), "deepseek-v4-pro")
            try:
                again.ask("How is the weather in Paris?", stream=False)
            except BadRequestError:
                return False
            return True

        wait_until(works, "the cache works again", timeout_s=20)
        assert gateway.process.output.count("the cache works again") == 1


def test_redis_that_hangs_holds_nobody_up_for_long(
    tmp_path: Path, simulator: SimulatorProcess, sdk: Callable[..., OpenAI]
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        cache = f'url = "redis://127.0.0.1:{silent.getsockname()[1]}/0"'
        with Gateway(tmp_path, config(simulator, cache=cache)) as gateway:
            conversation = Conversation(sdk(gateway), "deepseek-v4-pro")
            conversation.messages.append({"role": "user", "content": "How is the weather in Paris?"})
            begun = time.monotonic()
            for _ in range(20):
                conversation.turn(stream=False)
                conversation.messages.pop()
            # Every one of them waiting, twice half a second, would be twenty.
            assert time.monotonic() - begun < 15
            assert "the cache fails" in gateway.process.output
