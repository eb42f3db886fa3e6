"""The gateway ends and comes back while somebody looks: told in words, and mended without a reload."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

from tests.console.support import LANGUAGES, Console, Language
from tests.support.admin import Admin

NO_ANSWER: Final = (r"ERR_CONNECTION_(REFUSED|RESET)", r"ERR_EMPTY_RESPONSE", r"status of 503")
"""What the browser itself says of a gateway that is gone, or that is about to stop."""
LOST: Final[Mapping[Language, str]] = {"en": "The gateway does not answer", "zh": "网关没有响应"}
BACK_MS: Final = 20_000.0
MARK: Final = "() => { window.stillTheSamePage = true; }"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_restart_is_told_and_survived(console: Console, restartable: Admin, language: Language) -> None:
    console.expect(*NO_ANSWER)
    page = console(site=restartable, language=language)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_be_visible()
    console.settle()
    page.evaluate(MARK)
    banner = page.get_by_role("alert").filter(has_text=LOST[language])
    restartable.gateway.stop()
    expect(banner).to_be_visible(timeout=BACK_MS)
    expect(heading).to_be_visible()  # what was there stays
    restartable.gateway.start()
    expect(banner).to_be_hidden(timeout=BACK_MS)
    console.settle()
    assert page.evaluate("() => window.stillTheSamePage"), "the page was not loaded again"
    page.get_by_role("link", name={"en": "Keys", "zh": "密钥"}[language], exact=True).click()
    console.settle()
    expect(page.get_by_role("main").get_by_role("alert")).to_have_count(0)


def test_a_page_that_opens_while_the_gateway_is_away(console: Console, restartable: Admin) -> None:
    """Its code comes from the gateway too, so a page that was not opened yet can't be: that is told."""
    console.expect(*NO_ANSWER, "Failed to fetch dynamically imported module")
    page = console("keys", site=restartable)
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys")
    console.settle()
    restartable.gateway.process.kill()
    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page.get_by_role("alert").first).to_be_visible(timeout=BACK_MS)
    restartable.gateway.start()
    with suppress(PlaywrightTimeoutError):  # the page tries it by itself too
        page.get_by_role("button", name="Try again").first.click(timeout=1_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Usage", timeout=BACK_MS)
    console.settle()
    expect(page.get_by_role("alert")).to_have_count(0, timeout=BACK_MS)
