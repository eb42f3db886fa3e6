"""The config in force, for people: with its defaults, without its secrets."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import SecretStr

from llmgw.config.money import NANO, Hours
from llmgw.config.tables import SQLITE_PREFIX, Config

_AMOUNTS: Final = frozenset(
    {
        "input", "cached_input", "cache_write", "output", "output_thinking", "per_request", "per_image",
        "factor",
    }
)  # fmt: skip
"""Of a price, in 10⁻⁹."""


def shown(config: Config) -> dict[str, Any]:
    """All tables as JSON values. A secret that is set is `**********`, one that is not is None.

    The URL of a database server is one: its password may be anywhere in it.
    Amounts of money are decimal numbers as text, as the file has them.
    """
    tables: dict[str, Any] = config.model_dump(mode="json")
    if not config.store.url.startswith(SQLITE_PREFIX):
        tables["store"]["url"] = str(SecretStr(config.store.url))
    exchange = tables["prices"]["exchange"]
    tables["prices"]["exchange"] = {name: _decimal(rate) for name, rate in exchange.items()}
    for model in tables["models"]:
        for table in (model, *model["targets"]):
            table["price"] = _price(table["price"])
    return tables


def _price(table: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if table is None:
        return None
    shown: dict[str, Any] = {
        name: _decimal(value) if name in _AMOUNTS else value for name, value in table.items()
    }
    if "hours" in shown:
        shown["hours"] = [str(Hours(*hours)) for hours in shown["hours"]]
    for name in ("tiers", "times"):
        if name in shown:
            shown[name] = [_price(each) for each in shown[name]]
    return shown


def _decimal(nano: int | None) -> str | None:
    if nano is None:
        return None
    whole, part = divmod(nano, NANO)
    return f"{whole}.{part:09}".rstrip("0").rstrip(".")
