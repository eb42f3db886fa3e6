"""The ledger's page: filters in the address, details of one request, bodies, and the file of all rows."""

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, expect

from llmgw.access.captures import open_lease
from llmgw.errors import ERRORS
from tests.console.support import LANGUAGES, Console, Language, axe
from tests.support.admin import SOON_S, Admin
from tests.support.chat import body, streamed
from tests.support.processes import ROOT, wait_until

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "table": "Requests", "model": "Model", "status": "Status", "error": "Error", "time": "Time",
        "id": "Request id", "more": "More filters", "user": "User", "details": "Request",
        "drop": "Drop all filters", "gone": "The ledger has no such request.",
        "no such model": "no such model",
    },
    "zh": {
        "table": "请求", "model": "模型", "status": "状态", "error": "错误", "time": "时间",
        "id": "请求 ID", "more": "更多筛选", "user": "用户", "details": "请求",
        "drop": "清除全部筛选", "gone": "用量记录里没有这个请求。",
        "no such model": "没有这个模型",
    },
}  # fmt: skip
FAILED: Final[Mapping[Language, tuple[str, ...]]] = {
    "en": ("Attempt 2", "unreachable", "connection refused", "check the network", "Nothing is billed."),
    "zh": ("第 2 次", "连不上", "连接被拒绝", "请检查网络", "不计费。"),
}
CAPTURES: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "none": "Bodies are not kept", "may not": "may only look", "personal": "Bodies are personal",
        "read": "Read them", "request": "Request", "answer": "Answer",
    },
    "zh": {
        "none": "默认不保留", "may not": "只读的", "personal": "个人数据",
        "read": "查看全文", "request": "请求", "answer": "回答",
    },
}  # fmt: skip
ADMIN_ONLY: Final = {"read_only_key", "capture_disabled", "conflict", "config_refused"}
OTHERS: Final = {"client_gone", "client_stalled", "ledger_failed"}
COLUMNS: Final = (
    "time",
    "status",
    "model",
    "key",
    "thinking",
    "in",
    "out",
    "cost",
    "first",
    "total",
    "tries",
)


def rows(page: Page, language: Language = "en") -> Locator:
    """Of the table, as soon as it has some."""
    table = page.get_by_role("region", name=WORDS[language]["table"], exact=True)
    table.get_by_role("row").nth(1).wait_for()
    return table.locator("tbody tr")


def column(page: Page, name: str, language: Language = "en") -> list[str]:
    """The texts of a column."""
    number = COLUMNS.index(name) + 1
    return [
        text.strip() for text in rows(page, language).locator(f"td:nth-child({number})").all_inner_texts()
    ]


def field(page: Page, name: str, language: Language = "en") -> Locator:
    return page.get_by_role("search").get_by_label(WORDS[language][name], exact=True)


def request_of(admin: Admin, **wanted: str | int) -> dict[str, Any]:
    """The newest row of the ledger that is like this."""
    row: dict[str, Any] = admin.get("/admin/v1/requests", {"limit": 1, **wanted}).json()["data"][0]
    return row


