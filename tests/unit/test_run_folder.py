"""The folder through which a serving process, its workers and `llmgw reload` talk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmgw.config import Fault
from llmgw.serving.run_folder import RUN_FOLDER_ENV, ReloadResult, RunFolder, WorkerState

HOLD = """
import sys
from pathlib import Path
from llmgw.serving.run_folder import RunFolder
folder = RunFolder.create(Path(sys.argv[1]))
print(folder.path.name, flush=True)
sys.stdin.read()
folder.remove()
"""


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return tmp_path / "llmgw.db.run"


def test_requests_and_results(parent: Path, tmp_path: Path) -> None:
    folder = RunFolder.create(parent)
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


def test_reports(parent: Path) -> None:
    folder = RunFolder.create(parent)
    assert folder.worker_state(os.getpid()) is None
    folder.report_state(WorkerState(2, "no"))
    assert folder.worker_state(os.getpid()) == WorkerState(2, "no")
    folder.remove()


def test_it_is_for_its_owner_alone(tmp_path: Path, parent: Path) -> None:
    folder = RunFolder.create(parent)
    folder.report_workers([1])
    folder.ask(tmp_path)
    modes = {path.stat().st_mode & 0o777 for path in folder.path.iterdir()}
    assert (modes, folder.path.stat().st_mode & 0o777) == ({0o600}, 0o700)
    assert folder.path.parent.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert list(parent.iterdir()) == []


def test_a_worker_finds_it_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(RUN_FOLDER_ENV, raising=False)
    with pytest.raises(KeyError):
        RunFolder.of_worker()
    monkeypatch.setenv(RUN_FOLDER_ENV, str(tmp_path / "12"))
    assert RunFolder.of_worker().path == tmp_path / "12"


def test_a_running_process_is_told_from_a_dead_one(parent: Path) -> None:
    def hold() -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    (living, first), (dying, second) = hold(), hold()
    running = RunFolder.running(parent)
    assert {folder.path.name for folder in running} == {first, second}
    assert {folder.pid for folder in running} == {str(living.pid), str(dying.pid)}
    dying.kill()
    dying.communicate()
    [left] = RunFolder.running(parent)
    assert left.path.name == first
    dead = left.path.with_name(second)
    assert dead.is_dir()
    mine = RunFolder.create(parent)
    assert not dead.exists()
    assert left.path.is_dir()
    mine.remove()
    living.communicate()
    assert RunFolder.running(parent) == []


def test_a_folder_has_its_lock_before_its_name(parent: Path) -> None:
    """Many begin and clean up at once, as if they were containers on one volume: each keeps its folder."""
    held = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    names = {process.stdout.readline().strip() for process in held if process.stdout is not None}
    assert len(names) == len(held)
    assert {folder.path.name for folder in RunFolder.running(parent)} == names
    for process in held:
        process.communicate()
        assert process.returncode == 0
    assert list(parent.iterdir()) == []


def test_a_folder_that_is_being_made_is_left_alone(parent: Path) -> None:
    young = parent / "abc.new"
    young.mkdir(parents=True)
    RunFolder.create(parent).remove()
    assert young.is_dir()
    os.utime(young, (0, 0))  # its process died before it had a name
    RunFolder.create(parent).remove()
    assert not young.exists()


def test_access_of_others_is_taken_away(parent: Path, caplog: pytest.LogCaptureFixture) -> None:
    parent.mkdir()
    parent.chmod(0o775)
    RunFolder.create(parent).remove()
    assert parent.stat().st_mode & 0o777 == 0o700
    assert "was open to others (775)" in caplog.text


@pytest.mark.parametrize("content", ["nonsense", "7", '{"id":"x"}', '{"other":1}', None])
def test_a_request_that_is_none_stops_no_other(
    parent: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    folder = RunFolder.create(parent)
    odd = folder.path / "request-0.json"
    if content is None:
        os.mkfifo(odd)
    else:
        odd.write_text(content, "utf-8")
    (folder.path / "request-1.json").mkdir()
    asked = folder.ask(tmp_path / "a.toml")
    assert folder.take_requests() == [asked]
    assert folder.take_requests() == []
    assert caplog.text.count("a request to reload can't be read") == 2
    folder.remove()


def test_what_dead_workers_said_is_forgotten(parent: Path) -> None:
    folder = RunFolder.create(parent)
    assert folder.workers() == []
    folder.report_state(WorkerState(1, None))
    folder.report_workers([os.getpid(), 7])
    assert folder.workers() == sorted([os.getpid(), 7])
    assert folder.worker_state(os.getpid()) == WorkerState(1, None)
    folder.report_workers([7])
    assert folder.worker_state(os.getpid()) is None
    folder.remove()
