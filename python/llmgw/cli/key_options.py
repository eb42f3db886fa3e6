"""What `llmgw keys create` and `update` can say of a key."""

import argparse
from datetime import UTC, datetime
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from llmgw.access.key import KeyKind
from llmgw.access.keys import KeyFields
from llmgw.cli.access import text_argument
from llmgw.cli.rules import add_rule_options, budgets_of, limits_of
from llmgw.cli.times import expires_at, parse_duration, parse_expiry
from llmgw.config import PricesConfig
from llmgw.errors import CommandError

_KEPT: Final = object()
"""No option says it."""


def add_key_options(parser: argparse.ArgumentParser, *, changing: bool) -> None:
    """`--project` and the others. `changing`: of a key that is there."""
    parser.add_argument("--project", type=text_argument, metavar="P", help="its project (default: default)")
    parser.add_argument("--owner", type=text_argument, help="who answers for it")
    parser.add_argument(
        "--model",
        action="append",
        metavar="ID",
        help="a model that it may use; may be repeated (default: all)",
    )
    parser.add_argument("--models", type=_list, metavar="A,B", help="the same, with commas")
    parser.add_argument(
        "--expires",
        type=parse_expiry,
        default=_KEPT,
        metavar="WHEN",
        help="30d, a date (its end, in the configured time zone), a time as in RFC 3339, or never",
    )
    parser.add_argument(
        "--expires-in", type=parse_duration, metavar="30d", help="a number and s, m, h, d or w"
    )
    parser.add_argument(
        "--trusts-user-header",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="the user behind a request may come in x-llmgw-user or Open WebUI's headers",
    )
    parser.add_argument(
        "--admin",
        type=_admin,
        nargs="?",
        const="admin",
        metavar="read",
        help="it works for the admin API and calls no model; read: it may only look",
    )
    if changing:
        parser.add_argument("--all-models", action="store_true", help="it may use every model")
    add_rule_options(parser, changing=changing)


def fields_of(options: argparse.Namespace, prices: PricesConfig) -> KeyFields:
    """What the options say of a key. Raises CommandError."""
    fields: dict[str, Any] = {
        "limits": limits_of(options),
        "budgets": budgets_of(options, prices.currency),
        "name": options.name,
        "project": options.project,
        "owner": options.owner,
        "kind": options.admin,
        "trusts_user_header": options.trusts_user_header,
        "models": [*(options.models or []), *(options.model or [])] or None,
    }
    said = cast("KeyFields", {name: value for name, value in fields.items() if value is not None})
    if getattr(options, "all_models", False):
        if "models" in said:
            raise CommandError("--all-models and a list of models don't go together")
        said["models"] = None
    if options.expires is not _KEPT and options.expires_in is not None:
        raise CommandError("--expires and --expires-in don't go together")
    if options.expires is not _KEPT:
        said["expires_at"] = expires_at(options.expires, ZoneInfo(prices.timezone))
    elif options.expires_in is not None:
        said["expires_at"] = datetime.now(UTC) + options.expires_in
    return said


def _list(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("name at least one model")
    return names


def _admin(text: str) -> KeyKind:
    if text == "read":
        return "admin_read"
    if text == "admin":
        return "admin"
    raise argparse.ArgumentTypeError(f"{text!r} is not known: write --admin or --admin=read")
