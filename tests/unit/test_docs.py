"""The pages say what the code does: tables, examples, links, and the two languages beside each other."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from llmgw.cli.demo import CLAUDE_CODE, CODEX, MODEL
from llmgw.cli.main import VERBS, make_parser
from llmgw.config import (
    DIALECTS,
    AdminConfig,
    AlertsConfig,
    CacheConfig,
    Capability,
    ConfigError,
    LedgerConfig,
    LimitsConfig,
    Modality,
    ModelConfig,
    OtelConfig,
    PriceConfig,
    PricesConfig,
    ResponsesConfig,
    RoutingConfig,
    ServerConfig,
    StoreConfig,
    TargetConfig,
    TierConfig,
    TimeConfig,
    UpstreamConfig,
    parse_config,
)
from llmgw.errors import ERRORS
from llmgw.observe.metrics import Metrics
from llmgw.simulator.simulation import Simulation
from llmgw.store import LedgerRow
from tests.support.otlp import CONTENT, KNOWN
from tests.support.pages import blocks, headings, names, prose, read, rows, section, sections
from tests.support.processes import ROOT

README = "README.md"
PAGES = sorted(str(page.relative_to(ROOT)) for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
TRANSLATIONS = [(page.replace(".zh-CN", ""), page) for page in PAGES if page.endswith(".zh-CN.md")]
READMES, API_PAGES, CONFIG_PAGES, PROVIDER_PAGES, TEAM_PAGES = (
    (page, page.replace(".md", ".zh-CN.md"))
    for page in ("README.md", "docs/api.md", "docs/config.md", "docs/providers.md", "docs/team.md")
)
PROVIDERS = re.compile(
    r"https://(?:dashscope(?:-intl)?\.aliyuncs\.com|api\.deepseek\.com|open\.bigmodel\.cn|api\.moonshot\.cn"
    r"|api\.minimaxi\.com|api\.siliconflow\.cn|ark\.cn-beijing\.volces\.com|openrouter\.ai)/"
)
"""The providers' own addresses; any other one in an example must be reserved for examples (RFC 2606)."""
REQUIRED = {"required", "必填"}
TABLES: dict[str, type[BaseModel]] = {
    "[server]": ServerConfig,
    "[store]": StoreConfig,
    "[ledger]": LedgerConfig,
    "[alerts]": AlertsConfig,
    "[otel]": OtelConfig,
    "[routing]": RoutingConfig,
    "[cache]": CacheConfig,
    "[responses]": ResponsesConfig,
    "[admin]": AdminConfig,
    "[limits]": LimitsConfig,
    "[prices]": PricesConfig,
    "[upstreams.NAME]": UpstreamConfig,
    "[[models]]": ModelConfig,
    "targets": TargetConfig,
    "price": PriceConfig,
    "tiers": TierConfig,
    "times": TimeConfig,
}


def anchors(page: str) -> set[str]:
    """The headings' anchors, as GitHub makes them."""
    found: set[str] = set()
    for _, text in headings(page):
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


def links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if "://" not in target:
                yield page, target


def terms(text: str) -> set[str]:
    """What is the same in every language: the words in backticks, and the numbers outside of them."""
    numbers = re.findall(r"\d+(?:[.,]\d+)*", re.sub(r"`[^`]+`|\]\([^)]+\)", "", text))
    return {*(re.sub(r"\s+", " ", name) for name in names(text)), *numbers}


def without_comments(code: str) -> list[str]:
    return [re.sub(r"(^|\s+)#.*$", "", line) for line in code.splitlines()]


@pytest.mark.parametrize("page", API_PAGES)
def test_the_api_page_has_every_error_with_its_status(page: str) -> None:
    table = [(int(cells[0]), *names(cells[1])) for cells in rows(read(page)) if cells[0].isdigit()]
    assert table == [(spec.status, code) for code, spec in ERRORS.items()]


@pytest.mark.parametrize("page", READMES)
def test_the_readme_has_every_error_with_its_status(page: str) -> None:
    stated: set[tuple[int, str]] = set()
    for statuses, codes in (cells for cells in rows(prose(page)) if re.match(r"\d{3}", cells[0])):
        numbers = [int(status) for status in re.findall(r"\d{3}", statuses)]
        known = [(ERRORS[code].status, code) for code in names(codes)]
        assert sorted({status for status, _ in known}) == numbers
        stated.update(known)
    assert stated == {(spec.status, code) for code, spec in ERRORS.items()}


