"""The folder through which a serving process, its workers and `llmgw reload` talk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmgw.config import ConfigError, Fault, load_config
from llmgw.serving.run_folder import RUN_FOLDER_ENV, ActiveConfig, ReloadResult, RunFolder, WorkerState

CONFIG = """
[upstreams.local]
base_url = "http://127.0.0.1:1/v1"
api_key = "file:secret"

[[models]]
id = "m"
upstream = "local"
"""
HOLD = """
import sys
from llmgw.serving.run_folder import RunFolder
folder = RunFolder.create(sys.argv[1])
print(folder.pid, flush=True)
sys.stdin.read()
folder.remove()
"""


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    (tmp_path / "secret").write_text("sk-one", "utf-8")
    (tmp_path / "llmgw.toml").write_text(CONFIG, "utf-8")
    return f"sqlite:///{tmp_path}/llmgw.db"


def current(tmp_path: Path, generation: int) -> ActiveConfig:
    return ActiveConfig.of(load_config(tmp_path / "llmgw.toml"), generation)


def test_a_worker_gets_the_config_in_force_and_not_the_file(tmp_path: Path, store_url: str) -> None:
    folder = RunFolder.create(store_url)
    folder.activate(current(tmp_path, 1))
    before = folder.stamp()
    (tmp_path / "llmgw.toml").write_text("no TOML [", "utf-8")
    (tmp_path / "secret").write_text("sk-two", "utf-8")
    config = RunFolder(folder.path).active().load()
    assert [model.id for model in config.models] == ["m"]
    assert config.source == tmp_path / "llmgw.toml"
    secret = config.upstreams["local"].api_key
    assert secret is not None
    assert secret.get_secret_value() == "sk-two"  # that is the way to rotate one
    assert folder.stamp() == before
    (tmp_path / "secret").unlink()
    with pytest.raises(ConfigError):
        folder.active().load()
    folder.remove()


def test_another_config_changes_the_stamp(tmp_path: Path, store_url: str) -> None:
    folder = RunFolder.create(store_url)
    stamps = set()
    for generation in range(1, 6):
        folder.activate(current(tmp_path, generation))
        stamps.add(folder.stamp())
        assert folder.active().generation == generation
    assert len(stamps) > 1
    folder.remove()


def test_requests_and_results(store_url: str, tmp_path: Path) -> None:
    folder = RunFolder.create(store_url)
    asked = [folder.ask(tmp_path / "a.toml"), folder.ask(tmp_path / "b.toml")]
    assert folder.result(asked[0]) is None
    assert sorted(folder.take_requests(), key=lambda request: request.config) == asked
    assert folder.take_requests() == []
    result = ReloadResult(3, [Fault("server.port", "is wrong", "mend it")], [1, 2])
    folder.answer(asked[0], result)
    assert folder.result(asked[0]) == result
    assert folder.result(asked[0]) is None
    assert folder.result(asked[1]) is None
    folder.remove()


def test_reports(store_url: str) -> None:
    folder = RunFolder.create(store_url)
    assert folder.worker_state(os.getpid()) is None
    folder.report_state(WorkerState(2, "no"))
    assert folder.worker_state(os.getpid()) == WorkerState(2, "no")
    folder.remove()


def test_it_is_for_its_owner_alone(tmp_path: Path, store_url: str) -> None:
    folder = RunFolder.create(store_url)
    folder.activate(current(tmp_path, 1))
    folder.ask(tmp_path)
    modes = {path.stat().st_mode & 0o777 for path in folder.path.iterdir()}
    assert (modes, folder.path.stat().st_mode & 0o777) == ({0o600}, 0o700)
    assert folder.path.parent.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert list((tmp_path / "llmgw.db.run").iterdir()) == []


def test_a_worker_finds_it_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(RUN_FOLDER_ENV, raising=False)
    with pytest.raises(KeyError):
        RunFolder.of_worker()
    monkeypatch.setenv(RUN_FOLDER_ENV, str(tmp_path / "12"))
    assert RunFolder.of_worker().pid == 12


def test_a_running_process_is_told_from_a_dead_one(store_url: str) -> None:
    def hold() -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, store_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    (living, first), (dying, second) = hold(), hold()
    assert {folder.pid for folder in RunFolder.running(store_url)} == {first, second}
    dying.kill()
    dying.communicate()
    [left] = RunFolder.running(store_url)
    assert left.pid == first
    dead = left.path.with_name(str(second))
    assert dead.is_dir()
    mine = RunFolder.create(store_url)
    assert not dead.exists()
    assert left.path.is_dir()
    mine.remove()
    living.communicate()
    assert RunFolder.running(store_url) == []
