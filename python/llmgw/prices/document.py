"""What is kept of a price, so that a row of the ledger can be explained when the config has changed."""

import hashlib
import json
from typing import TYPE_CHECKING

from llmgw.config import DAYS, NANO

if TYPE_CHECKING:
    from llmgw.prices.price import Price


def document_of(price: "Price", exchange: int) -> dict[str, object]:
    """All that the costs of a price depend on. Amounts are decimal numbers as text."""
    document: dict[str, object] = {
        "currency": price.currency,
        "price_currency": price.own_currency,
        "exchange": decimal(exchange),
        "per_million_tokens": [
            {"above_input_tokens": max(above, 0)}
            | {name: decimal(rate) for name, rate in rates._asdict().items()}
            for above, rates in price.tiers
        ],
        "per_request": decimal(price.per_request),
        "per_image": decimal(price.per_image),
    }
    if price.slots:
        document["times"] = [
            {
                "hours": list(map(str, slot.hours)),
                "days": [day for number, day in enumerate(DAYS) if number in slot.days],
                "timezone": slot.zone.key,
                "factor": decimal(slot.factor),
            }
            for slot in price.slots
        ]
    return document


def digest_of(document: dict[str, object]) -> str:
    """SHA-256 of its canonical form: members sorted, no spaces, ASCII."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def decimal(nano: int) -> str:
    """An amount in 10⁻⁹ as a decimal number without zeros at the end: `0.4`, `12`."""
    whole, part = divmod(abs(nano), NANO)
    digits = f"{part:09}".rstrip("0")
    sign = "-" if nano < 0 else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
