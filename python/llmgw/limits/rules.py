"""Limits as they are set for projects and keys."""

from typing import Final, Literal, NamedTuple

Scope = Literal["project", "key"]


class Limits(NamedTuple):
    """None: no limit of that kind."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None


NO_LIMITS: Final = Limits()


class LimitRule(NamedTuple):
    """The limits of a project or a key, for all models or one, for all users together or each."""

    scope: Scope
    scope_id: int
    name: str
    """The project's or key's, for messages."""
    model: str | None
    """Of this model only; None: of all together."""
    per_user: bool
    """True: for each user behind the key, one by one."""
    limits: Limits
