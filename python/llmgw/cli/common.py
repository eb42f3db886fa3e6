"""What several verbs share."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from llmgw.config import Config, find_config, load_config

if TYPE_CHECKING:
    from llmgw.store import Store


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument(
        "--config", metavar="FILE", help="config file (default: $LLMGW_CONFIG, else ./llmgw.toml)"
    )


def read_config(option: str | None, *, secrets: bool = True) -> Config:
    """The config that `--config` names. Raises ConfigError."""
    return load_config(find_config(option), secrets=secrets)


@contextmanager
def configured_store(option: str | None) -> Iterator[tuple["Store", Config]]:
    """The database that the config names. The upstreams' secrets are not needed for that and not read.

    Raises ConfigError, CommandError.
    """
    from llmgw.store.open import opened_store

    config = read_config(option, secrets=False)
    with opened_store(config) as store:
        yield store, config


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Columns as wide as their widest cell; those numbered in `right` flush right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def format_time(time: datetime | None) -> str:
    """UTC to the minute; a dash for none."""
    return "-" if time is None else time.strftime("%Y-%m-%d %H:%MZ")
