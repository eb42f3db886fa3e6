"""A GGUF file, version 3: the little of the format that a handful of facts and float32 tensors need.

Layout: magic, version, number of tensors, number of facts; the facts; for each tensor its name, sizes (the
contiguous one first), type and offset; then the numbers, each tensor aligned. ggml's `gguf.h` has it in full.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

VERSION: Final = 3
ALIGNMENT: Final = 32
_INT32, _UINT32, _FLOAT32, _STRING, _ARRAY = 5, 4, 6, 8, 9
_TENSOR_FLOAT32: Final = 0

Value: TypeAlias = int | float | str | Sequence[str] | Sequence[int]
"""An int is stored as uint32, a list of ints as int32s."""


@dataclass(frozen=True)
class Tensor:
    """Row-major float32 numbers, `rows` times `columns`; a vector has no rows."""

    numbers: list[float]
    columns: int
    rows: int | None = None

    def __post_init__(self) -> None:
        """ValueError unless there are as many numbers as the sizes say."""
        if len(self.numbers) != self.columns * (self.rows or 1):
            raise ValueError(f"{len(self.numbers)} numbers for {self.rows} x {self.columns}")


def write_gguf(path: Path, facts: Mapping[str, Value], tensors: Mapping[str, Tensor]) -> None:
    """Write the file."""
    head = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(facts))]
    head += [_string(key) + _typed(value) for key, value in facts.items()]
    offset = 0
    blobs: list[bytes] = []
    for name, tensor in tensors.items():
        sizes = [tensor.columns] if tensor.rows is None else [tensor.columns, tensor.rows]
        head.append(_string(name) + struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes))
        head.append(struct.pack("<IQ", _TENSOR_FLOAT32, offset))
        blobs.append(_padded(struct.pack(f"<{len(tensor.numbers)}f", *tensor.numbers)))
        offset += len(blobs[-1])
    path.write_bytes(_padded(b"".join(head)) + b"".join(blobs))


def _string(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _typed(value: Value) -> bytes:
    match value:
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", _STRING) + _string(value)
        case _:
            kind = _STRING if isinstance(value[0], str) else _INT32
            items = [_string(v) if isinstance(v, str) else struct.pack("<i", v) for v in value]
            return struct.pack("<IIQ", _ARRAY, kind, len(items)) + b"".join(items)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % ALIGNMENT)
