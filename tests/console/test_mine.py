"""The page of a model key: limits, budgets, use, models, and how to call where it was never used."""

import re
import subprocess
from typing import Any, Final, NamedTuple

import httpx
import pytest
from playwright.sync_api import expect

from tests.console.gateways import await_key
from tests.console.support import LANGUAGES, Console, Language, axe, no_overflow
from tests.support.admin import Admin
from tests.support.chat import body
from tests.support.gateway import Gateway
from tests.support.processes import wait_until

MODELS: Final = ("qwen3.6-plus", "glm-5")
BUDGET: Final = {"amount": "5", "unit": "CNY", "period": "day"}


class Words(NamedTuple):
    """What the page calls it."""

    left: str
    budget: str
    exhausted: str
    refresh: str
    expires: str
    none: str
    by_model: str
    how_to: str


WORDS: Final[dict[Language, Words]] = {
    "en": Words(
        left="of 5 left",
        budget="¥5.00 per day",
        exhausted="used up",
        refresh="Refresh",
        expires="2 Jan 2030",
        none="No request in the last 30 days",
        by_model="By model",
        how_to="How to call",
    ),
    "zh": Words(
        left=" / 5",
        budget="每天 ¥5.00",
        exhausted="已用完",
        refresh="刷新",
        expires="2030年1月2日",
        none="最近 30 天没有请求",
        by_model="按模型",
        how_to="如何调用",
    ),
}


def new_key(admin: Admin, name: str) -> tuple[int, str]:
    """The id and secret of a key with limits and a budget, for two models."""
    limits = {"requests_per_minute": 5, "concurrent_requests": 4}
    more = {"models": MODELS, "expires_at": "2030-01-02T03:04:05Z", "limits": limits, "budgets": [BUDGET]}
    answer = admin.send("POST", "/admin/v1/keys", {"name": name, **more})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    key: dict[str, Any] = answer.json()
    await_key(admin, key["secret"])
    return key["id"], key["secret"]


def ask(gateway: Gateway, key: str, model: str) -> None:
    """One answer, which is in the ledger when this is over."""
    answer = gateway.post(body(model), key=key)
    assert answer.status == 200, answer.body
    gateway.ledger(answer.headers["x-request-id"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_limits_budgets_and_use(console: Console, admin: Admin, gateway: Gateway, language: Language) -> None:
    words = WORDS[language]
    key_id, key = new_key(admin, f"mine-{language}")
    for model in MODELS:
        ask(gateway, key, model)
    page = console(key=key, language=language)
    main = page.get_by_role("main")
    expect(main.get_by_text(f"mine-{language}", exact=True)).to_be_visible()
    expect(main).to_contain_text(words.expires)
    expect(main.get_by_text(words.left)).to_be_visible()
    expect(main.get_by_text(words.budget)).to_be_visible()
    expect(main.get_by_role("meter")).to_have_count(3)
    expect(main.get_by_text(words.exhausted)).to_have_count(0)
    table = page.get_by_role("region", name=words.by_model).get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(1 + len(MODELS))
    for model in MODELS:
        expect(table.get_by_role("row").filter(has_text=model)).to_contain_text("¥")
    expect(main.get_by_text("qwen3-max", exact=True)).to_have_count(0)
    console.settle()
    axe(page)
    no_overflow(page)

    # Less than was spent already.
    smaller = {"budgets": [{**BUDGET, "amount": "0.000001"}]}
    assert admin.send("PATCH", f"/admin/v1/keys/{key_id}", smaller).status_code == httpx.codes.OK
    refresh = page.get_by_role("button", name=words.refresh)

    def is_told() -> bool:
        refresh.click()
        console.settle()
        return main.get_by_text(words.exhausted).is_visible()

    wait_until(is_told, "the used-up budget", timeout_s=10)


def test_measures_are_in_the_address(console: Console, admin: Admin, gateway: Gateway) -> None:
    _, key = new_key(admin, "measured")
    ask(gateway, key, MODELS[0])
    page = console(key=key)
    page.get_by_role("button", name="Cost", exact=True).click()
    expect(page).to_have_url(re.compile(r"metric=cost-CNY$"))
    expect(page.get_by_role("figure", name="Cost by day")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("figure", name="Requests by day")).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_key_that_was_never_used(console: Console, admin: Admin, language: Language) -> None:
    """What it is told to paste into a terminal does call a model."""
    words = WORDS[language]
    _, key = new_key(admin, f"unused-{language}")
    page = console(key=key, language=language, width=390)
    expect(page.get_by_text(words.none)).to_be_visible()
    how_to = page.get_by_role("region", name=words.how_to)
    expect(how_to).to_contain_text(key[:11])
    assert key not in page.content()
    how_to.get_by_role("button").click()
    command: str = page.evaluate("() => navigator.clipboard.readText()")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)
    assert "data: [DONE]" in done.stdout, done
    console.settle()
    axe(page)
    no_overflow(page)


def test_a_key_that_is_revoked_meanwhile(console: Console, admin: Admin) -> None:
    console.expect("status of 401")
    key_id, key = new_key(admin, "revoked")
    page = console(key=key)
    console.settle()
    assert admin.send("POST", f"/admin/v1/keys/{key_id}/revoke").status_code == httpx.codes.OK
    wait_until(
        lambda: admin.gateway.get("/v1/usage/me", key=key).status == httpx.codes.UNAUTHORIZED,
        "the revocation",
        timeout_s=10,
    )
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_label("API key", exact=True)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="You are signed out")).to_be_visible()
