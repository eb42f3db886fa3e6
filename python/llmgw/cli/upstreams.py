"""`llmgw upstreams list`: the config's upstreams, with their health and latency."""

import argparse
from typing import Final

from llmgw.admin.models import upstreams_of
from llmgw.admin.schemas.system import UpstreamSchema
from llmgw.cli.common import add_config_option, configured_store
from llmgw.cli.running import health_of
from llmgw.cli.table import add_json_option, print_json, print_table
from llmgw.routing.accounts import account_name

EPILOG: Final = """\
Health is what the workers of a gateway that runs say; without one it is "-". Latency is that of the last 24
hours, out of the ledger's sums: the upper bound of the step in which half, or 95 %, of the requests were.
llmgw check asks the upstreams themselves.

examples:
  llmgw upstreams list
  llmgw upstreams list --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="show all upstreams")
    add_json_option(listing)
    add_config_option(listing)


def run(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, config):
        book = health_of(config)
        upstreams = upstreams_of(config, book, store, config.upstreams)
    if options.json:
        print_json([upstream.model_dump(mode="json") for upstream in upstreams])
        return 0
    header = (
        "UPSTREAM",
        "MODEL",
        "STATE",
        "IN FLIGHT",
        "LAST FAILURE",
        "REQUESTS",
        "FIRST EVENT S",
        "TOTAL S",
    )
    rows = [row for upstream in upstreams for row in _rows(upstream)]
    print_table(header, rows, right=(3, 5, 6, 7))
    return 0


def _rows(upstream: UpstreamSchema) -> list[tuple[str, ...]]:
    """One for each model there."""
    latency = upstream.latency
    told = (
        f"{latency.requests:,}",
        _two(latency.first_event_p50_s, latency.first_event_p95_s),
        _two(latency.total_p50_s, latency.total_p95_s),
    )
    rows: list[tuple[str, ...]] = []
    for index, target in enumerate(upstream.targets):
        failures = [each.last_failure for each in target.workers if each.last_failure is not None]
        rows.append(
            (
                _called(upstream, index),
                target.upstream_model,
                target.state or "-",
                str(target.in_flight),
                failures[-1] if failures else "-",
                *(told if index == 0 else ("", "", "")),
            )
        )
    return rows or [(upstream.name, "-", "-", "0", "-", *told)]


def _called(upstream: UpstreamSchema, index: int) -> str:
    """The upstream is named once, an account wherever there are several."""
    account = upstream.targets[index].account
    return "" if index > 0 and account is None else account_name(upstream.name, account)


def _two(p50: float | None, p95: float | None) -> str:
    return " / ".join("-" if each is None else f"{each:g}" for each in (p50, p95))
