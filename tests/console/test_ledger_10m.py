"""Ten million rows in the ledger: no page loads more of them than it shows."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.console.gateways import console_gateway
from tests.console.large_ledger import KEYS, ROWS, ROWS_PER_HOUR, make_ledger
from tests.console.support import Console
from tests.support.admin import SOON_S, Admin
from tests.support.processes import wait_until

MAX_BYTES: Final = 300_000
"""Of all that a page asks for, as it is sent; ten million rows have gigabytes."""
MAX_SHOWN_ROWS: Final = 200
TIMEOUT_MS: Final = 30_000.0
"""Generous: what is meant is that a page comes at all."""


@pytest.fixture(scope="module")
def large(
    tmp_path_factory: pytest.TempPathFactory, config: str, figure: Callable[[str], None]
) -> Iterator[Admin]:
    """A gateway with that ledger. Its folder has 3 GB, and goes whatever happens."""
    folder = tmp_path_factory.mktemp("large")
    try:
        begun = time.monotonic()
        make_ledger(folder / "gateway.db")
        figure(f"a ledger of {ROWS:,} rows: {time.monotonic() - begun:.0f} s")
        with console_gateway(folder, config) as admin:
            for number in range(KEYS):
                admin.send("POST", "/admin/v1/keys", {"name": f"team {number}"})
            yield admin
    finally:
        shutil.rmtree(folder)


class Traffic:
    """What a page has received since it was last asked."""

    def __init__(self, page: Page) -> None:
        """From the page's first request on."""
        self._bytes = 0.0
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.on("Network.loadingFinished", self._add)

    def _add(self, event: dict[str, float]) -> None:
        self._bytes += event["encodedDataLength"]

    def take(self) -> float:
        """In bytes, as they were sent."""
        taken, self._bytes = self._bytes, 0
        return taken


def rows(page: Page) -> int:
    """Of all tables."""
    return page.locator("tbody tr").count()


SUMS: Final = {
    "?range=month": MAX_BYTES,
    "usage": MAX_BYTES,
    "usage?by=user": MAX_BYTES,
    "usage?by=key&bucket=hour": 2_000_000,  # a plot of seven lines with 720 hours
    "keys": MAX_BYTES,
    "keys/3": MAX_BYTES,
    "system": MAX_BYTES,
    "models": MAX_BYTES,
    "models/glm-5": MAX_BYTES,
}
"""The most bytes for each page."""


@pytest.mark.parametrize("path", SUMS)
def test_a_page_that_sums(console: Console, large: Admin, figure: Callable[[str], None], path: str) -> None:
    page = console.blank(site=large)
    traffic = Traffic(page)
    begun = time.monotonic()
    page.goto(f"{large.url}/console/{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=TIMEOUT_MS)
    console.settle()
    took = time.monotonic() - begun
    received = traffic.take()
    figure(f"/console/{path} over {ROWS:,} rows: {received / 1000:.0f} kB, {took:.1f} s")
    assert received < SUMS[path]
    assert rows(page) <= MAX_SHOWN_ROWS
    expect(page.get_by_role("main").get_by_role("alert")).to_have_count(0)
    if path == "?range=month":
        # The hour may end after the ledger was made, and then the first of the thirty days is too old.
        total = re.compile(f"^({ROWS:,}|{ROWS - ROWS_PER_HOUR:,})$")
        expect(page.get_by_role("main").get_by_text(total).first).to_be_visible()


def test_the_requests_by_pages_and_filters(
    console: Console, large: Admin, figure: Callable[[str], None]
) -> None:
    page = console.blank(site=large)
    traffic = Traffic(page)
    times = []
    for path in ("requests", "requests?model=glm-5", "requests?key_id=7", "requests?error_kind=idle_timeout"):
        begun = time.monotonic()
        page.goto(f"{large.url}/console/{path}")
        expect(page.locator("tbody tr").first).to_be_visible(timeout=TIMEOUT_MS)
        console.settle()
        times.append(f"{path} {time.monotonic() - begun:.1f} s")
        assert traffic.take() < MAX_BYTES, path
        assert 10 <= rows(page) <= MAX_SHOWN_ROWS, path
    figure(f"over {ROWS:,} rows: {', '.join(times)}")
    first = page.locator("tbody tr").first.inner_text()
    for number in (2, 3, 4):
        page.get_by_role("button", name="Next", exact=True).click()
        expect(page.get_by_role("navigation", name=f"Page {number}", exact=True)).to_be_visible()
        console.settle()
        assert traffic.take() < MAX_BYTES
        assert rows(page) <= MAX_SHOWN_ROWS
    assert page.locator("tbody tr").first.inner_text() != first
    for _ in range(3):
        page.get_by_role("button", name="Previous", exact=True).click()
    wait_until(
        lambda: page.locator("tbody tr").first.inner_text() == first, "the first page", timeout_s=SOON_S
    )


def test_a_search_that_finds_nothing_says_how_far_it_came(console: Console, large: Admin) -> None:
    page = console("requests?user=nobody", site=large)
    told = page.get_by_role("status").filter(has_text="Looked at all requests back to")
    expect(told).to_be_visible(timeout=TIMEOUT_MS)
    first = told.inner_text()
    told.get_by_role("button", name="Search on").click()
    expect(told).not_to_have_text(first, timeout=TIMEOUT_MS)
    expect(told).to_be_visible()
