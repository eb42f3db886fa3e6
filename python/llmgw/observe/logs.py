"""Log lines without secrets.

Secrets are kept out of the log by field (`SecretStr`, nothing logs headers or bodies); this is the net below,
by value: an exception of some library may carry one in its message. This module uses no other of the package.
"""

import logging
import re
from collections.abc import Iterable
from typing import Final

MIN_SECRET_LENGTH: Final = 8
"""Shorter ones are placeholders, such as `x` for a server without keys; they would hide innocent text."""
_HIDDEN: Final = "[redacted]"
_CLIENT_KEY: Final = re.compile(r"(sk-gtw-[\w-]{4})[\w-]+")
"""Its first characters may be seen: `llmgw keys list` shows the same."""

_secrets: set[str] = set()


def hide(secrets: Iterable[str]) -> None:
    """Keep these out of all lines to come, beside those that were named before."""
    _secrets.update(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)


def redacted(text: str) -> str:
    """The text without clients' keys and without what `hide` was told."""
    for secret in _secrets:
        text = text.replace(secret, _HIDDEN)
    return _CLIENT_KEY.sub(r"\1…", text)


class Formatter(logging.Formatter):
    """Hides secrets in the whole line: message, arguments, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The finished line."""
        return redacted(super().format(record))
