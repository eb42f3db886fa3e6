"""The names under which limits and budgets are in the shared table. Made nowhere else.

    rpm:key:7                     requests a minute of a key
    tpm:project:3:model:M         tokens a minute of a project at one model
    concurrent:key:7:user:U       requests at once of one user behind a key
    rpm:upstream:X                what a provider grants an account
    budget:12:1798732800:user:U   a budget's window, by the second at which it began

Model ids and users are text that others chose. A `:` in them is written `%3A`, so that no text can name
another entry.
"""

from datetime import datetime
from typing import Final, Literal

from llmgw.budgets.budget import Scope

LimitKind = Literal["requests_per_minute", "tokens_per_minute", "concurrent_requests"]

_SHORT: Final[dict[LimitKind, str]] = {
    "requests_per_minute": "rpm",
    "tokens_per_minute": "tpm",
    "concurrent_requests": "concurrent",
}


def of_owner(
    kind: LimitKind, scope: Scope, scope_id: int, *, model: str | None = None, user: str | None = None
) -> str:
    """A limit of a project or key: at one model, of one user (may be empty), or both."""
    at_model = "" if model is None else f":model:{_escaped(model)}"
    return f"{_SHORT[kind]}:{scope}:{scope_id}{at_model}{_of_user(user)}"


def of_model(kind: LimitKind, model: str) -> str:
    """A model's limit, of all keys together."""
    return f"{_SHORT[kind]}:model:{_escaped(model)}"


def of_upstream(kind: LimitKind, upstream: str) -> str:
    """What an upstream may be asked."""
    return f"{_SHORT[kind]}:upstream:{_escaped(upstream)}"


def of_budget(budget_id: int, starts_at: datetime, user: str = "") -> str:
    """One window of a budget. `user` is empty unless it counts users one by one; then it is nobody named."""
    return f"budget:{budget_id}:{int(starts_at.timestamp())}{_of_user(user or None)}"


def _of_user(user: str | None) -> str:
    return "" if user is None else f":user:{_escaped(user)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace(":", "%3A")
