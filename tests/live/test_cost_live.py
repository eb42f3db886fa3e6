"""What each kind of answer costs, in the row of a running gateway: by the usage that its client was shown."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from llmgw.prices.document import digest_of
from tests.live.native.support import config as native_config
from tests.support.chat import body, mark, streamed
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.processes import wait_until
from tests.support.scripted import EVENT_STREAM_HEAD, Hold, Reset, ScriptedUpstream
from tests.support.simulator import SimulatorProcess

PRICE = "input = 2.0, cached_input = 0.4, cache_write = 2.5, output = 12.0, output_thinking = 20.0"
"""Of a token: 2000, 400, 2500, 12,000 and 20,000 · 10⁻⁹ yuan."""
UNPRICED = "glm-5-flash"
LONG: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief. " * 20},
    {"role": "user", "content": "Say hello."},
]
SEEN_WITHIN_S = 20.0


def priced(text: str) -> str:
    """The config with this price at every model but one, and a fee for rerank."""
    models = text.split("[[models]]\n")
    fee = ', per_request = 0.003, currency = "USD"'
    for at, model in enumerate(models[1:], start=1):
        if f'id = "{UNPRICED}"' not in model:
            more = fee if 'kind = "rerank"' in model else ""
            models[at] = f"price = {{{PRICE}{more}}}\n{model}"
    return "[[models]]\n".join(models) + "\n[prices.exchange]\nUSD = 7.5\n"


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    text = priced(config_text(simulator.url, scripted.base_url))
    with Gateway(tmp_path_factory.mktemp("priced"), text) as gateway:
        yield gateway


def costs(row: dict[str, Any]) -> tuple[int | None, ...]:
    """Its five parts; they must come to its cost."""
    names = ("cost_input", "cost_cached_input", "cost_cache_write", "cost_output", "cost_other")
    parts = tuple(row[name] for name in names)
    if row["cost"] is not None:
        assert row["cost"] == sum(parts)
        assert row["currency"] == "CNY"
        assert len(row["price_digest"]) == 64
    return parts


def expected(prompt: int, completion: int, *, cached: int = 0, thinks: bool) -> tuple[int, ...]:
    return ((prompt - cached) * 2000, cached * 400, 0, completion * (20_000 if thinks else 12_000), 0)


def of_usage(usage: dict[str, Any]) -> tuple[int, ...]:
    """What OpenAI's usage comes to."""
    prompt = usage.get("prompt_tokens_details") or {}
    cached = usage.get("cached_tokens", prompt.get("cached_tokens")) or 0
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return expected(usage["prompt_tokens"], usage["completion_tokens"], cached=cached, thinks=thought > 0)


@pytest.mark.parametrize("model", ["qwen3.6-plus", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3"])
@pytest.mark.parametrize("thinking", [True, False])
def test_streamed_with_and_without_thinking(shop: Gateway, model: str, *, thinking: bool) -> None:
    """The history is long enough that a part of it is cached."""
    switch = {} if model == "minimax-m3" else {"llmgw_thinking": thinking}
    asked = {**streamed(model, include_usage=True, seed=1, **switch), "messages": LONG}
    answer = shop.post(asked)
    usage = check_stream(answer.body, include_usage=True).usage
    assert usage is not None
    row = shop.ledger(answer.headers["x-request-id"])
    observed = bool(row["thinking_observed"])
    cached = row["cached_tokens"]
    assert cached > 0
    assert costs(row) == expected(
        usage["prompt_tokens"], usage["completion_tokens"], cached=cached, thinks=observed
    )
    assert row["usage_source"] == "upstream"


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("glm-5", {}),
        ("qwen3.6-plus", {"llmgw_thinking": True}),  # merged from a stream
        ("qwen3.6-plus", {"llmgw_thinking": False}),
        ("minimax-m3", {}),
    ],
)
def test_whole_answers(shop: Gateway, model: str, more: dict[str, Any]) -> None:
    answer = shop.post(body(model, **more))
    assert costs(shop.ledger(answer.headers["x-request-id"])) == of_usage(answer.json()["usage"])