@pytest.mark.parametrize("language", LANGUAGES)
def test_filters_narrow_and_are_in_the_address(console: Console, language: Language) -> None:
    page = console("requests", language=language)
    assert len(set(column(page, "model", language))) > 3
    field(page, "model", language).select_option("glm-5")
    expect(page).to_have_url(re.compile(r"\?model=glm-5$"))
    expect(rows(page, language).filter(has_not_text="glm-5")).to_have_count(0)
    assert set(column(page, "model", language)) == {"glm-5"}
    field(page, "model", language).select_option("")
    field(page, "status", language).select_option("status_class:4")
    expect(page).to_have_url(re.compile(r"\?status_class=4$"))
    expect(rows(page, language).filter(has_text="glm-5")).to_have_count(0)
    assert all(text.startswith("4") for text in column(page, "status", language))
    assert any(WORDS[language]["no such model"] in text for text in column(page, "status", language))
    page.go_back()
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?model=glm-5$"))
    expect(field(page, "model", language)).to_have_value("glm-5")
    expect(rows(page, language).filter(has_text="glm-5").first).to_be_visible()
    page.reload()
    assert set(column(page, "model", language)) == {"glm-5"}
    page.get_by_role("button", name=WORDS[language]["drop"]).first.click()
    expect(page).to_have_url(re.compile(r"/requests$"))
    # Of which other model depends on what other tests have asked meanwhile.
    expect(rows(page, language).filter(has_not_text="glm-5").first).to_be_visible()


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        pytest.param("failed=true", {"failed": "true"}, id="failed"),
        pytest.param("failed=false&model=glm-5", {"failed": "false", "model": "glm-5"}, id="worked"),
        pytest.param("status=404", {"status": 404}, id="status"),
        pytest.param("error_kind=model_not_found", {"error_kind": "model_not_found"}, id="kind"),
        pytest.param("user=王伟", {"user": "王伟"}, id="user"),
        pytest.param("api=messages", {"api": "messages"}, id="api"),
        pytest.param("key_id=1", {"key_id": 1}, id="key"),
        pytest.param("project_id=1", {"project_id": 1}, id="project"),
    ],
)
def test_the_address_says_what_the_api_is_asked(
    console: Console, admin: Admin, filters: str, wanted: Mapping[str, str | int]
) -> None:
    if "api" in wanted:
        asked = admin.gateway.post(
            {"model": "glm-5", "max_tokens": 9, "messages": body("glm-5")["messages"]}, path="/v1/messages"
        )
        admin.gateway.ledger(asked.headers["x-request-id"])
    answer = admin.get("/admin/v1/requests", {"limit": 50, **wanted}).json()["data"]
    assert answer, "there is something to find"
    page = console(f"requests?{filters}")
    found = [link.get_attribute("href") or "" for link in rows(page).locator("td:first-child a").all()]
    assert [re.findall(r"requests/(req_\w+)\?", href) for href in found] == [
        [row["request_id"]] for row in answer
    ]


def test_times(console: Console) -> None:
    page = console("requests")
    field(page, "time").select_option("1h")
    expect(page).to_have_url(re.compile("time=1h$"))
    rows(page)
    field(page, "time").select_option("exact")
    page.get_by_label("From", exact=True).fill("2030-01-01T08:00")
    page.get_by_label("From", exact=True).press("Tab")
    expect(page).to_have_url(re.compile("since=2030-01-01T00%3A00%3A00.000Z$"))
    expect(page.get_by_text("No request is like this")).to_be_visible()
    page.go_back()
    rows(page)


def test_another_page_and_back(console: Console, admin: Admin) -> None:
    for answer in [admin.gateway.post(body("nobody-of-a-page")) for _ in range(51)]:
        admin.gateway.ledger(answer.headers["x-request-id"])
    page = console("requests?error_kind=model_not_found")
    first = rows(page).locator("td:first-child a").first.get_attribute("href")
    assert rows(page).count() == 50
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("navigation", name="Page 2")).to_be_visible()
    expect(rows(page)).not_to_have_count(50)
    page.get_by_role("button", name="Previous").click()
    expect(rows(page).locator("td:first-child a").first).to_have_attribute("href", str(first))


