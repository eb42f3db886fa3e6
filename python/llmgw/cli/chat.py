"""`llmgw chat`: one question, or a conversation, in the terminal."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TextIO

from llmgw.cli.asking import ChatMessage, Chunk, Client, Question
from llmgw.cli.common import add_config_option
from llmgw.cli.table import printable
from llmgw.config import Config, ConfigError, find_config, load_config
from llmgw.config.address import local_host, url_of
from llmgw.errors import CommandError

EPILOG: Final = """\
Without TEXT, a terminal gets a conversation (/help says more), and anything else is read as the question. The
answer goes to standard output; reasoning and usage go to standard error, so that `> file` holds the answer
alone.

Beside a config file, the address is the one that it names, and without a key this command makes one for
itself, which ends with it.

examples:
  llmgw chat                                              a conversation
  llmgw chat "Why is the sky blue?"                       the first model that the key may use
  llmgw chat --model glm-5 --thinking off "Say hello"
  git diff | llmgw chat --model qwen3.6-plus > review.md
  LLMGW_API_KEY=sk-gtw-... llmgw chat --base-url http://gateway.example:8000 "Hello"
"""
API_KEY_ENV: Final = "LLMGW_API_KEY"
BASE_URL_ENV: Final = "LLMGW_BASE_URL"
DEFAULT_BASE_URL: Final = "http://127.0.0.1:8000"
_OWN_KEY: Final = "llmgw chat"
_OWN_KEY_LASTS: Final = timedelta(days=1)
"""A conversation that was killed leaves its key behind until then."""
_HELP: Final = """\
/model ID              ask another model
/thinking on|off|auto  the gateway's switch; auto: the model's own way
/new                   forget the conversation
/exit, Ctrl-D          end; Ctrl-C stops an answer
"""
_SWITCH: Final[dict[str, bool | None]] = {"on": True, "off": False, "auto": None}
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"
# An answer must not be able to steer the terminal.
_CONTROLS: Final = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("text", nargs="*", metavar="TEXT", help="the question")
    parser.add_argument("--model", help="model id (default: the first that the key may use)")
    parser.add_argument(
        "--thinking",
        choices=tuple(_SWITCH),
        default="auto",
        help="the gateway's switch (default: %(default)s)",
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="the answer alone")
    parser.add_argument(
        "--base-url", help=f"the gateway (default: ${BASE_URL_ENV}, else the config's address)"
    )
    parser.add_argument("--api-key", help=f"better in ${API_KEY_ENV}: other users see a command line")
    add_config_option(parser)


def run(options: argparse.Namespace) -> int:
    talks = not options.text and sys.stdin.isatty()
    question = "" if talks else " ".join(options.text) or sys.stdin.read().rstrip("\n")
    if not talks and not question.strip():
        raise CommandError("there is no question: give it as TEXT or on standard input")
    with _client(options) as client:
        model = options.model or client.first_model()
        conversation = _Conversation(client, model, _SWITCH[options.thinking], quiet=options.quiet)
        if talks:
            conversation.hold()
        else:
            conversation.ask(question)
    return 0


@contextmanager
def _client(options: argparse.Namespace) -> Iterator[Client]:
    """The gateway and the key that were named, else those of the config."""
    config = _config(options)
    base_url = options.base_url or os.environ.get(BASE_URL_ENV)
    if not base_url:
        server = config.server if config is not None else None
        base_url = DEFAULT_BASE_URL if server is None else url_of(local_host(server.host), server.port)
    with _key(options, config) as key:
        client = Client(base_url, key)
        try:
            yield client
        finally:
            client.close()


def _config(options: argparse.Namespace) -> Config | None:
    """The config, if there is one; one that was named must be good."""
    try:
        return load_config(find_config(options.config), secrets=False)
    except ConfigError:
        if options.config is not None:
            raise
        return None


@contextmanager
def _key(options: argparse.Namespace, config: Config | None) -> Iterator[str]:
    key = options.api_key or os.environ.get(API_KEY_ENV)
    if key:
        yield key
        return
    if config is None:
        raise CommandError(f"no API key: set ${API_KEY_ENV} (llmgw keys create makes one)")
    with _own_key(config) as own:
        yield own


@contextmanager
def _own_key(config: Config) -> Iterator[str]:
    """A key that is revoked at the end."""
    from llmgw.access.keys import create_key, revoke_key
    from llmgw.cli.common import actor
    from llmgw.store.open import opened_store

    try:
        with opened_store(config.store) as store:
            expires_at = datetime.now(UTC) + _OWN_KEY_LASTS
            token = create_key(store, actor=actor(), name=_OWN_KEY, expires_at=expires_at).token
            try:
                yield token
            finally:
                revoke_key(store, token, actor=actor())
    except CommandError as error:
        raise CommandError(f"{error}; or set ${API_KEY_ENV}") from error


class _Conversation:
    """Questions to one model and its answers."""

    def __init__(self, client: Client, model: str, thinking: bool | None, *, quiet: bool) -> None:  # noqa: FBT001
        self._client = client
        self._model = model
        self._thinking = thinking
        self._quiet = quiet
        self._messages: list[ChatMessage] = []

    def hold(self) -> None:
        """Ask what the user types, until Ctrl-D."""
        with suppress(ImportError):
            import readline  # noqa: F401  (gives `input` its history and editing)
        print(f"{self._model} at {self._client.url}; /help lists the commands", file=sys.stderr)
        while (line := _typed()) is not None:
            if line.startswith("/"):
                if not self._obey(line):
                    return
            elif line.strip():
                self._try(line)

    def _try(self, question: str) -> None:
        """Ask; an error ends the answer, not the conversation."""
        before = len(self._messages)
        try:
            self.ask(question)
        except (CommandError, KeyboardInterrupt) as error:
            problem = str(error) or "stopped"
            print(f"llmgw: {printable(problem)}", file=sys.stderr)
            del self._messages[before:]

    def _obey(self, line: str) -> bool:
        """Do what a command says. False: it ends the conversation."""
        command, _, value = line.strip().partition(" ")
        match command, value.strip():
            case "/exit" | "/quit", _:
                return False
            case "/model", model if model:
                self._model = model
            case "/thinking", ("on" | "off" | "auto") as switch:
                self._thinking = _SWITCH[switch]
            case "/new", _:
                self._messages.clear()
            case _:
                print(_HELP, end="", file=sys.stderr)
        return True

    def ask(self, question: str) -> None:
        """Show the answer, and keep both for the next question."""
        self._messages.append({"role": "user", "content": question})
        asked = Question(self._model, self._messages, self._thinking)
        answer = _Screen(quiet=self._quiet).show(self._client.chunks(asked), self._model)
        self._messages.append({"role": "assistant", "content": answer})


def _typed() -> str | None:
    try:
        return input("> ")
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return ""
    except EOFError:
        print(file=sys.stderr)
        return None


class _Screen:
    """Content on standard output; reasoning and usage on standard error, dimmed where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._colours = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        self._reasons = False
        """True while the last thing shown is reasoning."""
        self._content: list[str] = []

    def show(self, chunks: Iterable[Chunk], model: str) -> str:
        """Print an answer as it comes, then its usage. Returns its content."""
        usage: dict[str, Any] | None = None
        try:
            for chunk in chunks:
                usage = chunk.get("usage") or usage
                for choice in chunk["choices"]:
                    delta = choice["delta"]
                    self._reasoning(delta.get("reasoning_content") or "")
                    self._write(delta.get("content") or "")
        finally:
            self._end()
        if usage is not None and not self._quiet:
            print(self._dimmed(f"usage: {_usage(usage)} ({model})"), file=sys.stderr)
        return "".join(self._content)

    def _reasoning(self, text: str) -> None:
        if text and not self._quiet:
            self._reasons = True
            _put(sys.stderr, self._dimmed(text.translate(_CONTROLS)))

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._reasons:
            self._reasons = False
            _put(sys.stderr, "\n\n")
        self._content.append(text)
        _put(sys.stdout, text.translate(_CONTROLS))

    def _end(self) -> None:
        if self._reasons:
            _put(sys.stderr, "\n")
        if self._content and not self._content[-1].endswith("\n"):
            _put(sys.stdout, "\n")

    def _dimmed(self, text: str) -> str:
        return f"{_DIM}{text}{_PLAIN}" if self._colours else text


def _put(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def _usage(usage: dict[str, Any]) -> str:
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    part = f" ({reasoning} reasoning)" if reasoning else ""
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return f"{prompt} prompt + {completion} completion{part} = {usage.get('total_tokens')} tokens"
