"""docs/deploy.md and docs/upgrade.md: backups by the commands of the pages, and what versions promise.

There is no other version to test with. A newer one is a database with columns, a table and a revision that
this version does not know.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import pytest
from sqlalchemy import insert

from llmgw.access.keys import create_key
from llmgw.store import LedgerRow, open_store
from tests.packaging.deployed import CONFIG, MODEL
from tests.support.pages import blocks, read
from tests.support.postgres import PostgresServer, _programs
from tests.support.processes import ROOT, Process, free_port, wait_until
from tests.support.simulator import SimulatorProcess

SQLITE3: Final = """\
import sqlite3, sys
file, command = sys.argv[1:]
if command.startswith(".backup "):
    with sqlite3.connect(command.split("'")[1]) as target:
        sqlite3.connect(file).backup(target)
else:
    print(sqlite3.connect(file).execute(command).fetchone()[0])
"""
"""Stands in for the program where it is not installed."""
NEWER: Final = """
ALTER TABLE ledger ADD COLUMN of_the_future VARCHAR;
ALTER TABLE api_keys ADD COLUMN of_the_future INTEGER;
CREATE TABLE of_the_future (id INTEGER PRIMARY KEY);
UPDATE alembic_version SET version_num = '9999';
"""


class Machine:
    """What the pages' commands find: folders, programs, a config."""

    def __init__(self, folder: Path, simulator: str) -> None:
        """Everything of the machine is below `folder`."""
        self.folder = folder
        self.places = {name: folder / name.strip("/").replace("/", "-") for name in PLACES}
        for place in self.places.values():
            place.mkdir()
        self.places["/tmp/drill"].rmdir()  # noqa: S108  (the page's commands make it)
        self.state = self.places["/var/lib/llmgw"]
        self.database = self.state / "llmgw.db"
        self.port = free_port()
        self.config = self.places["/etc/llmgw"] / "llmgw.toml"
        self.config.write_text(
            CONFIG.format(port=self.port, state=self.state, simulator=simulator, model=MODEL), "utf-8"
        )
        self.programs = folder / "bin"
        self.programs.mkdir()
        self._program("systemctl", "#!/bin/sh\n")
        if shutil.which("sqlite3") is None:
            self._program("sqlite3", f"#!{sys.executable}\n{SQLITE3}")

    def _program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text, "utf-8")
        (self.programs / name).chmod(0o755)

    def run(self, commands: str, **variables: str) -> str:
        """What a page's commands print. CalledProcessError if one of them fails."""
        pattern = "|".join(sorted(PLACES, key=len, reverse=True))
        here = re.sub(pattern, lambda found: str(self.places[found[0]]), commands)
        here = here.replace("-o llmgw -g llmgw ", "")  # a user of the machine
        path = os.pathsep.join((str(self.programs), str(Path(sys.executable).parent), os.environ["PATH"]))
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", here],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **variables, "PATH": path},
        ).stdout

    def llmgw(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command of llmgw with the machine's config."""
        command = [str(Path(sys.executable).with_name("llmgw")), *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def serve(self) -> Process:
        """A gateway that answers."""
        process = Process("llmgw", "serve", "--config", str(self.config), folder=self.folder)
        process.wait_ready(f"{self.url}/readyz")
        return process

    @property
    def url(self) -> str:
        """Of the gateway."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, key: str) -> int:
        """The status of a small completion."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {key}"}
        answer = httpx.post(
            f"{self.url}/v1/chat/completions", json=body, headers=headers, trust_env=False, timeout=20
        )
        return answer.status_code

    def rows(self) -> int:
        """Of the ledger."""
        with closing(sqlite3.connect(self.database)) as connection:
            found: int = connection.execute("SELECT count(*) FROM ledger").fetchone()[0]
            return found


PLACES: Final = ("/var/lib/llmgw", "/etc/llmgw", "/backup", "/tmp/drill")  # noqa: S108


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with SimulatorProcess(tmp_path) as simulator:
        yield Machine(tmp_path, simulator.url)


def commands(page: str, word: str) -> str:
    """The page's one block of shell commands with this word."""
    [found] = [block.text for block in blocks(page) if block.language == "bash" and word in block.text]
    return found


def new_key(database: Path, name: str) -> str:
    store = open_store(f"sqlite:///{database}")
    try:
        return create_key(store, actor="test", name=name).token
    finally:
        store.close()


def test_a_backup_is_made_beside_a_running_gateway_tried_and_put_in_place(machine: Machine) -> None:
    """By the commands of the page, word for word but for folders and users."""
    page = "docs/deploy.md"
    before = new_key(machine.database, "before")
    process = machine.serve()
    try:
        assert machine.ask(before) == 200
        wait_until(lambda: machine.rows() == 1, "the row is stored", timeout_s=10)
        assert machine.run(commands(page, "integrity_check")) == "ok\n"
        shown = machine.run(commands(page, "budgets verify"))
        assert "before" in shown
        assert not machine.places["/tmp/drill"].exists()  # noqa: S108
        assert machine.ask(before) == 200
        after = new_key(machine.database, "after")
        wait_until(lambda: machine.ask(after) == 200, "the new key is known", timeout_s=10)
    finally:
        process.stop()
    assert machine.rows() > 1
    machine.run(commands(page, "systemctl stop"))
    assert machine.rows() == 1
    process = machine.serve()
    try:
        assert (machine.ask(before), machine.ask(after)) == (200, 401)
    finally:
        process.stop()
    kept = machine.state / "before" / "llmgw.db"
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT count(*) FROM api_keys").fetchone() == (2,)


def test_rows_in_the_journal_outlive_a_restore(machine: Machine) -> None:
    page = "docs/deploy.md"
    new_key(machine.database, "before")
    machine.run(commands(page, "integrity_check"))
    journal = machine.state / "llmgw.db.journal"
    journal.mkdir(mode=0o700)
    (journal / "kept").write_text("")
    machine.run(commands(page, "systemctl stop"))
    assert (journal / "kept").exists()


def test_a_running_gateway_goes_on_when_a_newer_version_migrates(machine: Machine) -> None:
    key = new_key(machine.database, "before")
    process = machine.serve()
    try:
        assert machine.ask(key) == 200
        wait_until(lambda: machine.rows() == 1, "the row is stored", timeout_s=10)
        machine.run(commands("docs/upgrade.md", "llmgw-before.db").replace("llmgw --version", ""))
        with closing(sqlite3.connect(machine.database)) as connection:
            connection.executescript(NEWER)
        assert machine.ask(key) == 200
        wait_until(lambda: machine.rows() == 2, "a row is stored in the newer database", timeout_s=10)
        with closing(sqlite3.connect(machine.database)) as connection, connection:
            connection.execute("UPDATE api_keys SET revoked_at = '2026-01-01 00:00:00'")
            connection.execute("UPDATE key_epoch SET epoch = epoch + 1")
        wait_until(lambda: machine.ask(key) == 401, "the revoked key is refused", timeout_s=10)
        for command in (("keys", "list"), ("serve", "--port", str(free_port()))):
            refused = machine.llmgw(*command)
            assert refused.returncode == 1
            assert "is no database that this version of llmgw knows" in refused.stderr
    finally:
        process.stop()
    assert machine.run(commands("docs/upgrade.md", "SELECT version_num")) == "9999\n"
    restore = commands("docs/deploy.md", "systemctl stop").replace(
        "/backup/llmgw.db", "/backup/llmgw-before.db"
    )
    machine.run(restore)
    process = machine.serve()
    try:
        assert machine.ask(key) == 200
    finally:
        process.stop()


def test_a_dump_of_postgresql_is_a_whole_database(
    machine: Machine, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres.new_database()
    store = open_store(postgres.url(database))
    try:
        create_key(store, actor="test", name="before")
        with store.write() as session:
            session.execute(insert(LedgerRow), [ledger_row(number) for number in range(3)])
    finally:
        store.close()
    as_superuser = postgres._conninfo("{}")
    monkeypatch.setenv("PATH", os.pathsep.join((str(_programs()), os.environ["PATH"])))
    variables = {
        "LLMGW_DATABASE": as_superuser.format(database),
        "LLMGW_DRILL": as_superuser.format("llmgw_drill"),
    }
    machine.run(commands("docs/deploy.md", "pg_dump"), **variables)
    machine.run(commands("docs/deploy.md", "pg_restore"), **variables)
    count = "SELECT count(*) FROM {}"
    for table in ("api_keys", "ledger", "usage_hours", "secrets"):
        counts = [postgres.ask(count.format(table), database=name) for name in (database, "llmgw_drill")]
        assert counts[0] == counts[1], table
    assert postgres.ask(count.format("ledger"), database="llmgw_drill") == [(3,)]


def ledger_row(number: int) -> dict[str, object]:
    return {
        "time": datetime(2026, 11, 26, tzinfo=UTC),
        "request_id": f"req_{number}",
        "status": 200,
        "stream": False,
        "usage_source": "upstream",
        "thinking_observed": False,
        "total_s": 1.0,
    }


@pytest.mark.parametrize("page", ["docs/deploy.md", "docs/upgrade.md"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = set(re.findall(r"(?<![\w/.])(deploy/[\w./-]+|requirements-\w+\.lock)", read(page)))
    assert named
    missing = {name for name in named if not (ROOT / name).exists() and not name.startswith("deploy/secrets")}
    assert missing == set()
