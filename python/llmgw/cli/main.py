"""`llmgw VERB …`: finds the verb, runs it, and turns errors into an exit status."""

import argparse
import difflib
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Final, NoReturn

from llmgw.cli import completion
from llmgw.cli.table import printable
from llmgw.errors import CommandError

VERBS: Final = {
    "init": "write a config file for the providers that you use",
    "serve": "run the gateway",
    "demo": "run the gateway with simulated providers, and show how to call it",
    "simulate": "run the simulated providers alone",
    "reload": "let a running gateway take its changed config over",
    "keys": "make, list, change and revoke API keys, with their limits and budgets",
    "projects": "make, list and change projects, which keys belong to",
    "budgets": "show what budgets have spent, lift or reset them, verify them",
    "usage": "sum up requests, tokens and costs by key, model, day and more",
    "requests": "show the requests of the ledger, and all about one",
    "audit": "show who changed what",
    "models": "show the models with their limits, prices and health",
    "upstreams": "show the upstreams with their health and latency",
    "store": "copy the database into another one: a file into PostgreSQL, or back",
    "config": "show the config with its defaults, without its secrets",
    "capture": "keep a key's requests with their bodies for a while, for debugging",
    "admin": "print the document of the admin API",
    "prices": "show what models cost, and suggest prices",
    "check": "check the config and try every upstream",
    "chat": "talk to a model in the terminal",
    "completion": "print the completion script of a shell",
}
EPILOG: Final = """\
start here:
  llmgw demo                     everything at once, with no provider account
  llmgw init                     writes llmgw.toml for your providers
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
    completion.answer_shell()
    is_program = arguments is None
    arguments = _as_options(list(sys.argv[1:] if arguments is None else arguments))
    with _importing() if is_program else nullcontext():
        from llmgw.config import ConfigError

        parser = make_parser(arguments)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        # By the verb's own parser, whose usage is the one that helps.
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
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


@contextmanager
def _importing() -> Iterator[None]:
    """What is imported stays until the end: no collection needs to look at it, not even the one at exit.

    That saves a fifth of the time of a start, and a quarter of that of a short command.
    """
    # Else pydantic looks for plugins in the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _shown(error: Exception) -> str:
    """Its message may hold what a provider or a file has said."""
    return "\n".join(map(printable, str(error).split("\n")))


_WORDS: Final = {"help": "--help", "version": "--version"}
"""What is an option here and a verb elsewhere."""


def _as_options(arguments: list[str]) -> list[str]:
    """`llmgw`, `llmgw help`, `llmgw help VERB`, `llmgw version`, in this program's own words."""
    match arguments:
        case []:
            return ["--help"]
        case ["help", verb] if verb in VERBS:
            return [verb, "--help"]
        case [word] if word in _WORDS:
            return [_WORDS[word]]
    return arguments


class _Parser(argparse.ArgumentParser):
    """Names the verb that was probably meant."""

    def error(self, message: str) -> NoReturn:
        for word in ("argument VERB: invalid choice: ", "argument SHELL: invalid choice: "):
            if message.startswith(word):
                message = self._suggestion(message.removeprefix(word).partition(" (")[0].strip("'"))
        super().error(message)

    def _suggestion(self, wrong: str) -> str:
        known = [name for action in self._actions for name in action.choices or ()]
        close = difflib.get_close_matches(wrong, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        return f"there is no {wrong!r} here: {hint}"


def make_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of `llmgw`. Only the verbs in `arguments` get their options: others are not imported."""
    from llmgw.config.version import version

    parser = _Parser(
        prog="llmgw",
        description="An OpenAI-compatible gateway for Qwen, DeepSeek, GLM, Kimi and MiniMax models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"llmgw {version()}")
    # It belongs to the verbs, but many write it first.
    parser.add_argument("--config", help=argparse.SUPPRESS)
    parser.set_defaults(parser=parser)
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
            for each in _parsers(verb):
                each.set_defaults(parser=each)
    return parser


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A verb's parser, and those of its own verbs."""
    yield parser
    for action in parser._actions:  # noqa: SLF001  (argparse has no other way)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.values()


if __name__ == "__main__":
    sys.exit(main())
