"""What can be wrong with a config, and how is it worded?"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pydantic_core import ErrorDetails

from llmgw.config.otel import OtelConfig
from llmgw.config.prices import PriceConfig, PricesConfig, TierConfig, TimeConfig
from llmgw.config.table import FAULT, Table
from llmgw.config.tables import (
    CacheConfig,
    Config,
    LedgerConfig,
    ModelConfig,
    ResponsesConfig,
    RoutingConfig,
    ServerConfig,
    StoreConfig,
    TargetConfig,
    UpstreamConfig,
)
from llmgw.errors import LlmgwError

_NO_NAMES: Final[Mapping[str, str]] = {}


class Fault(NamedTuple):
    """One thing wrong with the configuration."""

    path: str
    """Where in the file, such as `models[3].upstream`; empty for the file as a whole."""
    problem: str
    remedy: str

    def __str__(self) -> str:
        """`path: what is wrong; what would be right`."""
        return self.told({})

    def told(self, names: Mapping[str, str]) -> str:
        """The same, with the name of its table if `names` has it: `models[3].upstream ('glm-5'): …`."""
        name = names.get(self.path.partition(".")[0])
        called = f" ({name!r})" if name is not None else ""
        where = f"{self.path}{called}: " if self.path else ""
        return f"{where}{self.problem}; {self.remedy}"


class ConfigError(LlmgwError):
    """The configuration can't be used. `faults` lists everything that is wrong with it."""

    def __init__(self, source: Path, faults: list[Fault], names: Mapping[str, str] = _NO_NAMES) -> None:
        """`faults` must not be empty. `names`: what tables are called, by their path (see `Fault.told`)."""
        self.source = source
        self.faults = faults
        noun = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n".join([f"{source}: {noun}", *(f"  {fault.told(names)}" for fault in faults)]))


_TABLES: Final[dict[str, type[Table]]] = {
    "server": ServerConfig,
    "store": StoreConfig,
    "ledger": LedgerConfig,
    "routing": RoutingConfig,
    "cache": CacheConfig,
    "responses": ResponsesConfig,
    "upstreams": UpstreamConfig,
    "prices": PricesConfig,
    "otel": OtelConfig,
    "models": ModelConfig,
}
_INNER: Final[dict[str, type[Table]]] = {
    "targets": TargetConfig,
    "price": PriceConfig,
    "tiers": TierConfig,
    "times": TimeConfig,
}
"""Tables inside those of `models`, by the key that holds them."""


def is_echo(details: ErrorDetails) -> bool:
    """True for "too short" of a list with items: its items have faults of their own."""
    return details["type"] == "too_short" and bool(details["input"])


def fault_of(details: ErrorDetails) -> Fault:  # noqa: PLR0911  (one return for each kind of error)
    """A pydantic error as a fault. It never shows the input, which may be a secret."""
    location = details["loc"]
    path = path_of(location)
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            table = _TABLES.get(str(location[0]), Config) if len(location) > 1 else Config
            if location[0] == "models":
                for key in location[:-1]:
                    table = _INNER.get(str(key), table)
            return Fault(path, "is not a known key", one_of(str(location[-1]), list(table.model_fields)))
        case kind if kind == FAULT:
            return Fault(path, context["problem"], context["remedy"])
        case "missing":
            return Fault(path, "is missing", EXAMPLES.get(str(location[-1]), "add it"))
        case "too_short" if path in EXAMPLES:
            return Fault(path, "is empty", EXAMPLES[path])
        case "literal_error":
            expected = str(context["expected"]).replace(" or ", ", ")
            return Fault(path, "is not a known value", f"it must be one of {expected}")
        case "too_short" | "string_too_short":
            return Fault(path, "is empty", "write at least one value or leave the line out")
        case kind if kind in _WRONG_TYPE:
            return Fault(path, "has the wrong type", _SHAPES.get(path, _WRONG_TYPE[kind]))
        case _:
            message = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            return Fault(path, "is out of range", f"it must be {message}")


_WRONG_TYPE: Final = {
    "string_type": "it must be a string in quotes",
    "string_sub_type": "it must be a string in quotes",
    "int_type": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number (of seconds)",
    "bool_type": "it must be true or false",
    "dict_type": "it must be a table",
    "model_type": "it must be a table",
    "model_attributes_type": "it must be a table",
    "tuple_type": "it must be a list in brackets",
    "list_type": "it must be a list in brackets",
}
_SHAPES: Final = {
    "models": "write [[models]], in two brackets, once for each model",
    "upstreams": "write [upstreams.NAME], in one pair of brackets, once for each upstream",
}
"""Tables that many write in the other way."""
EXAMPLES: Final = {
    "upstreams": "add at least one [upstreams.NAME] table with a base_url",
    "models": "add at least one [[models]] table with an id and an upstream",
    "base_url": 'write it like "https://host/v1"',
    "id": "write the name that clients use",
    "upstream": "name one of the [upstreams.NAME] tables",
}


def path_of(location: tuple[int | str, ...]) -> str:
    """`("models", 3, "upstream")` → `models[3].upstream`."""
    path = ""
    for part in location:
        if part == "[key]":  # pydantic marks a bad key of a dict with this; the part before is its name
            continue
        shown = part if isinstance(part, int) or part.isprintable() else repr(part)
        path += f"[{shown}]" if isinstance(part, int) else f".{shown}" if path else str(shown)
    return path


def file_order(path: str) -> tuple[int, str, int, str]:
    """Sort key: tables in the order of the documentation, models by number."""
    head, _, rest = path.partition(".")
    name, _, index = head.partition("[")
    rank = list(_TABLES).index(name) if name in _TABLES else -1
    return rank, name, int(index.rstrip("]") or 0) if index else 0, rest


def one_of(wrong: str, right: list[str]) -> str:
    """The remedy for a name that is not in `right`."""
    close = difflib.get_close_matches(wrong, right, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"it must be one of {', '.join(map(repr, right))}" if right else "add its [upstreams.NAME] table"
