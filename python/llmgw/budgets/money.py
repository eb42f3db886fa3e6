"""Amounts of budgets as text: `10.00`, `0.005`, `5000000`. They are exact, and never a float."""

from typing import Final

from llmgw.budgets.budget import TOKENS
from llmgw.config import NANO

DECIMALS: Final = 9


def amount_text(amount: int, unit: str) -> str:
    """With at least two decimals; a whole number for tokens."""
    if unit == TOKENS:
        return str(amount)
    whole, part = divmod(amount, NANO)
    return f"{whole}.{f'{part:0{DECIMALS}}'.rstrip('0'):0<2}"
