"""A secret that is shown once is not lost: not by Escape, and not where a browser copies nothing."""

from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.support import Console
from tests.support.admin import Admin

NO_CLIPBOARD: Final = "Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined });"
"""As at a plain-HTTP address that is not loopback."""
FORBIDDEN: Final = """
navigator.clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
"""
NO_COMMAND: Final = "document.execCommand = () => false;"


def new_key(page: Page, admin: Admin, name: str) -> Locator:
    """The dialog with its secret."""
    page.goto(f"{admin.url}/console/keys")
    page.get_by_role("button", name="New key").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Name", exact=True).press("Enter")
    dialog = page.get_by_role("dialog").filter(has_text="sk-gtw-")
    expect(dialog).to_be_visible()
    return dialog


def secret_of(dialog: Locator) -> str:
    text: str = dialog.locator(".secret code").inner_text()
    assert text.startswith("sk-gtw-")
    return text


def test_escape_does_not_lose_it(console: Console, admin: Admin) -> None:
    """However often: browsers let a page hold the first one only."""
    page = console.blank()
    dialog = new_key(page, admin, "escaped")
    secret = secret_of(dialog)
    for _ in range(4):
        page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    assert secret_of(dialog) == secret
    dialog.get_by_role("checkbox").check()
    page.keyboard.press("Escape")
    expect(page.get_by_text(secret)).to_have_count(0)


@pytest.mark.parametrize("script", [NO_CLIPBOARD, FORBIDDEN])
def test_copying_without_a_clipboard(console: Console, admin: Admin, script: str) -> None:
    page = console.blank()
    page.add_init_script(script)
    dialog = new_key(page, admin, "copied the old way")
    dialog.locator(".secret").get_by_role("button").click()
    expect(dialog.get_by_role("checkbox")).to_be_checked()
    expect(dialog).to_be_visible()


def test_what_is_not_copied_is_not_called_so(console: Console, admin: Admin) -> None:
    page = console.blank()
    page.add_init_script(NO_CLIPBOARD + NO_COMMAND)
    dialog = new_key(page, admin, "not copied")
    dialog.locator(".secret").get_by_role("button").click()
    expect(page.get_by_text("did not let it be copied")).to_be_visible()
    expect(dialog.get_by_role("checkbox")).not_to_be_checked()
