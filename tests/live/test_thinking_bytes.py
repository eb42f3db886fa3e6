"""The bytes that an upstream receives, for each row of the contract's thinking table, through a live gateway.

The two tables hold what differs; the rest of each body (stream, usage, a mark by which the upstream's record
is found) must come out as it went in.
"""

import pytest

from tests.support.chat import PNG, mark
from tests.support.gateway import MORE_MODELS, Gateway
from tests.support.simulator import SimulatorProcess

UPSTREAM_NAMES = {model.id: model.upstream_model for model in MORE_MODELS}
QWEN, MAX, DEEPSEEK, OBJECT = "qwen3.6-plus", "qwen3-max", "deepseek-v4-pro", "deepseek-by-object"
GLM, KIMI, MINIMAX, VLLM = "glm-5", "kimi-k2.6", "minimax-m3", "served-by-vllm"
IMAGES = "directive-with-images"

ENABLED = '"thinking": {"type": "enabled"}'
DISABLED = '"thinking": {"type": "disabled"}'
KEPT = '"thinking" : {"type":"disabled","keep":"all"}'
ODD = '"big":123456789012345678901234567890,\n\t"n": 1.50E+1 , "e": "\\u00e9\\/", "o" : { "b":1 , "a":[ ] }'

MEMBERS = {
    "qwen, on": (QWEN, '"enable_thinking": true', '"enable_thinking": true', "on; enable_thinking"),
    "qwen, off": (QWEN, '"enable_thinking":false', '"enable_thinking":false', "off; enable_thinking"),
    "qwen, own on": (MAX, '"llmgw_thinking": true', '"enable_thinking": true', "on; enable_thinking"),
    "qwen, own off": (MAX, '"llmgw_thinking" :false', '"enable_thinking": false', "off; enable_thinking"),
    "qwen, both: the gateway's own wins": (
        QWEN,
        '"enable_thinking": true, "top_p": 1e0, "llmgw_thinking": false',
        '"enable_thinking": false, "top_p": 1e0',
        "off; enable_thinking",
    ),
    "qwen, its other members": (
        QWEN,
        '"thinking_budget": 5, "enable_thinking": true',
        '"thinking_budget": 5, "enable_thinking": true',
        "on; enable_thinking",
    ),
    "qwen, no switch": (QWEN, '"a": 1', '"a": 1', None),
    "qwen, null is no switch": (QWEN, '"enable_thinking": null', '"enable_thinking": null', None),
    "by object, on": (OBJECT, '"enable_thinking": true', ENABLED, "on; thinking_object"),
    "by object, off": (OBJECT, '"llmgw_thinking": false', DISABLED, "off; thinking_object"),
    "glm, on": (GLM, '"enable_thinking": true, "a": 1', f'{ENABLED}, "a": 1', "on; thinking_object"),
    "glm, off": (GLM, '"a": 1, "enable_thinking": false', f'"a": 1, {DISABLED}', "off; thinking_object"),
    "glm, own switch": (GLM, '"llmgw_thinking": false', DISABLED, "off; thinking_object"),
    "glm, both": (
        GLM,
        '"enable_thinking": true, "a": 1, "llmgw_thinking": false',
        f'{DISABLED}, "a": 1',
        "off; thinking_object",
    ),
    "glm, the client's object keeps its other members": (
        GLM,
        '"thinking": { "clear_thinking":false, "type":"enabled" }, "enable_thinking": false',
        '"thinking": { "clear_thinking":false, "type":"disabled" }',
        "off; thinking_object",
    ),
    "glm, the client's object has no type": (
        GLM,
        '"llmgw_thinking": true, "thinking": {"clear_thinking": true}',
        '"thinking": {"clear_thinking": true, "type": "enabled"}',
        "on; thinking_object",
    ),
    "glm, a native object alone": (GLM, KEPT, KEPT, None),
    "kimi, on": (KIMI, '"a": 1, "enable_thinking": true', '"a": 1', "on; ignored"),
    "kimi, off": (KIMI, '"enable_thinking": false, "a": 1', '"a": 1', "off; ignored"),
    "kimi, own switch": (KIMI, '"a": 1, "llmgw_thinking": false', '"a": 1', "off; ignored"),
    "kimi, both": (
        KIMI,
        '"llmgw_thinking": false, "enable_thinking": true, "a": 1',
        '"a": 1',
        "off; ignored",
    ),
    "kimi, a native object beside the switch": (
        KIMI,
        f'{KEPT}, "enable_thinking": true',
        KEPT,
        "on; ignored",
    ),
    "kimi, a native object alone": (KIMI, KEPT, KEPT, None),
    "minimax, off": (MINIMAX, '"a": 1, "enable_thinking": false', '"a": 1', "off; ignored"),
    "minimax, a native object": (MINIMAX, KEPT, KEPT, None),
    "vllm, on": (
        VLLM,
        '"enable_thinking": true',
        '"chat_template_kwargs": {"enable_thinking": true}',
        "on; chat_template_kwargs",
    ),
    "vllm, the client's object keeps its other members": (
        VLLM,
        '"llmgw_thinking": false, "chat_template_kwargs": {"a":[1], "enable_thinking":true}',
        '"chat_template_kwargs": {"a":[1], "enable_thinking":false}',
        "off; chat_template_kwargs",
    ),
    "qwen, no effort": (
        QWEN,
        '"reasoning_effort": "none"',
        '"enable_thinking": false',
        "off; enable_thinking",
    ),
    "qwen, no reasoning": (
        QWEN,
        '"a": 1, "reasoning": {"enabled": false}',
        '"a": 1, "enable_thinking": false',
        "off; enable_thinking",
    ),
    "qwen, the boolean wins": (
        QWEN,
        '"reasoning_effort": "none", "enable_thinking": true',
        '"enable_thinking": true',
        "on; enable_thinking",
    ),
    "qwen, an effort": (QWEN, '"reasoning_effort": "high"', '"reasoning_effort": "high"', None),
    "qwen, another limit": (QWEN, '"max_completion_tokens": 5', '"max_completion_tokens": 5', None),
    "glm, no effort": (GLM, '"reasoning": {"effort": "none"}', DISABLED, "off; thinking_object"),
    "glm, the least effort": (GLM, '"reasoning_effort": "minimal"', '"reasoning_effort": "low"', None),
    "glm, its only limit": (GLM, '"max_completion_tokens" : 5e0', '"max_tokens" : 5e0', None),
    "deepseek, two limits": (
        OBJECT,
        '"max_completion_tokens": 5, "max_tokens": 7',
        '"max_completion_tokens": 5, "max_tokens": 7',
        None,
    ),
    "kimi, no effort": (KIMI, '"reasoning_effort": "none"', '"reasoning_effort": "none"', None),
    "kimi, the least effort": (KIMI, '"reasoning_effort": "minimal"', '"reasoning_effort": "minimal"', None),
    "odd but valid bytes": (QWEN, ODD, ODD, None),
    "odd but valid bytes around a switch": (
        GLM,
        f'{ODD} , "enable_thinking" : true',
        f"{ODD} , {ENABLED}",
        "on; thinking_object",
    ),
}
"""What stands behind the messages: name -> (model, before, after, `x-llmgw-thinking`)."""

