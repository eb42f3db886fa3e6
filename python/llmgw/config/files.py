"""How files that an operator names are read: regular ones only, up to a limit, and never for long."""

import logging
import os
import stat
import threading
from pathlib import Path
from typing import Final

from llmgw.errors import LlmgwError

READ_TIMEOUT_S: Final = 5.0
"""For one file; a file system that hangs would otherwise stop a reload for good."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_KINDS: Final = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


logger = logging.getLogger(__name__)


class FileError(LlmgwError):
    """A file can't be used. The text says why, and nothing of what is in it."""


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """What the file holds. Follows links. Raises FileError, at the latest after `READ_TIMEOUT_S`."""
    outcome: list[bytes | FileError] = []
    # In a thread, since no call can read a file with a deadline. One that hangs is left behind.
    reader = threading.Thread(target=lambda: outcome.append(_outcome(path, max_bytes)), daemon=True)
    reader.start()
    reader.join(READ_TIMEOUT_S)
    if not outcome:
        raise FileError(f"it was not read within {READ_TIMEOUT_S:g} s")
    if isinstance(outcome[0], FileError):
        raise outcome[0]
    return outcome[0]


def _outcome(path: Path, max_bytes: int) -> bytes | FileError:
    try:
        return read_regular(path, max_bytes=max_bytes)
    except FileError as error:
        return error
    except OSError as error:
        return FileError(error.strerror or type(error).__name__)
    except ValueError:  # a name with a NUL
        return FileError("it is no name of a file")


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """The same without a deadline, for files of our own. Raises FileError, OSError."""
    # O_NONBLOCK: to open a FIFO would wait for somebody who writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind != stat.S_IFREG:
            raise FileError(f"it is {_KINDS.get(kind, 'something else')}, not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(max_bytes + 1)
    finally:
        os.close(descriptor)
    if len(content) > max_bytes:
        raise FileError(f"it is larger than {max_bytes} bytes")
    return content


def make_private(path: Path) -> None:
    """Take everybody else's access to our file or folder away, and say so.

    Raises PermissionError if a folder is another user's. A file of theirs that we can use is their business.
    """
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if not mode & _OTHERS:
        return
    try:
        path.chmod(mode & ~_OTHERS)
    except PermissionError:
        if path.is_dir():
            raise
        logger.warning("%s is open to others (%03o), and belongs to somebody else", path, mode)
    else:
        logger.warning("%s was open to others (%03o); now it is for its owner alone", path, mode)
