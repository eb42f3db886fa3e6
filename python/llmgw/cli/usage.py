"""`llmgw usage`: sums requests and tokens of the ledger."""

import argparse
import sys
from typing import Final, get_args

from llmgw.cli.common import add_config_option, configured_store
from llmgw.cli.table import add_json_option, print_json, print_table
from llmgw.ledger.journal import pending
from llmgw.ledger.usage import UsageBy, UsageSum, sum_usage

EPILOG: Final = """\
examples:
  llmgw usage                 tokens and requests of each key
  llmgw usage --by model
  llmgw usage --by day        days in UTC
  llmgw usage --by api        chat, completions and the others
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument(
        "--by", choices=get_args(UsageBy), default="key", help="what to group by (default: key)"
    )
    add_config_option(parser)
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, config):
        sums = sum_usage(store, options.by)
    if options.json:
        print_json([_object(options.by, each) for each in sums])
    else:
        _print(options.by, sums)
    waiting = pending(config.journal_folder)
    if waiting.rows:
        where = f"{waiting.rows:,} more rows wait in {config.journal_folder}"
        print(f"{where}; a running gateway adds them once it can write the database", file=sys.stderr)
    if waiting.set_aside:
        files = "1 file" if waiting.set_aside == 1 else f"{waiting.set_aside} files"
        where = f"{files} in {config.journal_folder} with something that can't be replayed"
        print(f"{where}; the gateway's log says what", file=sys.stderr)
    return 0


def _object(by: UsageBy, each: UsageSum) -> dict[str, object]:
    numbers = each._asdict()
    return {by: numbers.pop("group"), **numbers}


def _print(by: UsageBy, sums: list[UsageSum]) -> None:
    header = (by.upper(), "REQUESTS", "ERRORS", "PROMPT", "COMPLETION", "REASONING", "CACHED")
    rows = [(group, *(f"{number:,}" for number in numbers)) for group, *numbers in sums]
    print_table(header, rows, right=range(1, len(header)))
