"""Limits over real sockets: how many are let through, what the others are told, what is left."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from llmgw.access.keys import create_key, update_key
from llmgw.access.projects import create_project, update_project
from llmgw.access.settings import LimitChange
from llmgw.store import Store, open_store
from tests.support.chat import body, for_any_api, streamed
from tests.support.gateway import CHAT_COMPLETIONS, Gateway, config_text
from tests.support.limits import NO_TLS, assert_granted
from tests.support.processes import NOISE, ROOT, wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

SOON_S = 20.0
IN_FORCE_WITHIN_S = 1.0 * NOISE
"""A change in the database."""
FREE_WITHIN_S = 2.0 * NOISE
"""What a killed worker had."""
MODEL = "glm-5"
MESSAGES = "/v1/messages"
TRY_AGAIN = re.compile(r"Please try again in \d+(\.\d+)?s\.")
APIS = {
    CHAT_COMPLETIONS: MODEL,
    "/v1/completions": "deepseek-v4-pro",
    MESSAGES: MODEL,
    "/v1/responses": MODEL,
    "/v1/embeddings": "text-embedding-v4",
    "/v1/rerank": "qwen3-rerank",
    "/v1/messages/count_tokens": MODEL,
}


class Limited:
    """A gateway with its database, in which limits are set."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.store: Store = open_store(f"sqlite:///{gateway.database}")

    def key(self, limits: Sequence[LimitChange] = (), **more: Any) -> str:  # noqa: ANN401 - as of `create_key`
        """A new key, which the gateway knows."""
        token = create_key(self.store, actor="test", name="batch", limits=limits, **more).token
        wait_until(
            lambda: self.gateway.get("/v1/models", key=token).status == 200, "the key", timeout_s=SOON_S
        )
        return token

    def statuses(self, keys: Sequence[str], number: int, **more: Any) -> Counter[int]:  # noqa: ANN401 - JSON
        """Of so many requests at once, over all workers: each has a connection of its own."""

        def ask(turn: int) -> int:
            return httpx.post(
                f"{self.gateway.url}{CHAT_COMPLETIONS}",
                headers=self.gateway.headers(keys[turn % len(keys)]),
                json=body(**{"model": MODEL} | more),
                timeout=SOON_S,
                trust_env=False,
                verify=NO_TLS,
            ).status_code

        with ThreadPoolExecutor(number) as threads:
            return Counter(threads.map(ask, range(number)))

    def assert_granted(self, keys: Sequence[str], number: int, limit: int, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Of so many requests at once, a fresh limit a minute lets its places through."""
        since_s = time.monotonic()
        assert_granted(self.statuses(keys, number, **more), limit, since_s=since_s)


def rpm(number: int | None, **more: Any) -> LimitChange:  # noqa: ANN401 - as of `LimitChange`
    return LimitChange({"requests_per_minute": number}, **more)


@pytest.fixture(scope="module", params=[1, 2], ids=["1 worker", "2 workers"])
def limited(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
) -> Iterator[Limited]:
    """A gateway of this module's own."""
    text = config_text(simulator.url, scripted.base_url, server=f"workers = {request.param}")
    with Gateway(tmp_path_factory.mktemp("limited"), text) as gateway:
        if Path("/proc").is_dir():
            wait_until(lambda: len(gateway.workers()) == request.param, "the workers", timeout_s=SOON_S)
        yield Limited(gateway)


def test_requests_per_minute_are_exact_over_all_workers(limited: Limited) -> None:
    limited.assert_granted([limited.key([rpm(17)])], 40, 17)


def test_tokens_per_minute_are_reserved_over_all_workers(limited: Limited) -> None:
    """Field B.1, LiteLLM#18730. Each reserves about 2 + 100 tokens while it runs."""
    key = limited.key([LimitChange({"tokens_per_minute": 1050})])
    counts = limited.statuses([key], 30, max_tokens=100, simulate={"first_delay_ms": 3000})
    assert counts == {200: 10, 429: 20}
    [row] = limited.gateway.query("SELECT count(*) AS n FROM ledger WHERE status = 429 AND model IS NULL")
    assert row == {"n": 0}


def test_streams_count_until_they_end(limited: Limited) -> None:
    key = limited.key([LimitChange({"concurrent_requests": 3})])
    slow = streamed(MODEL, simulate={"first_delay_ms": 3000})

    def ask(_: int) -> int:
        with httpx.stream(
            "POST",
            f"{limited.gateway.url}{CHAT_COMPLETIONS}",
            headers=limited.gateway.headers(key),
            json=slow,
            timeout=SOON_S,
            trust_env=False,
            verify=NO_TLS,
        ) as answer:
            for _piece in answer.iter_raw():
                pass
            return answer.status_code

    with ThreadPoolExecutor(10) as threads:
        assert Counter(threads.map(ask, range(10))) == {200: 3, 429: 7}
    for _ in range(8):  # each has ended when the client has seen its end
        assert limited.gateway.post(streamed(MODEL), key=key).status == 200


def _of_project(limited: Limited) -> tuple[Sequence[str], int, str]:
    create_project(limited.store, actor="test", name="research", limits=[rpm(6)])
    keys = [limited.key(project="research") for _ in range(3)]
    return keys, 6, "project 'research': 6 requests per minute"


LIMITS: dict[str, Callable[[Limited], tuple[Sequence[str], int, str]]] = {
    "a project, for all its keys together": _of_project,
    "a key at one model": lambda limited: (
        [limited.key([rpm(4, model=MODEL)])],
        4,
        f"key 'batch' at model '{MODEL}': 4 requests per minute",
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_whose_limit_it_is(limited: Limited, name: str) -> None:
    keys, number, words = LIMITS[name](limited)
    limited.assert_granted(keys, 12, number)
    assert words in limited.gateway.post(body(MODEL), key=keys[0]).error["message"]
    if name == "a key at one model":
        assert limited.gateway.post(body("qwen3-max"), key=keys[0]).status == 200


def test_each_user_by_himself(limited: Limited) -> None:
    key = limited.key([rpm(2, per_user=True)])
    for user in ("anna", "bert", None):
        named = {} if user is None else {"user": user}
        statuses = [limited.gateway.post(body(MODEL, **named), key=key).status for _ in range(3)]
        assert statuses == [200, 200, 429]


def test_a_user_in_a_header_of_a_key_that_trusts_it(limited: Limited) -> None:
    trusting = limited.key([rpm(1, per_user=True)], trusts_user_header=True)
    other = limited.key([rpm(1, per_user=True)])

    def ask(key: str, headers: dict[str, str]) -> tuple[int, str | None]:
        answer = httpx.post(
            f"{limited.gateway.url}{CHAT_COMPLETIONS}",
            headers=limited.gateway.headers(key) | headers,
            json=body(MODEL, user="carl"),
            timeout=SOON_S,
            trust_env=False,
            verify=NO_TLS,
        )
        return answer.status_code, limited.gateway.ledger(answer.headers["x-request-id"])["user"]

    assert ask(trusting, {"X-OpenWebUI-User-Id": "anna"}) == (200, "anna")
    assert ask(trusting, {"X-OpenWebUI-User-Id": "anna"}) == (429, "anna")
    assert ask(trusting, {"x-llmgw-user": "bert", "X-OpenWebUI-User-Id": "anna"}) == (200, "bert")
    assert ask(trusting, {"X-OpenWebUI-User-Email": "a@example.com"}) == (200, "a@example.com")
    assert ask(trusting, {}) == (200, "carl")
    assert ask(other, {"x-llmgw-user": "anna"}) == (200, "carl")
    assert ask(other, {"x-llmgw-user": "bert"}) == (429, "carl")


@pytest.mark.parametrize("path", APIS)
def test_field_b2_every_route_is_checked(limited: Limited, path: str) -> None:
    """Bifrost#2873: routes that pass a request through skipped the check."""
    key = limited.key([rpm(1)])
    answers = [limited.gateway.post(for_any_api(path, APIS[path]), key=key, path=path) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    family = "anthropic-ratelimit-requests-{}" if path.startswith(MESSAGES) else "x-ratelimit-{}-requests"
    for answer in answers:
        assert answer.headers[family.format("limit")] == "1"
        assert answer.headers[family.format("remaining")] == "0"
        assert answer.headers[family.format("reset")]
    refused = answers[1]
    assert refused.headers["x-should-retry"] == "true"
    assert int(refused.headers["retry-after"]) == pytest.approx(60, abs=10)
    error = refused.json()["error"]
    assert TRY_AGAIN.search(error["message"])
    if path.startswith(MESSAGES):
        assert (refused.json()["type"], error["type"]) == ("error", "rate_limit_error")
    else:
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")


def test_a_limit_changed_in_the_database_is_in_force_within_a_second(limited: Limited) -> None:
    made = create_key(limited.store, actor="test", name="batch")
    assert limited.gateway.post(body(MODEL), key=made.token).status == 200
    update_key(limited.store, str(made.key.id), actor="test", limits=[rpm(1)])
    wait_until(
        lambda: limited.gateway.post(body(MODEL), key=made.token).status == 429,
        "the limit",
        timeout_s=IN_FORCE_WITHIN_S,
    )
    update_key(limited.store, str(made.key.id), actor="test", limits=[rpm(None)])
    wait_until(
        lambda: limited.gateway.post(body(MODEL), key=made.token).status == 200,
        "no limit",
        timeout_s=IN_FORCE_WITHIN_S,
    )


def test_a_project_s_too(limited: Limited) -> None:
    project = create_project(limited.store, actor="test", name="changing")
    key = limited.key(project="changing")
    assert limited.gateway.post(body(MODEL), key=key).status == 200
    update_project(limited.store, str(project.id), actor="test", limits=[rpm(1)])
    wait_until(
        lambda: limited.gateway.post(body(MODEL), key=key).status == 429,
        "the limit",
        timeout_s=IN_FORCE_WITHIN_S,
    )


def test_refusals_are_counted(limited: Limited) -> None:
    sample = 'llmgw_limited_total{limit="requests_per_minute",scope="key_model_user"}'
    before = limited.gateway.metric(sample)
    key = limited.key([rpm(1, model=MODEL, per_user=True)])
    assert limited.statuses([key], 5)[429] == 4
    wait_until(lambda: limited.gateway.metric(sample) == before + 4, "the metric", timeout_s=SOON_S)


def reload(gateway: Gateway) -> None:
    """Take the changed config over, in every worker."""
    command = [sys.executable, "-m", "llmgw", "reload", "--config", str(gateway.config)]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "python")}
    subprocess.run(command, env=env, capture_output=True, check=True, timeout=60)


def test_a_reload_changes_the_defaults_and_a_model_s_limit(limited: Limited) -> None:
    gateway = limited.gateway
    before = gateway.config.read_text("utf-8")
    key, other = limited.key(), limited.key([rpm(3)])
    try:
        gateway.config.write_text(f"{before}\n[limits]\nrequests_per_minute = 2\n", "utf-8")
        reload(gateway)
        limited.assert_granted([key], 6, 2)
        limited.assert_granted([other], 6, 3)  # it has one of its own
        model = 'id = "narrow"\nupstream = "glm"\nupstream_model = "glm-5"\nrequests_per_minute = 4'
        gateway.config.write_text(f"{before}\n[[models]]\n{model}\n", "utf-8")
        reload(gateway)
        keys = [limited.key() for _ in range(3)]
        limited.assert_granted(keys, 9, 4, model="narrow")
        answer = gateway.post(body("narrow"), key=keys[0])
        assert "model 'narrow', for all keys together: 4 requests per minute" in answer.error["message"]
        assert gateway.post(body(MODEL), key=key).status == 200
    finally:
        gateway.config.write_text(before, "utf-8")
        reload(gateway)


def repeat(ask: Callable[[], object]) -> None:
    """Until it raises: the limit gives a place back every second."""
    for _ in range(20):
        ask()


def test_the_openai_sdk_waits_as_it_is_told(limited: Limited) -> None:
    """It reads `retry-after` and `x-should-retry`, and succeeds at the second attempt."""
    key = limited.key([rpm(60)])
    assert limited.statuses([key], 60) == {200: 60}
    with OpenAI(api_key=key, base_url=f"{limited.gateway.url}/v1", max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "Hi"}]
        with pytest.raises(openai.RateLimitError) as caught:
            repeat(lambda: client.chat.completions.create(model=MODEL, messages=messages))
        assert caught.value.code == "rate_limit_exceeded"
        assert TRY_AGAIN.search(caught.value.message)
        patient = client.with_options(max_retries=2)
        assert patient.chat.completions.create(model=MODEL, messages=messages).choices


def test_anthropic_s_sdk_waits_as_it_is_told(limited: Limited) -> None:
    key = limited.key([rpm(60)])
    assert limited.statuses([key], 60) == {200: 60}
    with Anthropic(api_key=key, base_url=limited.gateway.url, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "Hi"}]
        with pytest.raises(anthropic.RateLimitError, match="Please try again in"):
            repeat(lambda: client.messages.create(model=MODEL, max_tokens=5, messages=messages))
        patient = client.with_options(max_retries=2)
        assert patient.messages.create(model=MODEL, max_tokens=5, messages=messages).stop_reason


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_a_killed_worker_s_places_are_free_within_two_seconds(limited: Limited) -> None:
    gateway = limited.gateway
    workers = set(gateway.workers())
    key = limited.key([LimitChange({"concurrent_requests": 4})])
    stalled = streamed(MODEL, simulate={"stall_after_chunks": 1})
    with ExitStack() as stack:
        kept = []  # a generator of httpx that is dropped closes its connection
        for _ in range(4):
            answer = stack.enter_context(gateway.stream(stalled, key=key))
            assert answer.status_code == 200
            kept.append(answer.iter_raw())
            next(kept[-1])
        assert gateway.post(body(MODEL), key=key).status == 429
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        wait_until(
            lambda: (
                len(workers & set(gateway.workers())) == 0
                and len(gateway.workers()) == len(workers)
                and _answers(gateway)
            ),
            "new workers",
            timeout_s=SOON_S,
        )
        wait_until(
            lambda: limited.statuses([key], 4, simulate={"first_delay_ms": 200}) == {200: 4},
            "the places",
            timeout_s=FREE_WITHIN_S,
        )


def _answers(gateway: Gateway) -> bool:
    try:
        return httpx.get(f"{gateway.url}/healthz", trust_env=False, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
