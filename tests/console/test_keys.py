"""Keys: a life from the form to the end, what a form refuses, lists, and what a key that only looks sees."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.console.support import LANGUAGES, RIGHT_AFTER, Console, Language, axe, no_overflow
from tests.support.admin import Admin
from tests.support.chat import body
from tests.support.gateway import Gateway
from tests.support.processes import wait_until

MODEL = "qwen3.6-plus"
SOON_S = 10.0
REFUSED = "status of 400"
"""What Chromium says of a form that the API refused."""
INHERITED = ("inherited_limits", "inherited_budgets")
"""What a key's details have and the list does not."""
CLIENTS = {
    "curl": "curl -N",
    "python": "from openai import OpenAI",
    "node": 'import OpenAI from "openai"',
    "claude-code": "ANTHROPIC_AUTH_TOKEN=",
    "codex": "wire_api",
    "qwen-code": "OPENAI_API_KEY=",
    "cherry-studio": "OpenAI",
    "open-webui": "OPENAI_API_BASE_URL=",
    "langchain": "from langchain_openai import ChatOpenAI",
}


def dialog(page: Page, name: str | re.Pattern[str]) -> Locator:
    """An open dialog by its title."""
    return page.get_by_role("dialog", name=name)


def told(page: Page, text: str | re.Pattern[str]) -> None:
    """What was done is said for a moment."""
    expect(page.locator(".toast").filter(has_text=text).first).to_be_visible()


def answers(gateway: Gateway, secret: str, status: int) -> None:
    """Wait until the gateway answers this key so."""
    wait_until(
        lambda: gateway.post(body(MODEL), key=secret).status == status, f"a {status}", timeout_s=SOON_S
    )


def secret_of(page: Page, title: str = "The key's secret") -> str:
    """Copy the secret that is shown, and close the dialog."""
    shown = dialog(page, title)
    shown.get_by_role("group", name="Secret").get_by_role("button", name="Copy").click()
    expect(shown.get_by_role("checkbox", name="I have stored it")).to_be_checked()
    secret: str = page.evaluate("() => navigator.clipboard.readText()")
    shown.get_by_role("button", name="Done").click()
    expect(shown).to_have_count(0)
    return secret


def is_nowhere(page: Page, secret: str) -> None:
    """Neither in the page nor in a storage nor in the address."""
    kept = page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])")
    for place in (page.content(), kept, page.url):
        assert secret not in place


def make(page: Page, admin: Admin) -> str:
    """A key with limits, by the form; its secret, after a look at all settings."""
    page.get_by_role("button", name="New key").click()
    form = dialog(page, "New key")
    form.get_by_label("Name", exact=True).fill("nightly")
    form.get_by_label("Owner").fill("Li Na")
    form.get_by_label("Expires").select_option("30")
    form.get_by_role("checkbox", name="all, also those to come").uncheck()
    form.get_by_role("checkbox", name=MODEL, exact=True).check()
    form.get_by_label("Requests per minute").fill("1,000")
    form.get_by_role("button", name="Add a budget").click()
    budget = form.get_by_role("group", name="Budget 1")
    budget.get_by_label("Amount").fill("10")
    budget.get_by_label("Per").select_option("day")
    expect(budget.get_by_text("= ¥10.00 per day")).to_be_visible()
    axe(page)
    form.get_by_role("button", name="Make the key").click()
    told(page, "nightly is made.")

    shown = dialog(page, "The key's secret")
    for client, mark in CLIENTS.items():
        shown.get_by_label("Client").select_option(client)
        settings = shown.locator(".code pre").filter(has_text=mark)
        expect(settings.first).to_be_visible()
        assert [text for text in shown.locator(".code pre").all_text_contents() if admin.url in text]
    axe(page)
    page.keyboard.press("Escape")
    expect(shown.get_by_role("button", name="Done")).to_be_disabled()
    assert shown.get_by_role("button", name="Close").count() == 0
    return secret_of(page)


