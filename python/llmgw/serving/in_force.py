"""What the parent tells its workers: which config is in force, and what an operator should know.

It is a file without a name, in memory (`memfd_create`; where that is missing, an unlinked file), which the
parent writes and the workers inherit. So the secrets of the config reach every worker as the parent has read
them, without being on disk, and a worker that replaces a dead one needs neither the config file nor the files
of its secrets: they may be gone by then.
"""

import os
import pickle
import struct
import tempfile
import time
import zlib
from multiprocessing.reduction import DupFd
from typing import Any, Final, NamedTuple

from llmgw.config import Config

_HEADER: Final = struct.Struct(">QQI")
"""Version, length and CRC-32 of what follows."""
_READ_ATTEMPTS: Final = 100
_READ_INTERVAL_S: Final = 0.01


class InForce(NamedTuple):
    """What a worker shall know."""

    generation: int
    """1 at the start; grows with every config."""
    config: Config
    """Checked, with its secrets."""
    notices: tuple[str, ...] = ()
    """Warnings of the parent for `/readyz`."""


class Board:
    """Written by one thread of the parent at a time, read by its workers."""

    def __init__(self) -> None:
        """Empty: nothing must be read before the first `publish`."""
        self._descriptor = _nameless_file()
        self._version = 0

    def __getstate__(self) -> dict[str, Any]:
        """For a worker that is spawned. A forked one has the descriptor already."""
        return {"_descriptor": DupFd(self._descriptor), "_version": 0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In the spawned worker."""
        self._descriptor = state["_descriptor"].detach()
        self._version = state["_version"]

    def publish(self, in_force: InForce) -> None:
        """Replace what is on the board. Raises OSError."""
        content = pickle.dumps(in_force)
        self._version += 1
        # The header last: until it fits, a reader sees that it reads in the middle of a change.
        os.pwrite(self._descriptor, content, _HEADER.size)
        os.pwrite(self._descriptor, _HEADER.pack(self._version, len(content), zlib.crc32(content)), 0)

    def version(self) -> int:
        """Changes with each `publish`. Cheap."""
        version: int = _HEADER.unpack(os.pread(self._descriptor, _HEADER.size, 0))[0]
        return version

    def read(self) -> InForce:
        """What is on the board. Blocking. Raises BlockingIOError if the parent died while it wrote."""
        for _ in range(_READ_ATTEMPTS):
            _, length, checksum = _HEADER.unpack(os.pread(self._descriptor, _HEADER.size, 0))
            content = os.pread(self._descriptor, length, _HEADER.size)
            if zlib.crc32(content) == checksum:
                in_force: InForce = pickle.loads(content)  # noqa: S301  (nobody but the parent can write it)
                return in_force
            time.sleep(_READ_INTERVAL_S)
        raise BlockingIOError("the config in force is only half written")

    def close(self) -> None:
        """Give the memory back."""
        os.close(self._descriptor)


def _nameless_file() -> int:
    """A file that no name leads to; in memory, where the system can do that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("llmgw-in-force")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
