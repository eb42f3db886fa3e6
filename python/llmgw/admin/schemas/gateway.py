"""`system`: which gateway this is, and what it has."""

from typing import Final

from pydantic import Field

from llmgw.admin.schemas.base import Count, Schema, Time


class WorkerSchema(Schema):
    """A worker and its config."""

    worker: int = Field(description="Its process id.")
    generation: int | None = Field(description="The latest that it has seen; null: it has just begun.")
    problem: str | None = Field(description="Why it can't use that one; null: it does.")


class AdminFacts(Schema):
    """`[admin]` of the config."""

    own_listener: bool = Field(description="It has a port and a process of its own.")
    capture: bool = Field(description="Requests may be captured with their bodies.")


class ConfigFacts(Schema):
    """The file of the config in force."""

    source: str
    changed_at: Time = Field(description="When it was last changed, as it was read.")


class DatabaseFacts(Schema):
    """Where keys and ledger are."""

    kind: str = Field(description="`sqlite` or `postgresql`.")
    url: str = Field(description="Without a password, nor what else it may have in its query.")
    reachable: bool
    size_bytes: Count | None = Field(description="Null: it is not known.")
    ledger_rows_estimate: Count | None = Field(
        description="From the first id to the last, not counted; null: it can't be read."
    )


class RedisFacts(Schema):
    """What is in Redis."""

    cache: bool = Field(description="The reasoning of earlier turns, and kept conversations.")
    limits: bool = Field(description="Limits and budgets, which several machines share.")


class JournalFacts(Schema):
    """Where rows of the ledger wait while the database fails."""

    folder: str | None = Field(description="Null: there is no journal.")


class SystemSchema(Schema):
    """The gateway: its versions, its processes and where it keeps things."""

    version: str
    python: str
    platform: str
    started_at: Time = Field(description="Of the gateway; workers may be younger.")
    generation: int | None = Field(
        description="The config in force: 1 at the start, and more with each reload; null: the workers begin."
    )
    workers: list[WorkerSchema]
    admin: AdminFacts
    config: ConfigFacts
    database: DatabaseFacts
    redis: RedisFacts
    journal: JournalFacts
    timezone: str = Field(description="Of days, weeks and months.")
    currencies: list[str] = Field(
        description="First that of all costs and budgets, then the others that prices may be in."
    )


SYSTEM: Final = {
    "version": "0.1.0",
    "python": "3.13.9",
    "platform": "Linux-6.12.48-x86_64-with-glibc2.41",
    "started_at": "2026-11-26T07:59:58.412Z",
    "generation": 2,
    "workers": [
        {"worker": 4711, "generation": 2, "problem": None},
        {"worker": 4712, "generation": 2, "problem": None},
    ],
    "admin": {"own_listener": True, "capture": False},
    "config": {"source": "/etc/llmgw.toml", "changed_at": "2026-11-26T08:00:00Z"},
    "database": {
        "kind": "sqlite",
        "url": "sqlite:////var/lib/llmgw/llmgw.db",
        "reachable": True,
        "size_bytes": 73400320,
        "ledger_rows_estimate": 181204,
    },
    "redis": {"cache": False, "limits": False},
    "journal": {"folder": "/var/lib/llmgw/llmgw.db.journal"},
    "timezone": "Asia/Shanghai",
    "currencies": ["CNY", "USD"],
}
