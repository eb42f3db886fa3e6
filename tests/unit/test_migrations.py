"""Databases of earlier revisions become today's without loss, and back."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, select

from llmgw.access.keyring import KeyRing
from llmgw.access.keys import create_key, list_keys, rotate_key
from llmgw.access.projects import create_project, list_projects
from llmgw.access.settings import BudgetSetting, LimitChange
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.sums import Hours
from llmgw.store import UsageHour, open_store
from llmgw.store.revision import MIGRATIONS, revisions

TOKEN = "sk-gtw-of-an-earlier-version"
REVISIONS = ["0001", "0002", "0003", "0004", "0005"]
BEGAN = datetime(2026, 11, 23, 10, 59, 30, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "llmgw.db"


def alembic(file: Path, verb: str, revision: str) -> None:
    """`upgrade` or `downgrade`."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, verb)(config, revision)
    engine.dispose()


def tables(file: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables."""
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {
            name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]  # noqa: S608
            for name in names
            if name != "alembic_version"
        }


def schema(file: Path) -> list[tuple[str, str, list[tuple[Any, ...]]]]:
    """Every table and index with its columns."""
    with closing(sqlite3.connect(file)) as connection:
        made = connection.execute("SELECT type, name FROM sqlite_master ORDER BY type, name").fetchall()
        return [
            (kind, name, sorted(connection.execute(f'PRAGMA {kind}_xinfo("{name}")').fetchall()))
            for kind, name in made
        ]


def entries() -> Iterator[LedgerEntry]:
    """What an earlier version may have written."""
    for number in range(40):
        yield LedgerEntry(
            (BEGAN + timedelta(seconds=number * 17)).timestamp(),
            f"req_{number}",
            (200, 200, 429, 502)[number % 4],
            (0.1, 0.1001, 2.5, 61.0)[number % 4],
            key_id=None if number % 5 == 0 else 1 + number % 2,
            model=None if number % 7 == 0 else ("glm-5", "kimi-k3")[number % 2],
            upstream=None if number % 4 == 2 else "glm",
            error_kind="idle_timeout" if number % 9 == 0 else None,
            prompt_tokens=None if number % 3 == 0 else number,
            completion_tokens=None if number % 3 == 0 else 2 * number,
            reasoning_tokens=number if number % 2 else None,
            cached_tokens=3 if number % 2 else None,
            first_event_s=None if number % 4 == 2 else number / 10,
            stream=bool(number % 2),
        )


def fill(file: Path) -> None:
    """Rows in every table, as far as they have columns for it."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO api_keys (id, name, prefix, digest, models, created_at, expires_at, revoked_at)"
            " VALUES"
            " (1, 'ci', 'sk-gtw-of-a', ?, '[\"glm-5\"]', '2026-11-01 00:00:00', NULL, NULL),"
            " (2, '', 'sk-gtw-2222', x'02', NULL, '2026-11-02 00:00:00', '2027-01-01 00:00:00', NULL),"
            " (3, '旧', 'sk-gtw-3333', x'03', NULL, '2026-11-03 00:00:00', NULL, '2026-11-04 00:00:00')",
            (digest(),),
        )
        connection.execute("UPDATE key_epoch SET epoch = 5")
        for entry in entries():
            time = datetime.fromtimestamp(entry.time_s, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
            connection.execute(
                "INSERT INTO ledger (time, request_id, key_id, model, upstream, status, stream, error_kind,"
                " prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, usage_source,"
                " thinking_observed, first_event_s, total_s)"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,'upstream',0,?,?)",
                (
                    time, entry.request_id, entry.key_id, entry.model, entry.upstream, entry.status,
                    entry.stream, entry.error_kind, entry.prompt_tokens, entry.completion_tokens,
                    entry.reasoning_tokens, entry.cached_tokens, entry.first_event_s, entry.total_s,
                ),
            )  # fmt: skip


def digest() -> bytes:
    """Of `TOKEN`."""
    return sha256(TOKEN.encode()).digest()


def without_new(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {name: new[name] for name in old}


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_earlier_revision_is_taken_over_without_loss(file: Path, revision: str) -> None:
    alembic(file, "upgrade", revision)
    fill(file)
    before = tables(file)
    store = open_store(f"sqlite:///{file}")
    after = tables(file)
    for name, rows in before.items():
        assert rows, name
        assert [without_new(*pair) for pair in zip(rows, after[name], strict=True)] == rows
    [project] = list_projects(store)
    assert (project.id, project.name, project.blocked_at) == (1, "default", None)
    keys = list_keys(store)
    assert {(key.project, key.kind, key.owner, key.trusts_user_header, key.blocked_at) for key in keys} == {
        ("default", "model", None, False, None)
    }
    assert [key.state for key in keys] == ["active", "active", "revoked"]
    key = KeyRing(store).lookup(TOKEN)
    assert key is not None
    assert (key.id, key.models) == (1, frozenset({"glm-5"}))
    store.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_earlier_rows_are_summed_as_new_ones_are(file: Path, revision: str) -> None:
    alembic(file, "upgrade", revision)
    fill(file)
    open_store(f"sqlite:///{file}").close()
    names = [column.name for column in UsageHour.__table__.columns]
    expected = [(*group, *sums) for group, sums in Hours(UTC).sums(entries()).items()]
    store = open_store(f"sqlite:///{file}")
    with store.read() as session:
        found = [
            tuple(row) for row in session.execute(select(*(UsageHour.__table__.c[name] for name in names)))
        ]
    store.close()
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("revision", REVISIONS)
def test_there_and_back(file: Path, tmp_path: Path, revision: str) -> None:
    alembic(file, "upgrade", revision)
    fill(file)
    before, columns = tables(file), schema(file)
    store = open_store(f"sqlite:///{file}")
    key, _ = create_key(
        store,
        actor="test",
        name="new",
        project=create_project(store, actor="test", name="p").name,
        limits=[LimitChange({"requests_per_minute": 5})],
        budgets=[BudgetSetting(10, "tokens", "day")],
    )
    rotate_key(store, str(key.id), actor="test", grace=timedelta(hours=1))
    store.close()
    alembic(file, "downgrade", revision)
    after = tables(file)
    assert len(after["api_keys"]) == len(before["api_keys"]) + 1  # the key that was made since is still there
    after["api_keys"].pop()
    after["key_epoch"] = before["key_epoch"]
    assert after == before
    fresh = tmp_path / "fresh.db"
    alembic(fresh, "upgrade", revision)
    assert sorted(schema(file)) == sorted(columns) == sorted(schema(fresh))
    open_store(f"sqlite:///{file}").close()


def test_the_list_of_revisions_is_complete() -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    assert [*REVISIONS, "0006", "0007", script.get_current_head()] == sorted(
        each.revision for each in script.walk_revisions()
    )


def test_two_processes_that_start_together_migrate_once(file: Path) -> None:
    alembic(file, "upgrade", "0005")
    fill(file)
    file.chmod(0o600)
    program = f"from llmgw.store import open_store; open_store('sqlite:///{file}').close()"
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [b""] * 4
    found = tables(file)
    assert [row["name"] for row in found["projects"]] == ["default"]
    assert (
        sum(row["requests"] for row in found["usage_hours"]) == len(found["ledger"]) == len(list(entries()))
    )


def test_the_revisions_are_those_that_alembic_knows() -> None:
    """A start reads them from the names of the files, without Alembic."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    known = ScriptDirectory.from_config(config).walk_revisions()  # the newest first
    assert [script.revision for script in known][::-1] == list(revisions())
