"""Answers of something between, storage that is forbidden, wrong clocks, upgrades: what the page says."""

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.browser import wait_on
from tests.console.gateways import await_key
from tests.console.support import LANGUAGES, Console, Language
from tests.support.admin import Admin
from tests.support.processes import wait_until

LIVE: Final = "**/admin/v1/live"
ME: Final = "**/admin/v1/me"
KEYS: Final = "**/admin/v1/keys?*"
BUDGETS: Final = "**/admin/v1/budgets?*"
HTML: Final = "<html><script>window.injected = true</script><h1>Bad proxy</h1></html>"
FORBIDDEN: Final = """
for (const name of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
}
"""
HIDE: Final = """
(state) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


def heading(page: Page, text: str | None = None) -> None:
    """Wait for the page."""
    found = page.get_by_role("heading", level=1)
    if text is None:
        expect(found).to_be_visible()
    else:
        expect(found).to_have_text(text)


def key_field(page: Page, language: Language = "en") -> None:
    """Wait for the sign-in."""
    label = {"en": "API key", "zh": "API 密钥"}[language]
    expect(page.get_by_label(label, exact=True)).to_be_visible()


@pytest.mark.parametrize("rubbish", ["钥匙", "two words", "\n", "\u202e\U0001f511"])
def test_rubbish_that_was_kept_is_no_key(console: Console, admin: Admin, rubbish: str) -> None:
    """A header can't have it, so it asks nobody: it is forgotten, and the sign-in works."""
    page = console("keys", key=rubbish, model_key=rubbish)
    key_field(page)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("API key", exact=True).fill(admin.key)
    page.get_by_role("button", name="Sign in", exact=True).click()
    heading(page, "Keys")
    assert rubbish not in page.evaluate("() => ({...sessionStorage})").values()


WORDS: Final[Mapping[Language, str]] = {"en": "That is no key", "zh": "这不是密钥"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_can_be_no_key_is_told(console: Console, language: Language) -> None:
    """It was told as a gateway that does not answer."""
    page = console(key="", language=language)
    page.get_by_role("textbox").fill("钥匙")
    page.get_by_role("textbox").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(WORDS[language])


def test_a_browser_that_keeps_nothing(console: Console, admin: Admin) -> None:
    page = console.blank(key="")
    page.add_init_script(FORBIDDEN)
    console.expect("exception: no")  # the tests' own script
    page.goto(f"{admin.url}/console/keys")
    page.get_by_label("API key", exact=True).fill(admin.key)
    page.get_by_role("button", name="Sign in", exact=True).click()
    heading(page, "Keys")
    page.get_by_role("button", name="中文").click()
    heading(page, "密钥")


BODIES: Final = {
    "html-500": (500, "text/html", HTML, "Not the gateway.*HTTP 500"),
    "html-200": (200, "text/html", HTML, "something else than the gateway"),
    "cut": (200, "application/json", '{"data": [{"id": 1, "na', "cut short"),
    "empty": (200, "application/json", "", "cut short"),
    "error-of-no-shape": (418, "application/json", '"teapot"', "Not the gateway.*HTTP 418"),
}


@pytest.mark.parametrize("case", BODIES)
def test_an_answer_of_something_between(console: Console, case: str) -> None:
    """It is told in words, it is no defect of the console, and trying again helps."""
    status, kind, body, words = BODIES[case]
    console.expect(f"status of {status}")
    page = console("system")
    heading(page)
    page.route(KEYS, lambda route: route.fulfill(status=status, content_type=kind, body=body))
    page.get_by_role("link", name="Keys", exact=True).click()
    fault = page.get_by_role("main").get_by_role("alert").first
    expect(fault).to_contain_text(re.compile(words))
    page.unroute(KEYS)
    fault.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("main").get_by_role("alert")).to_have_count(0)
    assert page.evaluate("() => window.injected") is None


def test_when_to_try_again(console: Console) -> None:
    console.expect("status of 429")
    page = console("system")
    heading(page)
    error = {"error": {"code": "rate_limited", "message": "Too many <b>requests</b>.", "faults": []}}
    headers = {"retry-after": "90", "x-request-id": "req_1"}
    page.route(KEYS, lambda route: route.fulfill(status=429, headers=headers, json=error))
    page.get_by_role("link", name="Keys", exact=True).click()
    fault = page.get_by_role("main").get_by_role("alert").first
    expect(fault).to_contain_text("Too many <b>requests</b>.")
    expect(fault).to_contain_text("Try again in 1 min 30 s.")
    expect(fault).to_contain_text("req_1")


