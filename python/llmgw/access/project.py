"""What a project is to the gateway: a team or an application, which has keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from llmgw.budgets.budget import Budget
from llmgw.limits.rules import LimitRule

DEFAULT_PROJECT_ID: Final = 1
"""Of the project `default`, to which a key belongs if none is named."""


@dataclass(frozen=True, slots=True)
class Project:
    """A team or an application."""

    id: int
    name: str
    created_at: datetime
    blocked_at: datetime | None
    """Since when none of its keys is accepted; None: they are."""
    limits: tuple[LimitRule, ...] = ()
    """Of all its keys together."""
    budgets: tuple[Budget, ...] = ()
    """The same."""
