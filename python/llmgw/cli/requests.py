"""`llmgw requests list|show`: rows of the ledger."""

import argparse
from typing import Final

from llmgw.access.captures import lease_that_kept
from llmgw.admin.schemas.base import money_or_none
from llmgw.admin.schemas.requests import RequestDetail, RequestRow
from llmgw.cli.common import add_config_option, configured_store
from llmgw.cli.numbers import add_limit_option, id_argument
from llmgw.cli.since import add_time_options, span_of
from llmgw.cli.table import add_json_option, print_json, print_table, printable
from llmgw.errors import CommandError
from llmgw.ledger.requests import Position, RequestFilter, RequestPage, list_requests
from llmgw.store import LedgerRow, Store

EPILOG: Final = """\
examples:
  llmgw requests list                            the latest 50
  llmgw requests list --failed --since 2h        what went wrong in two hours
  llmgw requests list --key 3 --model qwen3.6-plus --status 429
  llmgw requests list --user zhang.wei --json
  llmgw requests show req_019ac0ffee…            all that is known of one

Bodies are not kept: see llmgw capture.
"""
APIS: Final = ("chat", "completions", "messages", "responses", "embeddings", "rerank")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="show the latest requests first")
    listing.add_argument("--model", metavar="ID", help="of this model")
    listing.add_argument("--key", type=id_argument, metavar="ID", help="of the key with this id")
    listing.add_argument("--project", type=id_argument, metavar="ID", help="of the project with this id")
    listing.add_argument("--user", help="of this user behind a key")
    listing.add_argument("--status", type=id_argument, metavar="N", help="with this HTTP status")
    listing.add_argument(
        "--error-kind", metavar="TEXT", help="that failed like this: idle_timeout, client_gone"
    )
    listing.add_argument("--api", choices=APIS, help="that came through this API")
    outcome = listing.add_mutually_exclusive_group()
    outcome.add_argument("--failed", action="store_const", const=True, help="only those that failed")
    outcome.add_argument(
        "--worked", action="store_const", const=False, dest="failed", help="only those that did not"
    )
    add_time_options(listing, "requests that arrived")
    add_limit_option(listing)
    show = verbs.add_parser("show", help="show all that is known of a request")
    show.add_argument("request", metavar="REQUEST_ID", help="as in the header x-request-id of its answer")
    for verb in (listing, show):
        add_json_option(verb)
        add_config_option(verb)


def run(options: argparse.Namespace) -> int:
    return _show(options) if options.verb == "show" else _list(options)


def _list(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, config):
        since, until = span_of(options, config)
        wanted = RequestFilter(
            model=options.model,
            key_id=options.key,
            project_id=options.project,
            user=options.user,
            status=options.status,
            error_kind=options.error_kind,
            api=options.api,
            failed=options.failed,
            since=since,
            until=until,
        )
        pages = _first(store, wanted, options.limit)
    if options.json:
        told = [RequestRow.of(row, page) for page in pages for row in page.rows]
        print_json([row.model_dump(mode="json") for row in told])
        return 0
    header = ("TIME", "REQUEST", "KEY", "MODEL", "UPSTREAM", "STATUS", "ERROR", "TOKENS", "S", "COST")
    print_table(header, [_cells(row) for page in pages for row in page.rows], right=(2, 5, 7, 8, 9))
    return 0


def _first(store: Store, wanted: RequestFilter, limit: int) -> list[RequestPage]:
    """As many rows as are wanted, if there are so many: a page may end before."""
    pages: list[RequestPage] = []
    after: Position | None = None
    while limit > 0:
        page = list_requests(store, wanted, limit=limit, after=after)
        pages.append(page)
        limit -= len(page.rows)
        after = page.next
        if after is None:
            break
    return pages


def _cells(row: LedgerRow) -> tuple[str, ...]:
    tokens = "-" if row.prompt_tokens is None else f"{row.prompt_tokens:,}+{row.completion_tokens or 0:,}"
    cost = money_or_none(row.cost)
    return (
        row.time.strftime("%Y-%m-%d %H:%M:%SZ"),
        row.request_id,
        "-" if row.key_id is None else str(row.key_id),
        row.model or "-",
        row.upstream or "-",
        str(row.status),
        row.error_kind or "-",
        tokens,
        f"{row.total_s:.1f}",
        "-" if cost is None else f"{cost} {row.currency or ''}".strip(),
    )


def _show(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, _config):
        page = list_requests(store, RequestFilter(request_id=options.request), limit=1)
        captured_in = lease_that_kept(store, options.request)
    if not page.rows:
        raise CommandError(
            f"there is no request {options.request!r} in the ledger; llmgw requests list shows some"
        )
    row = RequestDetail.of(page.rows[0], page, captured_in=captured_in).model_dump(mode="json")
    if options.json:
        print_json(row)
        return 0
    width = max(map(len, row))
    for name, value in row.items():
        print(f"{name:<{width}}  {'-' if value is None else printable(str(value))}")
    return 0
