"""Which faults concern more than one value? The tables are raw: any value may have the wrong type."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmgw.config.faults import EXAMPLES, Fault, one_of, path_of
from llmgw.config.money import CURRENCY
from llmgw.config.prices import DEFAULT_CURRENCY
from llmgw.config.tables import ServerConfig

_MAX_INTEGER: Final = 2**63 - 1
"""As TOML has it. Larger ones would fail later: in SQLite, in JSON, in arithmetic with floats."""


def value_faults(value: object, *location: int | str) -> Iterator[Fault]:
    """Faults of single values, names included, whatever key has them."""
    match value:
        case str() if not value.isprintable():
            # It could forge a header or a log line.
            problem = "holds a line break or another character that can't be seen"
            yield Fault(path_of(location), problem, "write one line of visible characters")
        case int() if not -_MAX_INTEGER <= value <= _MAX_INTEGER:
            yield Fault(path_of(location), "is out of range", "a number has at most 64 bits")
        case Mapping():
            for name, inner in value.items():
                yield from value_faults(name, *location, name)
                yield from value_faults(inner, *location, name)
        case list():
            for index, inner in enumerate(value):
                yield from value_faults(inner, *location, index)


_ORIGIN: Final = re.compile(
    r"(?!http:.*:80$|https:.*:443$)[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
)
"""No path, no slash at the end, no default port, no letters in upper case or beyond ASCII."""
_INDISPENSABLE: Final = ("messages", "model", "stream", "input", "query", "documents")


def cross_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults that concern more than one value. Wrong types are left to pydantic."""
    yield from _server_faults(data.get("server"))
    yield from _machine_faults(data.get("limits"), data.get("cache"))
    upstreams = data.get("upstreams")
    names = list(upstreams) if isinstance(upstreams, dict) else []
    yield from _account_faults(upstreams if isinstance(upstreams, dict) else {})
    models = data.get("models")
    currencies = _Currencies(data.get("prices"))
    yield from currencies.faults()
    first_at: dict[str, int] = {}
    for index, model in enumerate(models if isinstance(models, list) else []):
        if not isinstance(model, dict):
            continue
        path = f"models[{index}]"
        yield from _target_faults(path, model, names)
        yield from _protocol_faults(path, model, upstreams if isinstance(upstreams, dict) else {})
        yield from _price_faults(path, model, currencies)
        model_id = model.get("id")
        if isinstance(model_id, str):
            if not model_id or any(c.isspace() or not c.isprintable() for c in model_id):
                yield Fault(f"{path}.id", "is empty or holds spaces", "write one word, such as qwen3.6-plus")
            first = first_at.setdefault(model_id, index)
            if first != index:
                problem = f"{model_id!r} is taken by models[{first}]"
                yield Fault(f"{path}.id", problem, "give each model its own id")
        yield from _drop_faults(path, model)


def _account_faults(upstreams: Mapping[str, Any]) -> Iterator[Fault]:
    """Log lines call an account `NAME#2`, which must not name an upstream too."""
    for name, table in upstreams.items():
        keys = table.get("api_keys") if isinstance(table, dict) else None
        for number in range(1, len(keys) + 1) if isinstance(keys, list) else ():
            if f"{name}#{number}" in upstreams:
                problem = f"has the name of an account of upstreams.{name}"
                yield Fault(f"upstreams.{name}#{number}", problem, "give one of the two another name")


def _target_faults(path: str, model: Mapping[str, Any], names: list[str]) -> Iterator[Fault]:
    """Faults of `upstream` and `targets`; a model has one of the two."""
    name, targets = model.get("upstream"), model.get("targets")
    if isinstance(name, str) and name not in names:
        yield Fault(f"{path}.upstream", f"there is no upstream {name!r}", one_of(name, names))
    if name is None and targets is None:
        yield Fault(f"{path}.upstream", "is missing", EXAMPLES["upstream"])
    if name is not None and targets is not None:
        yield Fault(f"{path}.targets", "is set beside upstream", "keep one of the two")
    if targets == []:
        yield Fault(f"{path}.targets", "is empty", "name at least one upstream, or write upstream instead")
    first_at: dict[tuple[str, str], int] = {}
    for index, target in enumerate(targets if isinstance(targets, list) else []):
        if not isinstance(target, dict):
            continue
        name = target.get("upstream")
        called = target.get("upstream_model", model.get("upstream_model", model.get("id")))
        yield from _drop_faults(f"{path}.targets[{index}]", target)
        if not isinstance(name, str) or not isinstance(called, str):
            continue
        if name not in names:
            problem = f"there is no upstream {name!r}"
            yield Fault(f"{path}.targets[{index}].upstream", problem, one_of(name, names))
        first = first_at.setdefault((name, called), index)
        if first != index:
            problem = f"asks the same upstream for the same model as targets[{first}]"
            yield Fault(f"{path}.targets[{index}]", problem, "keep one of them, with a higher weight")