def change(page: Page, admin: Admin, drawer: Locator, key: dict[str, Any]) -> None:
    """Another limit, and one fewer; the rest stays and is not sent."""
    drawer.get_by_role("button", name="Change").click()
    form = dialog(page, "Change nightly")
    form.get_by_label("Requests per minute").fill("")
    form.get_by_label("Requests at once").fill("7")
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        form.get_by_role("button", name="Save").click()
    assert sent.value.post_data_json == {"limits": {"requests_per_minute": None, "concurrent_requests": 7}}
    told(page, "nightly is changed.")
    expect(drawer.get_by_role("meter", name=re.compile("Requests at once"))).to_be_visible()
    changed = admin.get(f"/admin/v1/keys/{key['id']}").json()
    limits = {"requests_per_minute": None, "tokens_per_minute": None, "concurrent_requests": 7}
    assert changed == {**key, "limits": limits, **{name: changed[name] for name in INHERITED}}


def rotate(page: Page, drawer: Locator) -> str:
    """Its new secret; the old one is accepted for an hour."""
    drawer.get_by_role("button", name="Rotate…").click()
    asked = dialog(page, "Rotate nightly")
    asked.get_by_label("Accept the old secret for").select_option("3600")
    asked.get_by_role("button", name="Rotate").click()
    return secret_of(page, "The key's new secret")


def test_a_life(console: Console, admin: Admin, gateway: Gateway) -> None:
    page = console("keys")
    secret = make(page, admin)
    assert secret.startswith("sk-gtw-")
    is_nowhere(page, secret)
    answers(gateway, secret, 200)
    assert gateway.post(body("glm-5"), key=secret).status == 403

    page.get_by_label("Name, owner or prefix").fill("nightly")
    expect(page).to_have_url(re.compile(r"/console/keys\?name=nightly$"))
    row = page.get_by_role("row").filter(has_text="nightly")
    expect(row).to_contain_text("1k req/min")
    expect(row).to_contain_text("in 29 days")
    row.get_by_role("link", name="nightly").click()
    drawer = dialog(page, "nightly")
    expect(drawer.get_by_text("¥10.00 per day")).to_be_visible()
    expect(drawer.get_by_role("meter", name=re.compile("Requests per minute"))).to_be_visible()
    [key] = admin.get("/admin/v1/keys", {"name": "nightly"}).json()["data"]
    assert page.url.endswith(f"/console/keys/{key['id']}?name=nightly")
    axe(page)

    change(page, admin, drawer, key)
    drawer.get_by_role("button", name="Block").click()
    told(page, "nightly is blocked.")
    expect(drawer.get_by_text("blocked", exact=True)).to_be_visible()
    answers(gateway, secret, 403)
    drawer.get_by_role("button", name="Unblock").click()
    told(page, "nightly is unblocked.")
    answers(gateway, secret, 200)

    rotated = rotate(page, drawer)
    assert rotated != secret
    is_nowhere(page, rotated)
    answers(gateway, rotated, 200)
    answers(gateway, secret, 200)
    expect(drawer.get_by_text("Old secret until")).to_be_visible()

    drawer.get_by_role("button", name="Revoke…").click()
    dialog(page, "Revoke nightly?").get_by_role("button", name="Revoke").click()
    told(page, "nightly is revoked.")
    answers(gateway, rotated, 401)
    answers(gateway, secret, 401)
    expect(drawer.get_by_text("revoked", exact=True)).to_be_visible()
    expect(drawer.get_by_role("button", name="Change")).to_have_count(0)
    page.go_back()
    expect(drawer).to_have_count(0)
    expect(row.get_by_text("revoked")).to_be_visible()


