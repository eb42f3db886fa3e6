"""What a budget is to the gateway."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

Scope = Literal["project", "key"]
"""Whose it is; as `limits.rules` has it."""
Period = Literal["day", "week", "month", "total"]
TOKENS: Final = "tokens"
"""The unit of a budget that is not money."""


@dataclass(frozen=True, slots=True)
class Budget:
    """So much money, or so many tokens, in each period."""

    id: int
    scope: Scope
    scope_id: int
    name: str
    """The project's or key's, for messages."""
    model: str | None
    """For this model only; None: for all together."""
    per_user: bool
    """True: for each user behind the key, one by one."""
    unit: str
    """`tokens`, or the currency."""
    amount: int
    """Tokens, or 10⁻⁹ of the currency's unit."""
    period: Period
    warn_at_permille: int | None
    """A soft limit at this share of the amount; None: there is none."""
    extra: Mapping[tuple[str, datetime], int] = field(default_factory=dict)
    """What an admin has added to the amount (`lifted`, and `forgiven` by a reset), by user and window start.

    Only of windows that have not ended; the user is empty unless the budget is `per_user`.
    """

    @property
    def is_money(self) -> bool:
        """False: it counts tokens."""
        return self.unit != TOKENS
