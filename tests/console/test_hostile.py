"""Names chosen to do harm, or without a thought: each page shows them as text, and keeps its width."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.console.gateways import await_key, console_gateway
from tests.console.support import PAGES, Console, no_overflow
from tests.support.admin import Admin
from tests.support.chat import body

SCRIPT: Final = "<img src=x onerror=window.injected=1><script>window.injected=1</script>"
NAMES: Final = (
    SCRIPT,
    "\"'`${window.injected=1}&amp;&lt;",
    "=cmd|' /C calc'!A0",
    "\u0645\u0641\u062a\u0627\u062d \u05de\u05e4\u05ea\u05d7",  # from right to left
    "x" * 190,
    "\U0001f469\U0001f680 \u4e2d\u6587" * 8,
    "__proto__",
    "constructor",
)
MODEL_SCRIPT: Final = '<svg/onload=window.injected=1>"&amp;'
MODELS: Final = (
    "a/b/c",
    "dots.and..more",
    "per%cent%20s",
    "sharp#and?question=1&x=2",
    MODEL_SCRIPT,
    "y" * 150,
    "__proto__",
    "..",
    "a//b",
)
ASKED: Final = ("a/b/c", "sharp#and?question=1&x=2", MODEL_SCRIPT, "y" * 150, "__proto__")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, config: str) -> Iterator[Admin]:
    """A gateway with nothing but bad names, and a few requests under them."""
    models = "".join(
        f"\n[[models]]\nid = '''{name}'''\nupstream = \"qwen\"\nupstream_model = \"qwen3.6-plus\"\n"
        f"price = {{input = 999999.999999, output = 1000000}}\n"
        for name in MODELS
    )
    with console_gateway(tmp_path_factory.mktemp("hostile"), config + models) as admin:
        for name in NAMES:
            project = admin.send("POST", "/admin/v1/projects", {"name": name})
            assert project.status_code in {200, 201}, (name, project.text)
            wanted = {"name": name, "owner": name, "project": name}
            key = admin.send("POST", "/admin/v1/keys", wanted)
            assert key.status_code in {200, 201}, (name, key.text)
            await_key(admin, key.json()["secret"])
            for model in ASKED:
                answer = admin.gateway.post({**body(model), "user": name[:64]}, key=key.json()["secret"])
                admin.gateway.ledger(answer.headers["x-request-id"])
            answer = admin.gateway.post(body(name), key=key.json()["secret"])
            admin.gateway.ledger(answer.headers["x-request-id"])
        yield admin


def look(console: Console, page: Page) -> None:
    """What must hold on each page."""
    page.get_by_role("heading", level=1).wait_for()
    console.settle()
    assert page.evaluate("() => window.injected") is None
    expect(page.get_by_text("The console failed here")).to_have_count(0)
    for width in (320, 390, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        no_overflow(page)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_bad_names(console: Console, hostile: Admin, path: str) -> None:
    asks = hostile.gateway.key
    look(console, console(path, site=hostile, model_key=asks))


@pytest.mark.parametrize("path", ["keys", "projects", "requests"])
def test_details_of_bad_names(console: Console, hostile: Admin, path: str) -> None:
    page = console(path, site=hostile)
    field = "request_id" if path == "requests" else "id"
    for row in list(hostile.all_of(f"/admin/v1/{path}"))[:25:3]:
        page.goto(f"{hostile.url}/console/{path}/{row[field]}")
        look(console, page)


def test_a_model_key_of_a_bad_name(console: Console, hostile: Admin) -> None:
    for name in NAMES[:5]:
        made = hostile.send("POST", "/admin/v1/keys", {"name": name}).json()
        await_key(hostile, made["secret"])
        page = console(site=hostile, key=made["secret"])
        look(console, page)


@pytest.mark.parametrize(
    "path",
    [
        "keys/%E0%A4%A",
        "keys/0",
        "keys/-1",
        "keys/99999999999999999999999",
        "keys/abc",
        "projects/1e9",
        "requests/req_nobody",
        "models/nobody",
        "usage?by=rubbish&since=yesterday&until=never",
        "usage?since=2026-13-45&order=__proto__",
        "usage?since=9999-12-31T23:59:59Z&until=0001-01-01T00:00:00Z",
        "requests?since=rubbish&status=abc&model=%",
        "requests?cursor=rubbish",
        "keys?kind=rubbish&state=rubbish&project=rubbish",
        "playground?model=nobody&model2=%00",
        "?range=rubbish&__proto__=1",
    ],
)
def test_an_address_of_rubbish(console: Console, admin: Admin, path: str) -> None:
    """As it comes from a link that was cut or made up: told in words, never a failure of the console."""
    console.expect(r"status of 4\d\d")
    page = console.blank(width=390)
    answer = page.goto(f"{admin.url}/console/{path}")
    assert answer is not None
    page.get_by_role("heading", level=1).wait_for()
    console.settle()
    expect(page.get_by_text("The console failed here")).to_have_count(0)
