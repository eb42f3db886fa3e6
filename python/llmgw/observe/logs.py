"""How log lines look, and how secrets are kept out of them.

Config fields hide secrets (`SecretStr`), and nothing logs headers or bodies. This module is the second line
of defence: it replaces secrets by value, because an exception of some library may carry one in its message.
"""

import logging
import re
from collections.abc import Iterable
from typing import Any, Final

MIN_SECRET_LENGTH: Final = 8
"""Shorter ones are placeholders, such as `x` for a server without keys; hiding them would garble the log."""
_HIDDEN: Final = "[redacted]"
_CLIENT_KEY: Final = re.compile(r"(sk-gtw-[\w-]{4})[\w-]+")
"""The first characters may be shown: `llmgw keys list` shows the same."""

_secrets: set[str] = set()


def hide(secrets: Iterable[str]) -> None:
    """Add secrets to those that are replaced in every line from now on."""
    _secrets.update(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)


def redacted(text: str) -> str:
    """The text without clients' keys and without the secrets given to `hide`."""
    for secret in _secrets:
        text = text.replace(secret, _HIDDEN)
    return _CLIENT_KEY.sub(r"\1…", text)


class Formatter(logging.Formatter):
    """Hides secrets in the whole line: message, arguments, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The finished line."""
        return redacted(super().format(record))


def log_config(level: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: one line per event to stderr, in local time, without secrets.

    The root entry makes the loggers of libraries (asyncio, redis, sqlalchemy) use the same formatter.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": f"{__name__}.{Formatter.__name__}",
                "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "_granian": {"handlers": ["stderr"], "propagate": False},
            "llmgw": {"handlers": ["stderr"], "propagate": False, "level": level.upper()},
        },
    }
