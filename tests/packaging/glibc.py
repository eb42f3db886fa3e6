"""Which glibc a shared library needs: the versions of the symbols that it takes from outside."""

import struct
from pathlib import Path
from typing import Final

_SHT_GNU_VERNEED: Final = 0x6FFFFFFE
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
"""Of ELF64: name, type, flags, address, offset, size, link, info, alignment, entry size."""
_NEED: Final = struct.Struct("<HHIII")
"""Version, number of versions, file, offset of the first version, offset of the next file."""
_VERSION: Final = struct.Struct("<IHHII")
"""Hash, flags, index, name, offset of the next version."""


def needed_versions(library: Path) -> dict[str, set[str]]:
    """For each library that it needs, the versions of symbols: `{"libc.so.6": {"GLIBC_2.17", …}}`.

    Reads `.gnu.version_r` of a little-endian ELF64 file (Linux Standard Base). ValueError for another.
    """
    data = library.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{library} is no little-endian ELF64 file")
    [at] = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [_SECTION.unpack_from(data, at + number * size) for number in range(count)]
    found: dict[str, set[str]] = {}
    for section in sections:
        if section[1] != _SHT_GNU_VERNEED:
            continue
        names = sections[section[6]][4]
        need = section[4]
        for _ in range(section[7]):
            _, versions, file, first, following = _NEED.unpack_from(data, need)
            version = need + first
            for _ in range(versions):
                _, _, _, name, step = _VERSION.unpack_from(data, version)
                found.setdefault(_text(data, names + file), set()).add(_text(data, names + name))
                version += step
            need += following
    return found


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(0, at)].decode("ascii")


def newest_glibc(library: Path) -> tuple[int, ...]:
    """The oldest glibc that has all symbols of this library: `(2, 17)`."""
    names = set().union(*needed_versions(library).values())
    return max(tuple(map(int, name[6:].split("."))) for name in names if name.startswith("GLIBC_"))
