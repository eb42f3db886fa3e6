"""`llmgw init`: writes a commented config file."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from llmgw.cli.providers import PROVIDERS, Provider, config_for
from llmgw.config import DEFAULT_CONFIG
from llmgw.errors import CommandError

EPILOG: Final = """\
Asks which providers you use, unless --provider names them. Keys stay out of the file: it names the
environment variables that hold them. An existing file is not touched without --force.

examples:
  llmgw init
  llmgw init --provider dashscope --provider deepseek
  llmgw init --provider vllm --output /etc/llmgw.toml
"""
_FILE_MODE: Final = 0o600


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument(
        "--provider",
        action="append",
        choices=tuple(PROVIDERS),
        metavar="NAME",
        help=f"can be repeated; any of {', '.join(PROVIDERS)}",
    )
    parser.add_argument(
        "--output", metavar="FILE", default=DEFAULT_CONFIG, help="the file to write (default: %(default)s)"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that exists")


def run(options: argparse.Namespace) -> int:
    file = Path(options.output)
    if file.exists() and not options.force:
        raise CommandError(f"{file} exists; --force replaces it, --output names another")
    providers = [PROVIDERS[name] for name in dict.fromkeys(options.provider or _asked())]
    _write(file, config_for(providers))
    print(f"{file} is written.\n\n{_next_steps(providers, file)}", end="")
    return 0


def _asked() -> list[str]:
    """The providers that somebody at the terminal chooses."""
    if not sys.stdin.isatty():
        raise CommandError("which providers? Name them: llmgw init --provider dashscope --provider deepseek")
    names = list(PROVIDERS)
    for number, provider in enumerate(PROVIDERS.values(), start=1):
        print(f"{number:3}  {provider.name:<12} {provider.title}")
    while True:
        try:
            answer = input("\nWhich ones? Numbers or names, with spaces between: ")
        except EOFError:
            raise CommandError("no provider was chosen") from None
        chosen = [_name(word, names) for word in answer.replace(",", " ").split()]
        wrong = [word for word in chosen if word not in PROVIDERS]
        if chosen and not wrong:
            return chosen
        print(f"There is no {wrong[0]!r}." if wrong else "Name at least one.")


def _name(word: str, names: Sequence[str]) -> str:
    is_number = word.isascii() and word.isdigit() and 0 < int(word) <= len(names)
    return names[int(word) - 1] if is_number else word


def _write(file: Path, text: str) -> None:
    try:
        # It may get a key later, and then nobody else should read it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise CommandError(f"{file} can't be written: {error.strerror}") from error


def _next_steps(providers: Sequence[Provider], file: Path) -> str:
    option = "" if file == Path(DEFAULT_CONFIG) else f" --config {file}"
    exports = [f"  export {name}=..." for each in providers for name in each.key_variables]
    yours = [each.name for each in providers if each.is_local]
    lines = [f"  edit {file}: base_url of {', '.join(yours)}"] if yours else []
    lines += [
        *exports,
        f"  llmgw check --try{option}",
        f"  llmgw keys create --name me{option}",
        f"  llmgw serve{option}",
    ]
    return "Next:\n" + "\n".join(lines) + "\n"