@pytest.mark.parametrize("case", ["html-200", "cut", "html-500"])
def test_the_polls_go_on_after_a_bad_answer(console: Console, case: str) -> None:
    """One answer that could not be read ended them for good."""
    status, kind, body, _ = BODIES[case]
    console.expect(f"status of {status}")
    page = console()
    heading(page)
    bad: list[float] = []
    good: list[float] = []

    def answer(route: Route) -> None:
        if len(bad) < 2:
            bad.append(time.monotonic())
            route.fulfill(status=status, content_type=kind, body=body)
        else:
            good.append(time.monotonic())
            route.continue_()

    page.route(LIVE, answer)
    wait_on(page, lambda: len(good) > 1, "the polls", timeout_s=15)


CALM: Final = {
    "overview": ("", BUDGETS, "Nothing needs attention"),
    "overview-live": ("", LIVE, "Nothing needs attention"),
    "system": ("system", LIVE, "Nothing is wrong here"),
}
"""A page, what it asks, and what it may say only when it knows."""


@pytest.mark.parametrize("case", CALM)
def test_what_is_not_known_is_not_called_well(console: Console, admin: Admin, case: str) -> None:
    path, question, words = CALM[case]
    console.expect("status of 500")
    page = console.blank()
    error = {"error": {"code": "unavailable", "message": "Not now.", "faults": []}}
    page.route(question, lambda route: route.fulfill(status=500, json=error))
    page.goto(f"{admin.url}/console/{path}")
    heading(page)
    console.settle()
    page.wait_for_timeout(3_000)  # in which it looks at the gateway again
    expect(page.get_by_text(words)).to_have_count(0)
    page.unroute(question)
    page.reload()
    expect(page.get_by_text(words).first).to_be_visible()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_reload_while_the_gateway_can_t_tell_keeps_the_key(
    console: Console, admin: Admin, status: int
) -> None:
    """Its database may be away for a moment. The key was thrown away with the first such answer."""
    console.expect(f"status of {status}")
    page = console("keys")
    heading(page, "Keys")
    error = {"error": {"code": "unavailable", "message": "Not now.", "faults": []}}
    page.route(ME, lambda route: route.fulfill(status=status, json=error))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Not now.")
    page.unroute(ME)
    page.get_by_role("button", name="Try again").click()
    heading(page, "Keys")
    assert page.evaluate("() => sessionStorage['llmgw.key']") == admin.key


def test_a_key_that_can_t_be_looked_up_can_be_given_up(console: Console, admin: Admin) -> None:
    console.expect("status of 500")
    page = console.blank()
    page.route(ME, lambda route: route.fulfill(status=500, content_type="text/html", body=HTML))
    page.goto(f"{admin.url}/console/")
    page.get_by_role("button", name="Sign out").click()
    key_field(page)
    assert page.evaluate("() => sessionStorage['llmgw.key']") is None


def test_a_refused_model_key_ends_its_session(console: Console, admin: Admin) -> None:
    console.expect("status of 401")
    made = admin.send("POST", "/admin/v1/keys", {"name": "goes soon"}).json()
    await_key(admin, made["secret"])
    page = console(key=made["secret"])
    heading(page, "My usage")
    console.settle()
    admin.send("POST", f"/admin/v1/keys/{made['id']}/revoke")
    wait_until(
        lambda: (
            admin.client.get(
                "/v1/usage/me", headers={"authorization": f"Bearer {made['secret']}"}
            ).status_code
            == 401
        ),
        "the revocation",
        timeout_s=10,
    )
    page.get_by_role("button", name="Refresh").click()
    key_field(page)
    expect(page.get_by_role("status").filter(has_text="You are signed out")).to_be_visible()


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_browser_whose_clock_is_wrong(console: Console, admin: Admin, hours: int) -> None:
    """How long it is until something happens is the gateway's to say."""
    name = f"clock {hours}"
    expires_at = datetime.now(UTC) + timedelta(minutes=30)
    admin.send("POST", "/admin/v1/keys", {"name": name, "expires_at": expires_at.isoformat()})
    page = console.blank()
    page.clock.install(time=datetime.now(UTC) + timedelta(hours=hours))
    page.goto(f"{admin.url}/console/keys?name=clock")
    row = page.get_by_role("row").filter(has_text=name)
    expect(row.get_by_role("time")).to_have_text(re.compile(r"in \d\d minutes"))


