"""The simulated providers' prompt caches: one for each account, bounded, and nothing for the plain key."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from llmgw.simulator import tokens
from llmgw.simulator.app import Simulator
from llmgw.simulator.cache import PromptCache
from llmgw.simulator.request import ChatRequest

LONG = "All work and no play makes a dull conversation. " * 20


def said(*texts: str, model: str = "glm-5") -> ChatRequest:
    """A conversation in which these take turns."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return ChatRequest.parse(json.dumps({"model": model, "messages": messages}).encode(), delay_ms=0)


def rounded(number: int) -> int:
    return number - number % tokens.CACHE_BLOCK


def test_what_an_account_has_sent_is_cached() -> None:
    cache = PromptCache()
    first, second = said(LONG), said(LONG, "Hello", "Go on")
    assert cache.cached_tokens("one", first) == 0
    assert cache.cached_tokens("one", second) == rounded(first.prompt_tokens)
    # All of it, but never the whole prompt.
    assert cache.cached_tokens("one", second) == rounded(second.prompt_tokens - 1)


def test_another_account_or_model_has_not() -> None:
    cache = PromptCache()
    cache.cached_tokens("one", said(LONG))
    assert cache.cached_tokens("two", said(LONG)) == 0
    assert cache.cached_tokens("one", said(LONG, model="glm-4.6v")) == 0


def test_only_a_beginning_counts() -> None:
    cache = PromptCache()
    cache.cached_tokens("one", said("Hi", LONG, "Go on"))
    assert cache.cached_tokens("one", said("Ho", LONG, "Go on")) == 0


def test_what_was_not_asked_for_the_longest_is_forgotten() -> None:
    cache = PromptCache(max_accounts=2, max_prefixes=3)
    for text in "abc":
        cache.cached_tokens("one", said(LONG + text))
    assert cache.cached_tokens("one", said(LONG + "a")) > 0
    cache.cached_tokens("one", said(LONG + "d"))
    assert cache.cached_tokens("one", said(LONG + "b")) == 0
    for account in ("two", "three"):
        cache.cached_tokens(account, said(LONG))
    assert cache.cached_tokens("one", said(LONG + "d")) == 0


USAGES = [
    ("deepseek", "v1/chat/completions", "deepseek-v4-pro", "prompt_cache_hit_tokens"),
    ("glm", "v1/chat/completions", "glm-5", "prompt_tokens_details.cached_tokens"),
    ("kimi", "v1/chat/completions", "kimi-k2.6", "cached_tokens"),
    ("qwen", "v1/chat/completions", "qwen3-max", "prompt_tokens_details.cached_tokens"),
    ("minimax", "v1/chat/completions", "minimax-m3", "prompt_tokens_details.cached_tokens"),
    ("deepseek", "anthropic/v1/messages", "deepseek-v4-pro", "cache_read_input_tokens"),
    ("deepseek", "responses", "deepseek-v4-pro", "input_tokens_details.cached_tokens"),
]


def asked(path: str, model: str, *texts: str) -> dict[str, Any]:
    """The same in the words of the API at this path."""
    turns = said(*texts).messages
    if path == "responses":
        return {"model": model, "input": turns}
    return {"model": model, "messages": turns, "max_tokens": 5}


@pytest.mark.parametrize(("provider", "path", "model", "member"), USAGES)
def test_each_family_tells_it_in_its_own_member(provider: str, path: str, model: str, member: str) -> None:
    """Of two accounts, each knows its own; the plain key goes by the rule."""

    async def told() -> list[int]:
        transport = httpx.ASGITransport(app=Simulator())
        async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
            found = []
            for account in ("-1", "-1", "-2", ""):
                headers = {"authorization": f"Bearer sim-{provider}{account}"}
                answer = await client.post(
                    f"/{provider}/{path}", headers=headers, json=asked(path, model, LONG)
                )
                assert answer.status_code == 200, answer.text
                usage = answer.json()["usage"]
                for name in member.split("."):
                    usage = usage[name]
                found.append(usage)
            return found

    first, second, other, plain = asyncio.run(told())
    assert (first, other, plain) == (0, 0, 0)
    assert second > 100


def test_a_key_of_another_provider_is_no_account() -> None:
    async def status(key: str) -> int:
        transport = httpx.ASGITransport(app=Simulator())
        async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
            headers = {"authorization": f"Bearer {key}"}
            return (await client.get("/glm/v1/models", headers=headers)).status_code

    for key, expected in (("sim-glm-2", 200), ("sim-glm", 200), ("sim-kimi-2", 401), ("sim-glmx", 401)):
        assert asyncio.run(status(key)) == expected
