"""What may lie where a config or a secret is expected: nothing of it blocks, and no secret is echoed."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmgw.config import ConfigError, files, load_config
from llmgw.config.files import FileError, read_file
from llmgw.config.load import MAX_CONFIG_BYTES, MAX_NESTING
from llmgw.config.resolve import MAX_SECRET_BYTES
from tests.support.configs import faults, load, with_model, with_upstream

KEY = "sk-5f3c9a1b7d2e4f60"


def test_a_regular_file_and_a_link_to_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    (tmp_path / "link").symlink_to(file)
    assert read_file(file, max_bytes=7) == read_file(tmp_path / "link", max_bytes=7) == b"content"
    with pytest.raises(FileError, match="it is larger than 6 bytes"):
        read_file(file, max_bytes=6)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def a_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: None, "No such file or directory"),
        (os.mkfifo, "it is a FIFO, not a regular file"),
        (Path.mkdir, "it is a folder, not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (a_socket, "No such device or address"),
        (a_loop, "Too many levels of symbolic links"),
    ],
)
def test_nothing_else_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    make(Path("secret"))
    with pytest.raises(FileError, match=reason):
        read_file(Path("secret"), max_bytes=100)
    [fault] = faults(tmp_path, with_upstream('api_key = "file:secret"'))
    assert fault.startswith(f"upstreams.local.api_key: the file 'secret' can't be read ({reason}")
    if Path("secret").exists():
        (tmp_path / "llmgw.toml").unlink()
        Path("secret").rename("llmgw.toml")
        with pytest.raises(ConfigError, match=reason):
            load_config(tmp_path / "llmgw.toml")


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file system that does not answer until the test is over."""
    answered = threading.Event()
    monkeypatch.setattr(files, "READ_TIMEOUT_S", 0.05)
    monkeypatch.setattr(files, "read_regular", lambda *_, **__: answered.wait(20))
    yield
    answered.set()


@pytest.mark.usefixtures("hanging")
def test_a_file_system_that_hangs(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"it was not read within 0\.05 s"):
        read_file(tmp_path / "secret", max_bytes=100)


def test_what_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    [fault] = faults(tmp_path, with_upstream('api_key = "file:secret"'))
    assert f"it is larger than {MAX_SECRET_BYTES} bytes" in fault
    (tmp_path / "secret").write_bytes(b"x" * MAX_SECRET_BYTES)
    load(tmp_path, with_upstream('api_key = "file:secret"'))
    assert f"it is larger than {MAX_CONFIG_BYTES} bytes" in faults(tmp_path, "#" * (MAX_CONFIG_BYTES + 1))[0]


@pytest.mark.parametrize(
    "reference",
    [
        f"env:{KEY}",
        f"file:{KEY}",
        f"file:/run/secrets/{KEY[3:]}aaaaaaaa",
        "env:sk_live_51abc",
        "env:0123456789abcdef0123456789abcdef",
        "env:abcdef0123456789abcdef0123456789",
        "file:redis://:pass@host",
        "env:a b",
    ],
)
def test_a_key_in_the_wrong_place_is_not_echoed(tmp_path: Path, reference: str) -> None:
    [fault] = faults(tmp_path, with_upstream(f'api_key = "{reference}"'))
    assert fault.startswith("upstreams.local.api_key: ")
    assert reference.partition(":")[2] not in fault
    assert "sk-" not in fault


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"[server]\nport = {'9' * 5_000}", "holds a number or a date that can't be read"),
        (f"[server]\nport = -{'9' * 5_000}", "holds a number or a date that can't be read"),
        (f"x = {'[' * 3_000}{']' * 3_000}", "inside each other"),
        (f"x = {'[' * 40}{']' * 40}", f"more than {MAX_NESTING} deep"),
        (f"x = {'{a=' * 3_000}1{'}' * 3_000}", "inside each other"),
        (f"[{'a.' * 3_000}a]\nb = 1", f"more than {MAX_NESTING} deep"),
        (f"{'a.' * 3_000}a = 1", f"more than {MAX_NESTING} deep"),
        ("x = 2026-02-30", "is not TOML"),
    ],
)
def test_odd_toml_is_one_fault(tmp_path: Path, text: str, problem: str) -> None:
    [fault] = faults(tmp_path, text)
    assert problem in fault
    assert len(fault) < 300


@pytest.mark.parametrize("number", ["9" * 4_000, "0x" + "f" * 50_000, "0b1" + "0" * 9_999, str(-(2**63) - 1)])
def test_huge_numbers_are_out_of_range(tmp_path: Path, number: str) -> None:
    """Of whatever key, with limits of its own or without."""
    for line in (f"first_event_timeout_s = {number}", f"max_in_flight = {number}"):
        assert faults(tmp_path, with_upstream(line)) == [
            f"upstreams.local.{line.partition(' ')[0]}: is out of range; a number has at most 64 bits"
        ]
    [fault] = faults(tmp_path, with_model(f"context_window = {number}"))
    assert fault == "models[0].context_window: is out of range; a number has at most 64 bits"
    assert len(faults(tmp_path, f"[server]\nport = {number}\n{with_model('')}")) == 1
