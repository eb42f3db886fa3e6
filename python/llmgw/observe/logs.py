"""How log lines look, and how secrets are kept out of them.

Config fields hide secrets (`SecretStr`), and nothing logs headers or bodies. This module is the second line
of defence: it replaces secrets by value, because an exception of some library may carry one in its message.
"""

import itertools
import logging
import re
import time
from collections.abc import Iterable
from typing import Any, Final

MIN_SECRET_LENGTH: Final = 8
"""Shorter ones are placeholders, such as `x` for a server without keys; hiding them would garble the log."""
_HIDDEN: Final = "[redacted]"
_CLIENT_KEY: Final = re.compile(r"(sk-gtw-(?:admin-)?[\w-]{4})[\w-]+")
"""The first characters may be shown: `llmgw keys list` shows the same."""

_BEGINNING: Final = re.compile(r"\d{4}-\d\d-\d\d\s")
"""Of an entry: its date."""
MAX_OLD_SECRETS: Final = 256
"""Beside those in force. An old one may be in the message of a request that began under an earlier config."""

_secrets: tuple[str, ...] = ()
"""By age, the latest at the end. Replaced as a whole, because other threads read it."""


def hide(secrets: Iterable[str]) -> None:
    """Replace these secrets in every line from now on, and the latest `MAX_OLD_SECRETS` of earlier calls."""
    global _secrets  # noqa: PLW0603  (one log, one list)
    in_force = dict.fromkeys(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)
    old = [secret for secret in _secrets if secret not in in_force]
    _secrets = (*old[-MAX_OLD_SECRETS:], *in_force)


def redacted(text: str) -> str:
    """The text without clients' keys and without the secrets given to `hide`."""
    # The longest first: one may be part of another.
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _CLIENT_KEY.sub(r"\1…", text)


def one_entry(text: str) -> str:
    """The text of one entry, so that no part of it looks like another entry or steers a terminal."""
    if text.isprintable():
        return text
    return "\n".join(map(_line, text.split("\n"), itertools.count()))


def _line(line: str, number: int) -> str:
    """A further line, such as a traceback has, must not look like the first one of another entry."""
    indent = "  " if number and _BEGINNING.match(line) else ""
    return indent + "".join(each if each.isprintable() else _escape(each) for each in line)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


class Formatter(logging.Formatter):
    """Hides secrets in the whole entry (message, arguments, traceback), and whatever can't be seen."""

    def format(self, record: logging.LogRecord) -> str:
        """The finished entry."""
        return one_entry(redacted(super().format(record)))


class OncePerSecond(logging.Filter):
    """Lets a line pass once a second, where anybody who can connect may cause it; counts the others.

    The defects of the gateway and what the server and asyncio say: no request is known to cause such a line,
    but whoever finds one could fill the disk with tracebacks.
    """

    LIMITED: Final = ("llmgw.app", "llmgw.asgi", "_granian", "asyncio")
    """These loggers and those below them."""
    MIN_INTERVAL_S: Final = 1.0

    def __init__(self) -> None:
        """Has let nothing pass yet."""
        super().__init__()
        self._passed_s: dict[tuple[str, str, int], float] = {}
        self._left_out: dict[tuple[str, str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False: leave it out. The place in the source tells which lines are alike, so there are few."""
        if not any(record.name == name or record.name.startswith(f"{name}.") for name in self.LIMITED):
            return True
        place, now_s = (record.name, record.pathname, record.lineno), time.monotonic()
        if now_s - self._passed_s.get(place, -self.MIN_INTERVAL_S) < self.MIN_INTERVAL_S:
            self._left_out[place] = self._left_out.get(place, 0) + 1
            return False
        self._passed_s[place] = now_s
        if left_out := self._left_out.pop(place, 0):
            record.msg = f"{record.msg} ({left_out} more like it since the last)"
        return True


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
        "filters": {"once": {"()": f"{__name__}.{OncePerSecond.__name__}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["once"]}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "_granian": {"handlers": ["stderr"], "propagate": False},
            "llmgw": {"handlers": ["stderr"], "propagate": False, "level": level.upper()},
        },
    }