def test_faults_stand_at_their_fields(console: Console) -> None:
    console.expect(REFUSED)
    page = console("keys")
    page.get_by_role("button", name="New key").click()
    form = dialog(page, "New key")
    make = form.get_by_role("button", name="Make the key")
    form.get_by_label("Requests per minute").fill("many")
    make.click()
    name = form.get_by_label("Name", exact=True)
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_be_focused()
    expect(name).to_have_accessible_description(re.compile("is missing"))
    limit = form.get_by_label("Requests per minute")
    expect(limit).to_have_accessible_description("must be a whole number, or empty")

    name.fill("slip")
    limit.fill("0")
    form.get_by_role("button", name="Add a budget").click()
    form.get_by_role("button", name="Add a budget").click()
    form.get_by_role("group", name="Budget 1").get_by_label("Amount").fill("5")
    second = form.get_by_role("group", name="Budget 2").get_by_label("Amount")
    second.fill("0")
    make.click()
    expect(limit).to_have_accessible_description("must be greater than or equal to 1")
    expect(second).to_have_accessible_description(re.compile("must be more than 0"))
    expect(form.get_by_text("Request id: req_")).to_be_visible()
    expect(name).to_have_value("slip")
    axe(page)

    # Two that count the same: that is about no field, so it is told above the buttons.
    limit.fill("5")
    second.fill("6")
    make.click()
    expect(form.get_by_role("alert").filter(has_text="has two in CNY per month")).to_be_visible()
    expect(limit).to_have_value("5")
    page.keyboard.press("Escape")
    expect(form).to_be_visible()
    form.get_by_role("button", name="Cancel").click()
    expect(form).to_have_count(0)


def test_budgets_are_lifted_and_reset(console: Console, admin: Admin, gateway: Gateway) -> None:
    wanted = {"name": "spender", "budgets": [{"amount": "10", "unit": "CNY", "period": "month"}]}
    key = admin.send("POST", "/admin/v1/keys", wanted).json()
    answers(gateway, key["secret"], 200)

    def state() -> dict[str, str]:
        [budget] = admin.get("/admin/v1/budgets", {"key_id": key["id"]}).json()["data"]
        return dict(budget)

    wait_until(lambda: state()["spent"] != "0.00", "some spend", timeout_s=SOON_S)
    page = console(f"keys/{key['id']}")
    drawer = dialog(page, "spender")
    drawer.get_by_role("button", name=re.compile("^Lift")).click()
    lift = dialog(page, "Lift the budget")
    lift.get_by_label("Amount to add").fill("2.5")
    expect(lift.get_by_text("= ¥2.50")).to_be_visible()
    lift.get_by_role("button", name="Lift", exact=True).click()
    expect(drawer.get_by_text(re.compile(r"lifted by ¥2\.50"))).to_be_visible()
    assert state()["lifted"] == "2.50"
    drawer.get_by_role("button", name=re.compile("^Reset")).click()
    dialog(page, "Reset the budget").get_by_role("button", name="Reset", exact=True).click()
    told(page, "The budget begins anew.")
    expect(drawer.get_by_text(re.compile(r"¥0\.00 of ¥10\.00"))).to_be_visible()
    assert state()["spent"] == "0.00"


