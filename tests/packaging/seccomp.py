"""SystemCallFilter= without systemd: which system calls a unit allows, as a filter that a process can load.

As a program, `seccomp.py NUMBERS COMMAND…` puts the filter on itself and becomes the command.
"""

import ctypes
import errno
import os
import platform
import re
import struct
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_HEADERS: Final = {"x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")}
"""Where the numbers of system calls are, by machine."""
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2


def numbers() -> dict[str, int]:
    """The system calls of this machine by name; empty where that is not known."""
    header = _HEADERS.get(platform.machine())
    if header is None or not header.is_file():
        return {}
    found = re.findall(r"^#define __NR_(\w+) (\d+)$", header.read_text("ascii"), re.MULTILINE)
    return {name: int(number) for name, number in found}


def allowed(filters: Sequence[str]) -> set[str]:
    """The names that a unit's SystemCallFilter= lines leave, the first being a list of what is allowed."""
    names = expand("@default")
    for line in filters:
        groups = set().union(*map(expand, line.removeprefix("~").split()))
        names = names - groups if line.startswith("~") else names | groups
    return names


def expand(name: str) -> set[str]:
    """The system calls of a set such as `@system-service`, by systemd's own list."""
    if not name.startswith("@"):
        return {name}
    command = ["systemd-analyze", "syscall-filter", "--no-pager", name]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    members = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return set().union(*map(expand, members))


def load(calls: Iterable[int]) -> None:
    """From now on, this process and its children get EPERM for every other call. Raises OSError."""
    program = [(_LOAD, 0, 0, 0)]
    for number in calls:
        program += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    program.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *each) for each in program))
    what = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_PR_SET_SECCOMP, _FILTER, what, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter was refused")


if __name__ == "__main__":
    load(map(int, sys.argv[1].split(",")))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606
