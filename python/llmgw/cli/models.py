"""`llmgw models list`: the config's models, with their limits, prices and health."""

import argparse
from typing import Final

from llmgw.admin.models import model_of
from llmgw.admin.schemas.system import ModelSchema
from llmgw.cli.common import add_config_option, read_config
from llmgw.cli.running import health_of
from llmgw.cli.table import add_json_option, print_json, print_table

EPILOG: Final = """\
Models are in the config file. Health is what the workers of a gateway that runs say; without one it is "-".
llmgw prices list shows the prices.

examples:
  llmgw models list
  llmgw models list --json
"""
_LIMITS: Final = (
    ("requests_per_minute", "rpm"),
    ("tokens_per_minute", "tpm"),
    ("concurrent_requests", "at once"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="show all models")
    add_json_option(listing)
    add_config_option(listing)


def run(options: argparse.Namespace) -> int:
    config = read_config(options.config, secrets=False)
    book = health_of(config)
    models = [model_of(model, book, config.prices) for model in config.models]
    if options.json:
        print_json([model.model_dump(mode="json") for model in models])
        return 0
    header = ("MODEL", "KIND", "LIMITS", "PRICED", "UPSTREAM", "UPSTREAM MODEL", "STATE")
    print_table(header, [row for model in models for row in _rows(model)])
    return 0


def _rows(model: ModelSchema) -> list[tuple[str, ...]]:
    """One for each target."""
    limits = [
        f"{value} {unit}" for name, unit in _LIMITS if (value := getattr(model.limits, name)) is not None
    ]
    told = (model.id, str(model.catalog["kind"]), ", ".join(limits) or "-")
    return [
        (
            *(told if first else ("", "", "")),
            "no" if target.price is None else "yes",
            target.upstream,
            target.upstream_model,
            target.state or "-",
        )
        for first, target in ((index == 0, target) for index, target in enumerate(model.targets))
    ]