def test_requests_are_captured_and_read(console: Console, admin: Admin, gateway: Gateway) -> None:
    key = admin.send("POST", "/admin/v1/keys", {"name": "watched"}).json()
    page = console(f"keys/{key['id']}")
    drawer = dialog(page, "watched")
    drawer.get_by_role("button", name="Capture…").click()
    start = dialog(page, "Capture requests")
    expect(start.get_by_text("Bodies are personal")).to_be_visible()
    start.get_by_label("Requests at most").fill("3")
    start.get_by_role("button", name="Start").click()
    told(page, "Requests are being captured.")

    def captured() -> bool:
        answer = gateway.post(body(MODEL, user="someone"), key=key["secret"])
        return bool(answer.headers.get("x-llmgw-captured") == "1")

    wait_until(captured, "a captured request", timeout_s=SOON_S)
    [lease] = admin.get("/admin/v1/captures", {"key_id": key["id"]}).json()["data"]
    kept = f"/admin/v1/captures/{lease['id']}/requests"
    wait_until(lambda: bool(admin.get(kept).json()["data"]), "its bodies", timeout_s=SOON_S)
    drawer.get_by_role("button", name="Show the requests").click()
    dialog(page, "Captured requests").get_by_role("button", name=re.compile("^Read req_")).first.click()
    bodies = dialog(page, "A captured request")
    expect(bodies.locator("pre").first).to_contain_text('"user": "someone"')
    expect(bodies.locator("pre").last).to_contain_text("simulator")
    axe(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    drawer.get_by_role("button", name="End now").click()
    told(page, "Nothing more is captured.")
    expect(drawer.get_by_text("over", exact=True)).to_be_visible()


@pytest.fixture(scope="module")
def many(untouched: Admin) -> Admin:
    """A gateway with more keys than a page shows."""
    budget = {"amount": "10", "unit": "CNY", "period": "day"}
    for number in range(60):
        untouched.send("POST", "/admin/v1/keys", {"name": f"many {number:02}", "budgets": [budget]})
    return untouched


def test_a_list_pages(console: Console, many: Admin) -> None:
    page = console("keys?name=many", site=many)
    names = page.get_by_role("link", name=re.compile(r"^many \d\d$"))
    expect(names).to_have_count(50)
    page.get_by_role("button", name="Next").click()
    expect(names).to_have_count(10)
    expect(page.get_by_text("Page 2")).to_be_visible()
    page.get_by_role("button", name="Previous").click()
    expect(names.first).to_have_text("many 00")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Name, owner or prefix").fill("many 0")
    expect(names).to_have_count(10)
    expect(page.get_by_text("Page 2")).to_have_count(0)


_TYPE = """
const type = (text) => {
  const field = document.querySelector("search input");
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
};
"""


def test_what_is_typed_while_the_list_is_asked_for_stays(console: Console) -> None:
    page = console("keys")
    field = page.get_by_label("Name, owner or prefix")
    field.wait_for()
    page.evaluate(f"() => {{ {_TYPE} ({RIGHT_AFTER})(() => type('many')); type('man'); }}")
    expect(page).to_have_url(re.compile(r"/keys\?name=many$"))
    expect(field).to_have_value("many")


def test_a_filter_that_is_chosen_while_one_types_stays(console: Console) -> None:
    page = console("keys")
    page.get_by_label("State", exact=True).evaluate(
        f"""async (state) => {{
          {_TYPE}
          type("many");
          await new Promise((done) => setTimeout(done, 100)); // less than the page waits for
          state.value = "revoked";
          state.dispatchEvent(new Event("change", {{ bubbles: true }}));
        }}"""
    )
    expect(page).to_have_url(re.compile(r"/keys\?state=revoked&name=many$"))


def test_bars_of_a_list_cost_one_request(console: Console, many: Admin) -> None:
    page = console.blank(site=many)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{many.url}/console/keys?name=many")
    expect(page.get_by_role("meter", name="¥10.00 per day")).to_have_count(50)
    console.settle()
    assert len([url for url in asked if "/admin/v1/budgets" in url]) == 1


def test_nothing_found_says_what_to_do(console: Console, many: Admin) -> None:
    page = console("keys?name=nobody&state=expired", site=many)
    expect(page.get_by_text("No key is like that")).to_be_visible()
    page.get_by_role("button", name="Drop the filters").click()
    expect(page).to_have_url(re.compile("/console/keys$"))
    expect(page.get_by_role("table")).to_be_visible()


def test_without_a_model_key_it_says_what_to_do(console: Console, admin: Admin, read_key: str) -> None:
    def without_models(route: Route) -> None:
        answer = route.fetch()
        keys = [key for key in answer.json()["data"] if key["kind"] != "model"]
        route.fulfill(response=answer, json={"data": keys, "next_cursor": None})

    for key, told_what in ((admin.key, "copy its settings"), (read_key, "llmgw keys create")):
        page = console.blank(key=key)
        page.route("**/admin/v1/keys?*", without_models)
        page.goto(f"{admin.url}/console/keys")
        expect(page.locator(".empty")).to_contain_text("No key for models yet")
        expect(page.locator(".empty")).to_contain_text(told_what)


def test_a_key_that_only_looks(console: Console, admin: Admin, read_key: str) -> None:
    key = admin.send("POST", "/admin/v1/keys", {"name": "looked at"}).json()
    page = console(f"keys/{key['id']}", key=read_key)
    drawer = dialog(page, "looked at")
    expect(drawer.get_by_text(key["prefix"])).to_be_visible()
    expect(drawer.get_by_role("button")).to_have_count(1)  # the one that closes it
    drawer.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="New key")).to_have_count(0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_forms_are_narrow_enough(console: Console, admin: Admin, language: Language) -> None:
    name = f"full {language}"
    full = {
        "name": name,
        "models": [MODEL, "glm-5"],
        "limits": {"requests_per_minute": 60},
        "limits_by": [{"model": MODEL, "per_user": True, "tokens_per_minute": 1000}],
        "budgets": [{"amount": "10", "unit": "CNY", "period": "week", "per_user": True}],
    }
    key = admin.send("POST", "/admin/v1/keys", full).json()
    page = console(f"keys/{key['id']}", language=language, width=390)
    drawer = dialog(page, name)
    expect(drawer.get_by_text("¥10.00").first).to_be_visible()
    no_overflow(page)
    drawer.get_by_role("button", name={"en": "Change", "zh": "修改"}[language]).click()
    expect(dialog(page, re.compile("Change|修改")).get_by_role("group")).to_have_count(5)
    no_overflow(page)
    axe(page)


def test_an_admin_key_s_secret_has_no_settings_of_clients(console: Console, admin: Admin) -> None:
    page = console("keys", language="zh", theme="dark")
    page.get_by_role("button", name="新建密钥").click()
    form = dialog(page, "新建密钥")
    form.get_by_label("名称").fill("值班")
    form.get_by_label("类型").select_option("admin_read")
    expect(form.get_by_label("每分钟请求数")).to_have_count(0)
    form.get_by_role("button", name="新建").click()
    shown = dialog(page, "密钥串")
    expect(shown.locator("pre")).to_contain_text(f"curl {admin.url}/admin/v1/keys")
    shown.get_by_role("checkbox", name="我已妥善保存").check()
    shown.get_by_role("button", name="完成").click()
    expect(shown).to_have_count(0)


def test_who_revokes_the_own_key_is_warned_and_signed_out(console: Console, admin: Admin) -> None:
    console.expect("status of 401")
    own = admin.send("POST", "/admin/v1/keys", {"name": "own", "kind": "admin"}).json()
    page = console(f"keys/{own['id']}", key=own["secret"])
    drawer = dialog(page, "own")
    drawer.get_by_role("button", name="Block").click()
    asked = dialog(page, "Block own?")
    expect(asked.get_by_text("You are signed in with this key")).to_be_visible()
    asked.get_by_role("button", name="Cancel").click()
    drawer.get_by_role("button", name="Revoke…").click()
    asked = dialog(page, "Revoke own?")
    expect(asked.get_by_text("You are signed in with this key")).to_be_visible()
    asked.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("heading", name="Sign in to llmgw")).to_be_visible()
    expect(page.get_by_text("You are signed out:")).to_be_visible()


def test_settings_name_the_gateway_s_own_address(console: Console, apart: Admin) -> None:
    page = console("keys", site=apart)
    page.get_by_role("button", name="New key").click()
    form = dialog(page, "New key")
    form.get_by_label("Name", exact=True).fill("apart")
    form.get_by_role("button", name="Make the key").click()
    shown = dialog(page, "The key's secret")
    expect(shown.get_by_text("The console has a port of its own")).to_be_visible()
    address = shown.get_by_label("Gateway's address")
    expect(address).not_to_have_value(apart.url)
    address.fill(f"http://127.0.0.1:{apart.gateway.port}/")
    secret = secret_of_settings(shown)
    answers(apart.gateway, secret, 200)
    shown.get_by_role("checkbox", name="I have stored it").check()
    shown.get_by_role("button", name="Done").click()


def secret_of_settings(shown: Locator) -> str:
    """Out of the curl line."""
    text = shown.locator("pre").inner_text()
    found = re.search(r"Bearer (sk-gtw-[\w-]+)", text)
    assert found is not None, text
    return found[1]
