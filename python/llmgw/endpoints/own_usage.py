"""`GET /v1/usage/me`: what a key has used, and what is left of its limits and budgets. No admin is needed.

The database is read once per key and second, and once at a time in a worker, in a thread: a crowd that polls
this takes no time from answers.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from llmgw.access.amounts import amount_text
from llmgw.access.documents import budget_state_document, time_text
from llmgw.budgets.store import BudgetState, list_budgets
from llmgw.errors import ApiError
from llmgw.ledger.usage import UsageSum, sum_usage
from llmgw.limits.standing import LimitStanding, Standing, standing_of

if TYPE_CHECKING:
    from llmgw.access.key import Key
    from llmgw.gateway import Gateway

USAGE_ME: Final = "/v1/usage/me"
DAYS: Final = 30
"""Of which usage is told, today among them."""
MAX_KNOWN_KEYS: Final = 4096
"""Whose last answer is kept."""
_FRESH_S: Final = 1.0
_RETRY_AFTER_S: Final = 5


class _Known(NamedTuple):
    read_at_s: float
    body: asyncio.Task[bytes]


class OwnUsage:
    """The answers. For one event loop."""

    def __init__(self, gateway: "Gateway", turn: asyncio.Lock) -> None:
        """`turn`: who reads the database holds it."""
        self._gateway = gateway
        self._known: dict[int, _Known] = {}
        self._turn = turn

    async def of(self, key: "Key") -> bytes:
        """A key's, as JSON; at most a second old. Raises ApiError: `overloaded`."""
        now_s = asyncio.get_running_loop().time()
        known = self._known.get(key.id)
        if known is None or now_s - known.read_at_s >= _FRESH_S:
            if len(self._known) >= MAX_KNOWN_KEYS:
                self._known.clear()
            known = self._known[key.id] = _Known(now_s, asyncio.ensure_future(self._read(key)))
            known.body.add_done_callback(_look)
        # A client that leaves does not end the read of the others.
        return await asyncio.shield(known.body)

    async def _read(self, key: "Key") -> bytes:
        async with self._turn:
            models = [model for model in self._gateway.router.models.values() if key.may_use(model.id)]
            standing = standing_of(self._gateway.governor, key, models)
            try:
                return await asyncio.to_thread(self._document, key, standing)
            except SQLAlchemyError:
                raise database_fails() from None

    def _document(self, key: "Key", standing: Standing) -> bytes:
        """Blocking. Raises SQLAlchemyError."""
        store, prices = self._gateway.store, self._gateway.config.prices
        zone, now = ZoneInfo(prices.timezone), datetime.now(UTC)
        own = list_budgets(store, zone, now, scope="key", scope_ids=[key.id])
        shared = list_budgets(store, zone, now, scope="project", scope_ids=[key.project_id])
        # What users behind the key have spent is not the key's holder's to know, nor other keys' users.
        budgets = [state for state in (*own, *shared) if not state.per_user]
        since = now - timedelta(days=DAYS - 1)
        usage = sum_usage(store, ["day", "model"], zone, since=_midnight(since, zone), only={"key": [key.id]})
        document = {
            "object": "usage",
            "key": {
                "id": key.id,
                "name": key.name,
                "project": key.project,
                "models": None if key.models is None else sorted(key.models),
                "expires_at": time_text(key.expires_at),
            },
            "timezone": prices.timezone,
            "limits": [_limit(each) for each in standing.limits],
            "budgets": [_budget(state, standing) for state in budgets],
            "usage": [_usage(each, zone) for each in usage.sums],
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def database_fails() -> ApiError:
    """What a key's holder is told while nothing can be read."""
    message = "The gateway can't use its database at the moment. Try again later."
    return ApiError("overloaded", message, retry_after_s=_RETRY_AFTER_S)


def _look(task: asyncio.Task[bytes]) -> None:
    """If everybody has left, nobody else looks at the error."""
    if not task.cancelled():
        task.exception()


def _midnight(at: datetime, zone: ZoneInfo) -> datetime:
    day = at.astimezone(zone)
    return day.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def _limit(standing: LimitStanding) -> dict[str, Any]:
    here = standing.here
    return {
        "kind": here.kind,
        "scope": here.subject.label,
        "of": here.subject.words,
        "limit": here.limit,
        "remaining": standing.remaining,
        "reset_s": None if standing.reset_s is None else round(standing.reset_s, 3),
    }


def _budget(state: BudgetState, standing: Standing) -> dict[str, Any]:
    """As the admin API has it; what running requests may use is not left."""
    reserved = standing.reserved.get(state.id, 0)
    document = budget_state_document(state)
    for name in ("user", "per_user", "warned_at", "exhausted_at"):
        del document[name]
    document["resets_at"] = document.pop("ends_at")
    document["reserved"] = amount_text(reserved, state.unit)
    document["left"] = amount_text(max(state.left - reserved, 0), state.unit)
    return document


def _usage(each: UsageSum, zone: ZoneInfo) -> dict[str, Any]:
    day, model = each.group
    costs = {currency: amount_text(cost, currency) for currency, cost in each.costs.items()}
    return {
        "day": day.astimezone(zone).strftime("%Y-%m-%d"),
        "model": model or None,
        **each.totals._asdict(),
        "costs": costs,
    }
