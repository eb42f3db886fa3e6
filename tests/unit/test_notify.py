"""What systemd is told, by a socket like its own."""

import logging
import socket
from pathlib import Path

import pytest

from llmgw.serving.notify import NOTIFY_SOCKET_ENV, tell_ready


@pytest.mark.parametrize("abstract", [False, True])
def test_the_supervisor_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, abstract: bool) -> None:
    name = f"@llmgw-{tmp_path}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(f"\0{name[1:]}" if abstract else name)
        supervisor.settimeout(5)
        monkeypatch.setenv(NOTIFY_SOCKET_ENV, name)
        tell_ready()
        assert supervisor.recv(100) == b"READY=1"


@pytest.mark.parametrize("name", ["/nowhere/notify", "/a\0b", "x" * 500])
def test_a_supervisor_that_does_not_listen_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setattr("os.environ", {NOTIFY_SOCKET_ENV: name})
    with caplog.at_level(logging.WARNING):
        tell_ready()
    assert len(caplog.records) == 1


def test_without_a_supervisor_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(NOTIFY_SOCKET_ENV, raising=False)
    tell_ready()
    assert caplog.records == []
