"""The files in which the workers count (`observe.metrics`): one that replaces another goes on with its files.

They are named by process id. Without this, each death of a worker would leave some more behind, for as long
as the gateway runs.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from llmgw.config import MULTIPROC_ENV


def inherit(predecessors: Iterable[int]) -> None:
    """Take over what dead workers counted. Call it in their successor, before it counts."""
    for pid, file in _files(predecessors):
        kind = file.stem.removesuffix(f"_{pid}")
        with suppress(FileNotFoundError):
            if kind.startswith("gauge"):
                file.unlink()  # what they had in flight is no more
            else:
                file.rename(file.with_name(f"{kind}_{os.getpid()}.db"))


def with_files(pids: Iterable[int]) -> list[int]:
    """Those of the processes that have left files."""
    return sorted({pid for pid, _ in _files(pids)})


def _files(pids: Iterable[int]) -> list[tuple[int, Path]]:
    folder = os.environ.get(MULTIPROC_ENV)
    return [(pid, file) for pid in pids for file in Path(folder).glob(f"*_{pid}.db")] if folder else []
