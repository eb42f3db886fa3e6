"""`previous_response_id`: conversations that are kept, in memory and in Redis, through OpenAI's own SDK."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from openai import BadRequestError, OpenAI

from tests.support.gateway import Gateway
from tests.support.redis import RedisServer
from tests.support.scripted import EVENT_STREAM_HEAD, ScriptedUpstream, json_answer

Connect = Callable[..., OpenAI]

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
}
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
OUTPUT: Any = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}


def whole(message: dict[str, Any], finish_reason: str = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return json_answer({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})


def stream(*texts: str) -> bytes:
    deltas = [({"role": "assistant", "content": text}, None) for text in texts]
    events = b"".join(
        b"data: %b\n\n"
        % json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}).encode()
        for delta, reason in [*deltas, ({}, "stop")]
    )
    return EVENT_STREAM_HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events)


def config(scripted: ScriptedUpstream, responses: str, *, workers: int = 1, cache: str = "") -> str:
    return f"""
[server]
workers = {workers}
[store]
url = "sqlite:///gateway.db"
[cache]
{cache}
[responses]
{responses}
[upstreams.scripted]
base_url = "{scripted.base_url}"
[[models]]
id = "scripted"
upstream = "scripted"
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module", params=["memory", "redis"])
def keeping(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    scripted: ScriptedUpstream,
    redis: RedisServer,
) -> Iterator[Gateway]:
    """One worker with its memory, two with Redis."""
    more = {"workers": 2, "cache": f'url = "{redis.url}"'} if request.param == "redis" else {}
    text = config(scripted, "keep_s = 600", **more)  # type: ignore[arg-type]
    with Gateway(tmp_path_factory.mktemp("keeping"), text) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def forgetting(tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("forgetting"), config(scripted, "")) as gateway:
        yield gateway


@pytest.fixture
def sdk() -> Iterator[Connect]:
    """The SDK, with a new connection for every request: any worker may get it."""
    with ExitStack() as stack:

        def connect(gateway: Gateway, key: str | None = None) -> OpenAI:
            client = httpx2.Client(trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0))
            api_key, url = key or gateway.key, f"{gateway.url}/v1"
            return stack.enter_context(
                OpenAI(api_key=api_key, base_url=url, max_retries=0, timeout=30, http_client=client)
            )

        yield connect


def asked(scripted: ScriptedUpstream, script: str) -> list[dict[str, Any]]:
    """The messages that the upstream got with the last request of a script."""
    # Others' requests may hold what Python can't read, such as a number of a million digits.
    own = [request.body for request in scripted.requests if f'"{script}"'.encode() in request.body]
    bodies = [body for body in map(json.loads, own) if body.get("user") == script]
    messages: list[dict[str, Any]] = bodies[-1]["messages"]
    return messages


def test_a_conversation_goes_on(keeping: Gateway, scripted: ScriptedUpstream, sdk: Connect) -> None:
    client = sdk(keeping)
    scripted.plays(
        "goes-on",
        [whole({"content": None, "tool_calls": [CALL]}, "tool_calls")],
        [stream("It is ", "sunny.")],
        [whole({"content": "You are welcome."})],
    )
    ask: dict[str, Any] = {"model": "scripted", "user": "goes-on", "tools": [TOOL]}
    first = client.responses.create(input="Weather?", instructions="Be brief.", **ask)
    assert first.to_dict()["store"] is True
    with client.responses.create(input=[OUTPUT], previous_response_id=first.id, stream=True, **ask) as events:
        second = next(event for event in events if event.type == "response.completed").response
    assert second.previous_response_id == first.id
    assert second.output_text == "It is sunny."
    third = client.responses.create(input="Thanks", previous_response_id=second.id, **ask)
    assert third.output_text == "You are welcome."
    assert asked(scripted, "goes-on") == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
        {"role": "user", "content": "Thanks"},
    ]
    # Another branch of it.
    client.responses.create(input="And Rome?", previous_response_id=first.id, **ask)
    assert [message["role"] for message in asked(scripted, "goes-on")] == [
        "user",
        "assistant",
        "tool",
        "user",
    ]


def refused(client: OpenAI, script: str, response_id: str) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        client.responses.create(model="scripted", user=script, input="And?", previous_response_id=response_id)
    return caught.value


def test_what_is_not_kept_is_not_found(keeping: Gateway, scripted: ScriptedUpstream, sdk: Connect) -> None:
    """Another key's, one that was not to be stored, one that never was. Nothing is sent."""
    client = sdk(keeping)
    script = scripted.script(whole({"content": "Hi"}))
    kept = client.responses.create(model="scripted", user=script, input="Hi")
    other = client.responses.create(model="scripted", user=script, input="Hi", store=False)
    assert other.to_dict()["store"] is False
    number = scripted.number(script)
    for asking, response_id in [
        (sdk(keeping, keeping.new_key()), kept.id),
        (client, other.id),
        (client, "resp_of_nobody"),
    ]:
        error = refused(asking, script, response_id)
        assert (error.code, error.param) == ("previous_response_not_found", "previous_response_id")
    assert scripted.number(script) == number


def test_a_gateway_that_keeps_nothing_says_so(
    forgetting: Gateway, scripted: ScriptedUpstream, sdk: Connect
) -> None:
    client = sdk(forgetting)
    script = scripted.script(whole({"content": "Hi"}))
    answer = client.responses.create(model="scripted", user=script, input="Hi", store=True)
    assert answer.to_dict()["store"] is False
    error = refused(client, script, answer.id)
    assert (error.code, error.param) == ("previous_response_not_found", "previous_response_id")
    assert "send the whole conversation" in error.message
    assert scripted.number(script) == 1


def test_without_redis_a_request_is_told(
    tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedUpstream, sdk: Connect
) -> None:
    """An answer loses nothing but its being kept; what goes on is refused, never answered without history."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        text = config(scripted, "keep_s = 600", cache=f'url = "{server.url}"')
        with Gateway(tmp_path_factory.mktemp("keeping"), text) as gateway:
            client = sdk(gateway)
            script = scripted.script(whole({"content": "Hi"}))
            kept = client.responses.create(model="scripted", user=script, input="Hi")
            server.kill()
            again = client.responses.create(model="scripted", user=script, input="Hi")
            assert again.output_text == "Hi"
            asked_again = {"model": "scripted", "user": script, "input": "x", "previous_response_id": kept.id}
            answer = gateway.post(asked_again, path="/v1/responses")
            assert (answer.status, answer.json()["error"]["code"]) == (503, "overloaded")
