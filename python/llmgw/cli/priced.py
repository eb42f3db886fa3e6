"""How verbs show prices: a table for people, the documents of prices for programs."""

from typing import Any

from llmgw.cli.table import print_table
from llmgw.config import Config
from llmgw.prices.document import decimal
from llmgw.prices.shown import TYPICAL, PricedTarget, slot_text, targets_of, typical

_HEADER = ("MODEL", "UPSTREAM", "ABOVE", "INPUT", "CACHED", "WRITTEN", "OUTPUT", "THINKING", "IN", "REQUEST")


def show_prices(config: Config) -> None:
    """Print what each model costs at each upstream, and what the columns are."""
    targets = targets_of(config)
    print_table(_HEADER, [row for target in targets for row in _rows(target)], right=(2, 3, 4, 5, 6, 7, 9))
    for target in targets:
        for line in _more(target):
            print(f"{target.model} at {target.upstream}: {line}")
    print(
        "\nINPUT to THINKING: of a million tokens, in the currency of IN. REQUEST: in "
        f"{config.prices.currency}, of {TYPICAL.input:,} tokens\nin and {TYPICAL.output:,} out, nothing "
        "cached, without reasoning; in a tier, with the shortest input of it."
    )


def _rows(target: PricedTarget) -> list[tuple[str, ...]]:
    price = target.price
    if price is None:
        return [(target.model, target.upstream, "", "unpriced", "", "", "", "", "", "")]
    rows = []
    for above, rates in price.tiers:
        name = (target.model, target.upstream, "") if above < 0 else ("", "", f"{above:,}")
        cost = price.cost(typical(above), None).total
        rows.append((*name, *map(decimal, rates), price.own_currency, decimal(cost)))
    return rows


def _more(target: PricedTarget) -> list[str]:
    """What a price has beside what tokens cost."""
    price = target.price
    if price is None:
        return []
    fees = [
        f"{decimal(fee)} {price.own_currency} for each {what}"
        for what, fee in (("request", price.per_request), ("image", price.per_image))
        if fee
    ]
    return [*fees, *map(slot_text, price.slots)]


def prices_object(config: Config) -> list[dict[str, Any]]:
    """The same for programs. Amounts are decimal numbers as text."""
    return [_object(target) for target in targets_of(config)]


def _object(target: PricedTarget) -> dict[str, Any]:
    price = target.price
    told: dict[str, Any] = {
        "model": target.model,
        "upstream": target.upstream,
        "upstream_model": target.upstream_model,
        "price": None,
    }
    if price is None:
        return told
    cost = decimal(price.cost(TYPICAL, None).total)
    request = {
        "input_tokens": TYPICAL.input,
        "output_tokens": TYPICAL.output,
        "cost": cost,
        "currency": price.currency,
    }
    return {**told, "price": price.document, "digest": price.digest, "typical_request": request}
