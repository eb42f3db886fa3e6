"""`--since` and `--until` of verbs that list what has happened."""

import argparse
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from llmgw.cli.times import Expiry, parse_expiry
from llmgw.config import Config


def add_time_options(parser: argparse.ArgumentParser, what: str) -> None:
    """Both. `what`: what happened then."""
    parser.add_argument(
        "--since", type=_moment, metavar="TIME", help=f"{what} then or later: 2h or 7d ago, a date, or a time"
    )
    parser.add_argument("--until", type=_moment, metavar="TIME", help=f"{what} before: the same")


def span_of(options: argparse.Namespace, config: Config) -> tuple[datetime | None, datetime | None]:
    """What they say. A date is its beginning, in the configured time zone."""
    zone = ZoneInfo(config.prices.timezone)
    return _at(options.since, zone), _at(options.until, zone)


def _moment(text: str) -> Expiry:
    moment = parse_expiry(text)
    if moment is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 7d, 2026-12-31 or 2026-12-31T18:00+08:00"
        )
    return moment


def _at(moment: Expiry, zone: ZoneInfo) -> datetime | None:
    match moment:
        case None:
            return None
        case timedelta():
            return datetime.now(UTC) - moment
        case datetime():
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
        case date():
            return datetime.combine(moment, time(), zone).astimezone(UTC)
