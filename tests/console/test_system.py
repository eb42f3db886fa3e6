"""The system page: how the gateway is, its config with check and reload, limits, audit, captures."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.gateways import console_gateway
from tests.console.support import BASE, LANGUAGES, Console, Language, axe, no_overflow
from tests.support.admin import Admin

REFUSED: Final = "status of 409"
"""What Chromium says of a reload that the gateway refuses."""
SECONDS_MS: Final = 20_000.0


class Words(NamedTuple):
    """What the page calls it."""

    parts: tuple[str, ...]
    headings: tuple[str, ...]
    calm: str
    reload: str
    deed: str
    cancel: str
    would_be_refused: str
    faults: str
    check: str
    is_taken: str


WORDS: Final[dict[Language, Words]] = {
    "en": Words(
        parts=("State", "Config", "Limits", "Audit", "Captures"),
        headings=("Gateway", "Config in force", "All limits", "Changes", "Captures of requests"),
        calm="Nothing is wrong here",
        reload="Reload…",
        deed="Reload",
        cancel="Cancel",
        would_be_refused="A reload would be refused.",
        faults="Faults of the file",
        check="Check the file",
        is_taken="It has no fault.",
    ),
    "zh": Words(
        parts=("运行状态", "配置", "限额", "审计", "抓取"),
        headings=("网关", "当前配置", "全部限额", "变更记录", "抓取请求"),
        calm="一切正常：",
        reload="重新加载…",
        deed="重新加载",
        cancel="取消",
        would_be_refused="现在重新加载会被拒绝。",
        faults="配置文件里的错误",
        check="检查文件",
        is_taken="没有错误",
    ),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, config: str) -> Iterator[Admin]:
    """A gateway whose config file may be changed."""
    with console_gateway(tmp_path_factory.mktemp("system"), config) as admin:
        yield admin


@pytest.fixture
def file(site: Admin) -> Iterator[Path]:
    """The config file of `site`, which is as it was afterwards."""
    file = site.gateway.config
    before = file.read_text("utf-8")
    yield file
    file.write_text(before, "utf-8")


def part(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_part(console: Console, site: Admin, language: Language) -> None:
    words = WORDS[language]
    page = console("system", site=site, language=language)
    expect(page.get_by_text(words.calm)).to_be_visible()
    version = site.get("/admin/v1/system").json()["version"]
    expect(part(page, words.headings[0])).to_contain_text(version)
    for name, heading in zip(words.parts, words.headings, strict=True):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        console.settle()
        axe(page)
        no_overflow(page)
        page.reload()
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


def test_workers_and_refusals(console: Console, site: Admin) -> None:
    assert site.gateway.get("/v1/models", key="sk-gtw-nobody").status == httpx.codes.UNAUTHORIZED
    page = console("system", site=site)
    [worker] = site.get("/admin/v1/system").json()["workers"]
    row = part(page, "Workers").first.get_by_role("row").filter(has_text=str(worker["worker"]))
    expect(row).to_contain_text(f"generation {worker['generation']}")
    expect(row).to_contain_text("answers")
    refused = page.get_by_role("row").filter(has_text="key refused: invalid_api_key")
    expect(refused).to_contain_text("wrong, expired, blocked or revoked")


def test_a_bad_state_says_what_to_do(console: Console, site: Admin) -> None:
    """The gateway is well, but the console is told another story."""
    ledger = {"queue_rows": 0, "journal_rows": 12345, "journal_bytes": 4096, "set_aside_files": 1}
    worse = {"status": "degraded", "ledger": {**ledger, "dropped_rows": 2}, "warnings": ["all is odd"]}
    page = console.blank(site=site)
    page.route("**/admin/v1/live", lambda route: route.fulfill(json={**route.fetch().json(), **worse}))
    page.goto(f"{site.url}{BASE}system")
    troubles = part(page, "What is wrong, and what to do").get_by_role("listitem")
    expect(troubles).to_have_count(4)
    expect(troubles.first).to_contain_text("2 rows of the ledger are lost")
    expect(troubles.first).to_contain_text("journal_max_bytes")
    expect(troubles.filter(has_text="12,345 rows wait in the journal")).to_contain_text("Do not delete")
    expect(part(page, "Ledger and journal")).to_contain_text("12,345 rows, 4 KiB")
    axe(page)
    page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_faulty_file_is_told_and_refused(
    console: Console, site: Admin, file: Path, language: Language
) -> None:
    words = WORDS[language]
    page = console("system?part=config", site=site, language=language)
    expect(page.get_by_text(words.is_taken)).to_be_visible()
    good = file.read_text("utf-8")
    file.write_text(good.replace('upstream = "slow"', 'upstream = "slwo"'), "utf-8")
    page.get_by_role("button", name=words.check).click()
    fault = page.get_by_role("region", name=words.faults).get_by_role("row").nth(1)
    expect(fault).to_contain_text("upstream")
    expect(fault).to_contain_text("slwo")
    expect(fault).to_contain_text("did you mean")

    page.get_by_role("button", name=words.reload).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(words.would_be_refused)
    expect(dialog.get_by_role("region", name=words.faults)).to_contain_text("did you mean")
    deed = dialog.get_by_role("button", name=words.deed, exact=True)
    expect(deed).to_be_disabled()
    axe(page)

    file.write_text(good, "utf-8")
    dialog.get_by_role("button", name=words.check).click()
    expect(deed).to_be_enabled()
    # Worse again before it is pressed: the gateway itself refuses, and says why.
    console.expect(REFUSED)
    before = site.get("/admin/v1/system").json()["generation"]
    file.write_text(good.replace('upstream = "slow"', 'upstream = "slwo"'), "utf-8")
    deed.click()
    expect(dialog.get_by_role("alert")).to_contain_text("slwo")
    expect(deed).to_be_disabled()
    assert site.get("/admin/v1/system").json()["generation"] == before


def test_a_reload_takes_a_change_over(console: Console, site: Admin, file: Path) -> None:
    page = console("system?part=config", site=site)
    good = file.read_text("utf-8")
    file.write_text(f"{good}\n[routing]\nmax_attempts = 2\n", "utf-8")
    page.get_by_role("button", name="Reload…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Reload", exact=True).click()
    expect(dialog).to_have_count(0)
    generation = site.get("/admin/v1/system").json()["generation"]
    told = page.get_by_role("region", name=f"What changed with generation {generation}", exact=True)
    expect(told.get_by_role("listitem")).to_have_text("routing.max_attempts 3 → 2")
    assert site.get("/admin/v1/config").json()["config"]["routing"]["max_attempts"] == 2

    page.get_by_label("Find in the config").fill("max_attempts")
    expect(page.get_by_text("1 of ")).to_be_visible()
    expect(page.locator(".tree")).to_contain_text("max_attempts = 2")
    expect(page).to_have_url(re.compile("find=max_attempts"))

    page.get_by_role("button", name="Audit", exact=True).click()
    row = page.get_by_role("row").filter(has_text="config reloaded").first
    expect(row).to_contain_text(f"generation {generation}")
    expect(row.get_by_role("link", name=re.compile("^key [0-9]+ "))).to_be_visible()


def test_a_change_that_needs_a_restart(console: Console, site: Admin, file: Path) -> None:
    good = file.read_text("utf-8")
    zone = '[prices]\ntimezone = "UTC"\n[prices.exchange]'
    file.write_text(good.replace("[prices.exchange]", zone), "utf-8")
    page = console("system?part=config", site=site)
    restarts = page.get_by_role("region", name="Changes that need a restart")
    expect(restarts).to_contain_text("prices.timezone")


def test_upstreams_are_probed(console: Console, site: Admin) -> None:
    page = console("system?part=config", site=site)
    page.get_by_role("button", name="Probe upstreams").click()
    table = part(page, "Upstreams, asked for their models").get_by_role("table")
    expect(table).to_be_visible(timeout=SECONDS_MS)
    expect(table.get_by_role("row").filter(has_text="misconfigured")).to_contain_text("401")
    expect(table.get_by_role("row").filter(has_text=re.compile("^slow"))).to_contain_text("well")
    console.settle()
    axe(page)


def test_the_config_shows_no_secret_and_is_copied_as_toml(console: Console, site: Admin) -> None:
    page = console("system?part=config", site=site)
    page.get_by_role("button", name="Unfold all").click()
    expect(page.locator(".tree")).to_contain_text('api_key = "**********"')
    expect(page.locator(".tree")).not_to_contain_text("sim-qwen")
    page.get_by_role("button", name="Copy as TOML").click()
    copied = tomllib.loads(page.evaluate("() => navigator.clipboard.readText()"))
    assert copied["upstreams"]["slow"]["api_key"] == "**********"
    assert "slow-qwen" in [model["id"] for model in copied["models"]]
    page.get_by_label("Find in the config").fill("nothing of this name")
    expect(page.get_by_text("Nothing in the config is called so")).to_be_visible()


def test_a_key_that_only_looks_has_no_reload(console: Console, site: Admin) -> None:
    page = console("system?part=config", site=site, key=site.new_key("admin_read"))
    expect(page.get_by_role("button", name="Check the file")).to_be_visible()
    expect(page.get_by_role("button", name="Reload…")).to_have_count(0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_audit_of_one_key(console: Console, site: Admin, language: Language) -> None:
    """As the page of the key links to it: what was made, and what was changed of it."""
    made = site.send("POST", "/admin/v1/keys", {"name": f"audited-{language}"}).json()
    limits = {"limits": {"requests_per_minute": 60}}
    assert site.send("PATCH", f"/admin/v1/keys/{made['id']}", limits).status_code == httpx.codes.OK
    other = {"limits": {"requests_per_minute": 90}}
    assert site.send("PATCH", f"/admin/v1/keys/{made['id']}", other).status_code == httpx.codes.OK
    page = console(f"system?target=key+{made['id']}", site=site, language=language)
    rows = page.get_by_role("main").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("limits.requests_per_minute 60 → 90")
    expect(rows.nth(3)).to_contain_text(f"name audited-{language}")
    rows.nth(1).get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_contain_text("key.update")
    axe(page)
    page.keyboard.press("Escape")
    rows.nth(1).get_by_role("link", name=f"key {made['id']}").click()
    expect(page).to_have_url(re.compile(rf"/console/keys/{made['id']}$"))


def test_filters_and_pages_of_the_audit(console: Console, site: Admin) -> None:
    for number in range(55):
        assert site.send("POST", "/admin/v1/projects", {"name": f"p{number}"}).is_success
    page = console("system?part=audit", site=site)
    page.get_by_label("Action").select_option("project.create")
    expect(page).to_have_url(re.compile(r"action=project\.create"))
    rows = page.get_by_role("main").get_by_role("row")
    expect(rows).to_have_count(51)
    expect(rows.nth(1)).to_contain_text("name p54")
    page.get_by_role("button", name="Next").click()
    expect(rows.last).to_contain_text("name p0")
    page.get_by_label("Until").fill("2020-01-01T00:00")
    expect(page.get_by_text("No change is like this")).to_be_visible()
    assert "until=2019-12-31T16" in page.url, "the viewer is in Shanghai"
    page.get_by_role("button", name="Drop the filters").click()
    expect(rows.nth(1)).to_be_visible()


def test_limits_and_sums(console: Console, site: Admin) -> None:
    body = {
        "name": "limited",
        "limits_by": [{"model": "glm-5", "per_user": True, "concurrent_requests": 1234}],
    }
    made = site.send("POST", "/admin/v1/keys", body).json()
    page = console("system?part=limits", site=site)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="limited"))
    expect(row).to_contain_text(re.compile("glm-5.*for each user.*1,234"))
    expect(row.get_by_role("link")).to_have_attribute("href", f"/console/keys/{made['id']}")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("All is right")).to_be_visible(timeout=SECONDS_MS)


def test_captures(console: Console, admin: Admin, site: Admin) -> None:
    made = admin.send("POST", "/admin/v1/keys", {"name": "captured"}).json()
    started = admin.send("POST", f"/admin/v1/keys/{made['id']}/capture", {"max_requests": 7})
    assert started.is_success, started.text
    page = console("system?part=captures")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"key {made['id']}", exact=True))
    expect(row).to_contain_text("running")
    expect(row).to_contain_text("0 of 7")
    page = console("system?part=captures", site=site)
    expect(page.get_by_text("The config does not allow it")).to_be_visible()