def test_messages_and_responses_cost_what_chat_costs(shop: Gateway) -> None:
    text = "Why is the sky blue?"
    chat = shop.post({**body("glm-5", seed=7), "messages": [{"role": "user", "content": text}]})
    said = {"model": "glm-5", "seed": 7, "max_tokens": 2048, "messages": [{"role": "user", "content": text}]}
    messages = shop.post(said, path="/v1/messages")
    usage = messages.json()["usage"]
    row = shop.ledger(messages.headers["x-request-id"])
    prompt = usage["input_tokens"] + (usage.get("cache_read_input_tokens") or 0)
    assert costs(row) == expected(
        prompt,
        usage["output_tokens"],
        cached=row["cached_tokens"] or 0,
        thinks=bool(row["thinking_observed"]),
    )
    responses = shop.post({"model": "glm-5", "input": text, "seed": 7}, path="/v1/responses")
    usage = responses.json()["usage"]
    row = shop.ledger(responses.headers["x-request-id"])
    assert costs(row) == expected(
        usage["input_tokens"],
        usage["output_tokens"],
        cached=usage["input_tokens_details"]["cached_tokens"],
        thinks=usage["output_tokens_details"]["reasoning_tokens"] > 0,
    )
    assert shop.ledger(chat.headers["x-request-id"])["cost"] > 0


def test_completions_embeddings_and_rerank(shop: Gateway) -> None:
    text = shop.post({"model": "qwen3-max", "prompt": "Hi"}, path="/v1/completions")
    assert costs(shop.ledger(text.headers["x-request-id"])) == of_usage(text.json()["usage"])
    vector = shop.post({"model": "text-embedding-v4", "input": "wine"}, path="/v1/embeddings")
    tokens = vector.json()["usage"]["prompt_tokens"]
    assert costs(shop.ledger(vector.headers["x-request-id"])) == (tokens * 2000, 0, 0, 0, 0)
    asked = {"model": "qwen3-rerank", "query": "wine", "documents": ["tea", "wine"]}
    ranked = shop.post(asked, path="/v1/rerank")
    tokens = ranked.json()["usage"]["total_tokens"]
    # In dollars, at 7.5 yuan.
    assert costs(shop.ledger(ranked.headers["x-request-id"])) == (tokens * 15_000, 0, 0, 0, 22_500_000)


