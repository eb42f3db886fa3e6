"""Conversations through two gateways, at two upstreams of two accounts each, whose caches tell what they had.

The gateways share nothing but their config: each turn of a conversation goes through the other one.
"""

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx
import pytest

from tests.live.test_reload import reload as run_reload
from tests.support.gateway import CHAT_COMPLETIONS, Gateway
from tests.support.simulator import SimulatorProcess

logger = logging.getLogger(__name__)

CONVERSATIONS, TURNS = 6, 4
BLOCK = 16
"""The simulator counts cached tokens in these."""
RULES = "Each of these rules is older than the next, and none of them matters here. " * 12
NAMES = itertools.count()
SESSIONS = itertools.count()


class Usage(NamedTuple):
    """Of one turn."""

    prompt: int
    cached: int


def config(url: str, *, affinity: bool) -> str:
    text = f'[store]\nurl = "sqlite:///gateway.db"\n\n[routing]\naffinity = {str(affinity).lower()}\n'
    natively = f'messages_url = "{url}/deepseek/anthropic/v1/messages"\n'
    natively += f'responses_url = "{url}/deepseek/responses"\n'
    for provider, model, more in (("glm", "glm-5", ""), ("deepseek", "deepseek-v4-flash", natively)):
        for name in ("first", "second"):
            keys = ", ".join(f'"sim-{provider}-{affinity}-{name}-{number}"' for number in (1, 2))
            text += f'\n[upstreams.{provider}-{name}]\nbase_url = "{url}/{provider}/v1"\n'
            text += f"api_keys = [{keys}]\n{more}"
        targets = f'[{{upstream = "{provider}-first"}}, {{upstream = "{provider}-second"}}]'
        text += f'\n[[models]]\nid = "{model}"\ntargets = {targets}\n'
    return text


@pytest.fixture(scope="module", params=[True, False], ids=["affinity", "drawn"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess
) -> Iterator[tuple[bool, list[Gateway]]]:
    """Whether conversations stay, and two gateways."""
    text = config(simulator.url, affinity=request.param)
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp("affinity") for _ in range(2)]
        yield request.param, [stack.enter_context(Gateway(folder, text)) for folder in folders]


def chat(model: str, system: str, said: list[str]) -> tuple[str, dict[str, Any]]:
    turns = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(said)]
    messages = [{"role": "system", "content": system}, *turns]
    return CHAT_COMPLETIONS, {"model": model, "messages": messages, "max_tokens": 30}


def messages(model: str, system: str, said: list[str]) -> tuple[str, dict[str, Any]]:
    turns = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(said)]
    return "/v1/messages", {"model": model, "system": system, "messages": turns, "max_tokens": 30}


def responses(model: str, system: str, said: list[str]) -> tuple[str, dict[str, Any]]:
    turns = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(said)]
    return "/v1/responses", {
        "model": model,
        "instructions": system,
        "input": turns,
        "max_output_tokens": 30,
    }


def usage_of(answer: httpx.Response) -> Usage:
    usage = answer.json()["usage"]
    if "prompt_tokens" in usage:
        return Usage(usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"])
    if "cache_read_input_tokens" in usage:
        cached = usage["cache_read_input_tokens"]
        return Usage(usage["input_tokens"] + cached, cached)
    return Usage(usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"])


Ask = Callable[[str, str, list[str]], tuple[str, dict[str, Any]]]


def talk(gateways: list[Gateway], ask: Ask, model: str) -> tuple[list[Usage], list[tuple[Gateway, str]]]:
    """One conversation, with another gateway at each turn: its usages, and who has which request's row."""
    system = f"This is conversation {next(NAMES)} of its kind. {RULES}"
    said: list[str] = []
    usages, asked = [], []
    for turn in range(TURNS):
        said.append(f"Question {turn}: what follows from the rules?")
        gateway = gateways[turn % 2]
        path, body = ask(model, system, said)
        # What a provider says in the client's own API passes, whether or not it fits OpenAI's schemas.
        answer = httpx.post(f"{gateway.url}{path}", headers=gateway.headers(), json=body, trust_env=False)
        assert answer.status_code == 200, answer.text
        said.append(f"Answer {turn}.")  # what a client makes of it is its own business
        usages.append(usage_of(answer))
        asked.append((gateway, answer.headers["x-request-id"]))
    return usages, asked


@pytest.mark.parametrize("model", ["glm-5", "deepseek-v4-flash"], ids=["converted", "native"])
@pytest.mark.parametrize("ask", [chat, messages, responses])
def test_conversations_find_their_cache(pair: tuple[bool, list[Gateway]], ask: Ask, model: str) -> None:
    stay, gateways = pair
    found = possible = 0
    conversations = [talk(gateways, ask, model) for _ in range(CONVERSATIONS)]
    for usages, asked in conversations:  # all rows are there when the last of them is: no wait for each
        rows = [gateway.ledger(request_id) for gateway, request_id in asked]
        assert [(row["prompt_tokens"], row["cached_tokens"]) for row in rows] == usages
        best = [0] + [before.prompt - before.prompt % BLOCK for before in usages[:-1]]
        cached = [usage.cached for usage in usages]
        if stay:
            assert cached == best
            assert len({row["upstream"] for row in rows}) == 1
        found += sum(cached)
        possible += sum(best)
    share = found / possible
    logger.info(
        "affinity %s: %d of %d tokens were cached that could be (%.0f %%)", stay, found, possible, share * 100
    )
    if not stay:
        assert share < 0.9


def accounts_asked(simulator: SimulatorProcess, mark: str) -> set[str]:
    return {each.headers["authorization"] for each in simulator.requests(mark)}


@pytest.mark.parametrize("pair", [True], indirect=True, ids=["affinity"])
def test_a_session_that_the_client_names_stays_whatever_it_says(
    pair: tuple[bool, list[Gateway]], simulator: SimulatorProcess
) -> None:
    _, gateways = pair
    asked = []
    for _ in range(12):
        number = next(SESSIONS)
        mark = f"named-session-{number}"
        for turn, gateway in enumerate(gateways * 2):
            body = {"model": "glm-5", "messages": [{"role": "user", "content": f"{mark} at {turn}"}]}
            headers = {**gateway.headers(), "x-llmgw-session": f"session {number}"}
            assert gateway.client.post(CHAT_COMPLETIONS, json=body, headers=headers).status_code == 200
        received = simulator.requests(mark)
        assert len(received) == 4
        assert not any("x-llmgw-session" in each.headers for each in received)
        [account] = accounts_asked(simulator, mark)
        asked.append(account)
    assert len(set(asked)) > 1


@pytest.mark.parametrize("pair", [True], indirect=True, ids=["affinity"])
def test_affinity_is_switched_by_a_reload(
    pair: tuple[bool, list[Gateway]], simulator: SimulatorProcess
) -> None:
    _, [gateway, _] = pair
    text = gateway.config.read_text("utf-8")

    def accounts(mark: str) -> int:
        body = {"model": "glm-5", "messages": [{"role": "user", "content": mark}]}
        for _ in range(24):
            assert gateway.post(body).status == 200
        return len(accounts_asked(simulator, mark))

    def reload(changed: str) -> None:
        gateway.config.write_text(changed, "utf-8")
        assert run_reload(gateway).returncode == 0

    assert accounts("before-the-reload") == 1
    reload(text.replace("affinity = true", "affinity = false"))
    assert accounts("without-affinity") > 1
    reload(text)
    assert accounts("after-the-reload") == 1
