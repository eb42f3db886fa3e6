"""Search and shortcuts: by keyboard alone, from every page; a model key finds its own pages only."""

import re
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.support import LANGUAGES, Console, Language, axe, no_overflow
from tests.support.admin import Admin

LABEL: Final = {
    "en": "Pages, keys, projects, models, or a request id",
    "zh": "页面、密钥、项目、模型，或请求 ID",
}
SEARCH: Final = {"en": "Search", "zh": "搜索"}
SYSTEM: Final = {"en": "System", "zh": "系统"}
NOTHING: Final = {"en": "Nothing is called so", "zh": "没有找到"}
SHORTCUTS: Final = {"en": "Keyboard shortcuts", "zh": "键盘快捷键"}


def field(page: Page, language: Language = "en") -> Locator:
    return page.get_by_role("combobox", name=LABEL[language])


def chosen(page: Page) -> Locator:
    """The option that Enter opens, as a screen reader is told of it."""
    return page.get_by_role("option", selected=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_by_keyboard(console: Console, language: Language) -> None:
    page = console(language=language)
    page.get_by_role("heading", level=1).wait_for()
    page.keyboard.press("Control+k")
    expect(field(page, language)).to_be_focused()
    expect(page.get_by_role("option")).to_have_count(8)
    console.settle()
    axe(page)
    page.keyboard.press("ArrowUp")
    expect(chosen(page)).to_contain_text(SYSTEM[language])
    page.keyboard.press("ArrowDown")
    expect(chosen(page)).not_to_contain_text(SYSTEM[language])
    page.keyboard.type("xyz-nothing")
    expect(page.get_by_text(NOTHING[language])).to_be_visible()
    axe(page)
    field(page, language).fill("system")  # in either language
    expect(chosen(page)).to_contain_text(SYSTEM[language])
    active = field(page, language).get_attribute("aria-activedescendant")
    assert active is not None
    assert chosen(page).get_attribute("id") == active
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(SYSTEM[language])
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_keys_projects_models_and_requests(console: Console, admin: Admin) -> None:
    key = admin.send("POST", "/admin/v1/keys", {"name": "palette-key"}).json()
    project = admin.send("POST", "/admin/v1/projects", {"name": "palette-project"}).json()
    [request] = admin.get("/admin/v1/requests", {"limit": 1}).json()["data"]
    page = console()
    page.get_by_role("heading", level=1).wait_for()
    places = {
        "palette-k": f"keys/{key['id']}",
        "ALETTE-PRO": f"projects/{project['id']}",
        "qwen3-max": "models/qwen3-max",
        request["request_id"]: f"requests/{request['request_id']}",
    }
    for text, path in places.items():
        page.keyboard.press("Control+k")
        field(page).fill(text)
        expect(chosen(page)).to_contain_text(re.compile(re.escape(text), re.IGNORECASE))
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"/console/{re.escape(path)}$"))
        console.settle()
        page.go_back()
        page.wait_for_url(re.compile("/console/$"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_field_in_the_side_bar_and_escape(console: Console) -> None:
    page = console()
    search = page.get_by_role("button", name=SEARCH["en"], exact=True)
    search.click()
    expect(field(page)).to_be_focused()
    page.get_by_role("option", name=re.compile("^Usage")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Usage")
    search.click()
    page.keyboard.press("Escape")
    expect(field(page)).to_have_count(0)
    expect(search).to_be_focused()


@pytest.mark.parametrize("language", LANGUAGES)
def test_shortcuts(console: Console, language: Language) -> None:
    page = console(language=language)
    heading = page.get_by_role("heading", level=1)
    heading.wait_for()
    page.keyboard.press("?")
    told = page.get_by_role("dialog", name=SHORTCUTS[language])
    expect(told.locator("kbd").filter(has_text=re.compile("^s$"))).to_be_visible()
    axe(page)
    page.keyboard.press("g")  # nothing, while a dialog is open
    page.keyboard.press("s")
    page.keyboard.press("Escape")
    expect(told).to_have_count(0)
    expect(page).to_have_url(re.compile("/console/$"))
    for key, path in {"s": "system", "k": "keys", "u": "usage", "p": "playground", "o": ""}.items():
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile(f"/console/{path}([?].*)?$"))


def test_no_key_is_lost_before_the_page_is_painted(console: Console) -> None:
    page = console("keys")
    page.get_by_role("heading", level=1).wait_for()
    page.evaluate(
        """async () => {
          const press = (key, more) =>
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
          document.querySelector("nav a[href$='/usage']").click();
          press("g");
          for (let frame = 0; frame < 3; frame += 1) {
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
          }
          press("s");
        }"""
    )
    expect(page.get_by_role("heading", level=1)).to_have_text(SYSTEM["en"])
    role = page.evaluate(
        """async () => {
          const how = { key: "k", ctrlKey: true, bubbles: true };
          document.body.dispatchEvent(new KeyboardEvent("keydown", how));
          for (let turn = 0; turn < 20; turn += 1) await null;
          return document.activeElement.role;
        }"""
    )
    assert role == "combobox", "what is typed at once goes into the field"


def test_a_slash_goes_to_the_first_filter_and_typing_is_typing(console: Console) -> None:
    page = console("keys")
    name = page.get_by_label("Name, owner or prefix")
    expect(name).to_be_visible()
    page.keyboard.press("/")
    expect(name).to_be_focused()
    page.keyboard.type("g?s/")
    expect(name).to_have_value("g?s/")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys")


def test_a_model_key_finds_its_own_pages(console: Console, model_key: str) -> None:
    page = console(key=model_key, width=390)
    page.get_by_role("button", name=SEARCH["en"], exact=True).click()
    expect(page.get_by_role("option")).to_have_count(2)
    no_overflow(page)
    field(page).fill("key")
    expect(page.get_by_text(NOTHING["en"])).to_be_visible()
    field(page).fill("playg")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/console/playground(\?model=.*)?$"))
