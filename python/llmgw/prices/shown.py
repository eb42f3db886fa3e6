"""Prices read back to people: of a million tokens, of a typical request, and where a slip is likely."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from llmgw.config import DAYS, NANO
from llmgw.prices.document import decimal
from llmgw.prices.price import Price, Tokens

if TYPE_CHECKING:
    from llmgw.config import Config
    from llmgw.prices.rates import Slot

TYPICAL: Final = Tokens(input=2000, output=500)
"""The request that a price is shown for: some pages in, some paragraphs out."""
LEAST_USUAL: Final = NANO // 1000
"""A price of a million tokens below this (0.001) is probably a slip, unless it is 0."""
MOST_USUAL: Final = 10_000 * NANO


class PricedTarget(NamedTuple):
    """A model at an upstream, and what it costs there."""

    model: str
    upstream: str
    upstream_model: str
    price: Price | None
    """None: it has none."""


def targets_of(config: "Config") -> list[PricedTarget]:
    """Every model at each of its upstreams, in the order of the config."""
    return [
        PricedTarget(
            model.id,
            target.upstream,
            target.upstream_model,
            None if target.price is None else Price(target.price, config.prices),
        )
        for model in config.models
        for target in model.targets
    ]


def typical(above_input_tokens: int = -1) -> Tokens:
    """The request that a tier is shown for: `TYPICAL`, or the shortest that is in it."""
    return TYPICAL._replace(input=max(TYPICAL.input, above_input_tokens + 1))


def oddities(target: PricedTarget) -> Iterator[str]:
    """What is probably a slip: a decimal point, or one price taken for another."""
    price = target.price
    if price is None:
        return
    where = f"{target.model} at {target.upstream}"
    for above, rates in price.tiers:
        tier = f", above {above:,} tokens of input" if above >= 0 else ""
        said = {"input": rates.input, "output": rates.output} | {
            name: rate for name, rate in rates._asdict().items() if rate not in {rates.input, rates.output}
        }
        for name, rate in said.items():
            if rate and not LEAST_USUAL <= rate <= MOST_USUAL:
                yield (
                    f"{where}: {name}{tier} is {decimal(rate)} {price.own_currency} for a million tokens, "
                    "which is unusual; is it per token, or per thousand?"
                )
        if rates.cached_input > rates.input:
            dearer = f"{decimal(rates.cached_input)} is more than {decimal(rates.input)} of input"
            yield f"{where}: cached_input{tier} costs more than what is not cached: {dearer}"


def slot_text(slot: "Slot") -> str:
    """`09:00-12:00, 14:00-18:00 on mon, tue (Asia/Shanghai): times 2`."""
    hours = ", ".join(map(str, slot.hours))
    days = [day for number, day in enumerate(DAYS) if number in slot.days]
    on = "" if len(days) == len(DAYS) else f" on {', '.join(days)}"
    return f"{hours}{on} ({slot.zone.key}): times {decimal(slot.factor)}"