IMAGE = f'{{"type": "image_url", "image_url": {{"url": "{PNG}"}}}}'
CALL = (
    '{"role": "assistant", "content": "x /think", "reasoning_content": "r", "tool_calls": '
    '[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}'
)
TOOL = '{"role": "tool", "tool_call_id": "c", "content": "1 /think"}'


def user(text: str) -> str:
    return f'{{"role": "user", "content": "{text}"}}'


def parts(*items: str) -> str:
    return f'{{"role": "user", "content": [{", ".join(items)}]}}'


def text(said: str) -> str:
    return f'{{"type": "text", "text": "{said}"}}'


MESSAGES = {
    "on": (DEEPSEEK, user("Hi"), '"enable_thinking": true', user("Hi /think"), "on; directive"),
    "off": (DEEPSEEK, user("Hi"), '"enable_thinking": false', user("Hi /no_think"), "off; directive"),
    "own switch": (DEEPSEEK, user("Hi"), '"llmgw_thinking": false', user("Hi /no_think"), "off; directive"),
    "both switches": (
        DEEPSEEK,
        user("Hi"),
        '"enable_thinking": false, "llmgw_thinking": true',
        user("Hi /think"),
        "on; directive",
    ),
    "the other directive is replaced": (
        DEEPSEEK,
        user("Hi /think"),
        '"enable_thinking": false',
        user("Hi /no_think"),
        "off; directive",
    ),
    "the same directive is kept": (
        DEEPSEEK,
        user("Hi /think"),
        '"enable_thinking": true',
        user("Hi /think"),
        "on; directive",
    ),
    "the last user message only": (
        DEEPSEEK,
        f"{user('a')}, {user('b')}, {CALL}, {TOOL}",
        '"enable_thinking": false',
        f"{user('a')}, {user('b /no_think')}, {CALL}, {TOOL}",
        "off; directive",
    ),
    "the last text part": (
        DEEPSEEK,
        parts(text("a"), text("b")),
        '"enable_thinking": true',
        parts(text("a"), text("b /think")),
        "on; directive",
    ),
    "a text part before an image": (
        IMAGES,
        parts(text("a"), IMAGE),
        '"enable_thinking": false',
        parts(text("a /no_think"), IMAGE),
        "off; directive",
    ),
    "only images: a text part comes in": (
        IMAGES,
        parts(IMAGE),
        '"enable_thinking": true',
        parts(IMAGE, text("/think")),
        "on; directive",
    ),
    "no user message: the system message": (
        DEEPSEEK,
        '{"role": "system", "content": "Be brief."}',
        '"enable_thinking": false',
        '{"role": "system", "content": "Be brief. /no_think"}',
        "off; directive",
    ),
    "neither: nothing is sent": (
        DEEPSEEK,
        '{"role": "assistant", "content": "Hi"}',
        '"enable_thinking": true',
        '{"role": "assistant", "content": "Hi"}',
        "on; ignored",
    ),
    "escapes stay": (
        DEEPSEEK,
        user("\\u4f60\\n"),
        '"enable_thinking": true',
        user("\\u4f60\\n/think"),
        "on; directive",
    ),
}
"""The directive: name -> (model, messages before, switch, messages after, `x-llmgw-thinking`)."""