@pytest.mark.parametrize("page", CONFIG_PAGES)
@pytest.mark.parametrize("title", TABLES)
def test_the_config_page_has_every_key_with_its_default(page: str, title: str) -> None:
    documented = {names(key)[0]: default for key, _, default, _ in rows(section(page, title))}
    model_fields = TABLES[title].model_fields
    assert set(documented) == set(model_fields)
    for key, cell in documented.items():
        default = model_fields[key].default
        if cell in REQUIRED:
            assert default is PydanticUndefined, key
        elif cell.startswith("`") and "id" not in names(cell):
            value: Any = json.loads(cell.strip("`"))
            assert (tuple(value) if isinstance(value, list) else value) == default, key
        else:  # in words: nothing, or what another value leads to
            assert not default or default is PydanticUndefined, key


@pytest.mark.parametrize("page", CONFIG_PAGES)
def test_the_config_page_has_every_value_that_a_key_can_take(page: str) -> None:
    cells = {names(cells[0])[0]: cells[-1] for cells in rows(section(page, "[[models]]"))}
    values = {
        "thinking": DIALECTS,
        "input_modalities": get_args(Modality),
        "capabilities": get_args(Capability),
    }
    for key, expected in values.items():
        assert names(cells[key])[: len(expected)] == list(expected), key


def secrets(example: str) -> dict[str, str]:
    """An environment with every variable that the config reads a key from."""
    return {name: f"sk-{name}" for name in re.findall(r'"env:(\w+)"', example)}


@pytest.mark.parametrize("page", [*READMES, *CONFIG_PAGES, *PROVIDER_PAGES, *TEAM_PAGES])
def test_toml_examples_load_and_name_no_strangers_address(page: str) -> None:
    examples = [block.text for block in blocks(page) if block.language == "toml"]
    assert examples
    for example in examples:
        config = parse_config(tomllib.loads(example), Path("/etc/llmgw.toml"), secrets(example))
        for upstream in config.upstreams.values():
            host = urlsplit(upstream.base_url).hostname or ""
            assert PROVIDERS.match(upstream.base_url) or host.endswith(".example"), upstream.base_url


@pytest.mark.parametrize("page", PROVIDER_PAGES)
def test_each_provider_has_one_config(page: str) -> None:
    """Each section: one config with one upstream, and what to know in a list."""
    whole = re.split(r"^## .+$", read(page), flags=re.MULTILINE)[1:]
    assert len(whole) == 12
    for text in whole:
        assert text.count("```toml") == 1
        assert text.count("[upstreams.") == 1
        assert re.search(r"^- ", text, re.MULTILINE)


@pytest.mark.parametrize("page", CONFIG_PAGES)
def test_the_faults_shown_are_those_of_a_real_config(page: str) -> None:
    shown = next(block.text for block in blocks(page) if "faults" in block.text)
    data = {
        "server": {"prot": 8000},
        "upstreams": {"dashscope": {"base_url": "https://host/v1", "api_key": "env:DASHSCOPE_API_KEY"}},
        "models": [{"id": "qwen3.6-plus", "upstream": "dashscop"}],
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(data, Path("/etc/llmgw.toml"), {})
    assert str(caught.value) == shown.rstrip("\n")


@pytest.mark.parametrize("page", READMES)
def test_the_readme_names_every_command(page: str) -> None:
    commands = [name for cells in rows(prose(page)) for name in names(cells[0]) if name.startswith("llmgw ")]
    assert commands == [f"llmgw {verb}" for verb in VERBS]


@pytest.mark.parametrize(
    ("page", "title"), [("docs/operations.md", "Metrics"), ("docs/operations.zh-CN.md", "指标")]
)
def test_operations_has_every_metric_with_its_labels(page: str, title: str) -> None:
    stated = {
        names(metric)[0]: (kind, sorted(names(labels)))
        for metric, kind, labels, _ in rows(section(page, title))
    }
    actual = {}
    for metric in Metrics([]).registry._collector_to_names:
        assert isinstance(metric, MetricWrapperBase)
        for family in metric.describe():
            total = "_total" if family.type == "counter" else ""
            actual[family.name + total] = (family.type, sorted(metric._labelnames))
    assert actual
    assert stated == actual


@pytest.mark.parametrize(
    ("page", "title"), [("docs/operations.md", "Traces"), ("docs/operations.zh-CN.md", "链路追踪")]
)
def test_operations_has_every_attribute_of_spans(page: str, title: str) -> None:
    """Those that the collector of the tests knows."""
    text = section(page, title)
    stated = {name for _, attributes in rows(text) for name in names(attributes)}
    assert stated == set(KNOWN)
    assert set(names(text)) >= set(CONTENT)


@pytest.mark.parametrize(
    ("page", "title"), [("docs/operations.md", "Ledger"), ("docs/operations.zh-CN.md", "用量记录")]
)
def test_operations_has_every_column_of_the_ledger(page: str, title: str) -> None:
    stated = [name for column, _ in rows(section(page, title)) for name in names(column)]
    assert sorted(stated) == sorted(
        column.name for column in LedgerRow.__table__.columns if column.name != "id"
    )


@pytest.mark.parametrize(
    ("page", "title"), [("docs/operations.md", "Rehearsals"), ("docs/operations.zh-CN.md", "故障演练")]
)
def test_operations_has_every_member_of_simulate(page: str, title: str) -> None:
    stated = [name for cells in rows(section(page, title)) for name in names(cells[0])]
    assert sorted(stated) == sorted(field.name for field in fields(Simulation))


def test_links_resolve() -> None:
    broken = []
    for page, target in links():
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors(str(file.resolve().relative_to(ROOT)))):
            broken.append(f"{page}: {target}")
    assert broken == []


