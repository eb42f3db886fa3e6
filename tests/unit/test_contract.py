"""`docs/contract.md` says what the code does: its tables, its example, the headings that comments cite."""

import argparse
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from llmgw._core import ChatRequest, RequestError, UpstreamError, clean_completion, dialect_for
from llmgw.access.amounts import MAX_AMOUNT
from llmgw.access.checks import MAX_KEY_MODELS, MAX_NAME_LENGTH
from llmgw.access.settings import MAX_RULES
from llmgw.admin import relay
from llmgw.admin.guard import MAX_AT_ONCE, MAX_BODY_BYTES, MAX_WAITING
from llmgw.asgi.encoding import MAX_MEMBERS, MAX_RATIO, RATIO_FREE_BYTES
from llmgw.budgets.alerts import Alert
from llmgw.budgets.store import BudgetState
from llmgw.budgets.windows import window_of
from llmgw.cli.main import VERBS, make_parser
from llmgw.config import DIALECTS, NANO, parse_config
from llmgw.config.families import FAMILIES, Refused
from llmgw.config.tables import MAX_PER_MINUTE
from llmgw.errors import ANTHROPIC, ERRORS, ApiError, anthropic_type
from llmgw.limits.user import MAX_USER_BYTES
from tests.support.pages import blocks, headings, names, rows, section
from tests.support.processes import ROOT

CONTRACT = "docs/contract.md"
MESSAGES = [{"role": "user", "content": "Hi"}]
# For each type in the table: values that the gateway accepts and refuses. `null` counts as absent.
VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "string": (["x"], [1, True, [], {}]),
    "number": ([1, 0.5], ["1", True, [], {}]),
    "integer": ([1, -1], ["1", 1.5, True]),
    "boolean": ([True, False], ["true", 1, {}]),
    "array": ([[], [{}]], ["x", {}]),
    "object": ([{}], ["x", [], True]),
    "string or object": (["x", {}], [1, []]),
    "string or array of strings": (["x", [], ["x"]], [1, {}, [1]]),
    "object with a string `type`": ([{"type": "x"}], ["x", {}, {"type": 1}]),
    "non-empty array of objects": ([MESSAGES], ["x", {}, [], ["x"]]),
    "any": (["x", 1, True, [], {}], []),
}
FIELDS = [
    (names(field)[0] if names(field) else "made_up", kind)
    for field, kind, _ in rows(section(CONTRACT, "Request fields"))
]
SOURCES = sorted(
    path
    for folder in ("rust", "python", "tests", "benches")
    for path in (ROOT / folder).rglob("*")
    if "target" not in path.parts
)


def scan(**members: object) -> ChatRequest:
    return ChatRequest(json.dumps({"model": "m", "messages": MESSAGES, **members}).encode())


@pytest.mark.parametrize(("field", "kind"), FIELDS)
def test_a_field_has_the_type_that_is_stated(field: str, kind: str) -> None:
    accepted, refused = VALUES[kind]
    for value in accepted:
        scan(**{field: value})
    for value in refused:
        with pytest.raises(RequestError) as caught:
            scan(**{field: value})
        assert (caught.value.code, str(caught.value.param).startswith(field)) == ("invalid_type", True), value


@pytest.mark.parametrize("field", [field for field, _ in FIELDS if field not in {"model", "messages"}])
def test_null_counts_as_absent(field: str) -> None:
    assert scan(**{field: None}).thinking is None


def test_every_stated_field_is_refused_twice_and_no_other() -> None:
    for field, kind in FIELDS:
        value = json.dumps(VALUES[kind][0][0])
        body = f'{{"model": "m", "messages": {json.dumps(MESSAGES)}, "{field}": {value}, "{field}": {value}}}'
        if field == "made_up":
            ChatRequest(body.encode())
            continue
        with pytest.raises(RequestError) as caught:
            ChatRequest(body.encode())
        assert (caught.value.code, caught.value.param) == ("duplicate_field", field)