def test_a_tab_in_the_background_asks_nothing(console: Console) -> None:
    page = console("keys")  # which asks for no sums when an hour ends
    heading(page)
    console.settle()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(HIDE, "hidden")
    page.wait_for_timeout(5_000)  # in which two polls would have been
    before = len(asked)
    assert before <= 1, asked
    page.evaluate(HIDE, "visible")
    wait_on(page, lambda: len(asked) > before, "a poll", timeout_s=5)


def test_an_upgrade_while_the_page_is_open(console: Console) -> None:
    """The code of a page that was not opened yet is gone: the gateway answers, and has other files."""
    console.expect("status of 404", "Failed to fetch dynamically imported module")
    page = console("keys")
    heading(page, "Keys")
    page.route("**/assets/usage-*.js", lambda route: route.fulfill(status=404, body="gone"))
    page.get_by_role("link", name="Usage", exact=True).click()
    fault = page.get_by_role("alert")
    expect(fault).to_contain_text("load the page again")
    page.unroute("**/assets/usage-*.js")
    fault.get_by_role("button", name="Load the page again").click()
    heading(page, "Usage")


def test_a_page_of_before_an_upgrade(console: Console, admin: Admin) -> None:
    """Its script is gone, so nothing of the console can say so: not even then is the page empty."""
    console.expect("status of 404")
    old = re.sub(r"/assets/[\w-]+\.js", "/assets/index-OldOne.js", admin.client.get("/console/").text)
    page = console.blank()
    page.route("**/console/", lambda route: route.fulfill(content_type="text/html", body=old))
    page.goto(f"{admin.url}/console/")
    expect(page.get_by_role("alert")).to_contain_text("Load the page again")
    page.unroute("**/console/")
    page.get_by_role("button", name="Load the page again").click()
    heading(page, "Overview")


def test_two_clicks_are_one_deed(console: Console, admin: Admin) -> None:
    """However slow the gateway is."""
    asked: list[str] = []

    def slowly(route: Route) -> None:
        if route.request.method == "POST":
            asked.append(json.loads(route.request.post_data or "{}")["name"])
            time.sleep(0.5)
        route.continue_()

    page = console("keys")
    page.route("**/admin/v1/keys", slowly)
    page.get_by_role("button", name="New key").first.click()
    page.get_by_label("Name", exact=True).fill("clicked twice")
    button = page.get_by_role("dialog").get_by_role("button", name=re.compile("^(Create|Make)"))
    button.evaluate("(it) => { it.click(); it.click(); }")
    expect(page.get_by_role("group", name="Secret")).to_contain_text("sk-gtw-")
    assert asked == ["clicked twice"]
    names = [each["name"] for each in admin.all_of("/admin/v1/keys", {"name": "clicked twice"})]
    assert names == ["clicked twice"]


def test_each_page_has_its_own_title(console: Console) -> None:
    """Tabs, bookmarks, the history and screen readers name a page by it."""
    page = console("keys")
    expect(page).to_have_title("Keys · llmgw")
    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page).to_have_title("Usage · llmgw")
    page.get_by_role("button", name="中文").click()
    expect(page).to_have_title("用量 · llmgw")


def test_a_page_that_fails_fails_once(console: Console) -> None:
    """It was rendered again with the words of its failure, and failed again, for ever."""
    console.expect("broken")
    page = console("keys")
    heading(page, "Keys")
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(error.message))
    broken = "export default function Page() { throw new Error('broken'); }"
    page.route(
        "**/assets/usage-*.js", lambda route: route.fulfill(content_type="text/javascript", body=broken)
    )
    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The console failed here")
    assert len(failed) < 5
    page.get_by_role("link", name="Keys", exact=True).click()
    heading(page, "Keys")
