"""How the config names amounts of money, currencies, time zones and hours.

An amount is written as a number of the currency's unit and kept as an integer of 10⁻⁹ of it. A float is taken
for the shortest decimal number that reads back as the same float, which is the one that was written.
"""

import difflib
import re
import zoneinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from pydantic import BeforeValidator, Field

from llmgw.config.table import told

if TYPE_CHECKING:
    from collections.abc import Sequence

NANO: Final = 10**9
"""So many to the unit of a currency."""
MAX_PRICE: Final = 1_000_000
"""Of a million tokens, a request or an image, in the unit of its currency; also of an exchange rate."""
MAX_FACTOR: Final = 100
_PLACES: Final = 9
CURRENCY: Final = re.compile(r"[A-Z]{3}")
_HOURS: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAY_MINUTES: Final = 24 * 60


class Hours(NamedTuple):
    """A part of the day, in minutes since midnight. It goes over midnight where `start` is after `end`."""

    start: int
    end: int
    """The first minute after it; 1440: midnight."""

    def __str__(self) -> str:
        """As in the config: `00:30-08:30`."""
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in self)


def _scaled(value: object, most: int, what: str) -> int:
    """A number as an integer of 10⁻⁹."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise told("has the wrong type", f"it must be a number ({what})")
    number = Decimal(repr(value))
    if not number.is_finite():
        raise told("is not a finite number", f"it must be a number ({what})")
    if number < 0:
        raise told("is negative", f"it must be 0 or more ({what})")
    if number > most:
        raise told(f"is more than {most:,}", f"it is a number {what}: move the decimal point")
    scaled = number * NANO
    if scaled != int(scaled):
        raise told(f"has more than {_PLACES} decimal places", "round it to 0.000000001")
    return int(scaled)


def _price(value: object) -> int:
    return _scaled(value, MAX_PRICE, "of the currency's unit, per million tokens")


def _fee(value: object) -> int:
    return _scaled(value, MAX_PRICE, "of the currency's unit")


def _rate(value: object) -> int:
    rate = _scaled(value, MAX_PRICE, "what one unit of that currency is worth")
    if rate == 0:
        raise told("is 0", "write what one unit of that currency is worth in prices.currency")
    return rate


def _factor(value: object) -> int:
    return _scaled(value, MAX_FACTOR, "by which the price is multiplied, such as 0.5 for half of it")


def _currency(value: object) -> object:
    if not isinstance(value, str) or not CURRENCY.fullmatch(value):
        raise told("is not the code of a currency", 'write three capital letters, such as "CNY"')
    return value


def _zone(value: object) -> object:
    if not isinstance(value, str):
        raise told("has the wrong type", 'it must be the name of a time zone, such as "Asia/Shanghai"')
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # the last two: a path, a folder
        close = difflib.get_close_matches(value, zoneinfo.available_timezones(), n=1)
        remedy = f"did you mean {close[0]!r}?" if close else 'write a name such as "Asia/Shanghai" or "UTC"'
        raise told("is not the name of a time zone", remedy) from None
    return value


def _hours(value: object) -> object:
    """`"00:30-08:30"`, or a list of such."""
    texts: Sequence[object] = value if isinstance(value, list) else [value]
    if not texts:
        raise told("is empty", 'write hours such as "00:30-08:30"')
    return tuple(map(_hours_of, texts))


def _hours_of(text: object) -> Hours:
    found = _HOURS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise told("is not a part of a day", 'write hours such as "00:30-08:30", or a list of them')
    numbers = [int(number) for number in found.groups()]
    hours = Hours(numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3])
    if max(hours) > _DAY_MINUTES or hours.start == _DAY_MINUTES:
        raise told("is not a part of a day", "a day is from 00:00 to 24:00")
    if hours.start == hours.end:
        raise told("is empty, since it ends where it begins", 'write "00:00-24:00" for the whole day')
    return hours


TokenPrice = Annotated[int, BeforeValidator(_price)]
"""Of a million tokens."""
Fee = Annotated[int, BeforeValidator(_fee)]
ExchangeRate = Annotated[int, BeforeValidator(_rate)]
Factor = Annotated[int, BeforeValidator(_factor)]
Currency = Annotated[str, BeforeValidator(_currency)]
"""ISO 4217."""
Zone = Annotated[str, BeforeValidator(_zone)]
"""Of the IANA database."""
DayHours = Annotated[tuple[Hours, ...], BeforeValidator(_hours), Field(strict=False)]
