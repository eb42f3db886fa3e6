"""The first page: sums of a time, what comes while one looks, and what needs attention."""

import re
import time
from pathlib import Path
from typing import Final

import httpx
from playwright.sync_api import Page, Request, expect

from tests.console.gateways import await_key
from tests.console.support import Console, Language
from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream, json_answer

WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "requests": "Requests", "errors": "Errors", "plot": "Requests over time",
        "empty": "No requests in this time",
    },
    "zh": {"requests": "请求", "errors": "错误", "plot": "请求随时间的变化", "empty": "这段时间没有请求"},
}  # fmt: skip

HOUR_S: Final = 3_600.0
TWO_TARGETS: Final = """
[[models]]
id = "two"
targets = [
  {upstream = "scripted", upstream_model = "scripted"},
  {upstream = "qwen", upstream_model = "qwen3.6-plus", priority = 2},
]
"""
"""Only a target that has another one beside it is left out for a while."""


def stat(page: Page, name: str) -> int:
    """A number of the sums."""
    shown = (
        page.locator(".stat", has=page.get_by_text(name, exact=True)).locator("dd > span").first.inner_text()
    )
    return int(shown.replace(",", ""))


def sums(admin: Admin) -> tuple[int, int]:
    """Requests and errors of the last day, by the admin API."""
    [row] = admin.get("/admin/v1/usage", {"by": "all"}).json()["data"]
    return row["requests"], row["errors"]


def drawn(page: Page) -> int:
    """How many pixels of a plot have a colour."""
    pixels: int = page.locator(".plot canvas").evaluate(
        """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let coloured = 0;
          for (let at = 0; at < data.length; at += 4) {
            const [red, green, blue, alpha] = data.subarray(at, at + 4);
            if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 40) coloured += 1;
          }
          return coloured;
        }"""
    )
    return pixels


def test_the_sums_are_the_apis(console: Console, admin: Admin) -> None:
    for language, words in WORDS.items():
        page = console(language=language)
        page.locator(".stat").first.wait_for()
        wait_until(
            lambda page=page, words=words: (
                (stat(page, words["requests"]), stat(page, words["errors"])) == sums(admin)
            ),  # type: ignore[misc]
            "the sums",
            timeout_s=SOON_S,
        )
        expect(page.get_by_role("figure", name=words["plot"])).to_be_visible()
        wait_until(lambda page=page: drawn(page) > 100, "bars", timeout_s=SOON_S)  # type: ignore[misc]


def test_what_comes_is_counted_without_the_database(console: Console, admin: Admin) -> None:
    # When an hour ends, the sums are asked for anew.
    left_s = HOUR_S - time.time() % HOUR_S
    if left_s < 4 * SOON_S:
        time.sleep(left_s + 1)
    page = console()
    page.locator(".stat").first.wait_for()
    console.settle()
    before = stat(page, "Requests")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(httpx.URL(request.url).path)

    page.on("request", note)
    for _ in range(3):
        admin.gateway.post(body("qwen3-max"))
    wait_until(lambda: stat(page, "Requests") >= before + 3, "three more requests", timeout_s=2 * SOON_S)
    # Which budgets are near their end is asked when that changes, by other tests too. The sums are not.
    assert set(asked) - {"/admin/v1/budgets"} == {"/admin/v1/live"}


def test_range_and_measure_are_in_the_address(console: Console) -> None:
    page = console()
    page.get_by_role("button", name="7 days").click()
    page.get_by_role("button", name="Tokens", exact=True).click()
    expect(page).to_have_url(re.compile(r"range=week&metric=tokens$"))
    expect(page.get_by_role("figure", name="Tokens over time")).to_contain_text("reasoning")
    page.go_back()
    expect(page.get_by_role("figure", name="Requests over time")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")


def test_names_lead_to_their_pages(console: Console) -> None:
    page = console()
    page.get_by_role("region", name="Models", exact=True).get_by_role(
        "link", name="glm-5", exact=True
    ).click()
    expect(page).to_have_url(re.compile("/console/models/glm-5$"))


def test_a_budget_that_is_used_up_needs_attention(console: Console, admin: Admin) -> None:
    budget = {"amount": "1000000", "unit": "tokens", "period": "total"}
    made = admin.send("POST", "/admin/v1/keys", {"name": "spender", "budgets": [budget]}).json()
    key = f"/admin/v1/keys/{made['id']}"
    await_key(admin, made["secret"])
    answer = admin.gateway.post(body("qwen3-max"), key=made["secret"])
    admin.gateway.ledger(answer.headers["x-request-id"])
    [state] = admin.get("/admin/v1/budgets", {"key_id": made["id"]}).json()["data"]
    admin.send("PATCH", key, {"budgets": [{**budget, "amount": state["spent"]}]})
    try:
        link = console().get_by_role("link", name=re.compile("budget of spender is used up"))
        expect(link).to_have_attribute("href", f"/console/keys/{made['id']}")
    finally:
        admin.send("POST", f"{key}/revoke")


def test_an_upstream_that_cools_needs_attention(
    console: Console, config: str, scripted: ScriptedUpstream, tmp_path: Path
) -> None:
    script = scripted.script(json_answer({"error": {"message": "down"}}, "503 Service Unavailable"))
    with admin_gateway(tmp_path, f"{config}\n{TWO_TARGETS}", own_process=False) as admin:
        page = console(site=admin)
        expect(page.get_by_text("Nothing needs attention")).to_be_visible()
        told = page.get_by_text(re.compile("scripted .* (cools down|is being tried again)"))

        def is_told() -> bool:
            admin.gateway.post(body("two", script=script))  # also the probe, after each cool-down
            return told.is_visible()

        wait_until(is_told, "what needs attention", timeout_s=2 * SOON_S)


def test_nothing_yet(console: Console, untouched: Admin) -> None:
    for language, words in WORDS.items():
        page = console(site=untouched, language=language)
        expect(page.get_by_text(words["empty"])).to_be_visible()
        expect(page.get_by_role("main").get_by_role("link").last).to_have_attribute(
            "href", "/console/playground"
        )
