"""Several accounts at one provider, over real sockets: who is asked, and what is told of it."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.live.test_attempts_live import refusal, whole
from tests.support.chat import body
from tests.support.gateway import Answer, Gateway
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream, Step, json_answer

SEEN_WITHIN_S = 10.0
KEYS = ("secret-of-account-1", "secret-of-account-2", "secret-of-account-3")
MODELS = 20
"""Each test takes a model of its own, whose targets are up."""
MOST_DRAWS = 64
NAMES = itertools.count()
SLOW_DOWN = refusal("429 Too Many Requests", b"retry-after: 30\r\n")
REFUSED = 'answered 429 "secret-of-the-upstream"'


def config(url: str, keys: Sequence[str] = KEYS[:2], more: str = "") -> str:
    native = f'messages_url = "{url}/messages"\nresponses_url = "{url}/responses"'
    listed = ", ".join(f'"{key}"' for key in keys)
    text = '[store]\nurl = "sqlite:///gateway.db"\n\n[routing]\nmin_retries_per_s = 1000\n'
    text += f'\n[upstreams.x]\nbase_url = "{url}"\n'
    text += f"api_keys = [{listed}]\n{more}\n\n[upstreams.native]\n"
    text += f'base_url = "{url}"\napi_keys = [{listed}]\n{native}\n'
    for number in range(MODELS):
        text += f'\n[[models]]\nid = "m-{number}"\nupstream = "x"\n'
        text += f'\n[[models]]\nid = "native-{number}"\nupstream = "native"\n'
    return text


@dataclass
class Site:
    """A gateway and its upstream, at which it has two accounts."""

    gateway: Gateway
    upstream: ScriptedUpstream
    numbers: Iterator[int]

    def play(self, *scripts: Sequence[Step]) -> str:
        """Register what the requests with a new name get, one after the other; the name."""
        name = f"account-play-{next(NAMES)}"
        self.upstream.plays(name, *scripts)
        return name

    def post(self, model: str, script: str) -> Answer:
        """Ask for a completion."""
        return self.gateway.post(body(model, script=script))

    def model(self, kind: str = "m") -> str:
        """One that no other test has used."""
        return f"{kind}-{next(self.numbers)}"

    def accounts(self, script: str) -> list[int]:
        """The accounts by which the requests with this name came, in their order."""
        heads = [each.head.decode() for each in self.upstream.requests if script in each.body.decode()]
        return [1 + next(n for n, key in enumerate(KEYS) if f"Bearer {key}\r\n" in head) for head in heads]

    def row(self, answer: Answer) -> dict[str, Any]:
        """The ledger's row of an answer."""
        return self.gateway.ledger(answer.headers["x-request-id"])

    def health(self, model: str) -> dict[int | None, str]:
        """What `/readyz?verbose` says of the model's accounts."""
        report = self.gateway.client.get("/readyz?verbose").json()["upstreams"]
        return {each["account"]: each["state"] for each in report if each["upstream_model"] == model}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("accounts")
    with ScriptedUpstream() as upstream, Gateway(folder, config(upstream.base_url)) as gateway:
        yield Site(gateway, upstream, iter(range(MODELS)))


def test_429_at_one_account_is_answered_by_the_next(site: Site) -> None:
    model, script = site.model(), site.play(SLOW_DOWN, whole("well"))
    answer = site.post(model, script)
    assert (answer.status, answer.headers["x-llmgw-attempts"]) == (200, "2")
    first, second = site.accounts(script)
    assert {first, second} == {1, 2}
    row = site.row(answer)
    assert (row["upstream"], row["attempts"]) == ("x", 2)
    assert row["attempt_errors"] == f"x#{first}: {REFUSED}"
    # The one cools down, whichever model is asked for next: it is the other one's turn.
    assert site.health(model) == {first: "cooling", second: "up"}
    script = site.play(whole("well"))
    for _ in range(4):
        assert site.post(model, script).status == 200
    assert set(site.accounts(script)) == {second}
    told = f"upstream x#{first}, model {model}: cools down for"
    wait_until(lambda: told in site.gateway.process.output, "the log line", timeout_s=SEEN_WITHIN_S)
    asking = f"upstream x#{first} {REFUSED}; asking x#{second}"
    assert asking in site.gateway.process.output
    cooling = f'llmgw_upstream_cooling{{account="{first}",upstream="x",upstream_model="{model}"}}'
    assert site.gateway.metric(cooling) == 1


def test_both_at_their_limit_is_told(site: Site) -> None:
    model, script = site.model(), site.play(SLOW_DOWN)
    answer = site.post(model, script)
    assert (answer.status, answer.error["code"]) == (429, "upstream_rate_limited")
    assert sorted(site.accounts(script)) == [1, 2]
    told = site.row(answer)["attempt_errors"].split(", ")
    assert sorted(told) == [f"x#1: {REFUSED}", f"x#2: {REFUSED}"]


def test_a_key_that_is_refused_leaves_the_other_one(site: Site) -> None:
    model, script = site.model(), site.play(refusal("401 Unauthorized"), whole("well"))
    assert site.post(model, script).status == 200
    assert sorted(site.accounts(script)) == [1, 2]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_native_apis_have_the_same_accounts(site: Site, path: str) -> None:
    model = site.model("native")
    if path == "/v1/messages":
        good: dict[str, Any] = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "model": model,
            "content": [],
        }
        good |= {"stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}
        question: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    else:
        good = {"object": "response", "id": "resp_1", "model": model, "status": "completed", "output": []}
        good |= {"created_at": 1, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        question = {"input": "Hi"}
    script = site.play(SLOW_DOWN, [json_answer(good)])
    request = {"model": model, "script": script, **question}
    answer = site.gateway.client.post(path, headers=site.gateway.headers(), json=request)
    assert (answer.status_code, answer.headers["x-llmgw-attempts"]) == (200, "2")
    assert sorted(site.accounts(script)) == [1, 2]


def test_tokens_are_counted_by_an_account_that_is_up(site: Site) -> None:
    model, script = site.model("native"), site.play([json_answer({"input_tokens": 77})])
    request = {"model": model, "script": script, "messages": [{"role": "user", "content": "Hi"}]}
    path = "/v1/messages/count_tokens"
    answer = site.gateway.client.post(path, headers=site.gateway.headers(), json=request)
    assert answer.json() == {"input_tokens": 77}
    assert len(site.accounts(script)) == 1


@pytest.mark.parametrize("number", [1, 2])
def test_no_key_is_shown(site: Site, number: int) -> None:
    """Not even where the upstream tells an account its own key."""
    model, key = site.model(), KEYS[number - 1]
    said = {"error": {"message": f"the key {key} is wrong", "code": key}}
    for draw in range(MOST_DRAWS):
        script = site.play([json_answer(said, "400 Bad Request")])
        answer = site.gateway.post(body(model, script=script, prompt_cache_key=f"conversation {draw}"))
        if site.accounts(script) == [number]:
            break
    else:
        pytest.fail("the account was never asked")
    row = site.row(answer)
    assert answer.error["message"] == "the key [redacted] is wrong"
    assert "the key [redacted] is wrong" in row["attempt_errors"]
    shown = [site.gateway.process.output, json.dumps(row, default=str)]
    shown += [site.gateway.client.get(path).text for path in ("/readyz?verbose", "/metrics")]
    assert not any(secret in text for secret in KEYS for text in shown)
