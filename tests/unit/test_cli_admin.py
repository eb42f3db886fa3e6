"""The verbs that show what the admin API shows: the same functions, the same JSON."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from llmgw.access.captures import open_lease, store_captured
from llmgw.access.keys import create_key, update_key
from llmgw.config import load_config
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.requests import SCANNED_ROWS, RequestFilter, list_requests
from llmgw.ledger.rows import insertion
from llmgw.store import Store, open_store
from tests.support.cli import Run
from tests.support.processes import ROOT

NOW_S = datetime(2026, 11, 26, 8, tzinfo=UTC).timestamp()


@pytest.fixture
def store(config: Path) -> Store:
    """The config's database."""
    return open_store(load_config(config, secrets=False).store.url)


def entry(number: int, **more: Any) -> LedgerEntry:  # noqa: ANN401
    return LedgerEntry(NOW_S + number, f"req_{number}", **{"status": 200, "total_s": 1.5, **more})


def insert(store: Store, *entries: LedgerEntry) -> None:
    with store.write() as session:
        connection = session.connection()
        statement = insertion(connection.dialect)
        connection.exec_driver_sql(statement.sql, [statement.row(each) for each in entries])


def shown(run: Run, *arguments: str) -> Any:  # noqa: ANN401
    """What a verb prints with --json."""
    status, out, err = run(*arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def test_requests(run: Run, store: Store) -> None:
    insert(
        store,
        entry(
            1,
            model="a",
            key_id=1,
            prompt_tokens=1000,
            completion_tokens=5,
            cost=1_500_000_000,
            currency="CNY",
        ),
        entry(2, model="b", key_id=2, error_kind="idle_timeout"),
        entry(3, model="a", key_id=2, status=429, error_kind="rate_limit_exceeded", user="王伟"),
    )
    assert [row["request_id"] for row in shown(run, "requests", "list")] == ["req_3", "req_2", "req_1"]
    assert [row["request_id"] for row in shown(run, "requests", "list", "--limit", "1")] == ["req_3"]
    rows: list[tuple[list[str], list[str]]] = [
        (["--model", "a"], ["req_3", "req_1"]),
        (["--key", "2"], ["req_3", "req_2"]),
        (["--failed"], ["req_3", "req_2"]),
        (["--worked"], ["req_1"]),
        (["--status", "429"], ["req_3"]),
        (["--user", "王伟"], ["req_3"]),
        (["--error-kind", "idle_timeout"], ["req_2"]),
        (["--since", "2026-11-26T08:00:02Z"], ["req_3", "req_2"]),
        (["--until", "2026-11-26T16:00:02+08:00"], ["req_1"]),
        (["--since", "2026-11-27"], []),
        (["--api", "rerank"], []),
    ]
    for arguments, expected in rows:
        assert [row["request_id"] for row in shown(run, "requests", "list", *arguments)] == expected, (
            arguments
        )
    one = shown(run, "requests", "show", "req_1")
    assert (one["cost"], one["currency"], one["time"]) == ("1.50", "CNY", "2026-11-26T08:00:01Z")
    status, out, _ = run("requests", "list")
    assert status == 0
    assert "1,000+5" in out
    assert "1.50 CNY" in out
    assert "cost  " in run("requests", "show", "req_1").out
    assert "there is no request 'req_9'" in run("requests", "show", "req_9").err


def test_a_page_ends_after_so_many_rows_that_were_looked_at(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmgw.ledger.requests.SCANNED_ROWS", 4)
    assert SCANNED_ROWS == 100_000
    insert(store, *(entry(number, model="rare" if number in {0, 9} else "usual") for number in range(10)))
    found, pages, after = [], 0, None
    while True:
        page = list_requests(store, RequestFilter(model="rare"), limit=5, after=after)
        found += [row.request_id for row in page.rows]
        pages, after = pages + 1, page.next
        if after is None:
            break
    assert found == ["req_9", "req_0"]
    assert pages == 3


def test_rows_of_one_moment_are_all_listed_once(store: Store) -> None:
    insert(store, *(LedgerEntry(NOW_S, f"req_{number}", 200, 1.0) for number in range(7)))
    found, after = [], None
    while True:
        page = list_requests(store, RequestFilter(), limit=2, after=after)
        found += [row.request_id for row in page.rows]
        after = page.next
        if after is None:
            break
    assert found == [f"req_{number}" for number in reversed(range(7))]


def test_audit(run: Run, store: Store) -> None:
    key = create_key(store, actor="key 7 (ops)", name="first").key
    update_key(store, key.id, actor="cli me@here", name="second")
    entries = shown(run, "audit", "list")
    assert [(each["action"], each["actor"]) for each in entries] == [
        ("key.update", "cli me@here"), ("key.create", "key 7 (ops)"),
    ]  # fmt: skip
    assert shown(run, "audit", "list", "--actor", "cli me@here") == entries[:1]
    assert (
        shown(run, "audit", "list", "--action", "key.", "--target", f"key {key.id}", "--limit", "1")
        == entries[:1]
    )
    assert shown(run, "audit", "list", "--until", "1h") == []
    assert 'name: "first" → "second"' in run("audit", "list").out


@pytest.mark.usefixtures("config")
def test_models_and_upstreams_of_a_gateway_that_does_not_run(run: Run) -> None:
    model, *_ = shown(run, "models", "list")
    assert model["targets"][0]["state"] is None
    [upstream] = shown(run, "upstreams", "list")
    assert upstream["targets"][0]["workers"] == []
    assert upstream["latency"]["requests"] == 0
    for verb in ("models", "upstreams"):
        status, out, _ = run(verb, "list")
        assert status == 0
        assert model["id"] in out


def test_the_config_is_shown_with_defaults_and_without_secrets(
    run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = config.read_text("utf-8")
    price = 'price = {input = 2.0, output = 12.5, times = [{hours = "00:30-08:30", factor = 0.5}]}'
    config.write_text(
        f'{text}\n{price}\n[alerts]\nurl = "https://example.com/hook?token=secret-token"\n', "utf-8"
    )
    without = shown(run, "config", "show")
    assert [fault["path"] for fault in without["faults"]] == ["upstreams.local.api_key"]
    monkeypatch.setenv("CLI_TEST_KEY", "sk-very-secret")
    found = shown(run, "config", "show")
    assert found["faults"] == []
    assert found["config"]["upstreams"]["local"]["api_key"] == "**********"
    assert found["source"] == str(config.resolve())
    shown_price = found["config"]["models"][-1]["price"]
    assert (shown_price["input"], shown_price["output"], shown_price["per_request"]) == ("2", "12.5", "0")
    assert shown_price["times"][0]["hours"] == ["00:30-08:30"]
    assert shown_price["times"][0]["factor"] == "0.5"
    assert found["config"]["server"]["max_body_bytes"] == 33_554_432
    assert found["config"]["alerts"]["url"] == "**********"
    status, out, _ = run("config", "show")
    assert status == 0
    assert "server.port = 8000" in out
    for secret in ("secret-token", "sk-very-secret"):
        assert secret not in out + json.dumps([found, without])


def test_captures(run: Run, store: Store, config: Path) -> None:
    key = create_key(store, actor="test", name="captured").key
    refused = run("capture", "open", "captured")
    assert refused.status == 1
    assert "[admin] capture = true" in refused.err
    config.write_text(config.read_text("utf-8") + "\n[admin]\ncapture = true\n", "utf-8")
    made = shown(run, "capture", "open", "captured", "--for", "5m", "--requests", "3", "--body-bytes", "100")
    assert (made["key_id"], made["max_requests"], made["max_body_bytes"]) == (key.id, 3, 100)
    [lease] = shown(run, "capture", "list")
    assert lease["is_open"]
    assert "is open already" in run("capture", "open", str(key.id)).err
    assert "must be from 1 to 3600" in run("capture", "open", str(key.id), "--for", "2h").err
    opened = open_lease(store, create_key(store, actor="test", name="other").key.id, actor="test")
    bodies = b'{"a":1}', "data: 你好\n\n".encode()
    store_captured(store, opened, "req_1", datetime.now(UTC), bodies=bodies, is_cut=False)
    [captured] = shown(run, "capture", "show", str(opened.id))
    assert captured["request_id"] == "req_1"
    read = shown(run, "capture", "show", str(opened.id), "req_1")
    assert (read["request_body"], read["response_body"]) == ('{"a":1}', "data: 你好\n\n")
    assert "data: 你好" in run("capture", "show", str(opened.id), "req_1").out
    assert shown(run, "capture", "close", str(key.id))["is_open"] is False
    assert "no capture of the key" in run("capture", "close", str(key.id)).err
    assert "there is no capture 99" in run("capture", "show", "99").err
    actions = [each["action"] for each in shown(run, "audit", "list", "--action", "capture.")]
    assert actions == ["capture.close", "capture.read", "capture.read", "capture.open", "capture.open"]


def test_a_lease_takes_no_more_than_it_says(store: Store) -> None:
    key = create_key(store, actor="test", name="k").key
    lease = open_lease(store, key.id, actor="test", max_requests=2, duration=timedelta(minutes=1))
    now = datetime.now(UTC)
    stored = [
        store_captured(store, lease, f"req_{number}", now, bodies=(b"", b""), is_cut=False)
        for number in range(3)
    ]
    assert stored == [True, True, False]


def test_the_document_is_printed(run: Run) -> None:
    status, out, _ = run("admin", "openapi")
    assert status == 0
    assert out == (ROOT / "docs/admin-openapi.json").read_text("utf-8")
