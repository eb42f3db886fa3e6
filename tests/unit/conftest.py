"""Fixtures of more than one file."""

from pathlib import Path

import pytest

from llmgw.cli.main import main
from tests.support.cli import Outcome, Run, write_config
from tests.support.processes import free_port


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `llmgw` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("LLMGW_CONFIG", "LLMGW_API_KEY", "LLMGW_BASE_URL", "CLI_TEST_KEY"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> Outcome:
        try:
            status = main(arguments)
        except SystemExit as stop:  # argparse
            status = int(stop.code or 0)
        return Outcome(status, *capsys.readouterr())

    return command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """`./llmgw.toml`, whose upstream refuses connections."""
    return write_config(tmp_path, f"http://127.0.0.1:{free_port()}/v1")
