"""Lines for the config's models out of a public price list, to be checked by whoever pays the bill."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from llmgw.prices.catalogue import PACKAGE, AtHours, Catalogue, Listed, ListedModel

if TYPE_CHECKING:
    from llmgw.config import Config

CURRENCY: Final = "USD"
_NAMES: Final = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "output_mtok": "output",
}
"""The list's names of prices, and the config's."""


class Suggestion(NamedTuple):
    """What the list knows of a model at one upstream."""

    model: str
    upstream: str
    upstream_model: str
    listed_as: str | None
    """Whose price it is, such as `DeepSeek deepseek-v4-pro`; None: there is none."""
    price: str | None
    """The value of `price`, as TOML."""
    has_price: bool
    """The config has one already."""
    notes: list[str]
    """What is not in the line, or why there is none."""


def suggestions(config: "Config", catalogue: Catalogue, at: datetime) -> list[Suggestion]:
    """For every model at each of its upstreams. Raises PriceDataError."""
    found = []
    for model in config.models:
        for target in model.targets:
            base_url = config.upstreams[target.upstream].base_url
            listed = catalogue.find(base_url, target.upstream_model, at)
            called = target.upstream_model
            notes = _missing(catalogue, base_url, called) if listed is None else _notes(listed)
            found.append(
                Suggestion(
                    model=model.id,
                    upstream=target.upstream,
                    upstream_model=target.upstream_model,
                    listed_as=None if listed is None else f"{listed.provider} {listed.id}",
                    price=None if listed is None else _price(listed),
                    has_price=target.price is not None,
                    notes=notes,
                )
            )
    return found


def toml_of(config: "Config", found: Sequence[Suggestion]) -> str:
    """As lines of TOML; all that is no price is a comment."""
    return "\n".join(_lines(config, found)) + "\n"


def _lines(config: "Config", found: Iterable[Suggestion]) -> Iterator[str]:
    yield f"# From the price list of {PACKAGE}: US dollars per million tokens, not converted."
    yield "# Nothing was changed. Check each line against the provider's page, then move it to its model."
    currency = config.prices.currency
    if currency != CURRENCY and CURRENCY not in config.prices.exchange:
        yield f"# They also need an exchange rate: what a dollar is worth in {currency}."
        yield "# [prices.exchange]"
        yield f"# {CURRENCY} = ..."
    for each in found:
        yield ""
        called = "" if each.upstream_model == each.model else f", there {each.upstream_model}"
        yield f"# {each.model} at {each.upstream}{called}"
        if each.listed_as is not None:
            yield f"# listed as {each.listed_as}"
        if each.has_price:
            yield "# the config has a price for it"
        yield from (f"# {note}" for note in each.notes)
        if each.price is not None:
            line = f"price = {each.price}"
            yield f"# {line}" if each.has_price else line


def _missing(catalogue: Catalogue, base_url: str, model: str) -> list[str]:
    provider = catalogue.provider_at(base_url)
    if provider is None:
        host = urlsplit(base_url).hostname or base_url
        return [f"no price: the list has no provider at {host}"]
    return [f"no price: the list of {provider} has no {model}"]


def _notes(model: ListedModel) -> list[str]:
    notes = [
        f"not in the line: {name} = {value}"
        for name, value in model.listed.prices.items()
        if name not in _NAMES
    ]
    if model.has_variants:
        notes.append("not in the line: other prices for some settings of a request")
    notes += [
        f"not in the line: from {hours.start:%H:%M} to {hours.end:%H:%M} UTC not all prices change alike"
        for hours in model.hours
        if _factor(model.listed, hours.listed) is None
    ]
    if list(_times(model.listed, model.hours)):
        notes.append("its hours are those of every day; a provider may exempt some days")
    if "output_mtok" not in model.listed.prices:
        notes.append("the list has no price of output")
    return notes


def _price(model: ListedModel) -> str:
    members = [f'currency = "{CURRENCY}"', *_members(model.listed.prices)]
    tiers = [
        "{" + ", ".join([f"above_input_tokens = {above}", *_members(prices)]) + "}"
        for above, prices in model.listed.tiers.items()
    ]
    if tiers:
        members.append(f"tiers = [{', '.join(tiers)}]")
    times = list(_times(model.listed, model.hours))
    if times:
        members.append(f"times = [{', '.join(times)}]")
    return "{" + ", ".join(members) + "}"


def _members(prices: Mapping[str, Decimal]) -> list[str]:
    return [f"{ours} = {prices[theirs]:f}" for theirs, ours in _NAMES.items() if theirs in prices]


def _times(usual: Listed, hours: Iterable[AtHours]) -> Iterator[str]:
    """Hours at which all prices are multiplied by the same."""
    by_factor: dict[Decimal, list[str]] = {}
    for each in hours:
        factor = _factor(usual, each.listed)
        if factor is not None and factor != 1:
            by_factor.setdefault(factor, []).append(f'"{_clock(each.start)}-{_clock(each.end)}"')
    for factor, texts in by_factor.items():
        yield f'{{hours = [{", ".join(texts)}], timezone = "UTC", factor = {factor.normalize():f}}}'


def _clock(moment: time) -> str:
    return f"{moment:%H:%M}"


def _factor(usual: Listed, other: Listed) -> Decimal | None:
    """By what all prices are multiplied; None: not by the same."""
    if usual.tiers or other.tiers or usual.prices.keys() != other.prices.keys():
        return None
    factors = {other.prices[name] / price for name, price in usual.prices.items() if price}
    factor = factors.pop() if len(factors) == 1 else None
    return factor if factor is not None and factor == round(factor, 9) else None
