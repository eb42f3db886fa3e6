"""What a request's headers tell of the program that sent it, where its answer depends on that."""

import re
from typing import Final

from llmgw.asgi.request import Fields

_FIRST_GO_WITH_COMMENTS: Final = (3, 43, 0)
"""openai-go before this takes the blank line behind a comment for an event without data, and gives up."""
_VERSION: Final = re.compile(rb"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(-?)")
_GO: Final = b"openai/go"
_GO_AGENT: Final = re.compile(rb"(?:^|\s)openai/go[ /](\S+)", re.IGNORECASE)


def needs_bare_comments(fields: Fields) -> bool:
    """True for a client that takes each blank line of a stream for the end of an event.

    What a client says in the headers of its SDK
    comes first: its user agent may have been set by the program around it.
    """
    language = _first(fields, b"x-stainless-lang").strip().lower()
    if not language:
        named = _first(fields, b"user-agent")
        # The pattern alone takes a microsecond more on a browser's name, since it asks at every letter.
        agent = _GO_AGENT.search(named) if _GO in named.lower() else None
        return agent is not None and _is_old_go(agent[1])
    return language == b"go" and _is_old_go(_first(fields, b"x-stainless-package-version").strip())


def _first(fields: Fields, name: bytes) -> bytes:
    values = fields.get(name)
    return values[0] if values else b""


def _is_old_go(version: bytes) -> bool:
    found = _VERSION.match(version)
    if found is None:
        return False
    numbers = tuple(int(number or 0) for number in found.groups()[:3])
    # A version with a suffix (3.43.0-beta.1) comes before the one without.
    return numbers < _FIRST_GO_WITH_COMMENTS or (numbers == _FIRST_GO_WITH_COMMENTS and bool(found[4]))
