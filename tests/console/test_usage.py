"""Sums by any grouping over any time: the plot, the same numbers in a table, and as CSV."""

import csv
import io
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.console.support import Console, Language
from tests.support.admin import Admin

TABLES: dict[Language, str] = {"en": "Sums", "zh": "汇总"}


def table(page: Page, language: Language = "en") -> Locator:
    return page.get_by_role("region", name=TABLES[language], exact=True).get_by_role("table")


def rows(page: Page, language: Language = "en") -> list[list[str]]:
    """The cells of the table, without its last column, which links."""
    found: list[list[str]] = (
        table(page, language)
        .locator("tbody tr")
        .evaluate_all("(rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim()))")
    )
    return [row[:-1] for row in found]


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_the_numbers_are_the_apis(console: Console, admin: Admin) -> None:
    wanted = admin.get("/admin/v1/usage", {"by": "model", "order": "requests"}).json()["data"]
    for language in TABLES:
        page = console("usage", language=language)
        table(page, language).wait_for()
        shown = rows(page, language)
        assert [row[:3] for row in shown[:-1]] == [
            [
                row["model"] or ("(none)" if language == "en" else "（无）"),
                str(row["requests"]),
                str(row["errors"]),
            ]
            for row in wanted
        ]
        assert shown[-1][1] == str(sum(row["requests"] for row in wanted))
        expect(page.locator(".plot canvas")).to_be_visible()


def test_groups_and_filters_are_in_the_address(console: Console, admin: Admin) -> None:
    page = console("usage")
    page.get_by_role("checkbox", name="User").check()
    page.get_by_label("Model", exact=True).first.select_option("glm-5")
    expect(page).to_have_url(re.compile("model=glm-5"))
    assert query(page)["by"] == ["model,user"]
    wanted = admin.get("/admin/v1/usage", {"by": "model,user", "model": "glm-5", "order": "requests"}).json()
    expect(table(page).locator("tbody tr")).to_have_count(len(wanted["data"]) + 1)
    page.go_back()
    expect(page).not_to_have_url(re.compile("model=glm-5"))
    expect(page.get_by_role("checkbox", name="User")).to_be_checked()


def test_a_header_orders(console: Console, admin: Admin) -> None:
    page = console("usage")
    page.get_by_role("button", name=re.compile("^Prompt")).click()
    wanted = admin.get("/admin/v1/usage", {"by": "model", "order": "tokens"}).json()["data"]
    names = [row["model"] or "(none)" for row in wanted]
    expect(table(page).locator("tbody tr:not(.chosen) td:first-child")).to_have_text(names)


def test_days_are_the_gateways(console: Console, admin: Admin) -> None:
    page = console("usage?bucket=day&by=all&time=week")
    [*_, latest] = admin.get("/admin/v1/usage", {"by": "day"}).json()["data"]
    expect(table(page)).to_contain_text(latest["day"])
    expect(page.get_by_text("Asia/Shanghai")).to_be_visible()


def test_the_file_holds_what_the_api_says(console: Console, admin: Admin, tmp_path: Path) -> None:
    page = console("usage?by=key,model")
    table(page).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    told = page.get_by_text("rows exported")  # for a few seconds
    expect(told).to_be_visible()
    said = told.inner_text()
    file = tmp_path / "usage.csv"
    download.value.save_as(file)
    assert download.value.suggested_filename == "usage-model-key.csv"
    found = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))
    wanted = list(admin.all_of("/admin/v1/usage", {"by": "model,key"}))
    assert [(row["model"], row["requests"], row["prompt_tokens"]) for row in found] == [
        (row["model"] or "(none)", str(row["requests"]), str(row["prompt_tokens"])) for row in wanted
    ]
    assert f"{len(wanted)} rows exported" in said


def test_a_group_leads_to_its_requests(console: Console) -> None:
    page = console("usage")
    row = table(page).get_by_role("row", name=re.compile("^glm-5 "))
    row.get_by_role("link", name="Requests").click()
    expect(page).to_have_url(re.compile(r"/console/requests\?model=glm-5&since="))


def test_nobody_used_anything(console: Console) -> None:
    page = console("usage?user=nobody-of-this-name")
    expect(page.get_by_text("Nothing was used in this time")).to_be_visible()
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(table(page)).to_be_visible()
