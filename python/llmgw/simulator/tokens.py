"""Counting tokens by a rule that a reader can check by hand.

One token is up to four Latin letters or digits in a row, or one other character that is no white space (so
one Chinese character is one token). An image is 256 tokens, and every message costs 3 on top.

Cached tokens are those of all messages but the last (what an earlier turn would have left in the provider's
cache), rounded down to a multiple of 16.
"""

import re

TOKENS_PER_IMAGE = 256
TOKENS_PER_MESSAGE = 3
CACHE_BLOCK = 16

_TOKEN = re.compile(r"[A-Za-z0-9]{1,4}|[^\sA-Za-z0-9]")


def count(text: str) -> int:
    """Tokens in a text."""
    return sum(1 for _ in _TOKEN.finditer(text))


def cut(text: str, tokens: int) -> str:
    """The text up to the end of its first so many tokens; the whole text where it has no more."""
    end = 0
    for number, match in enumerate(_TOKEN.finditer(text)):
        if number == tokens:
            return text[:end]
        end = match.end()
    return text
