"""`llmgw capture open|list|close|show`: requests with their bodies, for debugging."""

import argparse
import sys
from typing import TYPE_CHECKING, Final

from llmgw.access.captures import (
    DEFAULT_BODY_BYTES,
    DEFAULT_LEASE,
    DEFAULT_REQUESTS,
    close_lease,
    list_captured,
    list_leases,
    open_lease,
    read_captured,
)
from llmgw.admin.schemas.captures import BodiesSchema, CapturedSchema, LeaseSchema
from llmgw.cli.access import access, text_argument
from llmgw.cli.common import actor, add_config_option, format_time
from llmgw.cli.numbers import add_limit_option, id_argument
from llmgw.cli.table import add_json_option, print_json, print_table, printable
from llmgw.cli.times import parse_duration
from llmgw.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.access.lease import Lease
    from llmgw.config import Config
    from llmgw.store import Store

EPILOG: Final = """\
For debugging, the requests of one key can be kept with their bodies, for an hour at most. The config must
allow it ([admin] capture = true). Each answer says so to the client (x-llmgw-captured: 1), the audit has who
opened a capture and who read what, and everything is deleted a day later.

examples:
  llmgw capture open 12 --for 15m          the key with the id 12; its name or first characters will do
  llmgw capture list
  llmgw capture show 2                     what the capture 2 has kept
  llmgw capture show 2 req_019ac0ffee…     the bodies of one request
  llmgw capture close 12
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    opening = verbs.add_parser("open", help="keep a key's requests from now on")
    opening.add_argument(
        "--for",
        dest="duration",
        type=parse_duration,
        default=DEFAULT_LEASE,
        metavar="15m",
        help="how long, up to 1h",
    )
    opening.add_argument(
        "--requests", type=id_argument, default=DEFAULT_REQUESTS, metavar="N",
        help="at most so many (default: %(default)s)",
    )  # fmt: skip
    opening.add_argument(
        "--body-bytes", type=id_argument, default=DEFAULT_BODY_BYTES, metavar="N",
        help="longer bodies are cut (default: %(default)s)",
    )  # fmt: skip
    closing = verbs.add_parser("close", help="keep no further request of a key")
    for verb in (opening, closing):
        verb.add_argument("key", type=text_argument, metavar="KEY", help="its id, name or first characters")
    listing = verbs.add_parser("list", help="show all captures, the latest first")
    show = verbs.add_parser("show", help="show what a capture has kept")
    show.add_argument("capture", type=id_argument, metavar="ID", help="its id, as listed")
    show.add_argument("request", nargs="?", metavar="REQUEST_ID", help="show the bodies of this request")
    for verb in (listing, show):
        add_limit_option(verb)
    for verb in (opening, closing, listing, show):
        add_json_option(verb)
        add_config_option(verb)


def run(options: argparse.Namespace) -> int:
    verbs: dict[str, Callable[[argparse.Namespace, Store, Config], None]] = {
        "open": _open,
        "close": _close,
        "list": _list,
        "show": _show,
    }
    with access(options) as (store, config):
        verbs[options.verb](options, store, config)
    return 0


def _open(options: argparse.Namespace, store: "Store", config: "Config") -> None:
    if not config.admin.capture:
        raise CommandError("the config does not allow it: set [admin] capture = true, and llmgw reload")
    lease = open_lease(
        store,
        options.key,
        actor=actor(),
        duration=options.duration,
        max_requests=options.requests,
        max_body_bytes=options.body_bytes,
    )
    _print([lease], options)


def _close(options: argparse.Namespace, store: "Store", _config: "Config") -> None:
    _print([close_lease(store, options.key, actor=actor())], options)


def _list(options: argparse.Namespace, store: "Store", _config: "Config") -> None:
    _print(list_leases(store, limit=options.limit), options)


def _print(leases: "list[Lease]", options: argparse.Namespace) -> None:
    if options.json:
        shown = [LeaseSchema.of(lease).model_dump(mode="json") for lease in leases]
        print_json(shown if options.verb == "list" else shown[0])
        return
    rows = [
        (
            str(lease.id),
            str(lease.key_id),
            lease.opened_by,
            format_time(lease.opened_at),
            format_time(lease.closed_at or lease.expires_at),
            f"{lease.captured} of {lease.max_requests}",
            "open" if lease.is_open() else "closed",
        )
        for lease in leases
    ]
    print_table(("ID", "KEY", "OPENED BY", "FROM", "UNTIL", "REQUESTS", "STATE"), rows, right=(0, 1))


def _show(options: argparse.Namespace, store: "Store", _config: "Config") -> None:
    if options.request is None:
        captured = list_captured(store, options.capture, limit=options.limit)
        if options.json:
            print_json([CapturedSchema.of(each).model_dump(mode="json") for each in captured])
            return
        rows = [
            (each.request_id, format_time(each.time), f"{each.request_bytes:,}", f"{each.response_bytes:,}",
             "yes" if each.is_cut else "no", format_time(each.expires_at))
            for each in captured
        ]  # fmt: skip
        print_table(("REQUEST", "TIME", "BYTES SENT", "BYTES GOT", "CUT", "UNTIL"), rows, right=(2, 3))
        return
    bodies = BodiesSchema.with_bodies(read_captured(store, options.capture, options.request, actor=actor()))
    if options.json:
        print_json(bodies.model_dump(mode="json"))
        return
    for name, body in (("sent", bodies.request_body), ("got", bodies.response_body)):
        print(f"--- {name}{' (cut)' if bodies.is_cut else ''}", file=sys.stderr)
        print("\n".join(map(printable, body.splitlines())))
