"""`docs/console.md`, in both languages: what the console asks of the admin API, and how it is switched on."""

import json
import re
import tomllib
from typing import Final

import pytest

from llmgw.admin.relay import RELAYED
from llmgw.config import AdminConfig
from llmgw.endpoints.own_usage import USAGE_ME
from tests.support.pages import blocks, names, rows, section
from tests.support.processes import ROOT

ADMIN: Final = "/admin/v1/"
SOURCES: Final = ROOT / "console" / "src"
PATH: Final = re.compile(r"[\"'`](/(?:admin/)?v1/[\w/{}-]+)")
"""In a string of TypeScript."""
OPENAPI: Final = json.loads((ROOT / "docs" / "admin-openapi.json").read_text("utf-8"))
SECTIONS: Final = (("docs/console.md", "Pages"), ("docs/console.zh-CN.md", "页面"))
TROUBLES: Final = (("docs/console.md", "When something is wrong"), ("docs/console.zh-CN.md", "出问题时"))
QUOTED: Final = re.compile(r"[\"“]([^\"”]+)[\"”]")
KEYBOARDS: Final = (("docs/console.md", "Keyboard"), ("docs/console.zh-CN.md", "键盘"))
OWN_REQUEST: Final = f"{USAGE_ME}/{{request_id}}"
FOLDERS: Final = (
    "overview", "playground", "models", "keys", "projects", "requests", "usage", "system", "mine",
)  # fmt: skip
"""The pages in the order of the table."""
CONTRACTS: Final = (("docs/contract.md", "Admin API"), ("docs/contract.zh-CN.md", "管理接口"))


def called(folder: str = "") -> set[str]:
    """The paths that the page's sources name."""
    files = [path for path in (SOURCES / folder).rglob("*.ts*") if path.name != "schema.d.ts"]
    found = {path for file in files for path in PATH.findall(file.read_text("utf-8"))}
    # What stands in a template behind the slash is an id.
    return {OWN_REQUEST if path == f"{USAGE_ME}/" else path for path in found}


def resource(path: str) -> str:
    """What the pages call a path: below `/admin/v1` its first word, elsewhere the whole."""
    return path.removeprefix(ADMIN).split("/")[0] if path.startswith(ADMIN) else path


def listed(page: str, title: str, cell: int) -> dict[str, set[str]]:
    """For each row of a section's table: its first cell, and the words in backticks of one cell."""
    return {cells[0]: set(names(cells[cell])) for cells in rows(section(page, title))}


@pytest.mark.parametrize(("page", "title"), SECTIONS)
def test_the_page_names_each_path_that_the_console_asks(page: str, title: str) -> None:
    table = listed(page, title, 2)
    stated = set().union(*table.values())
    assert {resource(path) for path in called()} - stated == set()
    for folder, (name, paths) in zip(FOLDERS, table.items(), strict=True):
        asked = {resource(path) for path in called(f"pages/{folder}")}
        assert asked - paths == set(), f"{name}: not in the row"


@pytest.mark.parametrize(("page", "title"), SECTIONS)
def test_the_paths_that_the_page_names_exist(page: str, title: str) -> None:
    known = {resource(path) for path in OPENAPI["paths"]} | {path for _, path in RELAYED} | {OWN_REQUEST}
    for name, paths in listed(page, title, 2).items():
        assert paths, name
        assert paths - known == set(), name


@pytest.mark.parametrize(("page", "title"), SECTIONS)
def test_pages_have_the_names_that_one_sees(page: str, title: str) -> None:
    shell = (SOURCES / "i18n" / "shell.ts").read_text("utf-8")
    assert [name for name in listed(page, title, 2) if f'"{name}"' not in shell] == []


@pytest.mark.parametrize(("page", "title"), TROUBLES)
def test_what_one_sees_is_quoted_as_it_is_said(page: str, title: str) -> None:
    said = "".join(path.read_text("utf-8") for path in SOURCES.rglob("*.ts"))
    quoted = [words for row in rows(section(page, title)) for words in QUOTED.findall(row[0])]
    assert quoted
    assert [words for words in quoted if not re.search(f'["`]{re.escape(words)}', said)] == []


@pytest.mark.parametrize(("page", "title"), KEYBOARDS)
def test_the_keys_behind_g_are_those_of_the_pages(page: str, title: str) -> None:
    source = (SOURCES / "shell" / "shortcuts.ts").read_text("utf-8")
    block = re.search(r"PAGE_KEYS[^{]*{(.*?)}", source, re.DOTALL)
    assert block is not None
    keys = dict(re.findall(r'(\w+): "(\w)"', block[1]))
    assert set(keys) == {*FOLDERS}
    [stated] = [found for cells in rows(section(page, title)) if (found := names(cells[0]))[0] == "g"]
    assert stated == ["g", *dict.fromkeys(keys[name] for name in FOLDERS)]


@pytest.mark.parametrize(("page", "title"), CONTRACTS)
def test_the_contract_lists_each_path_of_the_admin_api(page: str, title: str) -> None:
    stated = {resource(ADMIN + path) for paths in listed(page, title, 0).values() for path in paths}
    # A table's first cells are unique, so no row hides another one.
    assert stated == {resource(path) for path in OPENAPI["paths"] if path.startswith(ADMIN)}


@pytest.mark.parametrize("page", [page for page, _ in SECTIONS])
def test_what_switches_it_on(page: str) -> None:
    [example] = [block.text for block in blocks(page) if block.language == "toml"]
    config = AdminConfig.model_validate(tomllib.loads(example)["admin"])
    assert config.enabled
    address = f"http://127.0.0.1:{config.port}"
    shown = "".join(block.text for block in blocks(page) if block.language != "toml")
    assert set(re.findall(r"http://127\.0\.0\.1:\d+", shown)) == {address}
