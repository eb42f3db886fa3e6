"""`llmgw store copy FROM TO`: the whole database into another one, of the same or of the other kind."""

import argparse
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from llmgw.cli.table import add_json_option, print_json, print_table
from llmgw.config import MINIMAL_EXAMPLE, NANO, SQLITE_PREFIX, Config, ConfigError, parse_config
from llmgw.errors import CommandError

if TYPE_CHECKING:
    from llmgw.store import Store
    from llmgw.store.copying import Copied

EPILOG: Final = """\
From a laptop's file to a PostgreSQL server that several machines share, or back:

  1. stop the gateways that use FROM
  2. llmgw store copy sqlite:///llmgw.db env:LLMGW_STORE
  3. write TO as [store] url of each machine's llmgw.toml: url = "env:LLMGW_STORE"
  4. start them again

FROM and TO are URLs as of [store] url: sqlite:///llmgw.db (here), sqlite:////absolute/path.db, or
postgresql+psycopg://user:password@host:5432/database. Everybody on the machine can read a command's
arguments, so name a URL with a password as env:NAME, an environment variable, or file:PATH. TO must be
empty: a new file, or a database that was just made (CREATE DATABASE llmgw OWNER llmgw).

Everything is copied, with its ids: keys, projects, limits, budgets, prices, audit, captures, the ledger and
its sums. No row of FROM is changed. It is one transaction of TO, which is kept if counts and sums of every
table are the same on both sides; else TO stays empty, and the exit status is 1.

examples:
  llmgw store copy sqlite:///llmgw.db file:/etc/llmgw/store-url
  llmgw store copy env:LLMGW_STORE sqlite:///llmgw.db      back again
  llmgw store copy sqlite:///llmgw.db env:TRIAL --while-running
"""
_COUNTED: Final = ("prompt_tokens", "completion_tokens", "cost", "spent")
"""Sums that people are told of."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    copying = verbs.add_parser(
        "copy",
        help="copy a whole database into an empty one, and compare the two",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    copying.add_argument("source", metavar="FROM", help="URL of the database to read")
    copying.add_argument("target", metavar="TO", help="URL of the empty database to fill")
    copying.add_argument(
        "--while-running",
        action="store_true",
        help="keep the copy even if FROM was written to meanwhile, which it then lacks: for a trial",
    )
    add_json_option(copying)


def run(options: argparse.Namespace) -> int:
    from llmgw.ledger.months import make_months_of
    from llmgw.store.copying import (
        CopyDiffersError,
        RowRefusedError,
        SourceChangedError,
        TargetNotEmptyError,
        copy_store,
    )
    from llmgw.store.facts import shown_url

    source, target = _config("FROM", options.source), _config("TO", options.target)
    if source.store.url == target.store.url:
        raise CommandError("FROM and TO are the same database")
    _check_source(source)
    begun_s = time.monotonic()
    progress = _Progress(shown=sys.stderr.isatty())
    with _opened("FROM", source) as reading, _opened("TO", target) as writing, progress:
        try:
            copied = copy_store(
                reading,
                writing,
                told=progress,
                prepare=make_months_of,
                keep_changed=options.while_running,
            )
        except TargetNotEmptyError as error:
            remedy = "name a new file, or drop the database and create it again"
            raise CommandError(f"TO is not empty: it has {error}; {remedy}") from error
        except SourceChangedError as error:
            remedy = "stop the gateways that use it and copy again, or take --while-running"
            told = f"FROM was written to meanwhile ({error}), so TO was left empty"
            raise CommandError(f"{told}; {remedy}") from error
        except CopyDiffersError as error:
            raise CommandError(f"the copy differs, so TO was left empty: {error}") from error
        except RowRefusedError as error:
            raise CommandError(f"TO does not take {error}; it was left empty") from error
    took_s = time.monotonic() - begun_s
    urls = {"from": shown_url(source.store.url), "to": shown_url(target.store.url)}
    if options.json:
        print_json(urls | _document(copied, took_s))
    else:
        _say(copied, urls, took_s)
    return 0


def _config(name: str, url: str) -> Config:
    """A config with this database and nothing else of meaning."""
    table = tomllib.loads(MINIMAL_EXAMPLE) | {"store": {"url": url}}
    try:
        return parse_config(table, Path.cwd() / "llmgw.toml", secrets=False)
    except ConfigError as error:
        raise CommandError(
            "; ".join(f"{name} {each.problem}; {each.remedy}" for each in error.faults)
        ) from error


def _check_source(config: Config) -> None:
    """It must be there already, and complete."""
    from llmgw.ledger.journal import pending

    url = config.store.url
    if not url.startswith(SQLITE_PREFIX):
        return
    path = Path(url.removeprefix(SQLITE_PREFIX))
    if not path.is_file():
        raise CommandError(f"FROM is no file: {path}")
    if rows := pending(config.journal_folder).rows:
        told = f"{rows:,} rows of the ledger wait in {config.journal_folder}"
        raise CommandError(f"{told}; start and stop a gateway with FROM, which stores them")


@contextmanager
def _opened(name: str, config: Config) -> Iterator["Store"]:
    from llmgw.store.open import opened_store

    with ExitStack() as stack:
        try:
            store = stack.enter_context(opened_store(config.store))
        except CommandError as error:
            raise CommandError(f"{name}: {error}") from error
        yield store


class _Progress:
    """A line on the terminal that says how far it is; nothing where no terminal is."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._next_s = 0.0

    def __call__(self, table: str, done: int, count: int) -> None:
        if self._shown and (done >= count or time.monotonic() >= self._next_s):
            self._next_s = time.monotonic() + 0.1
            self._write(f"{table}: {done:,} of {count:,} rows" if done < count else "comparing")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write("")

    def _write(self, line: str) -> None:
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _figures(copied: "Copied") -> list[dict[str, Any]]:
    """A line for each table, or for each currency in it."""
    lines: list[dict[str, Any]] = []
    for name, parts in copied.sums.items():
        for sums in sorted(parts, key=lambda each: each.group or ""):
            totals = {
                column: sums.figures[f"sum of {column}"]
                for column in _COUNTED
                if f"sum of {column}" in sums.figures
            }
            group = {"currency": sums.group} if sums.group else {}
            lines.append({"table": name, **group, "rows": sums.rows, **totals})
        if not parts:
            lines.append({"table": name, "rows": 0})
    return lines