def test_field_b3_anthropic_s_cached_tokens_are_beside_the_input(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    """Anthropic's usage leaves out what was cached; the ledger's prompt has it, once."""
    text = priced(native_config(simulator.url, scripted.base_url))
    with Gateway(tmp_path_factory.mktemp("native-priced"), text) as gateway:
        said = {
            "model": "deepseek-v4-pro",
            "max_tokens": 2048,
            "messages": LONG[1:],
            "system": "Be brief. " * 20,
        }
        answer = gateway.post(said, path="/v1/messages")
        usage = answer.json()["usage"]
        row = gateway.ledger(answer.headers["x-request-id"])
        cached = usage["cache_read_input_tokens"]
        written = usage.get("cache_creation_input_tokens") or 0
        assert cached > 0
        assert row["prompt_tokens"] == usage["input_tokens"] + cached + written
        per_output = 20_000 if row["thinking_observed"] else 12_000
        assert costs(row) == (
            usage["input_tokens"] * 2000, cached * 400, written * 2500, usage["output_tokens"] * per_output, 0
        )  # fmt: skip


TEXT = "How nice! " * 8


def event(text: str, usage: dict[str, int] | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }
    data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def asked(script: str) -> dict[str, Any]:
    """About 10 tokens: 40 bytes of text."""
    return {**streamed("scripted", script=script), "messages": [{"role": "user", "content": "x" * 40}]}


@pytest.mark.parametrize(
    ("events", "usage", "cost"),
    [
        ([event(TEXT)], (10, 20, "estimated"), 10 * 2000 + 20 * 12_000),
        ([event(TEXT, {"prompt_tokens": 7, "completion_tokens": 18})], (7, 18, "partial"), 230_000),
        (
            [event("a", {"prompt_tokens": 7, "completion_tokens": 1}), event(TEXT)],
            (7, 21, "estimated"),
            7 * 2000 + 21 * 12_000,
        ),
    ],
    ids=["no usage", "usage with the text", "text after the usage"],
)
def test_broken_off_and_cancelled(
    shop: Gateway,
    scripted: ScriptedUpstream,
    events: list[bytes],
    usage: tuple[int, int, str],
    cost: int,
) -> None:
    broken = shop.post(asked(scripted.script(EVENT_STREAM_HEAD, *events, Reset())))
    script = scripted.script(EVENT_STREAM_HEAD, *events, Hold())
    with shop.stream(asked(script)) as response:
        received = b""
        for piece in response.iter_raw():
            received += piece
            if received.count(b"data: ") == len(events):
                break
    for request_id, kind in (
        (broken.headers["x-request-id"], "reset"),
        (response.headers["x-request-id"], "client_gone"),
    ):
        row = shop.ledger(request_id)
        assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == usage
        assert (row["error_kind"], row["cost"], sum(part or 0 for part in costs(row))) == (kind, cost, cost)


@pytest.mark.parametrize(
    ("request_body", "status", "cost"),
    [
        (body("unreachable"), 502, 0),
        (body("glm-5", simulate={"status": 500}), 502, 0),
        (body("glm-5", simulate={"status": 400}), 400, 0),
        (body("no-such-model"), 404, None),
        (b"{", 400, None),
    ],
    ids=["unreachable", "failed", "refused", "no such model", "no JSON"],
)
def test_nothing_is_billed_where_nothing_was_answered(
    shop: Gateway,
    request_body: Any,  # noqa: ANN401
    status: int,
    cost: int | None,
) -> None:
    answer = shop.post(request_body)
    assert answer.status == status
    row = shop.ledger(answer.headers["x-request-id"])
    assert (row["cost"], row["usage_source"], row["prompt_tokens"]) == (cost, "none", None)
    assert set(costs(row)) == {cost}


def test_the_prompt_is_billed_where_the_gateway_gave_up(shop: Gateway, scripted: ScriptedUpstream) -> None:
    """The upstream had the request, and may have been working on it."""
    said = {**asked(scripted.script(Hold())), "model": "hasty"}
    answer = shop.post(said)
    assert answer.status == 504
    row = shop.ledger(answer.headers["x-request-id"])
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (10, None, "estimated")
    assert row["cost"] == 10 * 2000


def test_field_b3_a_model_without_a_price_is_not_free(shop: Gateway) -> None:
    answer = shop.post(body(UNPRICED))
    row = shop.ledger(answer.headers["x-request-id"])
    assert row["prompt_tokens"] > 0
    assert (row["cost"], row["currency"], row["price_digest"], *costs(row)) == (None,) * 8


def test_a_row_s_price_can_be_looked_up(shop: Gateway) -> None:
    answer = shop.post(body("glm-5", x_mark=mark()))
    digest = shop.ledger(answer.headers["x-request-id"])["price_digest"]
    with sqlite3.connect(shop.database) as connection:
        [(text,)] = connection.execute("SELECT document FROM prices WHERE digest = ?", (digest,))
    document = json.loads(text)
    assert document["per_million_tokens"][0]["output_thinking"] == "20"
    assert digest_of(document) == digest


def test_field_b3_history_is_never_repriced(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    """A reload changes what later requests cost. Earlier rows keep their price, which stays explained."""
    text = priced(config_text(simulator.url, scripted.base_url))
    with Gateway(tmp_path_factory.mktemp("repriced"), text) as gateway:
        before = gateway.ledger(gateway.post(body("glm-5", seed=1)).headers["x-request-id"])
        gateway.config.write_text(text.replace("output = 12.0", "output = 24.0"), "utf-8")
        command = [sys.executable, "-m", "llmgw", "reload", "--config", str(gateway.config)]
        subprocess.run(command, capture_output=True, check=True, timeout=20)
        after = before

        def repriced() -> bool:
            nonlocal after
            after = gateway.ledger(gateway.post(body("glm-5", seed=1)).headers["x-request-id"])
            return bool(after["price_digest"] != before["price_digest"])

        wait_until(repriced, "the new price", timeout_s=SEEN_WITHIN_S)
        assert gateway.ledger(before["request_id"])["cost"] == before["cost"]

        def both_known() -> bool:
            with sqlite3.connect(gateway.database) as connection:
                known = {digest for (digest,) in connection.execute("SELECT digest FROM prices")}
            return known >= {before["price_digest"], after["price_digest"]}

        wait_until(both_known, "both prices", timeout_s=SEEN_WITHIN_S)
