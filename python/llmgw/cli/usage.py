"""`llmgw usage`: sums requests and tokens of the ledger."""

import argparse
import sys
from typing import Final, get_args

from llmgw.cli.common import add_config_option, configured_store, print_table
from llmgw.ledger.journal import pending
from llmgw.ledger.usage import UsageBy, sum_usage

EPILOG: Final = """\
examples:
  llmgw usage                 tokens and requests of each key
  llmgw usage --by model
  llmgw usage --by day        days in UTC
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument(
        "--by", choices=get_args(UsageBy), default="key", help="what to group by (default: key)"
    )
    add_config_option(parser)


def run(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, config):
        sums = sum_usage(store, options.by)
    header = (options.by.upper(), "REQUESTS", "ERRORS", "PROMPT", "COMPLETION", "REASONING", "CACHED")
    rows = [(group, *(f"{number:,}" for number in numbers)) for group, *numbers in sums]
    print_table(header, rows, right=range(1, len(header)))
    waiting = pending(config.journal_folder)
    if waiting.rows:
        where = f"{waiting.rows:,} more rows wait in {config.journal_folder}"
        print(f"{where}; a running gateway adds them once it can write the database", file=sys.stderr)
    return 0
