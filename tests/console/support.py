"""What tests of the console's pages use: pages that are signed in and watched, axe-core, a look at widths."""

import json
import re
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Protocol, Self

from playwright.sync_api import Browser, BrowserContext, Page

from tests.console.browser import Watch
from tests.support.processes import ROOT, wait_until

Language = Literal["en", "zh"]
Theme = Literal["light", "dark", "system"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
BASE: Final = "/console/"
PAGES: Final = ("", "playground", "models", "keys", "projects", "requests", "usage", "system")
"""The paths of the pages below `BASE`; the overview's is empty."""
STATIC: Final = ROOT / "python" / "llmgw" / "admin" / "static"
AXE: Final = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
TIMEOUT_MS: Final = 10_000.0
DRAWN_S: Final = 5.0
WIDTHS: Final = (390, 1440, 2560)
"""In CSS pixels: a phone, a laptop, a large screen."""
HEIGHTS: Final = {390: 844, 1440: 900, 2560: 1440}
LOCALES: Final = {"en": "en-US", "zh": "zh-CN"}

_SIGN_IN: Final = """
if (location.origin === ORIGIN && sessionStorage.getItem("test.begun") === null) {
  sessionStorage.setItem("test.begun", "yes");
  if (KEY) sessionStorage.setItem("llmgw.key", KEY);
  if (ASKS) sessionStorage.setItem("llmgw.model_key", ASKS);
  localStorage.setItem("llmgw.theme", THEME);
  localStorage.setItem("llmgw.language", LANGUAGE);
}
"""
"""Once for each tab: what the page itself changes later stays."""


class Site(Protocol):
    """Where a console is."""

    @property
    def url(self) -> str:
        """Its origin."""

    @property
    def key(self) -> str:
        """An admin key."""


class _Visit(NamedTuple):
    context: BrowserContext
    watch: Watch


class Console:
    """Opens pages of the console. The test fails at its end if one of them did what none should.

    That is: an error or a warning on the browser's console, an exception, a request that failed or went to
    another origin, a breach of the content-security-policy.
    """

    def __init__(self, browser: Browser, site: Site, folder: Path) -> None:
        """`site`: where the console is unless a call says another one. `folder`: for pictures of failures."""
        self._browser = browser
        self._site = site
        self._folder = folder
        self._visits: list[_Visit] = []
        self._expected: list[re.Pattern[str]] = []

    def __call__(
        self,
        path: str = "",
        *,
        site: Site | None = None,
        key: str | None = None,
        model_key: str = "",
        language: Language = "en",
        theme: Theme = "light",
        width: int = 1440,
    ) -> Page:
        """A page by its path below `/console/`, in a browser of its own, as soon as it shows something.

        `key`: who is signed in; None: the site's first admin key, empty: nobody. `model_key`: the one with
        which the playground asks, if an admin has chosen one already. `theme` `system` follows
        `page.emulate_media(color_scheme=…)`, and begins light. `width` in CSS pixels.
        """
        site = self._site if site is None else site
        page = self.blank(
            site=site, key=key, model_key=model_key, language=language, theme=theme, width=width
        )
        page.goto(f"{site.url}{BASE}{path}")
        page.locator("#app > :not(.unseen)").first.wait_for()
        return page

    def blank(
        self,
        *,
        site: Site | None = None,
        key: str | None = None,
        model_key: str = "",
        language: Language = "en",
        theme: Theme = "light",
        width: int = 1440,
    ) -> Page:
        """The same before it has asked for anything."""
        site = self._site if site is None else site
        context = self._browser.new_context(
            viewport={"width": width, "height": HEIGHTS.get(width, 900)},
            locale=LOCALES[language],
            color_scheme="light" if theme == "system" else theme,
            reduced_motion="reduce",
            timezone_id="Asia/Shanghai",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self._visits.append(_Visit(context, Watch(context, site.url)))
        begin = _SIGN_IN
        values = {"ORIGIN": site.url, "KEY": site.key if key is None else key, "ASKS": model_key}
        for name, value in {**values, "THEME": theme, "LANGUAGE": language}.items():
            begin = begin.replace(name, json.dumps(value))
        context.add_init_script(begin)
        context.set_default_timeout(TIMEOUT_MS)
        return context.new_page()

    def expect(self, *patterns: str) -> None:
        """Faults that belong to this test, each a regular expression: `status of 401`, `ERR_CONNECTION`."""
        self._expected += map(re.compile, patterns)

    def settle(self) -> None:
        """Wait until all its pages have what they asked for.

        That is: before axe-core looks at one, before a camera does, before a test counts what is asked for.
        """
        for visit in self._visits:
            visit.watch.settle()

    def faults(self) -> list[str]:
        """What its pages did so far that nobody expected."""
        return [fault for visit in self._visits for fault in visit.watch.left(self._expected)]

    def look(self) -> str:
        """What its pages show, in words, and where their pictures are: for the report of a failure."""
        parts = []
        pages = [page for visit in self._visits for page in visit.context.pages]
        for number, page in enumerate(pages):
            picture = self._folder / f"page-{number}.png"
            page.screenshot(path=picture)
            parts.append(f"{page.url} ({picture})\n{page.locator('body').aria_snapshot()}")
        return "\n\n".join(parts + self.faults())

    def __enter__(self) -> Self:
        """No page is open yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all pages."""
        for visit in self._visits:
            visit.context.close()


class _Finding(NamedTuple):
    rule: str
    impact: str
    help: str
    nodes: list[list[str]]

    def __str__(self) -> str:
        """Readable."""
        places = [f"    {selector}\n      {html}\n      {why}" for selector, html, why in self.nodes]
        return "\n".join([f"{self.rule} ({self.impact}): {self.help}", *places])


_RUN_AXE: Final = """
async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false });
  return violations.map(({ id, impact, help, nodes }) => [
    id, impact, help,
    nodes.map(({ target, html, failureSummary }) => [target.join(" "), html.slice(0, 300), failureSummary]),
  ]);
}
"""


def axe(page: Page) -> None:
    """Let axe-core look at the page as it is now; AssertionError if it finds anything serious or critical."""
    if not AXE.is_file():
        raise RuntimeError(f"there is no {AXE}: `make test-console` installs it (or: npm ci in console/)")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    found = [_Finding(*each) for each in page.evaluate(_RUN_AXE)]
    grave = [str(each) for each in found if each.impact in {"serious", "critical"}]
    assert not grave, f"axe-core at {page.url}:\n" + "\n".join(grave)


def set_width(page: Page, width: int) -> None:
    """As if its window were made narrower or wider."""
    page.set_viewport_size({"width": width, "height": HEIGHTS[width]})


RIGHT_AFTER: Final = """
(deed) => {
  const replace = history.replaceState.bind(history);
  history.replaceState = async (...values) => {
    replace(...values);
    history.replaceState = replace;
    for (let turn = 0; turn < 20; turn += 1) await null; // the page is rendered, and not painted
    deed();
  };
}
"""
"""Lets a deed happen once, between the next change of the address and the paint after it."""


_OVERFLOW: Final = """
() => {
  const told = (element) => {
    const name = element.tagName.toLowerCase();
    const marks = [...element.classList].map((each) => `.${each}`).join("");
    return `<${name}${marks}> ${JSON.stringify((element.textContent ?? "").trim().slice(0, 60))}`;
  };
  const width = document.documentElement.clientWidth;
  const found = [];
  if (document.documentElement.scrollWidth > width) {
    found.push(`the document is ${document.documentElement.scrollWidth} px wide in ${width} px`);
    const scrolls = ({ parentElement: around }) =>
      around !== null && around !== document.body &&
      (getComputedStyle(around).overflowX !== "visible" || scrolls(around));
    for (const element of document.body.querySelectorAll("*")) {
      const box = element.getBoundingClientRect();
      if (box.width > 0 && box.right > width + 1 && !scrolls(element)) {
        found.push(`${told(element)} ends at ${Math.round(box.right)} px`);
      }
    }
  }
  const short = "button, [role=button], [role=tab], nav a, summary, label";
  for (const element of document.querySelectorAll(short)) {
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const style = getComputedStyle(element);
    if (style.display === "inline" || element.clientWidth <= 1) continue; // no box, or not to be seen
    if (element.scrollWidth > element.clientWidth + 1) {
      found.push(`${told(element)} has ${element.clientWidth} px for ${element.scrollWidth} px`);
    }
  }
  return found.slice(0, 20);
}
"""


def no_overflow(page: Page) -> None:
    """AssertionError if the document scrolls sideways, or a button or tab has more text than room.

    A page whose width has just changed gets the time to draw its charts anew.
    """
    found: list[str] = []

    def fits() -> bool:
        found[:] = page.evaluate(_OVERFLOW)
        return not found

    try:
        wait_until(fits, "the page fits", timeout_s=DRAWN_S)
    except TimeoutError:
        raise AssertionError(f"{page.url}:\n" + "\n".join(found)) from None
