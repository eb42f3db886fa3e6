"""`GET /v1/usage/me/{request_id}`: what became of a request of the asking key's, and what it cost.

A row is in the ledger about a second after its request has ended, so a look-up waits for it a little: a page
then asks once, and is not refused in vain. The database is read in a thread, one read at a time in a worker.
"""

import asyncio
import json
import re
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from llmgw.access.amounts import amount_text
from llmgw.asgi.request_id import ID_PATTERN
from llmgw.endpoints.own_usage import USAGE_ME, database_fails
from llmgw.errors import ApiError
from llmgw.ledger.requests import find_request
from llmgw.store import LedgerRow

if TYPE_CHECKING:
    from llmgw.access.key import Key
    from llmgw.gateway import Gateway

MAX_LOOK_UPS: Final = 64
"""At once, in a worker; more get 503."""
WAIT_S: Final = 2.5
"""For a row that is not there: the ledger's writer and a slow disk."""
_PAUSE_S: Final = 0.25
_RETRY_AFTER_S: Final = 1
_PATH: Final = re.compile(rf"{USAGE_ME}/({ID_PATTERN})")
_SHOWN: Final = (
    "model", "api", "status", "stream", "finish_reason", "error_kind", "attempts",
    "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "cache_write_tokens",
    "usage_source", "thinking_asked", "thinking_sent", "thinking_observed", "first_event_s", "total_s",
)  # fmt: skip
"""As in the admin API. Which upstream answered, or failed before, is the operator's to know."""
_COSTS: Final = (
    "cost", "cost_input", "cost_cached_input", "cost_cache_write", "cost_output", "cost_other",
)  # fmt: skip


def request_id_in(path: str) -> str | None:
    """The id that a path asks for; None: it is another path, or no request has such an id."""
    match = _PATH.fullmatch(path)
    return None if match is None else match[1]


class OwnRequests:
    """The answers. For one event loop."""

    def __init__(self, gateway: "Gateway", turn: asyncio.Lock) -> None:
        """`turn`: who reads the database holds it."""
        self._gateway = gateway
        self._turn = turn
        self._running = 0

    async def of(self, key: "Key", request_id: str) -> bytes:
        """A request as JSON. Raises ApiError: `not_found`, also where another key made it; `overloaded`."""
        if self._running >= MAX_LOOK_UPS:
            message = "Too many look up their requests. Try again later."
            raise ApiError("overloaded", message, retry_after_s=_RETRY_AFTER_S)
        self._running += 1
        try:
            row = await self._await_row(key, request_id)
        except SQLAlchemyError:
            raise database_fails() from None
        finally:
            self._running -= 1
        if row is None:
            message = (
                "The ledger has no request of this id that was made with this key. "
                "It has a request about a second after its end."
            )
            raise ApiError("not_found", message)
        return json.dumps(_document(row), ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )

    async def _await_row(self, key: "Key", request_id: str) -> LedgerRow | None:
        clock = asyncio.get_running_loop().time
        end_s = clock() + WAIT_S
        while True:
            async with self._turn:
                row = await asyncio.to_thread(find_request, self._gateway.store, request_id, key_id=key.id)
            if row is not None or clock() >= end_s:
                return row
            await asyncio.sleep(_PAUSE_S)


def _document(row: LedgerRow) -> dict[str, object]:
    costs = {name: getattr(row, name) for name in _COSTS}
    return {
        "object": "usage.request",
        "request_id": row.request_id,
        "time": row.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **{name: getattr(row, name) for name in _SHOWN},
        **{name: None if nano is None else amount_text(nano, "") for name, nano in costs.items()},
        "currency": row.currency,
    }
