"""Who may ask: projects, their keys, and what the gateway keeps about those."""

from datetime import datetime

from sqlalchemy import JSON, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from llmgw.store.tables.base import Base


class Project(Base):
    """A team or an application, which has keys. `default` is always there, as number 1."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime]
    blocked_at: Mapped[datetime | None]
    """Since when none of its keys is accepted; None: they are."""


class ApiKey(Base):
    """A client's or an admin's key. The secret itself is never stored, only its SHA-256."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ux_api_keys_previous_digest", "previous_digest", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(32))
    """The first characters of the key, by which its owner recognises it."""
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Ids of the models that it may use; None: all."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    project_id: Mapped[int] = mapped_column(server_default="1")
    kind: Mapped[str] = mapped_column(String(16), server_default="model")
    """`model`: it calls models; `admin`: it may do everything below `/admin`; `admin_read`: only look."""
    owner: Mapped[str | None] = mapped_column(String(200))
    """Who answers for it, in the operator's words."""
    trusts_user_header: Mapped[bool] = mapped_column(server_default="0")
    """True: its clients may name the user behind a request in a header."""
    blocked_at: Mapped[datetime | None]
    """Since when it is not accepted; None: it is. Unlike a revocation, this can be undone."""
    rotated_at: Mapped[datetime | None]
    previous_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """SHA-256 of the secret before the last rotation."""
    previous_expires_at: Mapped[datetime | None]
    """Until when that secret is accepted beside the new one."""
    first_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """SHA-256 of the first secret, under which reasoning was kept and sealed; None: it was never replaced."""


class KeyEpoch(Base):
    """One row with a counter, so that a poll reads only one number.

    Each change of a key, a project, a limit, a budget or a capture lease raises it.
    """

    __tablename__ = "key_epoch"

    id: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int]


class Secret(Base):
    """A secret of the gateway's own, which all of its processes share."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    """`seal`: 32 bytes, under which reasoning is sealed that a client carries (`_core.Seal`)."""
    value: Mapped[bytes] = mapped_column(LargeBinary)