def check(
    gateway: Gateway, simulator: SimulatorProcess, model: str, before: str, after: str, header: str | None
) -> None:
    marker = mark()
    rest = f'"x_mark": "{marker}", "stream": true, "stream_options": {{"include_usage": true}}'
    with gateway.stream(f'{{"model": "{model}", {before}, {rest}}}'.encode()) as response:
        answer = response.read()
    received = simulator.request(marker).body
    assert received.decode() == f'{{"model": "{UPSTREAM_NAMES.get(model, model)}", {after}, {rest}}}'
    if response.status_code == 200:
        assert response.headers.get("x-llmgw-thinking") == header
    else:  # MiniMax takes other types
        assert b"thinking.type must be adaptive" in answer


@pytest.mark.parametrize(("model", "before", "after", "header"), MEMBERS.values(), ids=MEMBERS)
def test_members(
    gateway: Gateway, simulator: SimulatorProcess, model: str, before: str, after: str, header: str | None
) -> None:
    messages = f'"messages": [{user("Hi")}]'
    check(gateway, simulator, model, f"{messages}, {before}", f"{messages}, {after}", header)


@pytest.mark.parametrize(("model", "before", "switch", "after", "header"), MESSAGES.values(), ids=MESSAGES)
def test_directives(
    gateway: Gateway,
    simulator: SimulatorProcess,
    model: str,
    before: str,
    switch: str,
    after: str,
    header: str,
) -> None:
    check(gateway, simulator, model, f'"messages": [{before}], {switch}', f'"messages": [{after}]', header)


def test_a_directive_that_the_client_wrote_stays(gateway: Gateway, simulator: SimulatorProcess) -> None:
    messages = f'"messages": [{user("Hi /no_think")}]'
    check(gateway, simulator, DEEPSEEK, messages, messages, None)


@pytest.mark.parametrize(
    ("model", "before", "after"),
    [
        ("vendor/qwen3.6-plus", '"enable_thinking": false', '"enable_thinking": false'),
        ("qwen3.6-plus", '"a": 1', '"a": 1, "stream": true, "stream_options": {"include_usage": true}'),
        ("qwen3.6-plus", '"stream": false', '"stream": true, "stream_options": {"include_usage": true}'),
        ("glm-5", '"a": 1', '"a": 1'),
        ("always-streams", '"a": 1', '"a": 1, "stream": true, "stream_options": {"include_usage": true}'),
        ("never-streams", '"enable_thinking": false', '"enable_thinking": false'),
        ("glm-5", '"stream": true', '"stream": true, "stream_options": {"include_usage": true}'),
        (
            "glm-5",
            '"stream": true, "stream_options": {"include_usage": false}',
            '"stream": true, "stream_options": {"include_usage": true}',
        ),
        (
            "glm-5",
            '"stream_options": {"x":1}, "stream": true',
            '"stream_options": {"x":1, "include_usage": true}, "stream": true',
        ),
        (
            "dropping",
            '"seed": 1, "enable_thinking": false, "top_p": 1',
            '"enable_thinking": false, "top_p": 1',
        ),
        (
            "dropping",
            '"enable_thinking": false, "reasoning_effort": "low", "seed": 1',
            '"enable_thinking": false',
        ),
    ],
)
def test_other_edits(
    gateway: Gateway, simulator: SimulatorProcess, model: str, before: str, after: str
) -> None:
    """The upstream's name, a stream that the gateway alone wants, the usage that it always wants, `drop`."""
    marker = mark()
    messages = f'"messages": [{{"role": "user", "content": "{marker}"}}]'
    answer = gateway.post(f'{{"model": "{model}", {messages}, {before}}}'.encode())
    assert answer.status == 200, answer.body
    upstream_model = UPSTREAM_NAMES.get(model, model)
    assert simulator.request(marker).body.decode() == f'{{"model": "{upstream_model}", {messages}, {after}}}'


def test_the_client_s_headers_stop_at_the_gateway(gateway: Gateway, simulator: SimulatorProcess) -> None:
    marker = mark()
    headers = {**gateway.headers(), "cookie": "a=b", "x-secret": "c", "content-type": "application/json"}
    body = f'{{"model": "glm-5", "messages": [{{"role": "user", "content": "{marker}"}}]}}'
    assert gateway.client.post("/v1/chat/completions", content=body, headers=headers).status_code == 200
    received = simulator.request(marker).headers
    assert received["authorization"] == "Bearer sim-glm"
    assert {"cookie", "x-secret"}.isdisjoint(received)
    assert received["accept-encoding"] == "identity"
