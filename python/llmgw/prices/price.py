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
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from llmgw.config import NANO
from llmgw.prices.document import digest_of, document_of
from llmgw.prices.rates import Rates, Slot, rates_of, slots_of

if TYPE_CHECKING:
    from llmgw.config import PriceConfig, PricesConfig

MAX_PART: Final = 10**15
"""A million of the currency's unit: more than any part of an honest answer costs.

An upstream that reports absurd numbers of tokens must not make the sums of the database overflow.
"""
_MILLION: Final = 10**6


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
        self._is_flat = len(self.tiers) == 1
        self._fixed = (1, 1) if self._exchange == NANO else (self._exchange, NANO)

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
        chosen = self.tiers[0][1]
        for above, rates in self.tiers[1:]:
            if input_tokens <= above:
                break
            chosen = rates
        return chosen

    def cost(self, tokens: Tokens, at_s: float | None) -> Cost:
        """What an answer cost whose request arrived at `at_s`, in seconds since the epoch.

        None: at hours that have no factor of their own.
        More cached tokens than input, or more of both, is what some upstreams report: the excess is nothing.
        """
        fresh, cached, written, output, reasoning, images, thinking = tokens
        rates = self.tiers[0][1] if self._is_flat else self.rates(fresh)
        if cached or written:
            cached = min(cached, fresh)
            fresh -= cached
            written = min(written, fresh)
            fresh -= written
        by_output = rates.output_thinking if thinking or reasoning else rates.output
        scale, by = self._fixed if at_s is None or not self.slots else self._scale(at_s)
        per, half = by * _MILLION, by * _MILLION // 2
        cost = Cost(
            (fresh * rates.input * scale + half) // per,
            cached and (cached * rates.cached_input * scale + half) // per,
            written and (written * rates.cache_write * scale + half) // per,
            (output * by_output * scale + half) // per,
            ((self.per_request + images * self.per_image) * scale + by // 2) // by,
        )
        return cost if max(cost) <= MAX_PART else Cost(*(min(part, MAX_PART) for part in cost))

    def estimate(self, input_tokens: int, output_tokens: int, images: int, at_s: float) -> int:
        """What such a request may cost before its answer is known: nothing cached, reasoning if dearer."""
        rates = self.tiers[0][1] if self._is_flat else self.rates(input_tokens)
        by_output = max(rates.output, rates.output_thinking)
        scale, by = self._fixed if not self.slots else self._scale(at_s)
        tokens = input_tokens * rates.input + output_tokens * by_output
        fees = self.per_request + images * self.per_image
        # Rounded up, as a whole.
        cost = -(-(tokens + fees * _MILLION) * scale // (by * _MILLION))
        return min(cost, len(FREE) * MAX_PART)

    def _scale(self, at_s: float) -> tuple[int, int]:
        """Factor and exchange rate together, as a fraction with an even denominator."""
        return self.factor(at_s) * self._exchange, NANO * NANO
