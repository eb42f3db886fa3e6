"""Projects: made, changed, blocked; and who may not."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.console.support import LANGUAGES, Console, Language, axe, no_overflow
from tests.console.test_keys import REFUSED, answers, dialog, told
from tests.support.admin import Admin
from tests.support.gateway import Gateway


def make(page: Page) -> None:
    """A project with a limit of a model and a budget, by the form."""
    page.get_by_role("button", name="New project").click()
    form = dialog(page, "New project")
    form.get_by_label("Name").fill("search")
    form.get_by_label("Tokens per minute").fill("400000")
    form.get_by_role("button", name="Limit a model or each user").click()
    row = form.get_by_role("group", name="Limit 1")
    row.get_by_label("Model").select_option("glm-5")
    row.get_by_label("Requests at once").fill("2")
    form.get_by_role("button", name="Add a budget").click()
    budget = form.get_by_role("group", name="Budget 1")
    budget.get_by_label("Amount").fill("3000")
    expect(budget.get_by_text("= ¥3,000.00 per month")).to_be_visible()
    axe(page)
    form.get_by_role("button", name="Make the project").click()
    told(page, "search is made.")


def test_a_life(console: Console, admin: Admin, gateway: Gateway) -> None:
    page = console("projects")
    make(page)
    listed = page.get_by_role("row").filter(has_text="search")
    expect(listed).to_contain_text("400k tok/min")
    expect(listed).to_contain_text("¥3,000.00 per month")

    [project] = [each for each in admin.all_of("/admin/v1/projects") if each["name"] == "search"]
    key = admin.send("POST", "/admin/v1/keys", {"name": "in search", "project": "search"}).json()
    answers(gateway, key["secret"], 200)
    listed.get_by_role("link", name="search", exact=True).click()
    expect(page).to_have_url(re.compile(rf"/console/projects/{project['id']}$"))
    drawer = dialog(page, "search")
    expect(drawer.get_by_role("meter", name=re.compile("Tokens per minute"))).to_be_visible()
    expect(drawer.get_by_role("meter", name="¥3,000.00 per month")).to_be_visible()
    axe(page)

    drawer.get_by_role("button", name="Change").click()
    form = dialog(page, "Change search")
    form.get_by_role("button", name="Remove limit 1").click()
    form.get_by_role("button", name="Remove budget 1").click()
    form.get_by_label("Name").fill("retrieval")
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        form.get_by_role("button", name="Save").click()
    gone = {"model": "glm-5", "per_user": False, "concurrent_requests": None}
    assert sent.value.post_data_json == {"name": "retrieval", "limits_by": [gone], "budgets": []}
    told(page, "retrieval is changed.")
    changed = admin.get(f"/admin/v1/projects/{project['id']}").json()
    assert (changed["limits_by"], changed["budgets"]) == ([], [])
    assert changed["limits"]["tokens_per_minute"] == 400_000

    drawer = dialog(page, "retrieval")
    drawer.get_by_role("button", name="Block").click()
    dialog(page, "Block retrieval?").get_by_role("button", name="Block").click()
    told(page, "retrieval is blocked.")
    answers(gateway, key["secret"], 403)
    drawer.get_by_role("button", name="Unblock").click()
    told(page, "retrieval is unblocked.")
    answers(gateway, key["secret"], 200)

    drawer.get_by_role("link", name="1 keys of retrieval").click()
    expect(page).to_have_url(re.compile(r"/console/keys\?project=retrieval$"))
    expect(page.get_by_role("link", name="in search")).to_be_visible()
    expect(page.get_by_label("Project")).to_have_value("retrieval")


def test_a_name_that_is_taken_is_told_at_the_name(console: Console) -> None:
    console.expect(REFUSED, "status of 409")
    page = console("projects")
    page.get_by_role("button", name="New project").click()
    form = dialog(page, "New project")
    form.get_by_label("Requests at once").fill("3")
    form.get_by_label("Name").fill("default")
    form.get_by_role("button", name="Make the project").click()
    name = form.get_by_label("Name")
    expect(name).to_have_accessible_description(re.compile("already"))
    expect(name).to_be_focused()
    expect(form.get_by_label("Requests at once")).to_have_value("3")


def test_a_key_that_only_looks(console: Console, read_key: str) -> None:
    page = console("projects/1", key=read_key)
    drawer = dialog(page, "default")
    expect(drawer.get_by_role("link", name=re.compile("keys of default"))).to_be_visible()
    expect(drawer.get_by_role("button")).to_have_count(1)  # the one that closes it
    drawer.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(r"/console/projects$"))
    expect(page.get_by_role("button", name="New project")).to_have_count(0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_fits_a_phone(console: Console, language: Language) -> None:
    page = console("projects", language=language, width=390)
    page.get_by_role("button", name={"en": "New project", "zh": "新建项目"}[language]).click()
    form = dialog(page, {"en": "New project", "zh": "新建项目"}[language])
    form.get_by_role("button", name={"en": "Add a budget", "zh": "添加预算"}[language]).click()
    form.get_by_label({"en": "Amount", "zh": "额度"}[language]).fill("1000")
    expect(
        form.get_by_text({"en": "= ¥1,000.00 per month", "zh": "即每月 ¥1,000.00"}[language])
    ).to_be_visible()
    no_overflow(page)
    axe(page)
