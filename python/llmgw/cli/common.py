"""How verbs read the config and open the database."""

import argparse
import getpass
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from llmgw.config import Config, ConfigError, find_config, load_config, load_store

if TYPE_CHECKING:
    from llmgw.store import Store


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,  # or it would hide the one that stands before the verb
        help="config file (default: $LLMGW_CONFIG, else ./llmgw.toml)",
    )


def read_config(option: str | None, *, secrets: bool = True) -> Config:
    """The config that `--config` names. Raises ConfigError."""
    return load_config(find_config(option), secrets=secrets)


@contextmanager
def configured_store(option: str | None) -> Iterator[tuple["Store", Config]]:
    """The database that the config names. Secrets of upstreams are not read.

    Raises ConfigError, CommandError.
    """
    from llmgw.store.open import opened_store

    config = read_config(option, secrets=False)
    with opened_store(config.store) as store:
        yield store, config


@contextmanager
def store_alone(option: str | None) -> Iterator["Store"]:
    """The database, even if the config has faults outside of `[store]`: a key must be blocked at once.

    Raises ConfigError, CommandError.
    """
    from llmgw.store.open import opened_store

    path = find_config(option)
    try:
        table = load_config(path, secrets=False).store
    except ConfigError as error:
        table = load_store(path)
        faults = "a fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
        print(f"llmgw: {path} has {faults}; only its [store] was read (llmgw check)", file=sys.stderr)
    with opened_store(table) as store:
        yield store


def actor() -> str:
    """Who changes something by the command line, for the audit."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.geteuid())
    return f"cli {user}@{socket.gethostname()}"


def format_time(time: datetime | None) -> str:
    """UTC, to the minute; a dash for None."""
    return "-" if time is None else time.strftime("%Y-%m-%d %H:%MZ")
