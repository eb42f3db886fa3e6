"""Each page in both languages and themes: axe-core finds nothing grave, and nothing is cut or too wide.

One visit sees all widths and both themes, because to open a page costs more than to change those.
"""

from itertools import product
from typing import NamedTuple

import pytest

from tests.console.support import (
    LANGUAGES,
    PAGES,
    THEMES,
    WIDTHS,
    Console,
    Language,
    axe,
    no_overflow,
    set_width,
)
from tests.support.admin import Admin


class Visit(NamedTuple):
    """Who looks at what."""

    path: str
    key: str = "admin"


VISITS = (
    *map(Visit, PAGES),
    *map(Visit, ("keys/1", "projects/1", "models/qwen3.6-plus", "requests/latest", "no-such-page")),
    Visit("", "model"),
    Visit("playground", "model"),
    Visit("", "none"),
)
"""`requests/latest` stands for a request of the ledger."""


SEEN = [
    pytest.param(visit, language, id=f"{visit.path or 'overview'}-{visit.key}-{language}".replace("/", "-"))
    for visit, language in product(VISITS, LANGUAGES)
]


@pytest.fixture(scope="module")
def keys(admin: Admin, model_key: str) -> dict[str, str]:
    """Who may be signed in."""
    return {"admin": admin.key, "model": model_key, "none": ""}


@pytest.mark.parametrize(("visit", "language"), SEEN)
def test_a_page(
    console: Console, admin: Admin, keys: dict[str, str], visit: Visit, language: Language
) -> None:
    path = visit.path
    if path == "requests/latest":
        [latest] = admin.get("/admin/v1/requests", {"limit": 1}).json()["data"]
        path = f"requests/{latest['request_id']}"
    asks = keys["model"] if visit.key == "admin" else ""
    page = console(
        path, key=keys[visit.key], model_key=asks, language=language, theme="system", width=WIDTHS[0]
    )
    page.get_by_role("heading", level=1).wait_for()
    for width in WIDTHS:
        set_width(page, width)
        console.settle()
        no_overflow(page)
        if width == max(WIDTHS):  # at which nothing is arranged in another way
            continue
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            console.settle()
            axe(page)


def test_a_page_of_an_untouched_gateway(console: Console, untouched: Admin) -> None:
    """What is empty says so, and is no narrower or less accessible for it."""
    page = console(site=untouched, width=390)
    for path in PAGES:
        page.goto(f"{untouched.url}/console/{path}")
        page.get_by_role("heading", level=1).wait_for()
        console.settle()
        no_overflow(page)
        axe(page)
