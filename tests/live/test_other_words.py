"""What a provider refuses or passes over reaches it in other words, through a live gateway.

The simulated providers refuse what the real ones are known to refuse: see `tests/unit/test_simulator.py`.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from llmgw.simulator import tokens
from tests.support.chat import HELLO, body, mark, streamed
from tests.support.gateway import Gateway
from tests.support.simulator import SimulatorProcess

DEVELOPER = [{"role": "developer", "content": "Be brief."}, *HELLO]
ECHOED = [
    *HELLO,
    {"role": "assistant", "content": "Hello.", "refusal": None, "audio": None, "tool_calls": None},
    {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Again."}]},
]
SPOKEN = [
    *HELLO,
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": [{"type": "text", "text": "Again."}]},
]
LIMIT_TOKENS = 3
Make = Callable[..., dict[str, Any]]


def sent(simulator: SimulatorProcess, marked: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(simulator.request(marked).body)


@pytest.mark.parametrize("make", [body, streamed])
@pytest.mark.parametrize("model", ["qwen3.6-plus", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3"])
def test_a_developer_is_heard_as_system(
    gateway: Gateway, simulator: SimulatorProcess, model: str, make: Make
) -> None:
    marked = mark()
    answer = gateway.post(make(model, messages=DEVELOPER, user=marked))
    assert answer.status == 200, answer.body
    assert sent(simulator, marked)["messages"] == [{"role": "system", "content": "Be brief."}, *HELLO]


def test_a_developer_is_kept_where_the_config_says_so(gateway: Gateway, simulator: SimulatorProcess) -> None:
    marked = mark()
    answer = gateway.post(body("keeps-developers", messages=DEVELOPER, user=marked))
    assert (answer.status, answer.error["code"]) == (400, "upstream_error")
    assert "developer" in answer.error["message"]
    assert sent(simulator, marked)["messages"] == DEVELOPER


@pytest.mark.parametrize("make", [body, streamed])
def test_glm_gets_neither_empty_texts_nor_nulls(
    gateway: Gateway, simulator: SimulatorProcess, make: Make
) -> None:
    marked = mark()
    answer = gateway.post(make("glm-5", messages=ECHOED, user=marked))
    assert answer.status == 200, answer.body
    assert sent(simulator, marked)["messages"] == SPOKEN


def test_others_get_what_they_can_take(gateway: Gateway, simulator: SimulatorProcess) -> None:
    marked = mark()
    assert gateway.post(body("qwen3.6-plus", messages=ECHOED, user=marked)).status == 200
    assert sent(simulator, marked)["messages"] == ECHOED


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("model", ["deepseek-v4-pro", "glm-5", "qwen3.6-plus", "kimi-k2.6"])
def test_a_limit_holds_by_either_name(gateway: Gateway, model: str, limit: str) -> None:
    answer = gateway.post(body(model, **{limit: LIMIT_TOKENS}))
    [choice] = json.loads(answer.body)["choices"]
    assert choice["finish_reason"] == "length"
    assert tokens.count(choice["message"]["content"]) <= LIMIT_TOKENS


@pytest.mark.parametrize("off", [{"reasoning_effort": "none"}, {"reasoning": {"enabled": False}}])
@pytest.mark.parametrize("model", ["qwen3.6-plus", "deepseek-v4-pro", "deepseek-by-object", "glm-5"])
def test_no_effort_is_no_thinking(
    gateway: Gateway, simulator: SimulatorProcess, model: str, off: dict[str, Any]
) -> None:
    marked = mark()
    answer = gateway.post(streamed(model, user=marked, **off))
    assert (answer.status, b"reasoning_content" in answer.body) == (200, False)
    assert answer.headers["x-llmgw-thinking"].startswith("off; ")
    assert not off.keys() & sent(simulator, marked).keys()


def test_no_effort_of_a_model_that_always_thinks(gateway: Gateway) -> None:
    answer = gateway.post(body("qwen3-next-80b-a3b-thinking", reasoning_effort="none"))
    error = answer.error
    assert (answer.status, error["code"], error["param"]) == (
        400,
        "unsupported_thinking_mode",
        "reasoning_effort",
    )
    # Without a switch it is the provider's own field.
    answer = gateway.post(body("kimi-k2-thinking", reasoning_effort="none"))
    assert (answer.status, answer.headers.get("x-llmgw-thinking")) == (200, None)
