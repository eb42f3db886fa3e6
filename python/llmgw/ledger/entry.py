"""What the ledger records about a request, and what it reports about itself."""

from typing import Final, NamedTuple

from llmgw.errors import LlmgwError

TOKEN_COUNTS: Final = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")
"""The fields that count tokens."""
MAX_TOKENS: Final = 2**40
"""More than any answer has. A larger number from an upstream would make the sums overflow."""


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


class NotDurableError(LlmgwError):
    """Neither the database nor the journal took the row."""
