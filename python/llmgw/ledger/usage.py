"""How many requests and tokens did each key, model, day or API have? For `llmgw usage`."""

from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import String, cast, func, or_, select

from llmgw.ledger.entry import TOKEN_COUNTS
from llmgw.store import ApiKey, LedgerRow, Store

UsageBy = Literal["key", "model", "day", "api"]


class UsageSum(NamedTuple):
    """The sums of one group. Tokens that no upstream reported are missing."""

    group: str
    """The key's id and name, the model's id, the day (UTC, `2026-11-23`), or the API's name."""
    requests: int
    errors: int
    """Requests with an error status, or that failed in the middle of a stream."""
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    cache_write_tokens: int = 0


def sum_usage(store: Store, by: UsageBy) -> list[UsageSum]:
    """The sums of all groups, ordered by group. Raises SQLAlchemyError."""
    group, label = _GROUPS[by]
    failed = or_(LedgerRow.error_kind.is_not(None), LedgerRow.status >= _FIRST_ERROR_STATUS)
    tokens = [func.coalesce(func.sum(getattr(LedgerRow, name)), 0) for name in TOKEN_COUNTS]
    query = (
        select(func.coalesce(label, "-"), func.count(), func.count().filter(failed), *tokens)
        .select_from(LedgerRow)
        .outerjoin(ApiKey, ApiKey.id == LedgerRow.key_id)
        .group_by(group)
        .order_by(group)
    )
    with store.read() as session:
        return [UsageSum(*row) for row in session.execute(query)]


_FIRST_ERROR_STATUS: Final = 400

_DAY: Final = func.date(LedgerRow.time)

# The column to group by, and the label of a group.
_GROUPS: Final[dict[UsageBy, tuple[Any, Any]]] = {
    "key": (LedgerRow.key_id, cast(LedgerRow.key_id, String) + func.coalesce(" " + ApiKey.name, "")),
    "model": (LedgerRow.model, LedgerRow.model),
    "day": (_DAY, _DAY),
    "api": (LedgerRow.api, LedgerRow.api),
}
