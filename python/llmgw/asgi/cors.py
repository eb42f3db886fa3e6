"""Who may use the gateway from a browser: CORS, as https://fetch.spec.whatwg.org has it.

Off by default. A browser asks first (the preflight, without a key) and shows an answer to a page only where
it names the page's origin; errors too, or a page could not tell a wrong key from a broken network.
"""

import re
from collections.abc import Sequence
from typing import Final

from llmgw.asgi.request import Fields
from llmgw.asgi.types import Headers

ANY: Final = "*"
_LEFT: Final = ("limit", "remaining", "reset")
_UNITS: Final = ("requests", "tokens")
EXPOSED: Final = (
    "x-request-id", "request-id", "x-llmgw-attempts", "x-llmgw-thinking", "x-llmgw-dropped", "retry-after",
    "x-should-retry", "x-llmgw-budget-remaining", "x-llmgw-captured",
    *(f"x-ratelimit-{what}-{unit}" for what in _LEFT for unit in _UNITS),
    *(f"anthropic-ratelimit-{unit}-{what}" for unit in _UNITS for what in _LEFT),
)  # fmt: skip
"""What an answer's headers say beyond those that a page may read anyway."""
_METHODS: Final = b"GET, HEAD, POST"
_MAX_AGE_S: Final = 600
"""How long a browser may remember a preflight: until then it does not hear of a changed config."""
_HEADER_NAMES: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,2048}")
"""A list of header names, as long as any page's. Nothing else is sent back."""
_VARY: Final = (b"vary", b"origin")


class Cors:
    """The headers of answers to pages of certain origins."""

    def __init__(self, origins: Sequence[str]) -> None:
        """`origins` as browsers write them; `*` for any. Without one, CORS is off."""
        self._is_on = bool(origins)
        self._origins = frozenset(origin.encode("ascii") for origin in origins)
        self._any = ANY in origins

    def headers(self, fields: Fields) -> Headers:
        """What any answer to this request carries besides."""
        if not self._is_on:
            return []
        origin = self._allowed(fields)
        # An answer that lacks the header because of its origin must not be kept for another one.
        if origin is None:
            return [_VARY]
        exposed = (b"access-control-expose-headers", ", ".join(EXPOSED).encode("ascii"))
        return [_VARY, (b"access-control-allow-origin", origin), exposed]

    def preflight(self, method: str, fields: Fields) -> Headers | None:
        """What the answer to a preflight carries besides `headers`; None: this is none, or is not allowed."""
        if method != "OPTIONS" or b"access-control-request-method" not in fields:
            return None
        if self._allowed(fields) is None:
            return None
        # By themselves, or a browser would take `*` for all but `authorization`.
        asked = b", ".join(fields.get(b"access-control-request-headers", ()))
        names = [(b"access-control-allow-headers", asked)] if _HEADER_NAMES.fullmatch(asked) else []
        return [
            (b"access-control-allow-methods", _METHODS),
            *names,
            (b"access-control-max-age", b"%d" % _MAX_AGE_S),
            (b"vary", b"access-control-request-headers"),
        ]

    def _allowed(self, fields: Fields) -> bytes | None:
        """The value of `access-control-allow-origin`, if there is to be one."""
        origins = fields.get(b"origin", ())
        if not self._is_on or len(origins) != 1:
            return None
        if self._any:
            return b"*"
        return origins[0] if origins[0] in self._origins else None
