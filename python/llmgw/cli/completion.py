"""`llmgw completion`: what a shell needs to complete verbs, options and their values."""

import argparse
import os
from typing import Final

from llmgw.errors import CommandError

EPILOG: Final = """\
examples:
  source <(llmgw completion bash)                                     this shell
  llmgw completion bash >> ~/.bash_completion                         every bash
  llmgw completion zsh > ~/.zfunc/_llmgw                              a folder of $fpath
  llmgw completion fish > ~/.config/fish/completions/llmgw.fish

Needs the extra llmgw[completion].
"""
SHELLS: Final = ("bash", "zsh", "fish")
ASKED_ENV: Final = "_ARGCOMPLETE"
"""Set by the script when the shell asks for what may come next."""
LINE_ENV: Final = "COMP_LINE"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(options: argparse.Namespace) -> int:
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError as error:
        problem = "shell completion needs the package argcomplete"
        raise CommandError(f"{problem}; pip install 'llmgw[completion]' brings it") from error
    print(shellcode(["llmgw"], shell=options.shell))
    return 0


def answer_shell() -> None:
    """Say what may come next, and exit, if that is what this process was started for."""
    if ASKED_ENV not in os.environ:
        return
    import argcomplete

    from llmgw.cli.main import make_parser

    argcomplete.autocomplete(make_parser(os.environ.get(LINE_ENV, "").split()), always_complete_options=False)
