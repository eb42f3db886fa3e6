"""What stands around the pages: signing in and out, language, theme, the keyboard; and how small it is."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.console.support import BASE, LANGUAGES, PAGES, Console, Language
from tests.support.admin import Admin
from tests.support.processes import wait_until

MAX_FIRST_PAGE_BYTES: Final = 150 * 1024
LABELS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "key": "API key", "sign in": "Sign in", "sign out": "Sign out", "pages": "Pages", "menu": "Menu",
        "skip": "Skip to the content", "request": "Request id", "missing": "There is no such page",
    },
    "zh": {
        "key": "API 密钥", "sign in": "登录", "sign out": "退出登录", "pages": "页面", "menu": "菜单",
        "skip": "跳到正文", "request": "请求 ID", "missing": "没有这个页面",
    },
}  # fmt: skip
NAMES: Final[Mapping[Language, tuple[str, ...]]] = {
    "en": ("Overview", "Playground", "Models", "Keys", "Projects", "Requests", "Usage", "System"),
    "zh": ("总览", "体验台", "模型", "密钥", "项目", "请求", "用量", "系统"),
}


def sign_in(page: Page, key: str, language: Language = "en") -> None:
    page.get_by_label(LABELS[language]["key"], exact=True).fill(key)
    page.get_by_role("button", name=LABELS[language]["sign in"], exact=True).click()


def navigation(page: Page, language: Language = "en") -> list[str]:
    """The names of the pages, once somebody is signed in."""
    links = page.get_by_role("navigation", name=LABELS[language]["pages"], exact=True).get_by_role("link")
    links.first.wait_for()
    return [text.strip() for text in links.all_inner_texts()]


def stored(page: Page, storage: str) -> dict[str, str]:
    found: dict[str, str] = page.evaluate(f"() => ({{...{storage}}})")
    return found


def test_the_first_page_is_small(console: Console, admin: Admin, figure: Callable[[str], None]) -> None:
    page = console.blank()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    took: list[float] = []
    devtools.on("Network.loadingFinished", lambda event: took.append(event["encodedDataLength"]))
    answer = page.goto(f"{admin.url}{BASE}")
    navigation(page)
    console.settle()
    paints = page.evaluate(
        "() => performance.getEntriesByType('paint').map((each) => [each.name, each.startTime])"
    )
    figures = {
        "requests": len(took),
        "bytes": round(sum(took)),
        **{name: f"{ms:.0f} ms" for name, ms in paints},
    }
    figure(f"the first page: {figures}")
    assert len(took) > 5, "the page, its theme, style, script, and its questions"
    assert sum(took) <= MAX_FIRST_PAGE_BYTES
    assert answer is not None
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert not [sources for sources in policy.values() if "unsafe" in sources or "http" in sources]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_admin_signs_in_and_out(console: Console, admin: Admin, language: Language) -> None:
    page = console(key="", language=language)
    sign_in(page, admin.key, language)
    assert navigation(page, language) == list(NAMES[language])
    assert stored(page, "sessionStorage")["llmgw.key"] == admin.key
    assert admin.key not in str((page.url, stored(page, "localStorage"), page.context.cookies()))
    page.reload()
    assert navigation(page, language) == list(NAMES[language])
    page.get_by_role("button", name=LABELS[language]["sign out"]).click()
    expect(page.get_by_label(LABELS[language]["key"], exact=True)).to_be_visible()
    assert admin.key not in stored(page, "sessionStorage").values()
    page.reload()
    expect(page.get_by_label(LABELS[language]["key"], exact=True)).to_be_visible()


def test_a_key_that_only_looks(console: Console, read_key: str) -> None:
    page = console(key="")
    sign_in(page, read_key)
    assert navigation(page) == list(NAMES["en"])
    expect(page.get_by_text("admin, looks only")).to_be_visible()


def test_a_model_key_sees_its_own_use(console: Console, model_key: str) -> None:
    page = console(key="")
    sign_in(page, model_key)
    assert navigation(page) == ["My usage", "Playground"]
    page.goto(f"{page.url}keys")
    expect(page.get_by_role("heading", name=LABELS["en"]["missing"])).to_be_visible()


@pytest.mark.parametrize("key", ["sk-gtw-nobody-s-key", "sk-gtw-admin-nobody-s-key", "钥匙", "x" * 5000])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wrong_key_is_told_with_the_request(console: Console, key: str, language: Language) -> None:
    console.expect(r"status of 4\d\d")
    page = console(key="", language=language)
    sign_in(page, key, language)
    fault = page.get_by_role("alert")
    expect(fault).to_be_visible()
    if key.isascii():
        expect(fault).to_contain_text(re.compile(f"{LABELS[language]['request']}.*req_"))
    expect(page.get_by_label(LABELS[language]["key"], exact=True)).to_have_value(key)
    assert "llmgw.key" not in stored(page, "sessionStorage")


def test_a_key_that_expires_meanwhile(console: Console, admin: Admin) -> None:
    console.expect("status of 401")
    key = admin.new_key("admin", expires_at=datetime.now(UTC) + timedelta(seconds=10))
    page = console("system", key=key)
    navigation(page)
    # Nobody does anything: what the page asks by itself every two seconds is refused.
    told = page.get_by_role("status").filter(has_text="You are signed out")
    expect(told).to_contain_text("expired", timeout=30_000)
    expect(page.get_by_label("API key", exact=True)).to_be_visible()
    assert "llmgw.key" not in stored(page, "sessionStorage")
    sign_in(page, admin.key)
    assert navigation(page) == list(NAMES["en"])
    assert page.url.endswith("/system"), "where one was"


def test_a_key_that_has_expired_before(console: Console, admin: Admin) -> None:
    console.expect("status of 401")
    key = admin.new_key("admin", expires_at=datetime.now(UTC) + timedelta(seconds=1))
    wait_until(lambda: admin.get("/admin/v1/models", key=key).status_code == 401, "its end", timeout_s=10)
    page = console(key=key)
    expect(page.get_by_role("status").filter(has_text="You are signed out")).to_contain_text("expired")


def test_the_language_is_switched_and_kept(console: Console) -> None:
    page = console("keys")
    assert navigation(page) == list(NAMES["en"])
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="中文").click()
    assert navigation(page, "zh") == list(NAMES["zh"])
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.reload()
    assert navigation(page, "zh") == list(NAMES["zh"])
    page.get_by_role("button", name="English").click()
    assert navigation(page) == list(NAMES["en"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_language_is_the_browser_s(console: Console, language: Language) -> None:
    page = console(language=language)
    page.evaluate("() => localStorage.clear()")
    page.reload()
    assert navigation(page, language) == list(NAMES[language])


def test_the_theme_is_switched_and_kept(console: Console) -> None:
    page = console(theme="light")
    button = page.get_by_role("button", name=re.compile("^Theme: "))

    def colour() -> str:
        found: str = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return found

    seen = {}
    for name in ("light", "dark", "as the system"):
        expect(button).to_have_accessible_name(f"Theme: {name}")
        seen[name] = colour()
        if name == "dark":
            page.reload(wait_until="commit")
            expect(page.locator("html")).to_have_attribute("data-theme", "dark")
            page.wait_for_function("() => document.body && document.styleSheets.length")
            assert colour() == seen["dark"]
        button.click()
    assert seen["light"] != seen["dark"]
    assert seen["as the system"] == seen["light"]
    button.click()  # dark
    button.click()  # as the system
    page.emulate_media(color_scheme="dark")
    assert colour() == seen["dark"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_by_its_address_and_by_its_link(console: Console, language: Language) -> None:
    page = console("no-such-page", language=language)
    expect(page.get_by_role("heading", name=LABELS[language]["missing"])).to_be_visible()
    for path, name in zip(PAGES, NAMES[language], strict=True):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page).to_have_url(re.compile(f"{BASE}{path}$"))
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(NAMES[language][-2])


def focused(page: Page) -> str:
    """What has the focus, by its name."""
    text: str = page.evaluate(
        "({ activeElement: it }) => (it.getAttribute('aria-label') ?? it.textContent).trim()",
        page.evaluate_handle("() => document"),
    )
    return text


RING = """
() => {
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
  return (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none";
}
"""


def test_the_keyboard_reaches_everything(console: Console) -> None:
    page = console("keys")
    navigation(page)
    page.keyboard.press("Tab")
    assert focused(page) == LABELS["en"]["skip"]
    expect(page.get_by_role("link", name=LABELS["en"]["skip"])).to_be_in_viewport()
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(focused(page))
        assert page.evaluate(RING), f"nothing shows that {reached[-1]!r} has the focus"
        if reached[-1] == LABELS["en"]["sign out"]:
            break
    assert reached[0] == "llmgw"
    assert [each for each in reached if each in NAMES["en"]] == list(NAMES["en"])
    assert reached[-1] == LABELS["en"]["sign out"]
    page.get_by_role("link", name="Usage", exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Usage")


def test_the_skip_link_skips(console: Console) -> None:
    page = console("keys")
    navigation(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_menu_of_a_phone(console: Console, language: Language) -> None:
    labels = LABELS[language]
    page = console("models", language=language, width=390)
    links = page.get_by_role("navigation", name=labels["pages"])
    menu = page.get_by_role("button", name=labels["menu"])
    expect(menu).to_be_visible()
    expect(links).to_have_count(0)
    menu.press("Enter")
    assert navigation(page, language) == list(NAMES[language])
    page.keyboard.press("Escape")
    expect(links).to_have_count(0)
    expect(menu).to_be_focused()
    menu.click()
    page.get_by_role("link", name=NAMES[language][3], exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NAMES[language][3])
    expect(links).to_have_count(0)
