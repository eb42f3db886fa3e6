"""Debian's Chromium under Playwright, and what a page does that no page of the console should."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    WebError,
    sync_playwright,
)

from tests.support.processes import wait_until

CHROMIUM_ENV: Final = "LLMGW_TEST_CHROMIUM"
"""Names another program than Debian's."""
CHROMIUM: Final = Path(os.environ.get(CHROMIUM_ENV, "/usr/bin/chromium"))
SETTLE_TIMEOUT_S: Final = 15.0
POLL_MS: Final = 20
QUIET_POLLS: Final = 10
"""As many in turn, in which a page asks for nothing, and it has all."""
CANCELLED: Final = "net::ERR_ABORTED"
"""How Chromium calls a request that the page itself gave up."""
_MOMENT: Final = "(ms) => new Promise((done) => setTimeout(done, ms, true))"
_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) => {
  const blocked = event.blockedURI || "what is inline";
  console.error(`content-security-policy: ${event.effectiveDirective} forbids ${blocked}`);
});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless, for the length of a block. RuntimeError where it is not installed."""
    if not CHROMIUM.is_file():
        raise RuntimeError(
            f"there is no {CHROMIUM}: `make test-console` installs it (or: apt-get install chromium)"
        )
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium starts for root in no other way
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Notes what the pages of a context do wrong, from its first request on."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        """`origin`: the only one that may be asked anything, as `http://127.0.0.1:8000`."""
        self._context = context
        self._origin = origin
        self._in_flight: set[Request] = set()
        self._heard = 0
        self.faults: list[str] = []
        context.add_init_script(_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", self._raised)
        context.on("request", self._asked)
        context.on("requestfinished", self._ended)
        context.on("requestfailed", self._failed)

    def settle(self) -> None:
        """Wait until the pages have all that they asked for. Raises TimeoutError, with what is missing."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        quiet, heard = 0, self._heard
        while quiet < QUIET_POLLS:
            if time.monotonic() > deadline:
                waiting = ", ".join(f"{each.method} {each.url}" for each in self._in_flight)
                raise TimeoutError(f"the page still waits for {waiting or 'ever more requests'}")
            has_moved = self._let_pages_move()
            quiet = quiet + 1 if has_moved and not self._in_flight and self._heard == heard else 0
            heard = self._heard

    def _let_pages_move(self) -> bool:
        """Let a moment pass by the pages' own timers: on a busy machine they may have stood still."""
        try:
            for page in self._context.pages:
                page.wait_for_function(_MOMENT, arg=POLL_MS, timeout=SETTLE_TIMEOUT_S * 1_000)
        except Error:  # one is gone, or does nothing any more
            return False
        return True

    def left(self, expected: list[re.Pattern[str]]) -> list[str]:
        """The faults that nobody expected."""
        return [fault for fault in self.faults if not any(each.search(fault) for each in expected)]

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            place = message.location.get("url", "")
            self.faults.append(f"console {message.type}: {message.text} ({place})")

    def _raised(self, error: WebError) -> None:
        self.faults.append(f"exception: {error.error.message}")

    def _asked(self, request: Request) -> None:
        self._in_flight.add(request)
        self._heard += 1
        url = request.url.removeprefix("blob:")
        if not url.startswith((f"{self._origin}/", "data:")):
            self.faults.append(f"request to another origin: {request.method} {request.url}")

    def _ended(self, request: Request) -> None:
        self._in_flight.discard(request)
        self._heard += 1

    def _failed(self, request: Request) -> None:
        self._ended(request)
        if request.failure != CANCELLED:
            self.faults.append(f"request failed: {request.method} {request.url} ({request.failure})")


def wait_on(page: Page, condition: Callable[[], bool], what: str, *, timeout_s: float) -> None:
    """`wait_until`, while the page goes on: its events come only while Playwright is asked for something."""

    def holds() -> bool:
        page.wait_for_timeout(POLL_MS)
        return condition()

    wait_until(holds, what, timeout_s=timeout_s)
