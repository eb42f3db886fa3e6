"""`llmgw keys create|list|revoke`: makes, shows and revokes API keys."""

import argparse
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

from llmgw.access.checks import Known
from llmgw.access.key import Key
from llmgw.access.keys import create_key, list_keys, revoke_key
from llmgw.access.refusals import AccessError
from llmgw.cli.common import actor, add_config_option, configured_store, format_time
from llmgw.cli.table import add_json_option, print_json, print_table
from llmgw.errors import CommandError

EPILOG: Final = """\
examples:
  llmgw keys create --name ci                        a key for every model, until it is revoked
  llmgw keys create --models glm-5,kimi-k3 --expires-in 30d
  KEY=$(llmgw keys create --name script)             only the key goes to stdout
  llmgw keys list
  llmgw keys revoke 3                                or its name, its first characters, the key itself
"""

_DURATION: Final = re.compile(r"(\d{1,6})([smhdw])")
_MAX_LIFE: Final = timedelta(days=36_500)
"""Longer ones are typing errors, and some would end after the last day that a date can have."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a key; it is shown this once")
    create.add_argument("--name", type=_name, default="", help="who or what it is for")
    create.add_argument(
        "--models", type=_list, metavar="A,B", help="ids of the models that it may use (default: all)"
    )
    create.add_argument(
        "--expires-in", type=parse_duration, metavar="30d", help="a number and s, m, h, d or w"
    )
    listing = verbs.add_parser("list", help="show all keys, never their secret part")
    revoke = verbs.add_parser("revoke", help="end a key; running gateways refuse it within a second")
    revoke.add_argument(
        "key", metavar="KEY", help="its id, its name, its first characters as listed, or the key itself"
    )
    for verb in (create, listing):
        add_json_option(verb)
    for verb in (create, listing, revoke):
        add_config_option(verb)


def run(options: argparse.Namespace) -> int:
    verbs = {"create": _create, "list": _list_all, "revoke": _revoke}
    return verbs[options.verb](options)


def parse_duration(text: str) -> timedelta:
    """`90s`, `45m`, `12h`, `30d`, `2w`. Raises ArgumentTypeError."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration: write a number and s, m, h, d or w, such as 30d"
        )
    duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if duration > _MAX_LIFE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is more than {_MAX_LIFE.days} days; without --expires-in, a key does not expire"
        )
    return duration


def _name(text: str) -> str:
    """What is not UTF-8 on the command line is replaced: no database takes it."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _list(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("name at least one model")
    return names


def _create(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, config):
        expires_at = None if options.expires_in is None else datetime.now(UTC) + options.expires_in
        try:
            new = create_key(
                store,
                actor=actor(),
                known=Known.of(config),
                name=options.name,
                models=options.models,
                expires_at=expires_at,
            )
        except AccessError as error:
            raise CommandError(str(error)) from error
    if options.json:
        print_json({**_object(new.key), "key": new.token})
        return 0
    print(new.token)
    until = f" It expires at {format_time(expires_at)}." if expires_at else ""
    print(f"Key {new.key.id} was made. Keep it now, it is not shown again.{until}", file=sys.stderr)
    return 0


def _list_all(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, _config):
        keys = list_keys(store)
    if options.json:
        print_json([_object(key) for key in keys])
        return 0
    rows = [
        (
            str(key.id),
            key.name or "-",
            f"{key.prefix}…",
            "all" if key.models is None else ",".join(sorted(key.models)),
            format_time(key.created_at),
            format_time(key.expires_at),
            _state(key),
        )
        for key in keys
    ]
    print_table(("ID", "NAME", "KEY", "MODELS", "CREATED", "EXPIRES", "STATE"), rows, right=(0,))
    return 0


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {format_time(key.revoked_at)}"
    return "expired" if key.expired() else "active"


def _object(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "models": None if key.models is None else sorted(key.models),
        "created_at": _iso(key.created_at),
        "expires_at": _iso(key.expires_at),
        "revoked_at": _iso(key.revoked_at),
        "state": "revoked" if key.revoked_at is not None else _state(key),
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _revoke(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, _config):
        try:
            key = revoke_key(store, options.key, actor=actor())
        except AccessError as error:
            raise CommandError(f"{error}; llmgw keys list shows them all") from error
    print(f"Key {key.id} ({key.prefix}…) is revoked.")
    return 0
