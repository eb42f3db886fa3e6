"""One request of the demo's past, as it went, and what the ledger has of it by the gateway's own rules."""

from collections.abc import Mapping
from typing import NamedTuple

from llmgw.cli.simulated import REQUEST_MARK
from llmgw.ledger.entry import LedgerEntry
from llmgw.prices.billing import BYTES_PER_TOKEN, bill
from llmgw.prices.price import Price


class Draft(NamedTuple):
    """One request. Times are in seconds, counts in tokens."""

    time_s: float
    """When it arrived, since the epoch."""
    key: str
    api: str
    model: str | None
    upstream: str | None
    """Asked last; None: none was."""
    stream: bool
    user: str | None
    prompt: int
    cached: int
    text: int
    """What it answered, without its reasoning."""
    reasoning: int
    finish: str | None
    asked: bool | None
    """The thinking switch."""
    sent: str | None
    """What the upstream was told of it."""
    first_s: float
    total_s: float
    status: int = 200
    error_kind: str | None = None
    attempts: int = 1
    attempt_errors: str | None = None
    came: float = 1.0
    """The share of the answer that came before it broke off; 0: nothing did."""

    @property
    def writes(self) -> bool:
        """False for embeddings and rerank."""
        return self.api not in {"embeddings", "rerank"}


class _Report(NamedTuple):
    """What an exchange would have reported; see `prices.billing.Report`."""

    complete: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: None
    output_bytes: int
    unmetered_bytes: int
    usage_source: str
    reasoning_seen: bool
    error_kind: str | None
    first_event_s: float | None


def entry_of(
    draft: Draft,
    number: int,
    *,
    keys: Mapping[str, tuple[int, int]],
    prices: Mapping[tuple[str, str], Price | None],
) -> LedgerEntry:
    """The entry of a request. `number`: of all requests, which makes its id.

    `keys`: the ids of key and project by the key's name. `prices`: by model and upstream.
    """
    key_id, project_id = keys[draft.key]
    report = None if draft.upstream is None else _report(draft)
    price = None
    if draft.model is not None and draft.upstream is not None:
        price = prices[draft.model, draft.upstream]
    usage, cost, _ = bill(report, input_estimate=draft.prompt, images=0, price=price, at_s=draft.time_s)
    parts = {} if cost is None else {f"cost_{name}": part for name, part in cost._asdict().items()}
    return LedgerEntry(
        time_s=draft.time_s,
        request_id=f"{REQUEST_MARK}{int(draft.time_s * 1000):012x}{number:04x}",
        status=draft.status,
        total_s=draft.total_s,
        key_id=key_id,
        project_id=project_id,
        model=draft.model,
        upstream=draft.upstream,
        stream=draft.stream,
        finish_reason=draft.finish,
        error_kind=draft.error_kind,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        usage_source=usage.source,
        thinking_asked=None if draft.asked is None or report is None else "on" if draft.asked else "off",
        thinking_sent=None if report is None else draft.sent,
        thinking_observed=report is not None and report.reasoning_seen,
        first_event_s=None if report is None else report.first_event_s,
        attempts=draft.attempts,
        attempt_errors=draft.attempt_errors,
        api=draft.api,
        user=draft.user,
        cost=None if cost is None else cost.total,
        **parts,
        currency=price.currency if price else None,
        price_digest=price.digest if price else None,
    )


def _report(draft: Draft) -> _Report:
    begun = draft.came > 0
    complete = draft.came >= 1
    answered = round((draft.text + draft.reasoning) * draft.came)
    first_s = draft.first_s if begun and draft.stream else None
    reasons = begun and draft.reasoning > 0
    if complete:
        writes = draft.writes
        return _Report(
            complete=True,
            prompt_tokens=draft.prompt,
            completion_tokens=answered if writes else None,
            reasoning_tokens=draft.reasoning if writes else None,
            cached_tokens=draft.cached if writes else None,
            cache_write_tokens=None,
            output_bytes=answered * BYTES_PER_TOKEN,
            unmetered_bytes=0,
            usage_source="upstream",
            reasoning_seen=reasons,
            error_kind=None,
            first_event_s=first_s,
        )
    output_bytes = answered * BYTES_PER_TOKEN
    return _Report(
        complete=False,
        prompt_tokens=None,
        completion_tokens=None,
        reasoning_tokens=None,
        cached_tokens=None,
        cache_write_tokens=None,
        output_bytes=output_bytes,
        unmetered_bytes=output_bytes,
        usage_source="none",
        reasoning_seen=reasons,
        # Kinds of our own, and the client's, are no failure of the exchange.
        error_kind=None if draft.error_kind in {"client_gone", "client_stalled"} else draft.error_kind,
        first_event_s=first_s,
    )
