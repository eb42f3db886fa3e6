"""`llmgw serve`: runs the gateway."""

import argparse
import os
import shlex
import sys
from typing import Final

from llmgw._core import DEBUG_BUILD
from llmgw.admin.console import is_built
from llmgw.cli.common import add_config_option, read_config
from llmgw.config.tables import MAX_WORKERS
from llmgw.config.version import version
from llmgw.reasoning.turns import sharing_problem
from llmgw.serving.notify import tell_ready
from llmgw.serving.server import Listening, run_gateway

_LONG: Final = 10
"""Digits; no number of processes has so many."""
EPILOG: Final = """\
examples:
  llmgw serve                                   ./llmgw.toml, on the address that it names
  llmgw serve --config /etc/llmgw.toml --host 0.0.0.0 --port 80 --workers 4

A wrong config stops the start and lists every fault; llmgw check also tries the upstreams.
With [admin] enabled = true in the config, there is a console for browsers at /console/.
"""
_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_SLOW: Final = "this is a debug build, many times slower than a release: make demo or make wheel builds one"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_config_option(parser)
    parser.add_argument("--host", help="address to listen on (default: server.host of the config)")
    parser.add_argument("--port", type=int, help="0: any free one (default: server.port of the config)")
    parser.add_argument("--workers", type=_workers, help="processes (default: server.workers of the config)")


def _workers(text: str) -> int:
    """As in the config. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) < _LONG and 1 <= int(text) <= MAX_WORKERS):
        raise argparse.ArgumentTypeError(f"it must be a number from 1 to {MAX_WORKERS}")
    return int(text)


def _ignored_proxy() -> str | None:
    found = [name for name in _PROXIES if os.environ.get(name)]
    if not found:
        return None
    return f"the proxy in {found[0]} is not used: the gateway connects to its upstreams directly"


def run(options: argparse.Namespace) -> int:
    config = read_config(options.config)
    workers = config.server.workers if options.workers is None else options.workers
    for problem in (sharing_problem(config, workers), _SLOW if DEBUG_BUILD else None, _ignored_proxy()):
        if problem is not None:
            print(f"warning: {problem}", file=sys.stderr, flush=True)
    run_gateway(
        config,
        host=config.server.host if options.host is None else options.host,
        port=config.server.port if options.port is None else options.port,
        workers=workers,
        on_ready=lambda listening: _ready(listening, options.config),
    )
    return 0


def _ready(listening: Listening, config: str | None) -> None:
    print(welcome(listening, config), flush=True)
    tell_ready()


def welcome(listening: Listening, config: str | None) -> str:
    """What is printed once the gateway answers. `config`: the file that was named."""
    lines = [f"llmgw {version()} listening on {listening.url}"]
    if listening.console is not None:
        lines.append(f"console at {listening.console}" if is_built() else "no console: run make console")
        if not listening.has_admin:
            option = "" if config is None else f" --config {shlex.quote(config)}"
            lines.append(f"no admin key yet: llmgw keys create --admin --name me{option}")
    return "\n".join(lines)
