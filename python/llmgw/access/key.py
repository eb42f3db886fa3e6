"""What an API key is to the gateway.

A key is `sk-gtw-` and 192 random bits. Its text is shown once, at creation; the database has only its SHA-256
and its first characters. `admin` changes keys in the database, `keyring` holds the active ones in memory,
`bearer` finds the key of a request.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from llmgw.store import ApiKey

KEY_PREFIX: Final = "sk-gtw-"


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

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """From its row in the database."""
        return cls(
            id=row.id,
            name=row.name,
            prefix=row.prefix,
            digest=row.digest,
            models=None if row.models is None else frozenset(row.models),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
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
