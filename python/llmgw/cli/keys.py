"""`llmgw keys …`: makes, shows, changes and ends API keys."""

import argparse
import sys
from datetime import timedelta
from typing import Final

from llmgw.access.checks import Known
from llmgw.access.documents import inherited_document, key_document
from llmgw.access.key import Key, KeyKind
from llmgw.access.keys import (
    NewKey,
    block_key,
    create_key,
    get_key,
    list_keys,
    revoke_key,
    rotate_key,
    unblock_key,
    update_key,
)
from llmgw.cli.access import access, store_access, text_argument
from llmgw.cli.common import actor, add_config_option, format_time
from llmgw.cli.key_options import add_key_options, fields_of
from llmgw.cli.rules import HOW, rule_texts, shortened
from llmgw.cli.table import add_json_option, print_json, print_table, printable
from llmgw.cli.times import parse_grace
from llmgw.cli.unpriced import warn_of_unpriced
from llmgw.errors import CommandError

EPILOG: Final = """\
examples:
  llmgw keys create --name ci                        a key for every model, until it is revoked
  llmgw keys create --name alice --model qwen3.6-plus --expires 30d
  KEY=$(llmgw keys create --name script)             only the key goes to stdout
  llmgw keys list
  llmgw keys block alice                             until llmgw keys unblock alice
  llmgw keys rotate alice --grace 24h                a new secret; the old one is good for a day
  llmgw keys revoke 3                                by its id, name, first characters, or the key itself

  20 yuan a day on the large model, for a person:
    llmgw keys create --name alice --budget qwen3-max=20/day
  2 requests at once for the batch job:
    llmgw keys create --name batch --concurrency 2
  20 yuan a day for each of a team behind one key (Open WebUI names its users in a header):
    llmgw keys create --name webui --trusts-user-header --per-user-budget 20/day
  the whole department 3,000 a month:
    llmgw projects create research --budget 3000/month
    llmgw keys create --name alice --project research
  a key for the admin API, and one that may only look:
    llmgw keys create --name ops --admin
    llmgw keys create --name dashboard --admin=read
"""
_REFERENCE: Final = "its id, its name, its first characters as listed, or the key itself"
_GRACE: Final = timedelta(hours=24)
_KINDS: Final[dict[KeyKind, str]] = {
    "model": "for models",
    "admin": "for the admin API",
    "admin_read": "for the admin API, to look only",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{EPILOG}\n{HOW}"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a key; it is shown this once")
    create.add_argument("--name", type=text_argument, default="", help="who or what it is for")
    add_key_options(create, changing=False)
    listing = verbs.add_parser("list", help="show all keys, never their secret part")
    listing.add_argument("--project", type=text_argument, metavar="P", help="only those of this project")
    more = {
        "show": "show all about a key",
        "update": "change a key; running gateways know within a second",
        "block": "refuse a key until it is unblocked",
        "unblock": "accept a blocked key again",
        "rotate": "give a key a new secret, which is shown this once",
        "revoke": "end a key; running gateways refuse it within a second",
    }
    made = {name: verbs.add_parser(name, help=summary) for name, summary in more.items()}
    for verb in made.values():
        verb.add_argument("key", type=text_argument, metavar="KEY", help=_REFERENCE)
    made["update"].add_argument("--name", type=text_argument, help="who or what it is for")
    add_key_options(made["update"], changing=True)
    made["rotate"].add_argument(
        "--grace",
        type=parse_grace,
        default=_GRACE,
        metavar="24h",
        help="how long the old one is good; 0: no longer",
    )
    for verb in (create, listing, *made.values()):
        verb.formatter_class = argparse.RawDescriptionHelpFormatter
        add_json_option(verb)
        add_config_option(verb)
    for verb in (create, made["update"]):
        verb.epilog = HOW


def run(options: argparse.Namespace) -> int:
    verbs = {
        "create": _create,
        "list": _list_all,
        "show": _show,
        "update": _update,
        "block": _block,
        "unblock": _unblock,
        "rotate": _rotate,
        "revoke": _revoke,
    }
    return verbs[options.verb](options)


def _create(options: argparse.Namespace) -> int:
    with access(options) as (store, config):
        fields = fields_of(options, config.prices)
        new = create_key(store, actor=actor(), known=Known.of(config), **fields)
    if not options.json:
        warn_of_unpriced(config, new.key.budgets, new.key.models)
    expires = f" It expires at {format_time(new.key.expires_at)}." if new.key.expires_at else ""
    said = f"Key {new.key.id} was made. Keep it now, it is not shown again.{expires}"
    return _print_secret(new, said, options)


