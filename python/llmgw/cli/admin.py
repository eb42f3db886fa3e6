"""`llmgw admin openapi`: the document of the admin API."""

import argparse
import importlib.util
from typing import Final

from llmgw.errors import CommandError

EPILOG: Final = """\
The admin API is served where the config has [admin] enabled = true, for keys made with
llmgw keys create --admin. Its document is also at GET /admin/v1/openapi.json, and a page on
top of it for people at /console/.

examples:
  llmgw admin openapi > admin-openapi.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("openapi", help="print its OpenAPI document")


def run(options: argparse.Namespace) -> int:
    del options
    if importlib.util.find_spec("fastapi") is None:
        raise CommandError("the package fastapi is not installed; install llmgw[admin]")
    from llmgw.admin.api import openapi

    print(openapi(), end="")
    return 0
