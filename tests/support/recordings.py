"""The recorded provider streams, which lie beside the repository and not in it."""

import json

import pytest

from tests.support.processes import ROOT

FOLDER = ROOT.parent / "shared" / "streams"
NAMES: list[str] = (
    sorted(entry["file"] for entry in json.loads((FOLDER / "index.json").read_text("utf-8")))
    if (FOLDER / "index.json").is_file()
    else []
)
"""File names relative to the folder; empty where there is no such folder."""

each_recording = pytest.mark.parametrize(
    "recording",
    NAMES or [pytest.param("", marks=pytest.mark.skip(reason=f"the recorded streams are not at {FOLDER}"))],
)


def read(name: str) -> bytes:
    """The bytes of one recording."""
    return (FOLDER / name).read_bytes()
