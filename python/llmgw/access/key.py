"""What an API key is to the gateway.

A key is `sk-gtw-` and 192 random bits. Its text is shown once, at creation; the database has only its SHA-256
and its first characters. `admin` changes keys in the database, `keyring` holds the active ones in memory,
`bearer` finds the key of a request.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, Self, cast

from llmgw.store import ApiKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.budgets.budget import Budget
    from llmgw.limits.rules import LimitRule

KEY_PREFIX: Final = "sk-gtw-"
ADMIN_PREFIX: Final = "sk-gtw-admin-"
"""Of the keys that may work below `/admin`. They call no model."""
DEFAULT_PROJECT_ID: Final = 1

KeyKind = Literal["model", "admin", "admin_read"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its text."""

    id: int
    name: str
    prefix: str
    """Its first characters."""
    digest: bytes
    """SHA-256, 32 bytes."""
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
    trusts_user_header: bool = False
    blocked_at: datetime | None = None
    """Also if its project is blocked."""
    rotated_at: datetime | None = None
    previous_expires_at: datetime | None = None
    """Until when the secret before the last rotation is accepted."""
    limits: "tuple[LimitRule, ...]" = ()
    """Its own and its project's."""
    budgets: "tuple[Budget, ...]" = ()
    """The same."""

    @classmethod
    def of(
        cls,
        row: ApiKey,
        project: str = "default",
        limits: "Sequence[LimitRule]" = (),
        budgets: "Sequence[Budget]" = (),
    ) -> Self:
        """From its row in the database, and what belongs to it in other tables."""
        return cls(
            id=row.id,
            name=row.name,
            prefix=row.prefix,
            digest=row.digest,
            models=None if row.models is None else frozenset(row.models),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            project_id=row.project_id,
            project=project,
            kind=cast("KeyKind", row.kind),
            owner=row.owner,
            trusts_user_header=row.trusts_user_header,
            blocked_at=row.blocked_at,
            rotated_at=row.rotated_at,
            previous_expires_at=row.previous_expires_at,
            limits=tuple(limits),
            budgets=tuple(budgets),
        )

    def may_use(self, model_id: str) -> bool:
        """False if the key has a list of models and this one is not on it."""
        return self.models is None or model_id in self.models

    def expired(self, now: datetime | None = None) -> bool:
        """True from `expires_at` on."""
        return self.expires_at is not None and self.expires_at <= (now or datetime.now(UTC))


def digest_of(token: str) -> bytes:
    """SHA-256 of a key's text."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