def _rotate(options: argparse.Namespace) -> int:
    with store_access(options) as store:
        new = rotate_key(store, options.key, actor=actor(), grace=options.grace)
    until = new.key.previous_expires_at
    old = f"good until {format_time(until)}" if until else "no longer good"
    said = f"Key {new.key.id} has a new secret. Keep it now, it is not shown again. The old one is {old}."
    return _print_secret(new, said, options)


def _print_secret(new: NewKey, said: str, options: argparse.Namespace) -> int:
    if options.json:
        print_json({**_object(new.key), "key": new.token, "secret": new.token})
        return 0
    print(new.token)
    print(said, file=sys.stderr)
    return 0


def _update(options: argparse.Namespace) -> int:
    with access(options) as (store, config):
        fields = fields_of(options, config.prices)
        if fields == {"limits": []}:
            raise CommandError("nothing is to be changed; llmgw keys update --help shows what can be")
        key = update_key(store, options.key, actor=actor(), known=Known.of(config), **fields)
    if not options.json and fields.keys() & {"budgets", "project", "models"}:
        warn_of_unpriced(config, key.budgets, key.models)
    return _print_key(key, options)


def _show(options: argparse.Namespace) -> int:
    with store_access(options) as store:
        key = get_key(store, options.key)
    return _print_key(key, options)


def _block(options: argparse.Namespace) -> int:
    with store_access(options) as store:
        key = block_key(store, options.key, actor=actor())
    return _print_done(key, "is blocked", options)


def _unblock(options: argparse.Namespace) -> int:
    with store_access(options) as store:
        key = unblock_key(store, options.key, actor=actor())
    return _print_done(key, "is not blocked", options)


def _revoke(options: argparse.Namespace) -> int:
    with store_access(options) as store:
        key = revoke_key(store, options.key, actor=actor())
    return _print_done(key, "is revoked", options)


def _print_done(key: Key, done: str, options: argparse.Namespace) -> int:
    if options.json:
        print_json(_object(key))
    else:
        print(f"Key {key.id} ({key.prefix}…) {done}.")
    return 0


def _list_all(options: argparse.Namespace) -> int:
    with store_access(options) as store:
        keys = list_keys(store, project=options.project)
    if options.json:
        print_json([_object(key) for key in keys])
        return 0
    rows = [
        (
            str(key.id),
            key.name or "-",
            key.project,
            f"{key.prefix}…",
            _models(key),
            shortened(rule_texts(key.own_limits, key.own_budgets)),
            format_time(key.created_at),
            format_time(key.expires_at),
            _state(key),
        )
        for key in keys
    ]
    header = ("ID", "NAME", "PROJECT", "KEY", "MODELS", "LIMITS", "CREATED", "EXPIRES", "STATE")
    print_table(header, rows, right=(0,))
    return 0


def _print_key(key: Key, options: argparse.Namespace) -> int:
    if options.json:
        print_json(_object(key))
        return 0
    own = rule_texts(key.own_limits, key.own_budgets)
    inherited = rule_texts(key.project_limits, key.project_budgets)
    lines = {
        "key": f"{key.id} ({key.prefix}…)",
        "name": key.name or "-",
        "project": key.project,
        "owner": key.owner or "-",
        "kind": _KINDS[key.kind],
        "models": _models(key),
        "limits": "; ".join(own) or "-",
        "of its project": "; ".join(inherited) or "-",
        "users": "may be named in a header" if key.trusts_user_header else "only in the body",
        "created": format_time(key.created_at),
        "expires": format_time(key.expires_at),
        "rotated": format_time(key.rotated_at),
        "old secret until": format_time(key.previous_expires_at),
        "state": _state(key),
    }
    for name, value in lines.items():
        print(f"{name:<18}{printable(value)}")
    return 0


def _models(key: Key) -> str:
    if key.is_admin:
        return "none"
    return "all" if key.models is None else ",".join(sorted(key.models))


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {format_time(key.revoked_at)}"
    if key.blocked_at is not None:
        return f"blocked {format_time(key.blocked_at)}"
    return "project blocked" if key.state == "project_blocked" else key.state


def _object(key: Key) -> dict[str, object]:
    return {**key_document(key), "of_project": inherited_document(key), "state": key.state}