@pytest.mark.parametrize("field", ["model", "messages"])
def test_a_required_field(field: str) -> None:
    with pytest.raises(RequestError) as caught:
        scan(**{field: None})
    assert (caught.value.code, caught.value.param) == ("missing_field", field)


def test_the_thinking_table_is_the_dialects() -> None:
    table = rows(section(CONTRACT, "Thinking"))
    dialects = [names(dialect)[0] for _, _, dialect, _, _ in table]
    assert list(dict.fromkeys(dialects)) == list(DIALECTS)
    patterns = [
        (names(pattern), names(example), dialect)
        for (pattern, example, *_), dialect in zip(table, dialects, strict=True)
    ]
    for pattern, example, dialect in patterns:
        if not example:
            continue  # chosen by config only
        assert dialect_for(example[0]) == dialect
        for prefix in pattern:
            assert prefix.endswith("*")
            assert example[0].lower().startswith(prefix[:-1])
            assert dialect_for(prefix[:-1]) == dialect
            assert dialect_for(f"vendor/{example[0]}") == "native"


def test_the_table_of_refusals_is_the_families() -> None:
    stated = {
        names(refused)[0]: families.lower().split(", ")
        for refused, _, families in rows(section(CONTRACT, "What a family refuses"))
    }
    known = {
        refused: [family.name for family in FAMILIES if refused in family.refuses]
        for refused in get_args(Refused)
    }
    assert {refused: sorted(families) for refused, families in stated.items()} == {
        refused: sorted(families) for refused, families in known.items()
    }


def test_the_error_table_is_the_codes() -> None:
    table = [
        (int(status), *names(code), *names(kind)) for status, code, kind in rows(section(CONTRACT, "Errors"))
    ]
    assert table == [(spec.status, code, spec.type) for code, spec in ERRORS.items()]


def test_the_types_for_anthropic_s_clients_are_as_stated() -> None:
    table = rows(section(CONTRACT, "Errors for Anthropic's clients"))
    stated = {int(status): names(kind)[0] for status, kind in table}
    assert stated == {
        status: anthropic_type(status)
        for status in sorted({ANTHROPIC.status(ApiError(code, "")) for code in ERRORS})
    }


def finish_reason(reason: str) -> str:
    message = {"role": "assistant", "content": "x"}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    answer = json.loads(clean_completion(json.dumps({"choices": [choice]}).encode()))
    return str(answer["choices"][0]["finish_reason"])


def test_the_finish_reasons_come_out_as_stated() -> None:
    *known, (other, same) = rows(section(CONTRACT, "Finish reasons"))
    assert (other, same) == ("anything else", "the same")
    for reasons, outcome in known:
        for reason in names(reasons):
            if names(outcome):
                assert finish_reason(reason) == names(outcome)[0]
            else:
                with pytest.raises(UpstreamError):
                    finish_reason(reason)
    for reason in ("stop", "length", "tool_calls", "content_filter", "function_call", "of_tomorrow"):
        assert finish_reason(reason) == reason


def test_the_depth_limit_is_as_stated() -> None:
    limits = dict(rows(section(CONTRACT, "Limits")))
    depth = int(limits["nesting of a request's JSON"].split()[0])

    def body(levels: int) -> bytes:
        nested = "[" * levels + "]" * levels
        return f'{{"model": "m", "messages": {json.dumps(MESSAGES)}, "x": {nested}}}'.encode()

    ChatRequest(body(depth - 1))
    with pytest.raises(RequestError) as caught:
        ChatRequest(body(depth))
    assert caught.value.code == "too_deep"


def test_the_example_of_a_config_loads() -> None:
    (example,) = (block.text for block in blocks(CONTRACT) if block.language == "toml")
    config = parse_config(tomllib.loads(example), Path("/etc/llmgw.toml"), {"DASHSCOPE_API_KEY": "sk-1"})
    assert f"{config.server.max_body_bytes // 2**20} MiB by default" in section(CONTRACT, "Limits")