def _document(copied: "Copied", took_s: float) -> dict[str, object]:
    return {
        "tables": _figures(copied),
        "replaced_texts": copied.replaced_texts,
        "changes": copied.changes,
        "duration_s": round(took_s, 3),
    }


def _say(copied: "Copied", urls: dict[str, str], took_s: float) -> None:
    lines = _figures(copied)
    rows = [
        (
            line["table"],
            line.get("currency", ""),
            f"{line['rows']:,}",
            *("" if line.get(name) is None else f"{line[name]:,}" for name in _COUNTED[:2]),
            "" if line.get("cost") is None or "currency" not in line else f"{line['cost'] / NANO:,.4f}",
        )
        for line in lines
    ]
    print_table(("TABLE", "CURRENCY", "ROWS", "INPUT", "OUTPUT", "COST"), rows, right=(2, 3, 4, 5))
    total = sum(line["rows"] for line in lines)
    print(f"{total:,} rows from {urls['from']} to {urls['to']} in {took_s:.1f} s.")
    print("Counts and sums of all tables are the same on both sides.")
    if copied.replaced_texts:
        print(f"In {copied.replaced_texts:,} texts U+0000 became U+FFFD: PostgreSQL has no text with it.")
    if copied.changes:
        told = ", ".join(f"{count:+,} of {name}" for name, count in copied.changes.items())
        print(f"FROM was written to meanwhile, which TO lacks: {told}.")
