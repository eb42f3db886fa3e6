"""The database: opened by many at once, migrated to what the models say, private."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import OperationalError, StatementError

from llmgw.config import load_config
from llmgw.errors import CommandError
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.writer import Ledger
from llmgw.store import ApiKey, Base, KeyEpoch, Secret, Store, StoreError, StoreGoneError, open_store
from llmgw.store.open import opened_store
from llmgw.store.revision import MIGRATIONS
from llmgw.store.sqlite import _denied, open_sqlite

PROCESSES = 6


def key_row(**changes: object) -> ApiKey:
    row = ApiKey(
        name="n",
        prefix="p",
        digest=b"d",
        models=None,
        created_at=datetime.now(UTC),
        expires_at=None,
        revoked_at=None,
    )
    for name, value in changes.items():
        setattr(row, name, value)
    return row


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/a folder.db"


def test_migrations_lead_to_the_models(url: str) -> None:
    open_store(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_opened_again_it_keeps_its_rows(url: str) -> None:
    store = open_store(url)
    with store.write() as session:
        session.add(key_row())
    store.close()
    store = open_store(url)
    with store.read() as session:
        assert session.scalars(select(ApiKey.name)).all() == ["n"]
    store.close()


def test_processes_that_start_together(url: str) -> None:
    # A fresh file each: the switch to WAL and the migration are where they could meet.
    program = f"from llmgw.store import open_store; open_store({url!r}).close()"
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(PROCESSES)
    ]
    failures = [process.communicate()[1] for process in processes]
    assert failures == [b""] * PROCESSES
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT id, epoch FROM key_epoch").fetchall() == [(1, 0)]


def test_commits_are_flushed(url: str) -> None:
    store = open_store(url)
    with store.read() as session:
        assert session.scalar(text("PRAGMA synchronous")) == 2  # FULL
    store.close()


def test_the_file_is_private(url: str) -> None:
    open_store(url).close()
    assert Path(url.removeprefix("sqlite:///")).stat().st_mode & 0o777 == 0o600


def test_a_reader_does_not_wait_for_a_writer(url: str) -> None:
    store = open_store(url)
    with store.write() as writing:
        writing.add(key_row())
        writing.flush()
        with store.read() as reading:
            assert reading.scalars(select(ApiKey)).all() == []
    store.close()


def test_a_failed_transaction_changes_nothing(url: str) -> None:
    store = open_store(url)

    def fail() -> None:
        with store.write() as session:
            session.get_one(KeyEpoch, 1).epoch = 7
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as session:
        assert session.get_one(KeyEpoch, 1).epoch == 0
    store.close()


def test_times_are_utc_and_aware(url: str) -> None:
    store = open_store(url)
    shanghai = datetime(2026, 11, 23, 1, 30, tzinfo=timezone(timedelta(hours=8)))
    with store.write() as session:
        session.add(key_row(created_at=shanghai))
    with store.read() as session:
        [time] = session.scalars(select(ApiKey.created_at))
    assert (time, time.tzinfo) == (shanghai, UTC)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert (
            connection.execute("SELECT created_at FROM api_keys").fetchone()[0].startswith("2026-11-22 17:30")
        )
    store.close()


def test_a_time_without_a_zone_is_a_defect(url: str) -> None:
    store = open_store(url)
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  (the point of the test)

    def write() -> None:
        with store.write() as session:
            session.add(key_row(created_at=naive))

    with pytest.raises(StatementError, match="without a zone"):
        write()
    store.close()


def _missing_folder(folder: Path) -> str:
    return f"{folder}/none/x.db"


def _folder(folder: Path) -> str:
    return str(folder)


def _no_database(folder: Path) -> str:
    file = folder / "x.db"
    file.write_text("something else entirely, longer than a SQLite header", "utf-8")
    return str(file)


def _from_the_future(folder: Path) -> str:
    file = folder / "x.db"
    open_store(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    return str(file)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (_missing_folder, "can't open the database .*: its folder does not exist"),
        (_folder, "can't open the database .*: unable to open database file"),
        (_no_database, "can't open the database .*: file is not a database"),
        (_from_the_future, "x.db is no database that this version of llmgw knows: .*9999"),
    ],
    ids=lambda row: row.__name__ if callable(row) else "",
)
def test_what_can_t_be_opened(tmp_path: Path, make: Callable[[Path], str], expected: str) -> None:
    with pytest.raises(StoreError, match=expected):
        open_store(f"sqlite:///{make(tmp_path)}")


def test_a_locked_database_fails_in_the_end(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    store: Store = open_store(url)

    def write_too() -> None:
        with store.write():
            pass

    with store.write(), pytest.raises(OperationalError, match="locked"):
        write_too()
    store.close()


def test_a_command_at_a_locked_database_says_what_to_do(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmgw.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    file = tmp_path / "llmgw.toml"
    file.write_text(
        f'[store]\nurl = "{url}"\n[upstreams.a]\nbase_url = "http://127.0.0.1:1"\n'
        '[[models]]\nid = "m"\nupstream = "a"\n',
        "utf-8",
    )
    config = load_config(file)
    store = open_store(url)
    said = "database is locked; another process writes to it: try again"
    with (
        store.write(),
        pytest.raises(CommandError, match=said),
        opened_store(config.store) as same,
        same.write(),
    ):
        pass
    store.close()


def test_an_open_needs_no_lock_where_nothing_is_to_be_migrated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmgw.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    store = open_store(url)
    with store.write():
        open_store(url).close()
    store.close()


def test_a_file_that_is_gone_is_neither_read_nor_made(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    file = Path(url.removeprefix("sqlite:///"))
    file.rename(tmp_path / "away")
    for use in (store.read, store.write):
        with pytest.raises(StoreGoneError, match="No such file"), use():
            pass
    assert not file.exists()
    (tmp_path / "away").rename(file)
    with store.write() as session:
        session.add(key_row())
    store.close()


def test_a_commit_into_a_file_that_was_moved_meanwhile_is_a_failure(url: str, tmp_path: Path) -> None:
    store = open_store(url)

    def write() -> None:
        with store.write() as session:
            session.add(key_row())
            Path(url.removeprefix("sqlite:///")).rename(tmp_path / "away")

    with pytest.raises(StoreGoneError):
        write()
    store.close()


def test_a_file_in_the_place_of_the_old_one_is_used(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    other = open_store(f"sqlite:///{tmp_path}/other.db")
    with other.write() as session:
        session.add(key_row(name="other"))
    other.close()
    file = Path(url.removeprefix("sqlite:///"))
    for left in tmp_path.glob(f"{file.name}-*"):
        left.unlink()
    (tmp_path / "other.db").replace(file)
    with store.read() as session:
        assert session.scalars(select(ApiKey.name)).all() == ["other"]
    assert store.generation == 1
    store.close()


def _downgrade(url: str, revision: str) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def test_an_older_database_is_migrated_with_its_rows(url: str) -> None:
    open_store(url).close()
    _downgrade(url, "0002")
    file = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO ledger (time, request_id, status, stream, usage_source, thinking_observed, total_s)"
            " VALUES ('2026-11-24 00:00:00', 'req_1', 200, 0, 'none', 0, 1.0)"
        )
    open_store(url).close()
    with closing(sqlite3.connect(file)) as connection:
        # Whether such a row was of chat or of text completions is not known, so nothing is said.
        assert connection.execute("SELECT request_id, api FROM ledger").fetchall() == [("req_1", None)]
        indexes = connection.execute("SELECT name FROM pragma_index_list('ledger') WHERE \"unique\"")
        assert indexes.fetchall() == [("ux_ledger_request_id",)]


def test_rows_that_are_older_than_the_sums_are_summed(url: str) -> None:
    """As the ledger sums them now, but for the project, which nobody knows: by hours of UTC."""
    noon_s = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
    early = LedgerEntry(noon_s, "1", 200, 0.1, key_id=7, model="m", upstream="u", api="chat")
    early = early._replace(prompt_tokens=10, completion_tokens=3, reasoning_tokens=2, cached_tokens=1)
    entries = [
        early,
        early._replace(time_s=noon_s + 3599.9, request_id="2", total_s=0.11),
        LedgerEntry(noon_s + 3600, "3", 200, 61.0, key_id=7, model="m", first_event_s=60.0, error_kind="x"),
        LedgerEntry(noon_s + 3600, "4", 404, 0.0),
        LedgerEntry(noon_s + 3600, "5", 200, 2.0, completion_tokens=1, first_event_s=0.0),
    ]
    store = open_store(url)
    ledger = Ledger(store)
    for entry in entries:
        ledger.record(entry)
    ledger.close_blocking()
    store.close()
    file = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as connection:
        kept = connection.execute("SELECT * FROM usage_hours").fetchall()
    _downgrade(url, "0005")
    open_store(url).close()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT * FROM usage_hours").fetchall() == kept
    assert len(kept) == 3


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_access_of_others_is_taken_away(url: str, caplog: pytest.LogCaptureFixture, mode: int) -> None:
    store = open_store(url)
    with store.write() as session:
        session.add(key_row())  # so that there is a log beside it
    path = Path(url.removeprefix("sqlite:///"))
    files = [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]
    for file in files:
        file.chmod(mode)
    open_store(url).close()
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    assert caplog.text.count(f"was open to others ({mode:o})") == 3
    store.close()


OPEN_AS_NOBODY = """
import os, sys
from llmgw.config import load_config
from llmgw.errors import CommandError
from llmgw.store.open import opened_store
from pathlib import Path
config = load_config(Path(sys.argv[1]))
os.setuid(65_534)
try:
    with opened_store(config.store):
        print("open")
