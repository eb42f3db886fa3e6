"""`llmgw config show`: the config with its defaults, and without its secrets."""

import argparse
import sys
from typing import Any, Final

from llmgw.cli.common import add_config_option, read_config
from llmgw.cli.table import add_json_option, print_json, printable
from llmgw.config import ConfigError, Fault
from llmgw.config.shown import shown

EPILOG: Final = """\
Shows what the file comes to, once its defaults are filled in. Secrets are never shown. The gateway that runs
may use an older one: llmgw reload lets it take the file over, and GET /admin/v1/config shows what it uses.

examples:
  llmgw config show
  llmgw config show --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser("show", help="show the config, secrets blanked")
    add_json_option(show)
    add_config_option(show)


def run(options: argparse.Namespace) -> int:
    faults: list[Fault] = []
    try:
        config = read_config(options.config)
    except ConfigError as error:
        # A shell may lack the gateway's secrets. Any other fault is raised again.
        config = read_config(options.config, secrets=False)
        faults = error.faults
    tables = shown(config)
    if options.json:
        told = [fault._asdict() for fault in faults]
        print_json({"source": str(config.source), "faults": told, "config": tables})
        return 0
    for fault in faults:
        print(f"warning: {fault}", file=sys.stderr)
    print(f"# {config.source}")
    for path, value in _lines("", tables):
        print(printable(f"{path} = {value}"))
    return 0


def _lines(path: str, value: Any) -> list[tuple[str, str]]:  # noqa: ANN401  (any JSON value)
    """Each single value, with its path."""
    match value:
        case dict() if value:
            inner = [_lines(f"{path}.{name}" if path else name, each) for name, each in value.items()]
            return [line for lines in inner for line in lines]
        case [dict(), *_]:
            inner = [_lines(f"{path}[{index}]", each) for index, each in enumerate(value)]
            return [line for lines in inner for line in lines]
        case None:
            return []
        case bool():
            return [(path, "true" if value else "false")]
        case str():
            return [(path, f'"{value}"')]
        case _:
            return [(path, str(value))]
