"""Budgets over real sockets: they hold, refuse for nothing that was not spent, and say so as SDKs read it."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from llmgw.access.keys import create_key
from llmgw.access.projects import create_project
from llmgw.access.settings import BudgetSetting
from llmgw.limits.estimates import START_OUTPUT_TOKENS
from llmgw.store import open_store
from tests.support.chat import body, for_any_api, streamed
from tests.support.gateway import CHAT_COMPLETIONS, Gateway, config_text
from tests.support.limits import NO_TLS
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

SOON_S = 20.0
NANO = 10**9
FEN = NANO // 100
"""What a token of output costs in these tests."""
PRICE = "price = {input = 0.0, output = 10000.0}"
MODEL, UNPRICED = "priced", "glm-5"
LONG_ANSWER = [{"role": "user", "content": "Say hello. " * 3}]
PRICED = {
    "priced": ("glm", "glm-5", PRICE),
    "cheap": ("glm", "glm-5", "price = {input = 0.0, output = 1000.0}"),
    "priced-text": ("deepseek", "deepseek-v4-pro", PRICE),
    "priced-unreachable": ("unreachable", "anything", PRICE),
    "priced-embedding": ("qwen", "text-embedding-v4", f'{PRICE}\nkind = "embedding"'),
    "priced-rerank": ("qwen", "qwen3-rerank", f'{PRICE}\nkind = "rerank"'),
}
MESSAGES = "/v1/messages"
APIS = {
    CHAT_COMPLETIONS: MODEL,
    "/v1/completions": "priced-text",
    MESSAGES: MODEL,
    "/v1/responses": MODEL,
    "/v1/embeddings": "priced-embedding",
    "/v1/rerank": "priced-rerank",
}


class Shop:
    """A gateway whose models have prices, and its database."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.store = open_store(f"sqlite:///{gateway.database}")

    def key(self, *budgets: BudgetSetting, **more: Any) -> str:  # noqa: ANN401 - as of `create_key`
        """A new key with these budgets, which the gateway knows."""
        token = create_key(self.store, actor="test", name="batch", budgets=budgets, **more).token
        wait_until(
            lambda: self.gateway.get("/v1/models", key=token).status == 200, "the key", timeout_s=SOON_S
        )
        return token

    def ask(self, key: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - JSON
        """A completion on a connection of its own."""
        return httpx.post(
            f"{self.gateway.url}{CHAT_COMPLETIONS}",
            headers=self.gateway.headers(key),
            json=body(MODEL) | more,
            timeout=SOON_S,
            trust_env=False,
            verify=NO_TLS,
        )

    def until_refused(self, ask: Callable[[], httpx.Response]) -> tuple[list[httpx.Response], httpx.Response]:
        """What is served one after the other, and the refusal.

        One refusal may be for what the last request still held as the next one came to another worker: so
        the budget is asked once more.
        """
        served: list[httpx.Response] = []
        while True:
            answer = ask()
            if answer.status_code == 429:
                time.sleep(0.5)
                answer = ask()
            if answer.status_code == 429:
                return served, answer
            assert answer.status_code == 200, answer.text
            served.append(answer)
            assert len(served) < 200

    def spent(self, answers: Sequence[httpx.Response]) -> int:
        """What these cost, by the ledger."""
        return sum(self.gateway.ledger(answer.headers["x-request-id"])["cost"] or 0 for answer in answers)


def yuan(amount: float, period: Any = "day", **more: Any) -> BudgetSetting:  # noqa: ANN401 - as of `BudgetSetting`
    return BudgetSetting(round(amount * NANO), "CNY", period, **more)


def text(simulator: SimulatorProcess, scripted: ScriptedUpstream, workers: int, more: str = "") -> str:
    """The config."""
    models = "".join(
        f'\n[[models]]\nid = "{name}"\nupstream = "{upstream}"\nupstream_model = "{model}"\n{more}\n'
        for name, (upstream, model, more) in PRICED.items()
    )
    server = f"workers = {workers}"
    return config_text(simulator.url, scripted.base_url, server=server) + models + more


@pytest.fixture(scope="module", params=[1, 2], ids=["1 worker", "2 workers"])
def shop(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
) -> Iterator[Shop]:
    """A gateway of this module's own."""
    with Gateway(tmp_path_factory.mktemp("shop"), text(simulator, scripted, request.param)) as gateway:
        if Path("/proc").is_dir():
            wait_until(lambda: len(gateway.workers()) == request.param, "the workers", timeout_s=SOON_S)
        yield Shop(gateway)


@pytest.mark.parametrize(
    ("asked", "estimate", "served"),
    [
        ({"max_tokens": 50}, 50 * FEN, 20),
        ({"model": "cheap", "messages": LONG_ANSWER}, START_OUTPUT_TOKENS * FEN // 10, 10),
    ],
    ids=["limited by the client", "guessed too low"],
)
def test_field_b2_parallel_requests_do_not_overspend(
    shop: Shop, capsys: pytest.CaptureFixture[str], asked: dict[str, Any], estimate: int, served: int
) -> None:
    """LiteLLM#34732, #26672, #40095, sub2api#7002: check, then add after the answer, and all pass."""
    key = shop.key(yuan(10))

    def ask(_: int) -> httpx.Response:
        return shop.ask(key, **asked, simulate={"first_delay_ms": 1500, "repeat": 20})

    with ThreadPoolExecutor(200) as threads:
        answers = list(threads.map(ask, range(200)))
    rows = [shop.gateway.ledger(a.headers["x-request-id"]) for a in answers if a.status_code == 200]
    refused = [a.json()["error"] for a in answers if a.status_code != 200]
    spent = sum(row["cost"] for row in rows)
    error = sum(max(row["cost"] - estimate, 0) for row in rows)
    with capsys.disabled():
        print(  # noqa: T201
            f"\n200 at once against 10.00: {len(rows)} served at {estimate / NANO:.2f} each, as estimated; "
            f"{spent / NANO:.2f} spent, beyond their estimates {error / NANO:.2f}"
        )
    assert len(rows) == served
    assert spent <= 10 * NANO + error
    assert {(each["code"], each["type"]) for each in refused} == {("insufficient_quota",) * 2}
    assert shop.ask(key, **asked).status_code == 429


def test_a_budget_is_used_up_and_not_beyond(shop: Shop) -> None:
    """One after the other until it refuses: less than one request's estimate is left then."""
    key = shop.key(yuan(2))
    served, answer = shop.until_refused(lambda: shop.ask(key, max_tokens=50))
    spent = shop.spent(served)
    assert 2 * NANO - 50 * FEN < spent <= 2 * NANO
    message = answer.json()["error"]["message"]
    assert message.startswith("The budget of key 'batch' is used up: 2.00 CNY a day (")
    assert "It resets at " in message
    assert "+08:00 (Asia/Shanghai)" in message
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("path", APIS)
def test_field_b2_every_route_is_checked(shop: Shop, path: str) -> None:
    """Bifrost#2873: routes that pass a request through skipped the check."""
    key = shop.key(BudgetSetting(1, "tokens", "month"))
    # Of some APIs one request is estimated at a single token, and uses more.
    answers = [shop.gateway.post(for_any_api(path, APIS[path]), key=key, path=path) for _ in range(2)]
    answer = answers[-1]
    assert answer.status == 429
    error = answer.json()["error"]
    if path == MESSAGES:
        assert (answer.json()["type"], error["type"]) == ("error", "rate_limit_error")
    else:
        assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-llmgw-budget-remaining"].endswith(" tokens; month")


def test_field_b2_nothing_is_refused_for_money_that_was_never_spent(shop: Shop) -> None:
    """new-api#4429: pre-charges that never came back. LiteLLM#36926: phantom spend."""
    key = shop.key(yuan(1))  # room for two estimates of 50 tokens
    for _ in range(8):
        assert shop.ask(key, model="priced-unreachable", max_tokens=50).status_code == 502
        assert shop.ask(key, max_tokens=50, simulate={"status": 500}).status_code == 502
        assert shop.ask(key, max_tokens=50, simulate={"status": 400}).status_code == 400
        assert shop.ask(key, max_tokens="many").status_code == 400
        with shop.gateway.stream(
            streamed(MODEL, max_tokens=50, simulate={"stall_after_chunks": 1}), key=key
        ) as answer:
            assert answer.status_code == 200
            next(answer.iter_raw())
        # The client is gone, and so is what its request held, but for the few tokens that came.
        cost = shop.gateway.ledger(answer.headers["x-request-id"])["cost"]
        assert 0 < cost <= 5 * FEN
    assert shop.ask(key, max_tokens=60).status_code == 200


def test_a_project_s_budget_is_for_all_its_keys(shop: Shop) -> None:
    name = f"department-{time.monotonic_ns()}"
    create_project(shop.store, actor="test", name=name, budgets=[yuan(1, "month")])
    keys = itertools.cycle([shop.key(project=name), shop.key(project=name)])
    served, answer = shop.until_refused(lambda: shop.ask(next(keys), max_tokens=50))
    assert f"The budget of project '{name}' is used up: 1.00 CNY a month" in answer.json()["error"]["message"]
    assert len(served) >= 2


def test_each_user_s_budget(shop: Shop) -> None:
    key = shop.key(yuan(0.5, per_user=True))
    assert shop.ask(key, max_tokens=50, user="anna").status_code == 200
    refused = shop.ask(key, max_tokens=50, user="anna")
    assert "The budget of user 'anna' of key 'batch'" in refused.json()["error"]["message"]
    assert shop.ask(key, max_tokens=50, user="bert").status_code == 200


def test_field_b2_a_user_s_very_first_requests_do_not_overspend(shop: Shop) -> None:
    """LiteLLM#40095: of an end user whom nobody had seen before, all passed at once."""
    key = shop.key(yuan(2, per_user=True))

    def ask(_: int) -> int:
        more = {"max_tokens": 50, "user": "new", "simulate": {"first_delay_ms": 3000}}
        return shop.ask(key, **more).status_code

    with ThreadPoolExecutor(40) as threads:
        assert Counter(threads.map(ask, range(40))) == {200: 4, 429: 36}


def test_a_model_without_a_price_is_refused_under_a_budget_of_money(shop: Shop) -> None:
    """cliproxyapi-dashboard#236, sub2api#7523: what nobody knows cost nothing."""
    answer = shop.ask(shop.key(yuan(1)), model=UNPRICED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "unpriced_model")
    assert shop.ask(shop.key(BudgetSetting(10_000, "tokens", "day")), model=UNPRICED).status_code == 200


def test_what_is_left_is_told_with_every_answer(shop: Shop) -> None:
    key = shop.key(yuan(1), BudgetSetting(10**9, "tokens", "month"))
    first, second = shop.ask(key, max_tokens=50), shop.ask(key, max_tokens=20)
    assert first.headers["x-llmgw-budget-remaining"] == "0.50 CNY; day"
    left = 1 - shop.spent([first]) / NANO - 0.20
    assert second.headers["x-llmgw-budget-remaining"] == f"{left:.2f} CNY; day"
    with shop.gateway.stream(streamed(MODEL, max_tokens=5), key=key) as streaming:
        assert streaming.headers["x-llmgw-budget-remaining"].endswith(" CNY; day")


def test_the_openai_sdk_reads_a_refusal(shop: Shop) -> None:
    client = openai.OpenAI(api_key=shop.key(yuan(0.01)), base_url=f"{shop.gateway.url}/v1", max_retries=3)
    begun_s = time.monotonic()
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hi"}], max_tokens=5
        )
    assert caught.value.code == "insufficient_quota"
    assert time.monotonic() - begun_s < 5  # it did not try again


def test_anthropic_s_sdk_reads_a_refusal(shop: Shop) -> None:
    client = anthropic.Anthropic(api_key=shop.key(yuan(0.01)), base_url=shop.gateway.url, max_retries=3)
    begun_s = time.monotonic()
    with pytest.raises(anthropic.RateLimitError, match="The budget of key 'batch' is used up"):
        client.messages.create(model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    assert time.monotonic() - begun_s < 5


@pytest.mark.parametrize("durability", ["relaxed", "strict"])
def test_what_was_spent_is_known_after_a_restart(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream, durability: str
) -> None:
    config = text(simulator, scripted, 1, f'\n[ledger]\ndurability = "{durability}"\n')
    with Gateway(tmp_path, config) as gateway:
        shop = Shop(gateway)
        key = shop.key(yuan(1))
        served, _ = shop.until_refused(lambda: shop.ask(key, max_tokens=50))
        spent = shop.spent(served)
        shop.store.close()
        gateway.process.stop()
    with Gateway(tmp_path, config) as gateway:
        shop = Shop(gateway)
        answer = shop.ask(key, max_tokens=50)
        assert answer.status_code == 429
        assert f"({spent / NANO:.2f} CNY spent, " in answer.json()["error"]["message"]
        shop.store.close()
