"""`llmgw budgets list|lift|reset|verify`: what is spent and left, and more of it."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from llmgw.access.amounts import parse_amount
from llmgw.access.documents import budget_state_document
from llmgw.budgets.budget import TOKENS
from llmgw.budgets.money import amount_text
from llmgw.budgets.store import (
    BudgetInputError,
    BudgetState,
    UnknownBudgetError,
    lift_budget,
    list_budgets,
    reset_budget,
)
from llmgw.budgets.verify import HourDifference, Report, WindowDifference, repair, verify
from llmgw.budgets.windows import END
from llmgw.cli.access import text_argument
from llmgw.cli.common import actor, add_config_option, configured_store, format_time
from llmgw.cli.table import add_json_option, print_json, print_table
from llmgw.config import Config
from llmgw.errors import CommandError
from llmgw.ledger.days import resum_day
from llmgw.ledger.sums import resum_hour

if TYPE_CHECKING:
    from llmgw.store import Store

EPILOG: Final = """\
examples:
  llmgw budgets list                       what is spent and left in the current windows
  llmgw budgets list --key 3               of one key, by its id
  llmgw budgets lift 2 5                   5 yuan more, until the end of this window
  llmgw budgets reset 2                    what was spent in this window does not count
  llmgw budgets reset 2 --user alice       of one user, in a budget for each of them
  llmgw budgets verify                     is it all the sum of the ledger's rows?