def _protocol_faults(path: str, model: Mapping[str, Any], upstreams: Mapping[str, Any]) -> Iterator[Fault]:
    """Chat is what the others are converted to; each of the others needs its URL."""
    targets = model.get("targets")
    tables = [(f"{path}.targets[{i}]", t) for i, t in enumerate(targets if isinstance(targets, list) else [])]
    for at, table in [(path, model), *tables]:
        protocols = table.get("protocols") if isinstance(table, dict) else None
        if not isinstance(protocols, list) or not protocols:
            continue
        if "chat" not in protocols:
            problem = "lacks chat, to which the other APIs are converted"
            yield Fault(f"{at}.protocols", problem, 'add "chat"')
        upstream = upstreams.get(table.get("upstream", ""))
        for protocol in ("messages", "responses"):
            key = f"{protocol}_url"
            if protocol in protocols and isinstance(upstream, dict) and key not in upstream:
                problem = f"names {protocol}, but upstreams.{table['upstream']} has no {key}"
                yield Fault(f"{at}.protocols", problem, f"add {key} there, or leave {protocol} out")


class _Currencies:
    """Which currencies can be counted in that of `[prices]`."""

    def __init__(self, prices: object) -> None:
        table = prices if isinstance(prices, dict) else {}
        self.own = table.get("currency", DEFAULT_CURRENCY)
        exchange = table.get("exchange")
        self.exchange = exchange if isinstance(exchange, dict) else {}

    def faults(self) -> Iterator[Fault]:
        """Faults of `[prices]` itself."""
        if isinstance(self.own, str) and self.own in self.exchange:
            problem = "is the currency of prices.currency itself"
            yield Fault(f"prices.exchange.{self.own}", problem, "leave it out")

    def unknown(self, currency: object) -> bool:
        """True if there is no exchange rate for it. What is no currency at all, pydantic reports."""
        is_code = isinstance(currency, str) and CURRENCY.fullmatch(currency) is not None
        return is_code and currency != self.own and currency not in self.exchange


def _price_faults(path: str, model: Mapping[str, Any], currencies: _Currencies) -> Iterator[Fault]:
    targets = model.get("targets")
    tables = [(f"{path}.targets[{i}]", t) for i, t in enumerate(targets if isinstance(targets, list) else [])]
    for at, table in [(path, model), *tables]:
        price = table.get("price") if isinstance(table, dict) else None
        if not isinstance(price, dict):
            continue
        if "output" not in price and model.get("kind", "chat") == "chat":
            remedy = "write what a million tokens of output cost, or 0 if they are free"
            yield Fault(f"{at}.price.output", "is missing", remedy)
        currency = price.get("currency")
        if currencies.unknown(currency):
            remedy = f"write {currency} = … below [prices.exchange]: what one is worth in {currencies.own}"
            yield Fault(f"{at}.price.currency", f"there is no exchange rate for {currency!r}", remedy)
        yield from _tier_faults(f"{at}.price.tiers", price.get("tiers"))


def _tier_faults(path: str, tiers: object) -> Iterator[Fault]:
    above = 0
    for index, tier in enumerate(tiers if isinstance(tiers, list) else []):
        begins = tier.get("above_input_tokens") if isinstance(tier, dict) else None
        if not isinstance(begins, int):
            continue
        if index and begins <= above:
            problem = f"is not above the tier before ({above})"
            yield Fault(f"{path}[{index}].above_input_tokens", problem, "write tiers in ascending order")
        above = begins


def _drop_faults(path: str, table: Mapping[str, Any]) -> Iterator[Fault]:
    dropped = table.get("drop")
    for field in dropped if isinstance(dropped, list) else []:
        if field in _INDISPENSABLE:
            problem = f"no request works without {field!r}"
            yield Fault(f"{path}.drop", problem, "name optional fields only")


def _server_faults(server: object) -> Iterator[Fault]:
    if not isinstance(server, dict):
        return
    yield from _origin_faults(server.get("cors_origins"))
    fields = ServerConfig.model_fields
    one, all_ = (server.get(name, fields[name].default) for name in ("max_body_bytes", "max_in_flight_bytes"))
    if isinstance(one, int) and isinstance(all_, int) and 0 < all_ < one:
        problem = f"is less than max_body_bytes ({one}), so that the largest bodies could never be taken"
        yield Fault("server.max_in_flight_bytes", problem, "raise it, or lower max_body_bytes")


def _machine_faults(limits: object, cache: object) -> Iterator[Fault]:
    """Machines share their limits in Redis, or not at all."""
    machines = limits.get("machines") if isinstance(limits, dict) else None
    if not isinstance(machines, int) or machines <= 1:
        return
    if not isinstance(cache, dict) or "url" not in cache:
        problem = f"is {machines}, but there is no Redis in which the machines could share the limits"
        remedy = 'name one under [cache], such as url = "redis://127.0.0.1:6379/0", or write machines = 1'
        yield Fault("limits.machines", problem, remedy)


def _origin_faults(origins: object) -> Iterator[Fault]:
    """An origin is compared as browsers write it, so one that none would write lets nobody in."""
    for index, origin in enumerate(origins if isinstance(origins, list) else []):
        if isinstance(origin, str) and origin != "*" and not _ORIGIN.fullmatch(origin):
            problem = "is no origin as a browser sends it"
            remedy = (
                'write scheme, host and an unusual port, in lower case, like "https://app.example", or "*"'
            )
            yield Fault(f"server.cors_origins[{index}]", problem, remedy)
