"""The price list of the package `genai-prices`, as far as it is read here.

Only data is read, by the names that version 0.2 gives it, and each value is checked: a package of another
form is refused with an error that says so, and never half understood.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from importlib import import_module, metadata
from typing import Any, Final, NamedTuple

from llmgw.errors import LlmgwError

PACKAGE: Final = "genai-prices"
_WANTED: Final = "genai-prices>=0.2.3,<0.3"


class PriceDataError(LlmgwError):
    """There is no price list, or none that can be read. The text says what to do."""


class Listed(NamedTuple):
    """What a model costs, in US dollars: per million tokens, by the list's own names of prices."""

    prices: Mapping[str, Decimal]
    tiers: Mapping[int, Mapping[str, Decimal]]
    """Prices of requests with more input tokens than the key says."""


class AtHours(NamedTuple):
    """Hours with other prices, in UTC."""

    start: time
    end: time
    listed: Listed


class ListedModel(NamedTuple):
    """A model of the list at one moment."""

    provider: str
    id: str
    listed: Listed
    hours: tuple[AtHours, ...]
    has_variants: bool
    """True: some settings of a request have other prices."""


class Catalogue(NamedTuple):
    """The installed list."""

    version: str
    providers: tuple[Any, ...]

    def provider_at(self, base_url: str) -> str | None:
        """The name of the provider whose API is at this URL; None: the list has none."""
        provider = self._provider(base_url)
        return None if provider is None else str(provider.name)

    def find(self, base_url: str, model: str, at: datetime) -> ListedModel | None:
        """The prices of a model at the provider with this URL. Raises PriceDataError."""
        provider = self._provider(base_url)
        if provider is None:
            return None
        try:
            matching = [each for each in provider.models if each.is_match(model)]
            return _model(str(provider.name), matching[0], at) if matching else None
        except (AttributeError, TypeError, ValueError, LookupError) as error:
            raise _other_form(self.version, error) from error

    def _provider(self, base_url: str) -> Any:  # noqa: ANN401  (a class of the package's own)
        return next((each for each in self.providers if re.match(each.api_pattern, base_url)), None)


def installed() -> Catalogue:
    """The list of the package that is installed. Raises PriceDataError."""
    try:
        version = metadata.version(PACKAGE)
        data = import_module("genai_prices.data")
    except (ImportError, metadata.PackageNotFoundError) as error:
        message = f"the package {PACKAGE} is not installed: pip install 'llmgw[prices]'"
        raise PriceDataError(message) from error
    except Exception as error:
        raise PriceDataError(f"the installed {PACKAGE} can't be imported: {error}") from error
    try:
        providers = tuple(data.providers)
        for provider in providers:
            re.compile(provider.api_pattern)
            iter(provider.models)
    except (AttributeError, TypeError, re.error) as error:
        raise _other_form(version, error) from error
    if not providers:
        raise _other_form(version, ValueError("it lists no provider"))
    return Catalogue(version, providers)


def _other_form(version: str, error: Exception) -> PriceDataError:
    return PriceDataError(
        f"the installed {PACKAGE} {version} has another form than this version of llmgw reads ({error}): "
        f"pip install '{_WANTED}'"
    )


def _model(provider: str, model: Any, at: datetime) -> ListedModel:  # noqa: ANN401
    """Later prices win over earlier ones; those of a date count from that day on, in UTC."""
    conditional = model.prices if isinstance(model.prices, list) else None
    hours: list[AtHours] = []
    if conditional is None:
        listed = _listed(model.prices)
    else:
        listed = _listed(conditional[0].prices)
        for each in conditional:
            constraint = each.constraint
            if constraint is None:
                listed, hours = _listed(each.prices), []
            elif hasattr(constraint, "start_date"):
                if _typed(constraint.start_date, date) <= at.date():
                    listed, hours = _listed(each.prices), []
            else:
                start, end = _utc(constraint.start_time), _utc(constraint.end_time)
                hours.append(AtHours(start, end, _listed(each.prices)))
    return ListedModel(provider, str(model.id), listed, tuple(hours), bool(model.price_variants))


def _utc(moment: Any) -> time:  # noqa: ANN401
    """A time of the list's, where one without a zone is in UTC."""
    found: time = _typed(moment, time)
    if found.utcoffset():
        raise ValueError(f"{found} is not in UTC")
    return found


def _listed(prices: Any) -> Listed:  # noqa: ANN401
    base: dict[str, Decimal] = {}
    starts: set[int] = set()
    tiered: dict[str, Any] = {}
    for name, value in vars(prices).items():
        if value is None or name.startswith("_"):
            continue
        if isinstance(value, Decimal):
            base[name] = value
        else:
            base[name] = _typed(value.base, Decimal)
            tiered[name] = value.tiers
            starts.update(_typed(tier.start, int) for tier in value.tiers)
    if not base:
        raise ValueError("a model without prices")
    tiers = {start: {name: _at(base[name], tiered.get(name, ()), start) for name in base} for start in starts}
    return Listed(base, dict(sorted(tiers.items())))


def _at(base: Decimal, tiers: Iterable[Any], start: int) -> Decimal:
    """The price with more input tokens than `start`."""
    price = base
    for tier in sorted(tiers, key=lambda tier: _typed(tier.start, int)):
        if tier.start <= start:
            price = _typed(tier.price, Decimal)
    return price


def _typed(value: Any, kind: type) -> Any:  # noqa: ANN401
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} where {kind.__name__} was expected")
    return value
