"""`llmgw audit list`: who changed what."""

import argparse
import json
from typing import Final

from llmgw.access.audit import AuditEntry, list_audit
from llmgw.admin.schemas.audit import AuditEntrySchema
from llmgw.cli.common import add_config_option, configured_store, format_time
from llmgw.cli.numbers import add_limit_option
from llmgw.cli.since import add_time_options, span_of
from llmgw.cli.table import add_json_option, print_json, print_table

EPILOG: Final = """\
Each change of a key, a project, a limit or a budget is a row, whoever made it: by the command line, or by the
admin API. Secrets are never in it.

examples:
  llmgw audit list                          the latest changes
  llmgw audit list --target 'key 12'        of one key
  llmgw audit list --action key. --since 7d   all that was done to keys in a week
  llmgw audit list --json --limit 1000
"""
_SHOWN_CHARS: Final = 80


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="show the latest changes first")
    listing.add_argument(
        "--target", metavar="TEXT", help="what was changed: 'key 12', 'project 3', 'budget 4'"
    )
    listing.add_argument("--actor", metavar="TEXT", help="who did it, as listed")
    listing.add_argument(
        "--action", metavar="TEXT", help="what was done: key.create; key. is all that begins with it"
    )
    add_time_options(listing, "changes")
    add_limit_option(listing)
    add_json_option(listing)
    add_config_option(listing)


def run(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, config):
        since, until = span_of(options, config)
        entries = list_audit(
            store,
            limit=options.limit,
            target=options.target,
            actor=options.actor,
            action=options.action,
            since=since,
            until=until,
        )
    if options.json:
        print_json([AuditEntrySchema(**entry._asdict()).model_dump(mode="json") for entry in entries])
        return 0
    rows = [
        (str(entry.id), format_time(entry.time), entry.actor, entry.action, entry.target, _changes(entry))
        for entry in entries
    ]
    print_table(("ID", "TIME", "WHO", "WHAT", "OF", "CHANGES"), rows, right=(0,))
    return 0


def _changes(entry: AuditEntry) -> str:
    before, after = entry.before or {}, entry.after or {}
    changes = [
        f"{name}: {_text(value)}"
        if before.get(name, value) == value
        else f"{name}: {_text(before[name])} → {_text(value)}"
        for name, value in after.items()
        if value not in (None, [], {}) or before.get(name) != value
    ]
    text = ", ".join(changes)
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"


def _text(value: object) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
