"""Lists in pages: a cursor says where the next one begins, and nothing else can be read from it."""

import base64
import binascii
import json
from typing import Any, Final

from llmgw.admin.faults import refusal
from llmgw.errors import ApiError, InputFault

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
"""Entries of one page."""
MAX_CURSOR_CHARS: Final = 512
_INTEGERS: Final = range(-(2**63), 2**63)


def make_cursor(of: str, *position: int | str) -> str:
    """The cursor of the list `of` for the place behind `position`."""
    text = json.dumps([of, *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def read_cursor(of: str, cursor: str | None, *kinds: type, param: str = "cursor") -> tuple[Any, ...] | None:
    """The position in a cursor of this list, of parts of these types. Raises ApiError for other text."""
    if cursor is None:
        return None
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise _bad(param)
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        read = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        raise _bad(param) from None
    if not (isinstance(read, list) and len(read) == 1 + len(kinds) and read[0] == of):
        raise _bad(param)
    position = read[1:]
    # Not isinstance: true is an int to Python.
    if [type(each) for each in position] != list(kinds) or not all(map(_can_be_stored, position)):
        raise _bad(param)
    return tuple(position)


def _can_be_stored(value: int | str) -> bool:
    if isinstance(value, int):
        return value in _INTEGERS
    return value.isascii() or value.encode("utf-8", "ignore").decode() == value


def _bad(param: str) -> ApiError:
    message = f"is no cursor of this list; take next_{param} of the page before, or leave it out"
    return refusal([InputFault(param, message)])
