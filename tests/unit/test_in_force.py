"""What the parent tells its workers, through memory that has no name."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path

import pytest

from llmgw.config import Config, load_config
from llmgw.serving.bulletin import RESTARTS, SECRETS, Bulletin
from llmgw.serving.in_force import Board, InForce

CONFIG = """
[upstreams.local]
base_url = "http://127.0.0.1:1/v1"
api_key = "file:secret"

[[models]]
id = "m"
upstream = "local"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "secret").write_text("sk-one", "utf-8")
    (tmp_path / "llmgw.toml").write_text(CONFIG, "utf-8")
    return load_config(tmp_path / "llmgw.toml")


def key_of(in_force: InForce) -> str:
    secret = in_force.config.upstreams["local"].api_key
    assert secret is not None
    return secret.get_secret_value()


def test_a_worker_gets_config_and_secrets_and_no_file(config: Config, tmp_path: Path) -> None:
    bulletin = Bulletin(config)
    (tmp_path / "llmgw.toml").write_text("no TOML [", "utf-8")
    (tmp_path / "secret").unlink()
    read = bulletin.board.read()
    assert key_of(read) == "sk-one"
    assert (read.generation, read.notices) == (1, ())
    assert read.config == config
    assert (read.config.source, read.config.text) == (config.source, CONFIG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["llmgw.toml"]
    bulletin.board.close()


def test_each_change_has_its_version(config: Config) -> None:
    bulletin = Bulletin(config)
    seen = [bulletin.board.version()]
    bulletin.notice(RESTARTS, "a worker keeps dying")
    bulletin.notice(SECRETS, "gone")
    seen.append(bulletin.board.version())
    bulletin.notice(SECRETS, "gone")
    assert bulletin.board.version() == seen[-1]
    assert bulletin.board.read().notices == ("a worker keeps dying", "gone")
    bulletin.put_in_force(config)
    read = bulletin.board.read()
    assert (read.generation, read.notices) == (2, ("a worker keeps dying",))
    bulletin.notice(RESTARTS, None)
    seen.append(bulletin.board.version())
    assert bulletin.board.read().notices == ()
    assert len(set(seen)) == len(seen)
    bulletin.board.close()


def test_what_is_half_written_is_not_read(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    board.publish(InForce(1, config))
    os.pwrite(board._descriptor, b"?", 100)
    monkeypatch.setattr("time.sleep", lambda _: board.publish(InForce(2, config)))
    assert board.read().generation == 2
    os.pwrite(board._descriptor, b"?", 100)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(BlockingIOError):
        board.read()
    board.close()


def _tell(board: Board, answer: Connection) -> None:
    answer.send(key_of(board.read()))


@pytest.mark.parametrize(
    "context", [multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")]
)
def test_a_process_of_either_kind_reads_it(config: Config, context: ForkContext | SpawnContext) -> None:
    bulletin = Bulletin(config)
    here, there = context.Pipe()
    process = context.Process(target=_tell, args=(bulletin.board, there))
    process.start()
    assert here.recv() == "sk-one"
    process.join()
    bulletin.board.close()
