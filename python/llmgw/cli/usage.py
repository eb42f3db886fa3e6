"""`llmgw usage`: sums requests, tokens and costs of the ledger."""

import argparse
import csv
import re
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, cast
from zoneinfo import ZoneInfo

from llmgw.budgets.money import amount_text
from llmgw.cli.common import add_config_option, configured_store
from llmgw.cli.table import print_json, print_table
from llmgw.cli.times import parse_duration
from llmgw.config import Config
from llmgw.ledger.journal import pending
from llmgw.ledger.order import ALL, ORDERS, ordered
from llmgw.ledger.usage import BUCKETS, DIMENSIONS, Totals, Usage, UsageBy, UsageSum, sum_usage

EPILOG: Final = """\
examples:
  llmgw usage                          tokens, requests and cost of each key
  llmgw usage --by model --since 7d
  llmgw usage --by project,day --since 2026-11-01 --until 2026-11-30
  llmgw usage --by key,user,model --since 30d --csv > november.csv
  llmgw usage --by hour --since 24h    hours and days are those of [prices] timezone
  llmgw usage --by all --since 30d     one row of everything
  llmgw usage --by key --order cost    the dearest key first, by its cost in [prices] currency

All of an hour is summed: --since 90m begins with the hour in which that was, and --since 7d with the day.
A request without a price costs nothing here; UNPRICED counts those.
"""
_DAYS: Final = re.compile(r"\d+[dw]")
_LABELS: Final = {"hour": "%Y-%m-%d %H:%M", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula."""
_NOTHING: Final = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    by = parser.add_argument(
        "--by",
        type=_groups,
        default=["key"],
        metavar="A,B",
        help=f"what to group by (default: key): {', '.join((*DIMENSIONS, *BUCKETS))}; or {ALL}",
    )
    by.completer = _completions  # type: ignore[attr-defined]  # argcomplete's
    parser.add_argument(
        "--order", choices=ORDERS, default="group", help="by group, or the largest first (default: group)"
    )
    parser.add_argument("--since", type=_moment, metavar="7d", help="a duration, a day or a time")
    parser.add_argument("--until", type=_moment, metavar="DAY", help="the same; a day is part of it")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="JSON instead of a table")
    shape.add_argument("--csv", action="store_true", help="CSV instead of a table")
    add_config_option(parser)


def run(options: argparse.Namespace) -> int:
    with configured_store(options.config) as (store, config):
        zone = ZoneInfo(config.prices.timezone)
        now = datetime.now(UTC)
        usage = sum_usage(
            store,
            options.by,
            zone,
            since=_begin(options.since, zone, now),
            until=_end(options.until, zone, now),
        )
    usage = usage._replace(sums=ordered(usage, options.by, options.order, config.prices.currency))
    report = _Report(options.by, usage, zone, config.prices.currency)
    if options.json:
        print_json([report.document(each) for each in usage.sums])
    elif options.csv:
        report.print_csv()
    else:
        report.print_table()
    _tell_of_journals(config)
    return 0


def _groups(text: str) -> list[UsageBy]:
    known = (*DIMENSIONS, *BUCKETS)
    if text.strip() == ALL:
        return []
    groups = [each.strip() for each in text.split(",")]
    for each in groups:
        if each not in known:
            alone = f" or, alone, {ALL}"
            raise argparse.ArgumentTypeError(f"{each!r} is none of {', '.join(known)}{alone}")
    if len(set(groups)) < len(groups):
        raise argparse.ArgumentTypeError(f"{text!r} names something twice")
    if sum(each in BUCKETS for each in groups) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} has more than one of {', '.join(BUCKETS)}")
    return cast("list[UsageBy]", groups)


def _completions(prefix: str, **_: object) -> list[str]:
    """What a shell may add to a list."""
    before = "".join(prefix.rpartition(",")[:2])
    names = (*DIMENSIONS, *BUCKETS) if before else (*DIMENSIONS, *BUCKETS, ALL)
    return [f"{before}{each}" for each in names]


_Moment = tuple[timedelta, bool] | date | datetime


def _moment(text: str) -> _Moment:
    """A duration, and whether it is of whole days; a day; a time."""
    if text[-1:] in "smhdw" and text[:1].isdigit():
        return parse_duration(text), _DAYS.fullmatch(text) is not None
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    hint = "write 7d, 24h, 2026-11-26 or 2026-11-26T18:00+08:00"
    raise argparse.ArgumentTypeError(f"{text!r} is no time: {hint}")


def _begin(moment: _Moment | None, zone: tzinfo, now: datetime) -> datetime | None:
    match moment:
        case None:
            return None
        case (timedelta() as duration, bool(days)):
            at = now - duration
            return _midnight(at.astimezone(zone).date(), zone) if days else at
        case datetime():
            return _aware(moment, zone)
        case date():
            return _midnight(moment, zone)


def _end(moment: _Moment | None, zone: tzinfo, now: datetime) -> datetime | None:
    if type(moment) is date:
        return _midnight(moment + timedelta(days=1), zone)
    return _begin(moment, zone, now)


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


class _Report:
    """What was summed, in words."""

    def __init__(self, by: Sequence[UsageBy], usage: Usage, zone: tzinfo, currency: str) -> None:
        self._by = by
        self._usage = usage
        self._zone = zone
        used = {each for group in usage.sums for each in group.costs}
        self._currencies = sorted({currency, *used})

    def document(self, each: UsageSum) -> dict[str, object]:
        """One group as JSON."""
        group: dict[str, object] = {}
        for name, value in zip(self._by, each.group, strict=True):
            if isinstance(value, datetime):
                group["starts_at"] = value.isoformat(timespec="seconds").replace("+00:00", "Z")
                group[name] = self._label(name, value)
            elif name in ("key", "project"):
                group[name] = {"id": value, "name": self._name(name, value)} if value else None
            else:
                group[name] = value or None
        costs = {currency: amount_text(cost, currency) for currency, cost in each.costs.items()}
        return {**group, **each.totals._asdict(), "costs": costs}

    def print_table(self) -> None:
        """Aligned, for people."""
        counters = ("REQUESTS", "ERRORS", "PROMPT", "COMPLETION", "REASONING", "CACHED", "CACHE WRITE")
        header = (*(name.upper() for name in self._by), *counters, "COST", "UNPRICED")
        rows = [
            (
                *(self._label(name, value) for name, value in zip(self._by, each.group, strict=True)),
                *(f"{number:,}" for number in _counters(each.totals)),
                self._cost(each),
                f"{each.totals.unpriced:,}",
            )
            for each in self._usage.sums
        ]
        print_table(header, rows, right=range(len(self._by), len(header)))

    def print_csv(self) -> None:
        """A column for each currency. RFC 4180 but for its line ends, which are those of Unix."""
        names = [column for name in self._by for column in _csv_columns(name)]
        costs = [f"cost_{currency.lower()}" for currency in self._currencies]
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow([*names, *Totals._fields, *costs])
        for each in self._usage.sums:
            cells: list[object] = []
            for name, value in zip(self._by, each.group, strict=True):
                if name in ("key", "project"):
                    cells += [value or "", _cell(self._name(name, value))]
                else:
                    cells.append(_cell(self._label(name, value)) if value else "")
            costs = [amount_text(each.costs.get(currency, 0), currency) for currency in self._currencies]
            rows.writerow([*cells, *each.totals, *costs])

    def _cost(self, each: UsageSum) -> str:
        if not each.costs:
            return _NOTHING
        return " + ".join(f"{amount_text(cost, unit)} {unit}" for unit, cost in sorted(each.costs.items()))

    def _name(self, dimension: str, value: int) -> str:
        return (self._usage.keys if dimension == "key" else self._usage.projects).get(value, "")

    def _label(self, name: str, value: object) -> str:
        if isinstance(value, datetime):
            return value.astimezone(self._zone).strftime(_LABELS[name])
        if isinstance(value, int):
            return f"{value} {self._name(name, value)}".rstrip() if value else _NOTHING
        return str(value) or _NOTHING


def _counters(totals: Totals) -> tuple[int, ...]:
    return (totals.requests, totals.errors, *totals[3:])


def _csv_columns(name: str) -> tuple[str, ...]:
    return (f"{name}_id", name) if name in ("key", "project") else (name,)


def _cell(text: str) -> str:
    """No spreadsheet runs what a client has sent as its user."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _tell_of_journals(config: Config) -> None:
    waiting = pending(config.journal_folder)
    if waiting.rows:
        where = f"{waiting.rows:,} more rows wait in {config.journal_folder}"
        print(f"{where}; a running gateway adds them once it can write the database", file=sys.stderr)
    if waiting.set_aside:
        files = "1 file" if waiting.set_aside == 1 else f"{waiting.set_aside} files"
        where = f"{files} in {config.journal_folder} with something that can't be replayed"
        print(f"{where}; the gateway's log says what", file=sys.stderr)