def test_the_limits_of_packed_bodies_are_the_contract_s() -> None:
    said = dict(rows(section(CONTRACT, "Limits")))["the same in `gzip` or `zstd`, unpacked"]
    assert f"above {RATIO_FREE_BYTES // 2**20} MiB, {MAX_RATIO} times its size" in said
    assert f"{MAX_MEMBERS} members or frames" in said


def citations() -> Iterator[tuple[str, str]]:
    """Sections of the contract that comments name, with the file."""
    for path in SOURCES:
        if path.suffix in {".rs", ".py", ".pyi"} and path.name != Path(__file__).name:
            for before, after in re.findall(
                r'"([^"\n]+)" in the contract|the contract\'s "([^"\n]+)"', path.read_text("utf-8")
            ):
                yield str(path.relative_to(ROOT)), before or after


def test_comments_cite_sections_that_exist() -> None:
    found = dict(citations())
    assert found
    titles = {title for _, title in headings(CONTRACT)}
    assert {file: title for file, title in found.items() if title.rstrip(".") not in titles} == {}


def test_the_webhook_s_body_is_as_shown() -> None:
    (shown,) = (json.loads(block.text) for block in blocks(CONTRACT) if '"budget.warned"' in block.text)
    day = window_of("day", datetime.fromisoformat(shown["time"]), ZoneInfo("Asia/Shanghai"))
    state = BudgetState(
        id=2,
        scope="key",
        scope_id=1,
        name="ana",
        model="qwen3.6-plus",
        per_user=False,
        user="",
        unit="CNY",
        period="day",
        window=day,
        amount=20 * NANO,
        warn_at_permille=800,
        spent=1604 * NANO // 100,
        lifted=0,
        forgiven=0,
        warned_at=None,
        exhausted_at=None,
    )
    alert = Alert("warned", state, datetime.fromisoformat(shown["time"]))
    assert alert.document(ZoneInfo("Asia/Shanghai")) == shown


def commands(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    """Each verb below one as it is called, with its options."""
    positional, options = [name], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from commands(f"{name} {verb}", below)
            return
        if action.dest == "help" or action.help == argparse.SUPPRESS:
            continue
        if action.option_strings:
            options.append(next(each for each in action.option_strings if each.startswith("--")))
        else:
            word = str(action.metavar or action.dest.upper())
            positional.append(f"[{word}]" if action.nargs == "?" else word)
    yield " ".join(positional), options


def test_the_table_of_commands_is_the_parsers() -> None:
    table = rows(section(CONTRACT, "Command line"))
    stated = [(*names(command), names(options)) for command, options in table]
    assert stated == list(commands("llmgw", make_parser(list(VERBS))))


def test_the_caps_of_limits_and_budgets_are_as_stated() -> None:
    limits = dict(rows(section(CONTRACT, "Limits")))
    assert limits["a limit"] == f"{MAX_PER_MINUTE:,}"
    assert limits["a budget"].startswith(f"{MAX_AMOUNT // NANO:,} of the currency's unit, or {MAX_AMOUNT:,} ")
    assert limits["limits and budgets of one project or key"] == f"{MAX_RULES} of each"
    assert limits["name of a key, project or owner"] == f"{MAX_NAME_LENGTH} characters"
    assert limits["name of a user"].startswith(f"{MAX_USER_BYTES} bytes")
    assert limits["models in a key's list"] == f"{MAX_KEY_MODELS:,}"
    assert limits["body of a request to the admin API"] == f"{MAX_BODY_BYTES // 1024} KiB"
    assert limits["requests to the admin API at once"] == f"{MAX_AT_ONCE}, with {MAX_WAITING} that wait"
    passed_on = limits["requests of consoles that the admin API's own process passes on at once"]
    assert passed_on == f"{relay.MAX_AT_ONCE}, with {relay.MAX_HELD_BYTES >> 20} MiB of bodies"
    said = section(CONTRACT, "Admin API")
    assert all(f"`{method} {path}`" in said for method, path in relay.RELAYED)
    assert f"More than {relay.MAX_AT_ONCE} at once" in said
