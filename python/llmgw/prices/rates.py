"""A price of the config with everything filled in: what each kind of token costs, and when."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from llmgw.config import DAYS

if TYPE_CHECKING:
    from llmgw.config import Hours, PriceConfig, PricesConfig, TierConfig


_MILLION: Final = 10**6


class Rates(NamedTuple):
    """What a million tokens cost, in 10⁻⁹ of the price's currency."""

    input: int
    cached_input: int
    cache_write: int
    output: int
    output_thinking: int


class Slot(NamedTuple):
    """Hours at which the price is multiplied."""

    hours: "tuple[Hours, ...]"
    days: frozenset[int]
    """On which the hours begin. 0: Monday."""
    zone: ZoneInfo
    factor: int
    """In 10⁻⁹."""

    def contains(self, moment: datetime) -> bool:
        """`moment` is in `zone`: what its clocks show counts, also in the hour that comes twice."""
        minute = moment.hour * 60 + moment.minute
        today = moment.weekday() in self.days
        yesterday = (moment - timedelta(days=1)).weekday() in self.days
        for start, end in self.hours:
            if start < end:
                if today and start <= minute < end:
                    return True
            elif (today and minute >= start) or (yesterday and minute < end):
                return True
        return False


class Scaled(NamedTuple):
    """A price times a factor and an exchange rate, made once, so that a request costs few operations.

    What tokens cost is `tokens * rate / per`, in 10⁻⁹ of the currency in which everything is counted.
    """

    per: int
    half: int
    """Half of `per`, which is even."""
    most_tokens: int
    """So many cost less than an absurd amount, whatever they are."""
    only: Rates | None
    """The first tier, if there is no other."""
    tiers: tuple[tuple[int, Rates], ...]
    per_request: int
    per_image: int
    """These two are times a million, so that they add up with tokens times rates."""


def scaled_of(
    tiers: tuple[tuple[int, Rates], ...], fees: tuple[int, int], by: Fraction, *, most_nano: int
) -> Scaled:
    """`fees`: per request and per image. `most_nano`: the absurd amount."""
    scaled = tuple((above, Rates(*(rate * by.numerator for rate in rates))) for above, rates in tiers)
    per = _MILLION * by.denominator
    dearest = max(1, *(rate for _, rates in scaled for rate in rates))
    return Scaled(
        per=per,
        half=per // 2,
        most_tokens=most_nano * per // dearest,
        only=scaled[0][1] if len(scaled) == 1 else None,
        tiers=scaled,
        per_request=fees[0] * by.numerator * _MILLION,
        per_image=fees[1] * by.numerator * _MILLION,
    )


def tier_of(tiers: tuple[tuple[int, Rates], ...], input_tokens: int) -> Rates:
    """What a request with so much input costs."""
    chosen = tiers[0][1]
    for above, rates in tiers[1:]:
        if input_tokens <= above:
            break
        chosen = rates
    return chosen


def rates_of(price: "PriceConfig") -> tuple[tuple[int, Rates], ...]:
    """The tiers of a price, each with the number of input tokens above which it counts."""
    output = price.output or 0
    base = Rates(
        input=price.input,
        cached_input=_or(price.cached_input, price.input),
        cache_write=_or(price.cache_write, price.input),
        output=output,
        output_thinking=_or(price.output_thinking, output),
    )
    return ((-1, base), *((tier.above_input_tokens, _tier(tier, base)) for tier in price.tiers))


def slots_of(price: "PriceConfig", prices: "PricesConfig") -> tuple[Slot, ...]:
    """The hours at which a price is multiplied; the first that fits counts."""
    return tuple(
        Slot(
            hours=each.hours,
            days=frozenset(map(DAYS.index, each.days)),
            zone=ZoneInfo(each.timezone or prices.timezone),
            factor=each.factor,
        )
        for each in price.times
    )


def _tier(tier: "TierConfig", base: Rates) -> Rates:
    output = _or(tier.output, base.output)
    return Rates(
        input=tier.input,
        cached_input=_or(tier.cached_input, _in_proportion(base.cached_input, base.input, tier.input)),
        cache_write=_or(tier.cache_write, _in_proportion(base.cache_write, base.input, tier.input)),
        output=output,
        output_thinking=_or(tier.output_thinking, _in_proportion(base.output_thinking, base.output, output)),
    )


def _in_proportion(part: int, whole: int, to: int) -> int:
    """`part` as it is to `whole`, of `to`. As `to` where `whole` is 0. Rounded half up."""
    return int(Fraction(part * to, whole) + Fraction(1, 2)) if whole else to


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
