"""Amounts of budgets as text: `10`, `0.005`, `5000000`. They are exact, and never a float."""

import re
from decimal import Decimal
from typing import Final

from llmgw.budgets.budget import TOKENS
from llmgw.budgets.money import DECIMALS, amount_text
from llmgw.config import NANO

__all__ = ["MAX_AMOUNT", "amount_text", "check_amount", "parse_amount", "parse_warn_at", "warn_at_text"]

MAX_AMOUNT: Final = 10**18
"""Tokens, or 10⁻⁹ of a currency's unit (10⁹ of that). Sums of such amounts fit into 64 bits."""
_PERMILLE: Final = 1000
_NUMBER: Final = re.compile(rf"(?P<whole>[0-9]{{1,19}})(?:\.(?P<part>[0-9]{{1,{DECIMALS}}}))?")


def parse_amount(text: str, unit: str) -> int:
    """Tokens, or 10⁻⁹ of the currency's unit. Raises ValueError, whose message can follow a field's name."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(
            f"must be a number such as 10 or 0.50, with at most {DECIMALS} decimals, not {text!r}"
        )
    if unit == TOKENS and match["part"] is not None:
        raise ValueError(f"must be a whole number of tokens, not {text!r}")
    scale = 1 if unit == TOKENS else NANO
    amount = int(match["whole"]) * scale + int((match["part"] or "").ljust(DECIMALS, "0")) * (scale == NANO)
    check_amount(amount, unit)
    return amount


def check_amount(amount: int, unit: str) -> None:
    """Raises ValueError, as `parse_amount`."""
    if amount < 1:
        raise ValueError("must be more than 0; to stop a key or project, block it")
    if amount > MAX_AMOUNT:
        raise ValueError(f"must be at most {amount_text(MAX_AMOUNT, unit)}")


def parse_warn_at(text: str) -> int:
    """`0.8` as permille. Raises ValueError, as `parse_amount`."""
    match = _NUMBER.fullmatch(text)
    share = Decimal(text) * _PERMILLE if match else Decimal(0)
    if not 1 <= share <= _PERMILLE or share != int(share):
        raise ValueError(
            f"must be a share from 0.001 to 1 with at most 3 decimals, such as 0.8, not {text!r}"
        )
    return int(share)


def warn_at_text(permille: int) -> str:
    """What `parse_warn_at` reads."""
    return format(Decimal(permille) / _PERMILLE, "f")
