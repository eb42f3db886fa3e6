"""How tokens are counted: by a rule that a reader can check by hand.

A token is up to four consecutive Latin letters or digits, or any other character except white space (so one
Chinese character is one token). An image is 256 tokens, and every message costs 3 more.

Cached tokens are those of all messages except the last (what an earlier turn would have left in the
provider's cache), rounded down to a multiple of 16. For accounts with a cache of their own see `cache`.
"""

import re

TOKENS_PER_IMAGE = 256
TOKENS_PER_MESSAGE = 3
CACHE_BLOCK = 16

_TOKEN = re.compile(r"[A-Za-z0-9]{1,4}|[^\sA-Za-z0-9]")


def count(text: str) -> int:
    """Tokens in a text."""
    return sum(1 for _ in _TOKEN.finditer(text))


def split(text: str) -> list[str]:
    """The tokens themselves."""
    return _TOKEN.findall(text)


def cut(text: str, tokens: int) -> str:
    """The text up to the end of its first `tokens` tokens."""
    end = 0
    for number, match in enumerate(_TOKEN.finditer(text)):
        if number == tokens:
            return text[:end]
        end = match.end()
    return text
