"""What an API key is to the gateway.

A key is `sk-gtw-` and 192 random bits; an admin's begins with `sk-gtw-admin-`. Its text is shown once, when
it is made or rotated; the database has only its SHA-256 and its first characters. `keys` changes keys in the
database, `keyring` holds those in force in memory, `bearer` finds the key of a request.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from llmgw.access.lease import Lease
from llmgw.access.project import DEFAULT_PROJECT_ID
from llmgw.budgets.budget import Budget
from llmgw.limits.rules import LimitRule

KEY_PREFIX: Final = "sk-gtw-"
ADMIN_PREFIX: Final = "sk-gtw-admin-"
"""Of the keys that may work below `/admin`. They call no model."""

KeyKind = Literal["model", "admin", "admin_read"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its text."""

    id: int
    name: str
    prefix: str
    """Its first characters."""
    digest: bytes
    """SHA-256 of its first secret, 32 bytes.

    What is kept or sealed for the key is found by this, so a rotation does not change it.
    """
    models: frozenset[str] | None
    """Ids of the models that it may use; None: all."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    project_id: int = DEFAULT_PROJECT_ID
    project: str = "default"
    """The project's name."""
    kind: KeyKind = "model"
    owner: str | None = None
    """Who answers for it."""
    trusts_user_header: bool = False
    """True: its clients may name the user behind a request in a header."""
    blocked_at: datetime | None = None
    """Since when it is not accepted; None: it is, if its project is."""
    project_blocked_at: datetime | None = None
    rotated_at: datetime | None = None
    previous_expires_at: datetime | None = None
    """Until when the secret before the last rotation is accepted."""
    limits: tuple[LimitRule, ...] = ()
    """Its own and its project's."""
    budgets: tuple[Budget, ...] = ()
    """The same."""
    capture: Lease | None = None
    """Its requests are kept with their bodies, for a while."""

    @property
    def is_admin(self) -> bool:
        """It may work below `/admin`, and calls no model."""
        return self.kind != "model"

    @property
    def own_limits(self) -> tuple[LimitRule, ...]:
        """Without its project's."""
        return tuple(rule for rule in self.limits if rule.scope == "key")

    @property
    def own_budgets(self) -> tuple[Budget, ...]:
        """Without its project's."""
        return tuple(budget for budget in self.budgets if budget.scope == "key")

    @property
    def project_limits(self) -> tuple[LimitRule, ...]:
        """Those of its project, which bind it too."""
        return tuple(rule for rule in self.limits if rule.scope == "project")

    @property
    def project_budgets(self) -> tuple[Budget, ...]:
        """The same."""
        return tuple(budget for budget in self.budgets if budget.scope == "project")

    def may_use(self, model_id: str) -> bool:
        """False if the key has a list of models and this one is not on it."""
        return self.models is None or model_id in self.models

    def expired(self, now: datetime | None = None) -> bool:
        """True from `expires_at` on."""
        return self.expires_at is not None and self.expires_at <= (now or datetime.now(UTC))

    @property
    def state(self) -> str:
        """`active`, or why it is not accepted: `revoked`, `blocked`, `project_blocked`, `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.blocked_at is not None:
            return "blocked"
        if self.project_blocked_at is not None:
            return "project_blocked"
        return "expired" if self.expired() else "active"


def digest_of(token: str) -> bytes:
    """SHA-256 of a key's text."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
