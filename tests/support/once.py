"""Folders that are made from files, and only made again when those change."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

STAMP: Final = ".installed-from"
"""In the folder, written last: the hash of what it was made from."""


def once(folder: Path, inputs: Sequence[Path], make: Callable[[Path], None]) -> None:
    """Make a folder anew, beginning with copies of these files, unless it was made from just them."""
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text("ascii") == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in inputs:
        shutil.copy(path, folder)
    make(folder)
    stamp.write_text(wanted, "ascii")
