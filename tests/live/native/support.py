"""The config of these tests, and requests as their clients send them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from tests.support.gateway import TIMEOUT_S, Gateway
from tests.support.processes import free_port

Json = dict[str, Any]

MESSAGES: Final = "/v1/messages"
RESPONSES: Final = "/v1/responses"
HEARTBEAT_S: Final = 0.2

TOOL: Final[Json] = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
FUNCTION: Final[Json] = {"type": "function", "name": "get_weather", "parameters": TOOL["input_schema"]}

_MODELS: Final = """\
[[models]]
id = "deepseek-v4-pro"
upstream = "deepseek"
thinking = "thinking_object"

[[models]]
id = "converted"
upstream = "deepseek"
upstream_model = "deepseek-v4-pro"
thinking = "thinking_object"
protocols = ["chat"]

[[models]]
id = "renamed"
upstream = "deepseek"
upstream_model = "deepseek-v4-pro"
thinking = "thinking_object"

[[models]]
id = "minimax-m3"
upstream = "minimax"

[[models]]
id = "qwen3.6-plus"
upstream = "qwen"

[[models]]
id = "scripted"
upstream = "scripted"

[[models]]
id = "native-then-converted"
upstream_model = "deepseek-v4-pro"
thinking = "thinking_object"
targets = [
  {upstream = "scripted", priority = 1},
  {upstream = "deepseek", protocols = ["chat"], priority = 2},
]

[[models]]
id = "converted-then-native"
upstream_model = "deepseek-v4-pro"
thinking = "thinking_object"
targets = [{upstream = "down", priority = 1}, {upstream = "deepseek", priority = 2}]
"""


def config(simulator_url: str, scripted_url: str) -> str:
    """The whole file. The scripted upstream plays whatever it is asked in, at whatever path."""
    native = {
        "deepseek": ("anthropic/v1/messages", "responses"),
        "minimax": ("anthropic/v1/messages", None),
        "qwen": (None, "compatible-mode/v1/responses"),
    }
    parts = [
        f"[server]\nheartbeat_s = {HEARTBEAT_S}\ndrain_timeout_s = 0.5",
        '[store]\nurl = "sqlite:///gateway.db"',
        # Targets that fail on purpose stay in use.
        "[routing]\ncool_down_failures = 1000",
    ]
    for name, (messages, responses) in native.items():
        lines = [f"[upstreams.{name}]", f'base_url = "{simulator_url}/{name}/v1"', f'api_key = "sim-{name}"']
        lines += [f'messages_url = "{simulator_url}/{name}/{messages}"'] if messages else []
        lines += [f'responses_url = "{simulator_url}/{name}/{responses}"'] if responses else []
        parts.append("\n".join(lines))
    host = scripted_url.removesuffix("/v1")
    parts.append(
        f'[upstreams.scripted]\nbase_url = "{scripted_url}"\napi_key = "scripted-key"\n'
        f'messages_url = "{host}/anthropic/v1/messages"\nresponses_url = "{host}/native/responses"'
    )
    parts.append(f'[upstreams.down]\nbase_url = "http://127.0.0.1:{free_port()}/v1"')
    return "\n\n".join([*parts, _MODELS])


def message(model: str, *said: Json | str, **more: object) -> Json:
    """A Messages body; a text is the user's."""
    messages = [{"role": "user", "content": each} if isinstance(each, str) else each for each in said]
    return {"model": model, "max_tokens": 4096, "messages": messages, **more}


def post(gateway: Gateway, path: str, body: Json | bytes, **headers: str) -> httpx.Response:
    """What a client gets that does not judge it."""
    with stream(gateway, path, body, **headers) as response:
        response.read()
        return response


@contextmanager
def stream(gateway: Gateway, path: str, body: Json | bytes, **headers: str) -> Iterator[httpx.Response]:
    """The same, to be read at one's own pace."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", **gateway.headers(), **headers}
    with (
        httpx.Client(base_url=gateway.url, trust_env=False, timeout=TIMEOUT_S) as client,
        client.stream("POST", path, content=content, headers=sent) as response,
    ):
        yield response


def events(received: bytes) -> list[Json]:
    """The events of a stream of named ones, each of which has its name as its type; pings left out."""
    found = []
    for each in received.split(b"\n\n")[:-1]:
        if each.startswith(b":"):
            continue
        name, data = each.split(b"\ndata: ")
        event = json.loads(data)
        assert name == b"event: " + event["type"].encode()
        if event["type"] != "ping":
            found.append(event)
    return found
