"""In which order groups of usage are listed: by their name, or the largest first."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

from llmgw.ledger.usage import Totals, Usage, UsageBy, UsageSum

UsageOrder: TypeAlias = Literal["group", "requests", "tokens", "errors", "cost"]
ORDERS: Final[tuple[UsageOrder, ...]] = get_args(UsageOrder)
ALL: Final = "all"
"""The grouping by nothing, which is one group of everything."""
_MOST: Final = 2**63 - 1
"""The most that a cursor can hold; a larger sum counts as this."""
_NOTHING: Final = UsageSum((), Totals(0, 0, 0, 0, 0, 0, 0, 0), {})


def size_of(each: UsageSum, order: UsageOrder, currency: str) -> int:
    """What a group is ordered by, the largest first; 0 in the order of groups.

    `currency`: of the cost, in 10⁻⁹ of its unit.
    """
    sizes = {
        "group": 0,
        "requests": each.totals.requests,
        "errors": each.totals.errors,
        "tokens": each.totals.prompt_tokens + each.totals.completion_tokens,
        "cost": each.costs.get(currency, 0),
    }
    return min(sizes[order], _MOST)


def ordered(usage: Usage, by: Sequence[UsageBy], order: UsageOrder, currency: str) -> list[UsageSum]:
    """All groups; those of one size by their names. By nothing: one group, even if nothing was used."""
    if not by:
        return usage.sums or [_NOTHING]
    if order == "group":
        return usage.sums
    # They are ordered by group already, and a sort keeps the order of what is equal.
    return sorted(usage.sums, key=lambda each: -size_of(each, order, currency))