@pytest.mark.parametrize(("english", "chinese"), TRANSLATIONS)
def test_both_languages_have_the_same_structure(english: str, chinese: str) -> None:
    levels = [[level for level, _ in headings(page)] for page in (english, chinese)]
    assert levels[0] == levels[1]
    tables = [[(len(cells), names(cells[0])) for cells in rows(prose(page))] for page in (english, chinese)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(("english", "chinese"), TRANSLATIONS)
def test_both_languages_name_the_same_things(english: str, chinese: str) -> None:
    """In each section and in each row of a table: the same words in backticks, and the same numbers."""
    for one, other in zip(sections(english), sections(chinese), strict=True):
        assert terms(one) == terms(other)
        table = [[terms(" ".join(cells)) for cells in rows(text)] for text in (one, other)]
        assert table[0] == table[1]


@pytest.mark.parametrize(("english", "chinese"), TRANSLATIONS)
def test_both_languages_have_the_same_code(english: str, chinese: str) -> None:
    code = [
        [(block.language, without_comments(block.text)) for block in blocks(page)]
        for page in (english, chinese)
    ]
    assert code[0] == code[1]


def test_security_names_tests_that_exist() -> None:
    """Each row of a promise names at least one."""
    missing = []
    promises = [cells for cells in rows(prose("SECURITY.md")) if len(cells) == len(("promise", "tests"))]
    assert promises
    for promise, tests in promises:
        named = [name.split("::") for name in names(tests)]
        assert named, promise
        for file, test in named:
            source = ROOT / file
            pattern = rf"^\s*(async )?(def|fn) {re.escape(test)}\("
            if not source.is_file() or not re.search(pattern, source.read_text("utf-8"), re.MULTILINE):
                missing.append(f"{file}::{test}")
    assert missing == []


def commands(page: str) -> list[list[str]]:
    """The arguments of each `llmgw` in its examples for a shell."""
    lines = [line for block in blocks(page) if block.language == "bash" for line in block.text.splitlines()]
    return [
        shlex.split(line, comments=True)[1:]
        for line in lines
        if line.startswith("llmgw ") and not re.search(r"[|…]|\\$", line)
    ]


def test_the_commands_shown_are_known() -> None:
    shown = [(page, command) for page in PAGES for command in commands(page)]
    assert len(shown) > 20
    wrong = []
    for page, command in shown:
        try:
            make_parser(command).parse_args(command)
        except SystemExit as error:
            if error.code:
                wrong.append(f"{page}: llmgw {shlex.join(command)}")
    assert wrong == []


@pytest.mark.parametrize("page", READMES)
@pytest.mark.parametrize("command", [CLAUDE_CODE, CODEX])
def test_the_readme_points_agents_where_the_demo_does(page: str, command: str) -> None:
    assert command.format(url="http://127.0.0.1:8000", model=MODEL) in (ROOT / page).read_text("utf-8")
