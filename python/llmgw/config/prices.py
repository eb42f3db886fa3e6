"""`[prices]` and `price`: what tokens cost."""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field, Strict

from llmgw.config.money import Currency, DayHours, ExchangeRate, Factor, Fee, TokenPrice, Zone
from llmgw.config.table import Table

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = get_args(Day)
DEFAULT_CURRENCY: Final = "CNY"


class PricesConfig(Table):
    """`[prices]`: in which currency and time zone everything is counted."""

    currency: Currency = DEFAULT_CURRENCY
    """Of all costs and budgets."""
    timezone: Zone = "Asia/Shanghai"
    """Of budgets' days, weeks and months, of the hours in prices, and of sums by hour and day."""
    exchange: dict[Currency, ExchangeRate] = Field(default_factory=dict)
    """What one unit of another currency is worth in `currency`, in 10⁻⁹."""
    unpriced: Literal["refuse", "allow"] = "refuse"
    """Whether a model without a price may be used under a budget of money."""


class TierConfig(Table):
    """One of a price's `tiers`: what a request with a longer input costs, all of it.

    What it leaves out keeps its proportion: to `input`, or `output_thinking` to `output`.
    """

    above_input_tokens: int = Field(ge=1, le=1_000_000_000_000)
    input: TokenPrice
    cached_input: TokenPrice | None = None
    cache_write: TokenPrice | None = None
    output: TokenPrice | None = None
    """None: the price's own."""
    output_thinking: TokenPrice | None = None


class TimeConfig(Table):
    """One of a price's `times`: hours at which all of the price is multiplied."""

    hours: DayHours
    days: Annotated[tuple[Day, ...], Strict(strict=False), Field(min_length=1)] = DAYS
    """On which the hours begin."""
    timezone: Zone | None = None
    """None: that of `[prices]`."""
    factor: Factor
    """In 10⁻⁹."""


class PriceConfig(Table):
    """`price` of a model or a target. All in 10⁻⁹ of the currency's unit, tokens by the million."""

    input: TokenPrice
    cached_input: TokenPrice | None = None
    """Of input that the provider had in its cache. None: as `input`."""
    cache_write: TokenPrice | None = None
    """Of input that the provider has put into its cache. None: as `input`."""
    output: TokenPrice | None = None
    """None (not for chat): nothing."""
    output_thinking: TokenPrice | None = None
    """Of the whole output of an answer with reasoning. None: as `output`."""
    per_request: Fee = 0
    per_image: Fee = 0
    """For each image, video or other file in the request, beside its tokens."""
    currency: Currency | None = None
    """None: that of `[prices]`."""
    tiers: Annotated[tuple[TierConfig, ...], Strict(strict=False)] = ()
    times: Annotated[tuple[TimeConfig, ...], Strict(strict=False)] = ()
    """The first that fits counts."""
