"""What the other tests rely on: whatever a page does that it should not, is seen."""

import pytest
from playwright.sync_api import Page, Route

from tests.console.support import BASE, Console, axe, no_overflow
from tests.support.admin import Admin

CSP = "default-src 'self'"


def show(console: Console, site: Admin, body: str, *, head: str = "", policy: str = CSP) -> Page:
    """A page of the console's origin with this body, signed in."""
    page = console.blank(width=390)

    def answer(route: Route) -> None:
        html = f'<!doctype html><html lang="en"><head><title>t</title>{head}</head><body>{body}</body></html>'
        headers = {"content-security-policy": policy, "content-type": "text/html; charset=utf-8"}
        route.fulfill(body=html, headers=headers)

    page.route(f"{site.url}{BASE}made-up", answer)
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.goto(f"{site.url}{BASE}made-up")
    return page


UNSAFE = "default-src 'self' 'unsafe-inline' http:"


@pytest.mark.parametrize(
    ("body", "policy", "fault"),
    [
        ("<script>console.error('oh')</script>", UNSAFE, "console error: oh"),
        ("<script>console.warn('hm')</script>", UNSAFE, "console warning: hm"),
        ("<script>throw new Error('thrown')</script>", UNSAFE, "exception: thrown"),
        ("<script>Promise.reject(new Error('late'))</script>", UNSAFE, "exception: late"),
        (
            "<script>console.error('no')</script>",
            CSP,
            "content-security-policy: script-src-elem forbids inline",
        ),
        ("<p style='color: red'>", CSP, "content-security-policy: style-src-attr forbids inline"),
        (
            "<img src='http://example.com/x.png'>",
            UNSAFE,
            "request to another origin: GET http://example.com/",
        ),
        ("<img src='/console/assets/none.png'>", CSP, "status of 40"),
    ],
)
def test_a_fault_is_seen(console: Console, admin: Admin, body: str, policy: str, fault: str) -> None:
    show(console, admin, body, policy=policy)
    console.settle()
    assert [each for each in console.faults() if fault in each], console.faults()
    console.expect(".")
    assert console.faults() == []


def test_a_page_without_fault(console: Console, admin: Admin) -> None:
    page = show(console, admin, "<main><h1>Fine</h1><button>Do it</button></main>")
    axe(page)
    no_overflow(page)
    kept = page.evaluate("() => [{...sessionStorage}, {...localStorage}]")
    assert kept == [
        {"llmgw.key": admin.key, "test.begun": "yes"},
        {"llmgw.theme": "light", "llmgw.language": "en"},
    ]
    page.evaluate("() => sessionStorage.removeItem('llmgw.key')")
    page.reload()
    assert page.evaluate("() => sessionStorage.getItem('llmgw.key')") is None


def test_axe_finds_what_nobody_can_read(console: Console, admin: Admin) -> None:
    page = show(console, admin, "<main><h1>Hm</h1><button></button></main>")
    with pytest.raises(AssertionError, match="button-name"):
        axe(page)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<div class='wide'>Wide</div>", "the document is"),
        ("<button class='tight'>A long label</button>", "<button.tight>"),
    ],
)
def test_what_is_too_wide_is_found(console: Console, admin: Admin, body: str, told: str) -> None:
    style = "<style>.wide {width: 900px} .tight {width: 40px; white-space: nowrap; overflow: hidden}</style>"
    page = show(console, admin, body, head=style, policy=UNSAFE)
    with pytest.raises(AssertionError, match=told):
        no_overflow(page)