llmgw keys create and llmgw projects create make budgets.
"""
_SHOWN: Final = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="show all budgets with what is spent and left")
    only = listing.add_mutually_exclusive_group()
    only.add_argument("--key", type=_id, metavar="ID", help="only those of this key")
    only.add_argument("--project", type=_id, metavar="ID", help="only those of this project")
    lift = verbs.add_parser("lift", help="add to a budget, for its current window only")
    reset = verbs.add_parser("reset", help="forgive what was spent in the current window")
    for verb in (lift, reset):
        verb.add_argument("budget", type=_id, metavar="ID", help="its id, as listed")
    lift.add_argument("amount", metavar="AMOUNT", help="in the budget's unit: 5, 0.50, 100000")
    lift.add_argument("--user", type=text_argument, default="", help="of this user, where each has his own")
    reset.add_argument("--user", type=text_argument, help="only of this user, where each has his own")
    checking = verbs.add_parser("verify", help="compare budgets with the ledger; status 1 if they differ")
    checking.add_argument("--repair", action="store_true", help="set what differs to what the rows say")
    for verb in (listing, lift, reset, checking):
        add_json_option(verb)
        add_config_option(verb)


def run(options: argparse.Namespace) -> int:
    verbs = {"list": _list, "lift": _lift, "reset": _reset, "verify": _verify}
    with _opened(options) as (store, config):
        return verbs[options.verb](options, store, config)


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple["Store", Config]]:
    with configured_store(options.config) as (store, config):
        try:
            yield store, config
        except UnknownBudgetError as error:
            raise CommandError(f"{error}; llmgw budgets list shows them all") from error
        except BudgetInputError as error:
            raise CommandError(f"{error.param} {error}") from error


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(2**63)) - 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not an id, which is a number")
    return int(text)


def _zone(config: Config) -> ZoneInfo:
    return ZoneInfo(config.prices.timezone)


def _list(options: argparse.Namespace, store: "Store", config: Config) -> int:
    scope, scope_id = ("key", options.key) if options.key is not None else ("project", options.project)
    states = list_budgets(
        store,
        _zone(config),
        datetime.now(UTC),
        scope=None if scope_id is None else scope,  # type: ignore[arg-type]  # one of the two
        scope_ids=None if scope_id is None else [scope_id],
    )
    _print(states, _zone(config), options)
    return 0


def _lift(options: argparse.Namespace, store: "Store", config: Config) -> int:
    zone = _zone(config)
    found = list_budgets(store, zone, datetime.now(UTC), budget_ids=[options.budget], limit=1)
    try:
        amount = parse_amount(options.amount, found[0].unit if found else TOKENS)
    except ValueError as error:
        if found:
            raise CommandError(f"amount {error}") from error
        amount = 1  # `lift_budget` says that there is none
    state = lift_budget(store, options.budget, amount, zone, actor=actor(), user=options.user)
    _print([state], zone, options)
    return 0


def _reset(options: argparse.Namespace, store: "Store", config: Config) -> int:
    zone = _zone(config)
    states = reset_budget(store, options.budget, zone, actor=actor(), user=options.user)
    _print(states, zone, options)
    return 0


def _print(states: list[BudgetState], zone: ZoneInfo, options: argparse.Namespace) -> None:
    if options.json:
        print_json([budget_state_document(state) for state in states])
        return
    header = ("ID", "OF", "MODEL", "USER", "PERIOD", "BUDGET", "SPENT", "LEFT", "UNIT", "UNTIL")
    print_table(header, [_row(state, zone) for state in states], right=(0, 5, 6, 7))


def _row(state: BudgetState, zone: ZoneInfo) -> tuple[str, ...]:
    ends_at = state.window.ends_at
    return (
        str(state.id),
        f"{state.scope} {state.scope_id}{f' ({state.name})' if state.name else ''}",
        state.model or "all",
        (state.user or "none named") if state.per_user else "all",
        state.period,
        *(amount_text(amount, state.unit) for amount in (state.limit, state.counted, state.left)),
        state.unit,
        "-" if ends_at == END else ends_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
    )


def _verify(options: argparse.Namespace, store: "Store", config: Config) -> int:
    zone, now, keep_days = _zone(config), datetime.now(UTC), config.ledger.keep_days
    if options.repair:
        report = repair(
            store,
            zone,
            now,
            resum_hour=resum_hour,
            resum_day=resum_day,
            actor=actor(),
            keep_days=keep_days,
        )
    else:
        report = verify(store, zone, now, keep_days=keep_days)
    if options.json:
        print_json(_report(report, repaired=options.repair))
    else:
        _say(report, zone.key, repaired=options.repair)
    if _is_of_another_zone(report):
        return 1
    left = [each for each in report.hour_differences if not each.can_be_repaired]
    return int(bool(left) if options.repair else not report.is_right)


def _is_of_another_zone(report: Report) -> bool:
    """Nothing was compared, as after a change of the config that no gateway has taken over yet."""
    return not report.windows and report.windows_of_other_zones > 0


def _say(report: Report, zone: str, *, repaired: bool) -> None:
    if _is_of_another_zone(report):
        count = f"{report.windows_of_other_zones:,} windows of budgets"
        print(f"no budget was compared: {count} began in another time zone than [prices] timezone, {zone}.")
        print("A gateway takes a new time zone over when it is started again.")
        return
    for window in report.window_differences[:_SHOWN]:
        whose = f"budget {window.budget_id}{f', user {window.user}' if window.user else ''}"
        when = format_time(window.starts_at)
        print(f"{whose}, window from {when}: spent {window.spent}, its hours come to {window.due}")
    for hour in report.hour_differences[:_SHOWN]:
        print(f"hour from {format_time(hour.hour)}: {_counts(hour)}")
    for day in report.day_differences[:_SHOWN]:
        print(f"day from {format_time(day)}: its sums are not those of its hours")
    differences = len(report.window_differences) + len(report.hour_differences) + len(report.day_differences)
    compared = f"{report.windows:,} windows and {report.hours:,} hours compared"
    if not differences:
        print(f"{compared}: all are what the ledger's rows come to")
        return
    done = " and were repaired" if repaired else "; --repair sets them right"
    print(f"{compared}: {differences:,} differ{done}")


def _counts(hour: HourDifference) -> str:
    pairs = [(f"{name} {ours}", f"{rows}") for name, ours, rows in zip(
        hour.sums._fields, hour.sums, hour.rows, strict=True
    ) if ours != rows]  # fmt: skip
    told = ", ".join(f"{ours}, its rows come to {rows}" for ours, rows in pairs)
    return told if hour.can_be_repaired else f"{told} (rows were deleted; the sums stay)"


def _report(report: Report, *, repaired: bool) -> dict[str, object]:
    return {
        "windows": report.windows,
        "hours": report.hours,
        "windows_of_other_zones": report.windows_of_other_zones,
        "repaired": repaired,
        "window_differences": [_window(each) for each in report.window_differences],
        "hour_differences": [
            {"hour": _iso(each.hour), "sums": each.sums._asdict(), "rows": each.rows._asdict()}
            for each in report.hour_differences
        ],
        "day_differences": [_iso(day) for day in report.day_differences],
    }


def _window(each: WindowDifference) -> dict[str, object]:
    return {
        "budget_id": each.budget_id,
        "user": each.user or None,
        "starts_at": _iso(each.starts_at),
        "spent": each.spent,
        "due": each.due,
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")
