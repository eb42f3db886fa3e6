"""The memory that workers share, and what a start says where it can't be shared."""

from pathlib import Path

import pytest

from llmgw._core import LimitTable
from llmgw.config import Config
from llmgw.errors import CommandError
from llmgw.limits.table import check_table, open_table
from tests.support.configs import load, with_upstream


def config(folder: Path, workers: int = 1) -> Config:
    text = f'[server]\nworkers = {workers}\n[store]\nurl = "sqlite:///{folder}/a.db"\n'
    return load(folder, text + with_upstream(""))


def test_it_is_beside_the_database_and_has_room_for_all_workers(tmp_path: Path) -> None:
    check_table(config(tmp_path, 100))
    assert open_table(config(tmp_path, 100)).slots == 200
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["a.db.limits"]


def test_a_start_fails_where_the_folder_can_t_be_used(tmp_path: Path) -> None:
    (tmp_path / "a.db.limits").write_text("a file")
    with pytest.raises(CommandError, match=r"can't share limits between workers in .*a\.db\.limits"):
        check_table(config(tmp_path))


def test_a_start_fails_where_there_are_too_few_slots(tmp_path: Path) -> None:
    running = LimitTable.open(str(tmp_path / "a.db.limits"), slots=2)
    with pytest.raises(CommandError, match="made for 2 workers, not for 3"):
        check_table(config(tmp_path, 3))
    del running
