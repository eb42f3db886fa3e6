"""Options that are numbers."""

import argparse
from typing import Final

_DEFAULT_LIMIT: Final = 50
_MOST: Final = 1000


def add_limit_option(parser: argparse.ArgumentParser) -> None:
    """`--limit 50`."""
    parser.add_argument(
        "--limit",
        type=_limit,
        default=_DEFAULT_LIMIT,
        metavar="N",
        help=f"at most so many, up to {_MOST} (default: %(default)s)",
    )


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and 1 <= int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST}")
    return int(text)


def id_argument(text: str) -> int:
    """The id of a key, a project or a capture."""
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS):
        raise argparse.ArgumentTypeError(f"{text!r} is not an id, which is a number")
    return int(text)


_ID_DIGITS: Final = 18
"""Of a number that SQLite takes."""
