"""The page of models and upstreams: catalog, prices, and how targets are now, without asking the database."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.gateways import console_gateway
from tests.console.support import LANGUAGES, Console, Language, axe, no_overflow
from tests.support.admin import SOON_S, Admin
from tests.support.chat import body
from tests.support.processes import wait_until

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "models": "Models", "upstreams": "Upstreams", "switch": "can be switched", "always": "always",
        "no price": "no price", "probe": "Probe now", "answers": "answers", "fault": "fault",
        "targets": "Targets", "price": "Price", "workers": "Each worker",
        "lately": "What happened to thinking", "try": "Try it", "requests": "Its requests",
        "missing": "The config has no such model.",
    },
    "zh": {
        "models": "模型", "upstreams": "上游", "switch": "可开关", "always": "始终思考",
        "no price": "无价格", "probe": "立即检查", "answers": "正常", "fault": "有问题",
        "targets": "目标", "price": "价格", "workers": "各 worker", "lately": "思考开关的效果",
        "try": "试一试", "requests": "它的请求", "missing": "配置里没有这个模型。",
    },
}  # fmt: skip


def table(page: Page, name: str, language: Language = "en") -> Locator:
    return page.get_by_role("region", name=WORDS[language][name], exact=True).last


def row(page: Page, of: str, name: str, language: Language = "en") -> Locator:
    """Of the table of models or upstreams."""
    cell = page.get_by_role("cell").filter(has_text=re.compile(f"^{re.escape(name)}"))
    return table(page, of, language).get_by_role("row").filter(has=cell).first


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_list_says(console: Console, admin: Admin, language: Language) -> None:
    words = WORDS[language]
    page = console("models", language=language)
    known = [model["id"] for model in admin.all_of("/admin/v1/models")]
    links = table(page, "models", language).locator("tbody td:first-child a")
    expect(links.first).to_be_visible()
    assert links.all_inner_texts() == known[:50]
    plus = row(page, "models", "qwen3.6-plus", language)
    for text in (words["switch"], "1M", "¥2.00", "¥0.40", "¥12.00", "qwen"):
        expect(plus).to_contain_text(text)
    expect(row(page, "models", "qwen3-next-80b-a3b-thinking", language)).to_contain_text(words["always"])
    expect(row(page, "models", "kimi-k2.6", language)).to_contain_text(words["no price"])
    expect(row(page, "models", "deepseek-v4-pro", language)).to_contain_text("$0.56")
    upstream = row(page, "upstreams", "kimi", language)
    expect(upstream).to_contain_text("/kimi/v1")
    expect(upstream).to_contain_text("chat")


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_model(console: Console, admin: Admin, language: Language) -> None:
    words = WORDS[language]
    page = console("models", language=language)
    table(page, "models", language).get_by_role("link", name="qwen3.6-plus", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("qwen3.6-plus")
    price = table(page, "price", language)
    expect(price.locator("tbody tr")).to_have_count(1)
    assert price.locator("tbody td:nth-child(n+2)").all_inner_texts() == ["¥2.00", "¥0.40", "¥2.00", "¥12.00"]
    [upstream] = [each for each in admin.all_of("/admin/v1/upstreams") if each["name"] == "qwen"]
    [target] = [each for each in upstream["targets"] if each["upstream_model"] == "qwen3.6-plus"]
    workers = table(page, "workers", language).locator("tbody td:first-child")
    expect(workers.first).to_be_visible()
    assert workers.all_inner_texts() == [str(each["worker"]) for each in target["workers"]]
    lately = admin.get("/admin/v1/thinking").json()["data"]
    expected = [each for each in lately if each["model"] == "qwen3.6-plus"]
    expect(table(page, "lately", language).locator("tbody tr")).to_have_count(len(expected))
    console.settle()
    axe(page)
    page.get_by_role("link", name=words["requests"]).first.click()
    expect(page).to_have_url(re.compile(r"/requests\?model=qwen3\.6-plus$"))
    page.go_back()
    page.get_by_role("link", name=words["try"]).click()
    expect(page).to_have_url(re.compile(r"/playground\?model=qwen3\.6-plus"))
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(words["models"])


def test_the_sums_of_a_model_are_the_api_s(console: Console, admin: Admin) -> None:
    [total] = admin.get("/admin/v1/usage", {"by": "all", "model": "glm-5"}).json()["data"]
    page = console("models/glm-5")
    sums = page.locator(".model-stats")
    expect(sums).to_contain_text(f"{total['requests']:,}")
    expect(sums.locator(f'[title="{total["costs"]["CNY"]} CNY"]')).to_be_visible()


@pytest.mark.parametrize("address", ["vendor/team/kimi", quote("vendor/team/kimi", safe="")])
def test_ids_with_slashes(console: Console, address: str) -> None:
    page = console(f"models/{address}")
    expect(page.get_by_role("heading", level=1)).to_have_text("vendor/team/kimi")
    expect(table(page, "targets")).to_contain_text("kimi · kimi-k2.6")
    page.goto(page.url.split("/models")[0] + "/models")
    page.get_by_role("link", name="vendor/qwen3.6-plus", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("vendor/qwen3.6-plus")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_that_nobody_knows(console: Console, language: Language) -> None:
    page = console("models/nobody", language=language)
    expect(page.get_by_text(WORDS[language]["missing"])).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_upstreams_are_probed(console: Console, language: Language) -> None:
    words = WORDS[language]
    page = console("models", language=language)
    expect(row(page, "upstreams", "unreachable", language)).to_be_visible()
    page.get_by_role("button", name=words["probe"]).click()
    expect(row(page, "upstreams", "qwen", language)).to_contain_text(f"{words['answers']} 200")
    expect(row(page, "upstreams", "unreachable", language)).to_contain_text(words["fault"])
    expect(row(page, "upstreams", "unreachable", language)).to_contain_text("can't be reached")
    console.settle()
    axe(page)
    no_overflow(page)


def test_a_target_that_nobody_has_told_of(console: Console, admin: Admin) -> None:
    """That no failure is known is said only when somebody was asked."""
    console.expect("status of 500")
    page = console.blank()
    page.route("**/admin/v1/live", lambda route: route.fulfill(status=500, json={"error": {}}))
    page.goto(f"{admin.url}/console/models/glm-5")
    target = table(page, "targets").get_by_role("row").nth(1)
    expect(target).to_contain_text("glm · glm-5")
    console.settle()
    expect(target).not_to_contain_text("none known")
    page.unroute("**/admin/v1/live")
    expect(target).to_contain_text("none known")


TWO_TARGETS: Final = """
[[models]]
id = "two-targets"
targets = [
  {upstream = "unreachable", upstream_model = "anything", priority = 1},
  {upstream = "glm", upstream_model = "glm-5", priority = 2},
]
"""
"""A target cools only where there is another one."""


@pytest.fixture
def failing(tmp_path: Path, config: str) -> Iterator[Admin]:
    """A gateway that prefers an upstream which can't be reached."""
    with console_gateway(tmp_path, f"{config}{TWO_TARGETS}") as admin:
        yield admin