except CommandError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
@pytest.mark.parametrize("kind", ["the file", "the folder"])
def test_what_belongs_to_root_says_so(kind: str) -> None:
    """As after `sudo llmgw keys create`: the service can't use what root has made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777 if kind == "the file" else 0o755)
        (folder / "llmgw.toml").write_text(
            '[upstreams.a]\nbase_url = "http://127.0.0.1:1"\n[[models]]\nid = "m"\nupstream = "a"\n', "utf-8"
        )
        if kind == "the file":
            open_store(f"sqlite:///{folder}/llmgw.db").close()
        command = [sys.executable, "-c", OPEN_AS_NOBODY, str(folder / "llmgw.toml")]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        place, mode = (folder / "llmgw.db", "0600") if kind == "the file" else (folder, "0755")
        assert f"{place} belongs to root (mode {mode}), and this process runs as nobody; " in said
        assert f"chown nobody {place}" in said


def test_a_file_on_a_read_only_disk_is_not_called_another_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner and mode allow all, so chown would not help."""
    file = tmp_path / "llmgw.db"
    file.touch(0o600)
    monkeypatch.setattr(os, "access", lambda place, _mode: place != file)
    told = _denied(file)
    assert told is not None
    assert str(told) == f"can't open the database {file}: {file} may only be read"
    assert "mounted" in told.remedy


def test_threads_that_meet_a_new_file(url: str, tmp_path: Path) -> None:
    """Each replacement is one generation, however many threads see it."""
    store = open_sqlite(url)
    path = Path(url.removeprefix("sqlite:///"))
    for generation in range(1, 21):
        other = tmp_path / f"other-{generation}.db"
        open_store(f"sqlite:///{other}").close()
        other.rename(path)
        with ThreadPoolExecutor(8) as pool:
            identities = set(pool.map(lambda _: store._locate(), range(8)))
        assert len(identities) == 1
        assert store.generation == generation
    store.close()


def test_the_seal_secret_is_made_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/llmgw.db"
    values = []
    for _ in range(2):
        store = open_store(url)
        with store.read() as session:
            values.append(session.get_one(Secret, "seal").value)
        store.close()
    other = open_store(f"sqlite:///{tmp_path}/other.db")
    with other.read() as session:
        foreign = session.get_one(Secret, "seal").value
    other.close()
    assert values[0] == values[1]
    assert len(values[0]) == 32
    assert foreign != values[0]
