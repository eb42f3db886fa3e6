"""Durations and points in time as they are written on the command line."""

import argparse
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

_DURATION: Final = re.compile(r"(\d{1,6})([smhdw])")
_MAX_LIFE: Final = timedelta(days=36_500)
"""Longer ones are typing errors, and some would end after the last day that a date can have."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
NEVER: Final = "never"
Expiry = timedelta | date | datetime | None
"""From now on; until the end of a day; until then; None: never."""


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
            f"{text!r} is more than {_MAX_LIFE.days} days; leave the option out where there is no end"
        )
    return duration


def parse_grace(text: str) -> timedelta:
    """As `parse_duration`, or 0."""
    return timedelta(0) if text == "0" else parse_duration(text)


def parse_expiry(text: str) -> Expiry:
    """`30d`, `2026-12-31`, `2026-12-31T18:00`, the same with a zone, `never`. Raises ArgumentTypeError."""
    if text == NEVER:
        return None
    if _DURATION.fullmatch(text):
        return parse_duration(text)
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    hint = f"write 30d, 2026-12-31, 2026-12-31T18:00+08:00 or {NEVER}"
    raise argparse.ArgumentTypeError(f"{text!r} is no time: {hint}")


def expires_at(expiry: Expiry, zone: tzinfo) -> datetime | None:
    """When that is, in UTC. `zone`: of a date or a time without one."""
    match expiry:
        case None:
            return None
        case timedelta():
            return datetime.now(UTC) + expiry
        case datetime():
            moment = expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=zone)
            return moment.astimezone(UTC)
        case date():
            return datetime.combine(expiry + timedelta(days=1), time(), zone).astimezone(UTC)
