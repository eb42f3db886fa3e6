"""Fixtures of more than one file."""

import time
from pathlib import Path

import pytest

from llmgw.cli.main import main
from tests.support.cli import Outcome, Run, write_config
from tests.support.processes import free_port

HOUR_S = 3600.0
HURRY_S = 10.0
"""More than a test takes that counts what is of today."""


@pytest.fixture(autouse=True)
def no_hour_ends() -> None:
    """No window of a budget ends between what a test counts and what it looks at.

    Days of the zones that tests have begin with an hour of UTC.
    """
    left_s = HOUR_S - time.time() % HOUR_S
    if left_s < HURRY_S:
        time.sleep(left_s + 0.01)


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
