"""Keeps anyone from benchmarking a debug build."""

import pytest

from llmgw import _core


def pytest_sessionstart() -> None:
    """Stop where the extension was built without optimisation."""
    if _core.DEBUG_BUILD:
        pytest.exit("llmgw._core is a debug build: run the benches with `make bench`", returncode=1)
