"""What an answer costs: from tokens to integers of 10⁻⁹ of a currency's unit.

Each part of a cost is the exact product of tokens, price, factor and exchange rate, rounded once, half up, to
10⁻⁹; the cost is the sum of its parts. No float is involved, and nothing is rounded twice.

- **Tiers**: the number of input tokens, cached ones included, decides which tier the whole request costs, its
  output too. That is how Alibaba, MiniMax and Zhipu bill.
- **Times**: the moment at which the request arrived decides.
- **Thinking**: if the answer has reasoning, all of its output costs `output_thinking`, as Alibaba bills. The
  tokens of the reasoning are part of the output and are never added to it.
"""

from datetime import datetime
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from llmgw.config import NANO
from llmgw.prices.document import digest_of, document_of
from llmgw.prices.rates import Rates, Scaled, Slot, rates_of, scaled_of, slots_of, tier_of

if TYPE_CHECKING:
    from llmgw.config import PriceConfig, PricesConfig

MAX_PART: Final = 10**15
"""A million of the currency's unit: more than any part of an honest answer costs.

An upstream that reports absurd numbers of tokens must not make the sums of the database overflow.
"""
_MINUTE_S: Final = 60


class Tokens(NamedTuple):
    """What an answer is billed for. Counts are not negative."""

    input: int
    """All of it, whether cached or not."""
    cached: int = 0
    """Of `input`: read from the provider's cache."""
    cache_write: int = 0
    """Of `input`: put into the provider's cache."""
    output: int = 0
    """All of it, reasoning included."""
    reasoning: int = 0
    """Of `output`."""
    images: int = 0
    """Images and other media in the request."""
    thinking: bool = False
    """True: the answer has reasoning, even if nobody counted its tokens."""


class Cost(NamedTuple):
    """The parts of a cost, in 10⁻⁹ of the currency's unit."""

    input: int
    """Of the input that was neither read from a cache nor written to it."""
    cached_input: int
    cache_write: int
    output: int
    other: int
    """Per request and per image."""

    @property
    def total(self) -> int:
        """Their sum."""
        return sum(self)


FREE: Final = Cost(0, 0, 0, 0, 0)
_MAX_ESTIMATE: Final = len(FREE) * MAX_PART


class Price:
    """The price of a model, or of a model at one target. Immutable."""

    def __init__(self, price: "PriceConfig", prices: "PricesConfig") -> None:
        """`prices`: the currency and time zone in which everything is counted."""
        self.currency = prices.currency
        """Of all that `cost` and `estimate` return."""
        self.own_currency = price.currency or prices.currency
        """In which the provider bills."""
        is_own = self.own_currency == self.currency
        self._exchange = NANO if is_own else prices.exchange[self.own_currency]
        self.tiers: tuple[tuple[int, Rates], ...] = rates_of(price)
        """Each with the number of input tokens above which it counts; ascending, the first above -1."""
        self.per_request, self.per_image = price.per_request, price.per_image
        self.slots: tuple[Slot, ...] = slots_of(price, prices)
        self._scaled: dict[int, Scaled] = {}
        self._usual = self._scaled_by(NANO)
        self._lately: tuple[int, Scaled] = (-1, self._usual)
        """The last minute that was asked for, and what counts in it: hours begin and end with minutes."""

    @cached_property
    def document(self) -> dict[str, object]:
        """All that its costs depend on; amounts are decimal numbers as text."""
        return document_of(self, self._exchange)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the document, in hexadecimal digits."""
        return digest_of(self.document)

    def factor(self, at_s: float) -> int:
        """By what the price is multiplied at a moment (seconds since the epoch), in 10⁻⁹."""
        for slot in self.slots:
            if slot.contains(datetime.fromtimestamp(at_s, slot.zone)):
                return slot.factor
        return NANO

    def rates(self, input_tokens: int) -> Rates:
        """What a request with so much input costs, before `factor` and in its own currency."""
        return tier_of(self.tiers, input_tokens)

    def cost(self, tokens: Tokens, at_s: float | None) -> Cost:
        """What an answer cost whose request arrived at `at_s`, in seconds since the epoch.

        None: at hours that have no factor of their own.
        More cached tokens than input, or more of both, is what some upstreams report: the excess is nothing.
        """
        return self.cost_of(*tokens, at_s=at_s)

    def cost_of(
        self,
        input_tokens: int,
        cached: int,
        written: int,
        output: int,
        reasoning: int,
        images: int,
        thinking: bool,  # noqa: FBT001  (as in `Tokens`)
        *,
        at_s: float | None,
    ) -> Cost:
        """The same of the members of `Tokens`, for each request: making one takes as long as the rest."""
        scaled = self._usual if at_s is None or not self.slots else self._at(at_s)
        per, half, most_tokens, only, tiers, per_request, per_image = scaled
        is_sane = input_tokens <= most_tokens and output <= most_tokens
        by_input, by_cached, by_written, by_output, by_thinking = only or tier_of(tiers, input_tokens)
        fresh = input_tokens
        if cached or written:
            cached = min(cached, fresh)
            fresh -= cached
            written = min(written, fresh)
            fresh -= written
        fees = per_request + images * per_image
        cost = Cost(
            (fresh * by_input + half) // per,
            cached and (cached * by_cached + half) // per,
            written and (written * by_written + half) // per,
            (output * (by_thinking if thinking or reasoning else by_output) + half) // per,
            fees and (fees + half) // per,
        )
        return cost if is_sane and cost.other <= MAX_PART else Cost(*(min(part, MAX_PART) for part in cost))

    def estimate(self, input_tokens: int, output_tokens: int, images: int, at_s: float) -> int:
        """What such a request may cost before its answer is known: nothing cached, reasoning if dearer.

        For each request of a budget: a call of `max` takes as long as the arithmetic.
        """
        scaled = self._at(at_s) if self.slots else self._usual
        per, _, _, only, tiers, per_request, per_image = scaled
        by_input, _, _, by_output, by_thinking = only or tier_of(tiers, input_tokens)
        dearer = by_output if by_output > by_thinking else by_thinking  # noqa: FURB136
        parts = input_tokens * by_input + output_tokens * dearer + per_request + images * per_image
        # Rounded up, as a whole.
        cost = -(-parts // per)
        return cost if cost < _MAX_ESTIMATE else _MAX_ESTIMATE  # noqa: FURB136

    def _at(self, at_s: float) -> Scaled:
        minute = int(at_s // _MINUTE_S)
        lately, scaled = self._lately
        if minute != lately:
            scaled = self._scaled_by(self.factor(at_s))
            self._lately = (minute, scaled)
        return scaled

    def _scaled_by(self, factor: int) -> Scaled:
        """The price times a factor and the exchange rate."""
        if factor not in self._scaled:
            fees = self.per_request, self.per_image
            by = Fraction(factor * self._exchange, NANO * NANO)
            self._scaled[factor] = scaled_of(self.tiers, fees, by, most_nano=MAX_PART)
        return self._scaled[factor]