def test_a_target_that_cools_is_seen_without_a_reload(console: Console, failing: Admin) -> None:
    """By the workers' own words: neither models nor upstreams are asked for again."""
    page = console("models", site=failing)
    one = console("models/two-targets", site=failing)
    line = row(page, "models", "two-targets")
    expect(line).to_be_visible()
    expect(line).not_to_contain_text("cooling down")
    expect(table(one, "targets").get_by_role("row").nth(1)).to_contain_text("none known")
    console.settle()
    asked: list[str] = []
    for each in (page, one):
        each.on("request", lambda request: asked.append(request.url))

    def shows_cooling() -> bool:
        failing.gateway.post(body("two-targets"))  # also the probe, after each cool-down
        return line.get_by_text("cooling down").is_visible()

    wait_until(shows_cooling, "the target cools", timeout_s=2 * SOON_S)
    expect(row(page, "upstreams", "unreachable")).to_contain_text("targets up")
    expect(row(page, "upstreams", "unreachable")).to_contain_text("failed")
    expect(row(page, "upstreams", "glm")).not_to_contain_text("targets up")
    states = re.compile("cooling down|being tried again")
    expect(table(one, "targets").get_by_role("row").nth(1)).to_contain_text(states)
    expect(table(one, "targets").get_by_role("row").nth(1)).to_contain_text("connection refused")
    expect(table(one, "targets").get_by_role("row").nth(2)).to_contain_text("up")
    assert {url.rpartition("/")[2] for url in asked} == {"live"}