@pytest.mark.parametrize("language", LANGUAGES)
def test_details_of_a_request_that_failed(console: Console, admin: Admin, language: Language) -> None:
    request_id = admin.gateway.post(body("unreachable")).headers["x-request-id"]
    assert admin.gateway.ledger(request_id)["attempts"] == 2
    page = console("requests?time=24h", language=language)
    field(page, "id", language).fill(f"x-request-id: {request_id}")
    field(page, "id", language).press("Enter")
    expect(page).to_have_url(re.compile(f"/requests/{request_id}[?]time=24h$"))
    dialog = page.get_by_role("dialog", name=WORDS[language]["details"], exact=True)
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    for words in (request_id, *FAILED[language]):
        expect(dialog).to_contain_text(words)
    console.settle()
    axe(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(re.compile("/requests[?]time=24h$"))


SAID: Final[Mapping[Language, tuple[str, ...]]] = {
    "en": ("502", "provider failed", "Attempt 1", "status 401"),
    "zh": ("502", "服务商出错", "第 1 次", "状态码 401"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_an_upstream_said(console: Console, admin: Admin, language: Language) -> None:
    """What it calls its error, and its message, as the ledger has them."""
    request_id = admin.gateway.post(body("wrong-upstream-key")).headers["x-request-id"]
    said = re.search(r'answered 401 (\w*) ?"(.*)"$', admin.gateway.ledger(request_id)["attempt_errors"])
    assert said is not None
    page = console(f"requests/{request_id}", language=language)
    for words in (*SAID[language], *said.groups()):
        expect(page.get_by_role("dialog")).to_contain_text(words)


def test_an_id_that_is_pasted_is_opened(console: Console, admin: Admin) -> None:
    row = request_of(admin, status=200, model="qwen3.6-plus")
    page = console("requests")
    rows(page)
    page.evaluate("text => navigator.clipboard.writeText(text)", f" {row['request_id']}\n")
    field(page, "id").focus()
    page.keyboard.press("Control+V")
    dialog = page.get_by_role("dialog", name="Request", exact=True)
    expect(dialog).to_contain_text("The request was answered.")
    expect(dialog).to_contain_text(row["request_id"])
    expect(field(page, "id")).to_have_value("")
    dialog.get_by_role("button", name="Copy").first.click()
    assert page.evaluate("() => navigator.clipboard.readText()") == row["request_id"]


def test_what_is_no_id_is_not_asked_for(console: Console) -> None:
    page = console("requests")
    field(page, "id").fill("latest")
    field(page, "id").press("Enter")
    expect(page.get_by_text("it begins with req_")).to_be_visible()
    expect(page).to_have_url(re.compile("/requests$"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_request_that_nobody_knows(console: Console, language: Language) -> None:
    console.expect("status of 404")
    page = console("requests/req_nobody", language=language)
    expect(page.get_by_role("dialog")).to_contain_text(WORDS[language]["gone"])


def test_the_numbers_of_a_request(console: Console, admin: Admin) -> None:
    """Tokens and costs of its parts are the API's, exact in a tooltip; the raw row is there too."""
    row = request_of(admin, status=200, model="qwen3.6-plus")
    page = console(f"requests/{row['request_id']}")
    dialog = page.get_by_role("dialog")
    parts = dialog.get_by_role("region", name="Tokens and cost").get_by_role("row")
    together = parts.filter(has_text="together")
    expect(together).to_contain_text(f"{row['prompt_tokens'] + row['completion_tokens']:,}")
    expect(together.locator("[title]")).to_have_attribute("title", f"{row['cost']} {row['currency']}")
    dialog.get_by_text("As JSON").click()
    raw = dialog.get_by_role("region", name="As JSON").inner_text()
    assert json.loads(raw) == {**row, "captured_in": None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_bodies_of_a_request_that_was_captured(
    console: Console, admin: Admin, read_key: str, language: Language
) -> None:
    key = admin.gateway.new_key()
    [key_id] = [each["id"] for each in admin.all_of("/admin/v1/keys") if key.startswith(each["prefix"])]
    kept = admin.gateway.post(
        {**body("glm-5"), "messages": [{"role": "user", "content": "悄悄话"}]}, key=key
    ).headers["x-request-id"]
    admin.gateway.ledger(kept)
    page = console(f"requests/{kept}", language=language)
    expect(page.get_by_role("dialog")).to_contain_text(CAPTURES[language]["none"])
    open_lease(admin.gateway.store, key_id, actor="test")
    asked = {**streamed("glm-5"), "messages": [{"role": "user", "content": "悄悄话"}]}

    headers: list[Mapping[str, str]] = []

    def is_captured() -> bool:
        headers.append(admin.gateway.post(asked, key=key).headers)
        return "x-llmgw-captured" in headers[-1]

    wait_until(is_captured, "the workers know of the lease", timeout_s=SOON_S)
    request_id = headers[-1]["x-request-id"]
    admin.gateway.ledger(request_id)
    at = f"/admin/v1/requests/{request_id}"
    wait_until(lambda: admin.get(at).json()["captured_in"] is not None, "the bodies", timeout_s=SOON_S)
    looks = console(f"requests/{request_id}", key=read_key, language=language)
    expect(looks.get_by_role("dialog")).to_contain_text(CAPTURES[language]["may not"])
    expect(looks.get_by_role("button", name=CAPTURES[language]["read"])).to_have_count(0)
    page = console(f"requests/{request_id}", language=language)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(CAPTURES[language]["personal"])
    expect(dialog.get_by_text("悄悄话")).to_have_count(0)
    dialog.get_by_role("button", name=CAPTURES[language]["read"]).click()
    expect(dialog.get_by_role("region", name=CAPTURES[language]["request"], exact=True)).to_contain_text(
        "悄悄话"
    )
    expect(dialog.get_by_role("region", name=CAPTURES[language]["answer"], exact=True)).to_contain_text(
        "data: [DONE]"
    )
    axe(page)


def test_the_file_has_the_api_s_rows(console: Console, admin: Admin, tmp_path: Path) -> None:
    until = admin.get("/admin/v1/requests", {"limit": 1}).json()["data"][0]["time"]
    page = console(f"requests?model=qwen3.6-plus&until={until}")
    rows(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    file = tmp_path / "requests.csv"
    download.value.save_as(file)
    assert re.fullmatch(r"llmgw-requests-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    found = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))
    expected = list(admin.all_of("/admin/v1/requests", {"model": "qwen3.6-plus", "until": until}))
    assert len(found) == len(expected) > 2
    for line, row in zip(found, expected, strict=True):
        assert set(row) - set(line) == {"id"}
        assert {name: cell for name, cell in line.items() if not is_same(cell, row[name])} == {}


def is_same(cell: str, value: object) -> bool:
    """Whether a cell of the file is a value of the API."""
    if isinstance(value, float):
        return float(cell) == value
    return cell == ("" if value is None else str(value).lower() if isinstance(value, bool) else value) or (
        isinstance(value, int) and cell == str(value)
    )


def test_newer_requests_are_told_without_asking_for_them(console: Console, admin: Admin) -> None:
    page = console("requests")
    before = rows(page).locator("td:first-child a").first.get_attribute("href")
    console.settle()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    newer = page.get_by_role("button", name=re.compile("newer request"))
    expect(
        page.get_by_text("Running", exact=True).or_(page.get_by_text("Needs attention")).first
    ).to_be_visible()
    request_id = admin.gateway.post(body("glm-5")).headers["x-request-id"]
    expect(newer).to_be_visible()
    assert not [url for url in asked if "/admin/v1/requests" in url]
    expect(rows(page).locator("td:first-child a").first).to_have_attribute("href", str(before))
    admin.gateway.ledger(request_id)
    newer.click()
    expect(rows(page).locator(f'a[href*="{request_id}"]')).to_be_visible()
    expect(newer).to_have_count(0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_failure_has_words(console: Console, language: Language) -> None:
    """Of the gateway's codes those of the admin API alone are missing: its requests have no rows."""
    page = console("requests", language=language)
    options = field(page, "error", language).locator("option")
    expect(options.first).to_be_attached()
    texts = {option.get_attribute("value"): option.inner_text() for option in options.all()}
    stub = (ROOT / "python/llmgw/_core.pyi").read_text("utf-8")
    alias = re.search(r"^_ErrorKind: TypeAlias = Literal\[(.*?)\]", stub, re.DOTALL | re.MULTILINE)
    assert alias is not None
    exchanges = set(re.findall(r'"(\w+)"', alias[1]))
    assert set(texts) == {"", *(set(ERRORS) - ADMIN_ONLY), *exchanges, *OTHERS}
    assert all(texts[kind].endswith(f" · {kind}") for kind in texts if kind)


def test_nothing_was_asked_yet(console: Console, untouched: Admin) -> None:
    page = console("requests", site=untouched)
    expect(page.get_by_text("No request has been made yet")).to_be_visible()
    expect(page.get_by_role("link", name="Ask a model")).to_be_visible()
