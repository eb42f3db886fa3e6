"""W3C Trace Context (https://www.w3.org/TR/trace-context/): `traceparent` and `tracestate`, strictly read.

What is not valid is not repaired: without a valid `traceparent` there is no trace to go on with, and without
a valid `tracestate` it goes on without one.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

MAX_TRACESTATE_BYTES: Final = 512
"""So much of `tracestate` is passed on, as the specification asks; entries at its end go first."""
MAX_TRACESTATE_ENTRIES: Final = 32
"""With more it is not valid."""
TRACEPARENT: Final = b"traceparent"
TRACESTATE: Final = b"tracestate"
SAMPLED: Final = 0x01
RANDOM: Final = 0x02
"""The trace id is random, as all of ours are (level 2 of the specification)."""

_PARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NOT_A_VERSION: Final = b"ff"
_FIRST_VERSION: Final = b"00"
_KEY: Final = rb"[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_VALUE: Final = rb"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_ENTRY: Final = re.compile(rb"(" + _KEY + rb")=" + _VALUE)
_BLANK: Final = b" \t"


class Parent(NamedTuple):
    """What a valid `traceparent` says."""

    trace_id: str
    """32 hex digits in lower case, not all 0."""
    span_id: str
    """16, likewise."""
    flags: int
    """`SAMPLED` and `RANDOM`; the others are not defined."""


def read_parent(values: Sequence[bytes]) -> Parent | None:
    """Of a request's `traceparent` headers. None: there is none, or not exactly one that is valid."""
    if len(values) != 1:
        return None
    found = _PARENT.fullmatch(values[0].strip(_BLANK))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == _NOT_A_VERSION or (version == _FIRST_VERSION and more is not None):
        return None
    if not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    return Parent(trace_id.decode(), span_id.decode(), int(flags, 16) & (SAMPLED | RANDOM))


def read_state(values: Sequence[bytes]) -> bytes:
    """Of its `tracestate` headers, as one value to be passed on. Empty: there is none, or it is not valid."""
    if not values:
        return b""
    entries = [entry for value in values for part in value.split(b",") if (entry := part.strip(_BLANK))]
    found = [_ENTRY.fullmatch(entry) for entry in entries[: MAX_TRACESTATE_ENTRIES + 1]]
    keys = {match[1] for match in found if match is not None}
    if len(entries) > MAX_TRACESTATE_ENTRIES or len(keys) < len(entries):
        return b""  # too many, malformed, or one key twice
    while entries and sum(map(len, entries)) + len(entries) - 1 > MAX_TRACESTATE_BYTES:
        entries.pop()
    return b",".join(entries)


def write_parent(trace_id: str, span_id: str, flags: int) -> bytes:
    """A `traceparent` of the first version."""
    return f"00-{trace_id}-{span_id}-{flags:02x}".encode("ascii")
