"""What the ledger records about a request, and what it reports about itself."""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from llmgw.errors import LlmgwError

TOKEN_COUNTS: Final = (
    "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "cache_write_tokens",
)  # fmt: skip
"""The fields that count tokens."""
MAX_TOKENS: Final = 2**40
"""More than any answer has. A larger number from an upstream would make the sums overflow."""
COSTS: Final = (
    "cost", "cost_input", "cost_cached_input", "cost_cache_write", "cost_output", "cost_other",
)  # fmt: skip
"""The fields that are money."""
MAX_COST: Final = 5 * 10**15
"""Five parts of a million units each, for the same reason."""


class LedgerEntry(NamedTuple):
    """One finished request. `LedgerRow` explains the fields."""

    time_s: float
    """When it arrived, in seconds since the epoch."""
    request_id: str
    status: int
    total_s: float
    key_id: int | None = None
    model: str | None = None
    upstream: str | None = None
    stream: bool = False
    finish_reason: str | None = None
    error_kind: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    usage_source: str = "none"
    thinking_asked: str | None = None
    thinking_sent: str | None = None
    thinking_observed: bool = False
    first_event_s: float | None = None
    attempts: int = 0
    attempt_errors: str | None = None
    api: str | None = None
    project_id: int | None = None
    user: str | None = None
    cache_write_tokens: int | None = None
    cost: int | None = None
    cost_input: int | None = None
    cost_cached_input: int | None = None
    cost_cache_write: int | None = None
    cost_output: int | None = None
    cost_other: int | None = None
    currency: str | None = None
    price_digest: str | None = None


def is_entry(row: Mapping[str, Any]) -> bool:
    """True if an entry can be made of a journal's row and the database will take it.

    False for what another version of llmgw, or something else, has written.
    """
    if not row.keys() >= _REQUIRED or not all(
        _fits(row[name], _TYPES[name]) for name in _TYPES if name in row
    ):
        return False
    time_s: float = row["time_s"]
    return 0 <= time_s < _END_OF_TIME_S


_END_OF_TIME_S: Final = 253_402_300_800
"""The year 10,000, which no date can have."""
_MAX_INTEGER: Final = 2**63 - 1
_REQUIRED: Final = set(LedgerEntry._fields) - set(LedgerEntry._field_defaults)
_TYPES: Final = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(LedgerEntry).items()}


def _fits(value: object, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool) or value is None:
        return type(value) in types
    if isinstance(value, str):
        return str in types and _is_text(value)
    if isinstance(value, int):
        return (int in types or float in types) and abs(value) <= _MAX_INTEGER
    return isinstance(value, float) and float in types and math.isfinite(value)


def _is_text(value: str) -> bool:
    """False for half a pair of surrogates, which no database takes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class LedgerState(NamedTuple):
    """The figures that the ledger reports."""

    queued: int
    """Rows that are only in memory."""
    dropped: int
    """Rows that were lost, since the start."""
    journal_rows: int
    """Rows in journals that are not in the database yet."""
    journal_bytes: int
    healthy: bool
    """False if the last write to the database failed."""
    set_aside: int = 0
    """Files in the journal's folder with something that can't be replayed."""


class NotDurableError(LlmgwError):
    """Neither the database nor the journal took the row."""
