"""Lists in pages: a cursor says where the next one begins, and nothing else can be read from it."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Final

from llmgw.admin.faults import refusal
from llmgw.errors import ApiError, InputFault

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
"""Entries of one page."""
MAX_CURSOR_CHARS: Final = 512
_INTEGERS: Final = range(-(2**63), 2**63)


def make_cursor(of: str, position: Sequence[int]) -> str:
    """The cursor of the list `of` for the place behind `position`."""
    text = json.dumps([of, *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def read_cursor(of: str, cursor: str | None, numbers: int) -> tuple[int, ...] | None:
    """The position in a cursor of this list, of so many numbers. Raises ApiError for any other text."""
    if cursor is None:
        return None
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise _bad()
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        read = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        raise _bad() from None
    if not (isinstance(read, list) and len(read) == 1 + numbers and read[0] == of):
        raise _bad()
    position = read[1:]
    if not all(type(each) is int and each in _INTEGERS for each in position):
        raise _bad()
    return tuple(position)


def _bad() -> ApiError:
    message = "is no cursor of this list; take next_cursor of the page before, or leave it out"
    return refusal([InputFault("cursor", message)])
