"""`llmgw VERB …`: finds the verb, runs it, and turns errors into an exit status."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from llmgw.cli.table import printable
from llmgw.cli.version import version
from llmgw.config import ConfigError
from llmgw.errors import CommandError

VERBS: Final = {
    "serve": "run the gateway",
    "demo": "run the gateway with simulated providers, and show how to call it",
    "simulate": "run the simulated providers alone",
    "reload": "let a running gateway take its changed config over",
    "keys": "make, list and revoke API keys",
    "usage": "sum up requests and tokens by key, model or day",
    "check": "check the config and try every upstream",
    "chat": "stream an answer to the terminal",
}
EPILOG: Final = """\
start here:
  llmgw demo                     everything at once, with no provider account
  llmgw check                    is my llmgw.toml right, do my upstreams answer?
  llmgw keys create --name me    a key for a client
  llmgw serve                    the gateway itself

llmgw VERB --help says more about each.
"""
EXIT_FAULT: Final = 1
EXIT_CONFIG: Final = 2
EXIT_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrong usage or config."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments).parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except ConfigError as error:
        print(_shown(error), file=sys.stderr)
        return EXIT_CONFIG
    except CommandError as error:
        print(f"llmgw: {_shown(error)}", file=sys.stderr)
        return EXIT_FAULT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has closed it (`llmgw keys list | head`). Python must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAULT
    return status


def _shown(error: Exception) -> str:
    """Its message may hold what a provider or a file has said."""
    return "\n".join(map(printable, str(error).split("\n")))


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmgw",
        description="An OpenAI-compatible gateway for Qwen, DeepSeek, GLM, Kimi and MiniMax models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"llmgw {version()}")
    verbs = parser.add_subparsers(dest="command", required=True, metavar="VERB")
    for name, summary in VERBS.items():
        verb = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Only the verb that runs is imported: --help needs neither granian nor SQLAlchemy nor httpx.
        if name in arguments:
            module = import_module(f"llmgw.cli.{name}")
            module.configure(verb)
            verb.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
