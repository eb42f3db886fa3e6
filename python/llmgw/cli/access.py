"""How `llmgw keys` and `llmgw projects` reach the database, and how they tell what can't be done."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from llmgw.access.refusals import AccessError, BadValueError, NoCaptureError, NotFoundError, StateError
from llmgw.cli.common import configured_store, store_alone
from llmgw.config import Config
from llmgw.errors import CommandError, InputFault

if TYPE_CHECKING:
    from llmgw.store import Store

_OPTIONS: Final = {
    "limits.requests_per_minute": "--rpm",
    "limits.tokens_per_minute": "--tpm",
    "limits.concurrent_requests": "--concurrency",
    "expires_at": "--expires",
    "kind": "--admin",
}
"""Where the option has another name than the member of the admin API."""


@contextmanager
def access(options: argparse.Namespace) -> Iterator[tuple["Store", Config]]:
    """The database that the config names, and the config. An AccessError becomes a CommandError."""
    with configured_store(options.config) as (store, config), _told_in_words():
        yield store, config


@contextmanager
def store_access(options: argparse.Namespace) -> Iterator["Store"]:
    """The same for what needs no more of the config than its `[store]`."""
    with store_alone(options.config) as store, _told_in_words():
        yield store


@contextmanager
def _told_in_words() -> Iterator[None]:
    try:
        yield
    except BadValueError as error:
        raise CommandError("; ".join(map(_told, error.faults))) from error
    except AccessError as error:
        raise CommandError(f"{error}{_hint(error)}") from error


def _told(fault: InputFault) -> str:
    if fault.param is None:
        return fault.message
    return f"{_OPTIONS.get(fault.param, fault.param)}: {fault.message}"


def text_argument(text: str) -> str:
    """What is not UTF-8 on the command line is replaced: no database takes it."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _hint(error: AccessError) -> str:
    if isinstance(error, NoCaptureError):
        return "; llmgw capture list shows them all"
    if isinstance(error, NotFoundError):
        listed = "llmgw keys list" if error.param is None else "llmgw projects list"
        more = "" if error.param is None else ", llmgw projects create makes one"
        return f"; {listed} shows them all{more}"
    if isinstance(error, StateError) and error.param == "project":
        return " (llmgw projects unblock)"
    return ""
