"""What one answer is billed: one rule for all kinds of answers, whole, broken off or cancelled.

- Tokens are those that the upstream counted.
- What it did not count is estimated: the prompt by the estimate with which the request was let in, the output
  by the bytes of text that came. Of an answer that broke off, these are the bytes after the last usage, which
  counts what came before. `usage_source` is `estimated` then.
- Nothing is billed if no upstream was reached, or if it refused or failed before its answer began. If the
  gateway or the client gave up a request that the upstream may have been working on, its prompt is billed.

Only the last attempt is billed: one that another one follows has shown nothing, and mostly was refused.
"""

import math
from typing import Final, NamedTuple, Protocol

from llmgw.prices.price import FREE, Cost, Price

BYTES_PER_TOKEN: Final = 4
"""Of UTF-8, where nothing is known of a model: between English (4 to 5), code (3) and Chinese (3 to 5)."""
_GIVEN_UP: Final = frozenset(
    {"first_event_timeout", "idle_timeout", "total_timeout", "aborted", "draining", None}
)
"""Kinds of failure that are no answer of the upstream's; None: broken off on our side, without a failure."""


class Report(Protocol):
    """What is read of a `_core.ExchangeReport`, which explains it."""

    @property
    def complete(self) -> bool: ...  # noqa: D102
    @property
    def prompt_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def completion_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def reasoning_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def cached_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def cache_write_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def output_bytes(self) -> int: ...  # noqa: D102
    @property
    def unmetered_bytes(self) -> int: ...  # noqa: D102
    @property
    def usage_source(self) -> str: ...  # noqa: D102
    @property
    def reasoning_seen(self) -> bool: ...  # noqa: D102
    @property
    def error_kind(self) -> str | None: ...  # noqa: D102
    @property
    def first_event_s(self) -> float | None: ...  # noqa: D102


class Usage(NamedTuple):
    """The tokens that are billed, for the ledger; None: unknown, and nothing is billed for it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    source: str = "none"
    """`upstream`, `partial`, `estimated`, or `none`: nothing is billed."""

    @property
    def total(self) -> int:
        """Input and output together."""
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)


class Bill(NamedTuple):
    """What one answer used and what that costs."""

    usage: Usage
    cost: Cost | None
    """None: there is no price. Nothing used costs nothing, whatever the price."""
    price: Price | None


NOTHING: Final = Usage()


def estimated_tokens(text_bytes: int) -> int:
    """About how many tokens a text has."""
    return math.ceil(text_bytes / BYTES_PER_TOKEN)


def usage_of(report: Report | None, input_estimate: int) -> Usage:
    """What is billed of an exchange; `input_estimate`: the tokens of its prompt. None: there was none."""
    if report is None:
        return NOTHING
    source = report.usage_source
    if source == "none" and not _has_begun(report) and report.error_kind not in _GIVEN_UP:
        return NOTHING
    # A prompt of no tokens is what some servers report that count nothing.
    prompt, completion = report.prompt_tokens or None, report.completion_tokens
    uncounted = report.output_bytes if source == "upstream" and not completion else report.unmetered_bytes
    if uncounted:
        completion = (completion or 0) + estimated_tokens(uncounted)
    return Usage(
        input_estimate if prompt is None else prompt,
        completion,
        report.reasoning_tokens,
        report.cached_tokens,
        report.cache_write_tokens,
        "estimated" if prompt is None or uncounted else source,
    )


def bill(
    report: Report | None, *, input_estimate: int, images: int, price: Price | None, at_s: float
) -> Bill:
    """The bill of a request that arrived at `at_s`, in seconds since the epoch.

    `report`: of its last exchange; None: no upstream was asked. `input_estimate`: the tokens of its prompt as
    they were estimated. `images`: its media. `price`: of the target that was asked last; None: it has none.
    """
    usage = usage_of(report, input_estimate)
    if price is None:
        return Bill(usage, None, None)
    prompt, completion, reasoning, cached, cache_write, source = usage
    if report is None or source == "none":
        return Bill(usage, FREE, price)
    cost = price.cost_of(
        prompt or 0,
        cached or 0,
        cache_write or 0,
        completion or 0,
        reasoning or 0,
        images,
        report.reasoning_seen,
        at_s=at_s,
    )
    return Bill(usage, cost, price)


def _has_begun(report: Report) -> bool:
    """Something of the answer came."""
    return report.complete or report.first_event_s is not None or report.output_bytes > 0
