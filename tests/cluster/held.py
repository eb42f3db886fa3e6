"""Did limits and budgets hold over all machines? By the upstream's stamps, not by what a gateway says.

A gateway grants a request at some moment between the client's sending and the upstream's first look at it,
so a window from the first sending to the last look contains all grants of the requests in it. What it may
contain at the most is the limit, what drains in that time, and what `llmgw.limits.redis` says may be wrong.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tests.faults.reconcile import PER_INPUT, PER_OUTPUT
from tests.faults.script import PROMPT_TOKENS, Exchange

MINUTE_S: Final = 60.0
LEARN_S: Final = 4.0
"""What budgets' machines do not know of each other while Redis is gone: `LEARN_BASES_S`, and the time until a
row is in the database."""

ESTIMATE_SLACK: Final = 80
"""Tokens by which the estimates of what one key has running at once may be wrong."""

Span = tuple[float, float]
"""From when to when, by the monotonic clock."""


class Grant(NamedTuple):
    """A request that an upstream was asked for."""

    sent_s: float
    asked_s: float
    """When the upstream got it."""
    last_write_s: float
    tokens: int
    """Of prompt and answer, as the upstream emitted them."""
    is_lost: bool
    """It ran in a process that was killed, and nobody has counted it."""


def grant_of(sent_s: float, attempts: Sequence[Exchange], *, is_lost: bool) -> Grant:
    """Of one request, whose last attempt is billed."""
    last = attempts[-1]
    end_s = last.last_write_s or last.began_s
    return Grant(sent_s, attempts[0].began_s, end_s, PROMPT_TOKENS + (last.tokens or 0), is_lost)


@dataclass(frozen=True)
class Verdict:
    """One key, over one stretch of time."""

    name: str
    limit: int
    most: float
    """What it got at the most: in a minute, at once, or in all."""
    allowed: float
    """At that moment, drain and stated error included."""
    refused: int = 0

    @property
    def held(self) -> bool:
        """It got no more than it may."""
        return self.most <= self.allowed + 1e-6

    def __str__(self) -> str:
        """On one line."""
        sign = "≤" if self.held else ">"
        of = f"limit {self.limit:,}, {self.refused} refused"
        return f"{self.name}: {self.most:,.0f} {sign} {self.allowed:,.1f} ({of})"

    def having_refused(self, number: int) -> "Verdict":
        """The same, with how often it was refused."""
        return replace(self, refused=number)


class Unit(NamedTuple):
    """What is counted."""

    of: Callable[[Grant], int]
    slack: float = 0.0
    """What a rate may be wrong by, since it is asked before it is known."""


REQUESTS: Final = Unit(lambda _: 1)
TOKENS: Final = Unit(lambda grant: grant.tokens, ESTIMATE_SLACK)
NANO: Final = Unit(lambda grant: PROMPT_TOKENS * PER_INPUT + (grant.tokens - PROMPT_TOKENS) * PER_OUTPUT)
"""10⁻⁹ of the currency's unit."""


def rate(
    name: str, limit: int, grants: Sequence[Grant], unit: Unit, *, machines: int, gone: Sequence[Span]
) -> Verdict:
    """Of so many a minute. The window counts that comes nearest to what is allowed, or goes beyond.

    Each time that Redis is gone may add the share of the other machines.
    """
    per_s = limit / MINUTE_S
    share = limit * (machines - 1) / machines
    by_asked = sorted(grants, key=lambda grant: grant.asked_s)
    worst: Verdict | None = None
    for first in grants:
        begun_s, used = first.sent_s, 0
        for grant in by_asked:
            if grant.sent_s < begun_s:
                continue
            used += unit.of(grant)
            outages = sum(was_s <= grant.asked_s and until_s >= begun_s - MINUTE_S for was_s, until_s in gone)
            allowed = limit + per_s * (grant.asked_s - begun_s) + unit.slack + share * outages
            if worst is None or used - allowed > worst.most - worst.allowed:
                worst = Verdict(name, limit, used, allowed)
    return worst or Verdict(name, limit, 0, limit)


def at_once(
    name: str, limit: int, grants: Sequence[Grant], *, machines: int, gone: Sequence[Span]
) -> Verdict:
    """Of `limit` places. Who has more than its share when Redis goes keeps them; the others take theirs."""
    share = limit * (machines - 1) / machines
    changes = sorted(
        change
        for grant in grants
        for change in ((grant.asked_s, 1), (grant.last_write_s, -1))
        if not grant.is_lost
    )
    worst, running = Verdict(name, limit, 0, limit), 0
    for at_s, change in changes:
        running += change
        allowed = limit + share * any(was_s <= at_s <= until_s for was_s, until_s in gone)
        if running - allowed > worst.most - worst.allowed:
            worst = Verdict(name, limit, running, allowed)
    return worst


def budget(name: str, amount: int, grants: Sequence[Grant], unit: Unit, *, gone: Sequence[Span]) -> Verdict:
    """Of `amount` in all. What a killed process took with it is not counted by anybody."""

    def used(some: Iterable[Grant]) -> int:
        return sum(map(unit.of, some))

    def just_before(end_s: float) -> int:
        return used(grant for grant in grants if end_s - LEARN_S <= grant.last_write_s <= end_s)

    unknown = max(
        (
            just_before(grant.last_write_s)
            for grant in grants
            if any(was_s <= grant.last_write_s and grant.sent_s <= until_s for was_s, until_s in gone)
        ),
        default=0,
    )
    allowed = amount + used(grant for grant in grants if grant.is_lost) + unknown
    return Verdict(name, amount, used(grants), allowed)
