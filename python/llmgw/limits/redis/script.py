"""The script that Redis runs, and how its calls are written and its replies read.

`limits.lua` says what the keys hold. All keys carry one hash tag, so that they are in one slot of a cluster.
One database of one Redis is for one installation: keys carry no name of it.
"""

from collections.abc import Sequence
from hashlib import sha1
from importlib import resources
from typing import Final, NamedTuple

from llmgw.errors import LlmgwError

PERIOD_PS: Final = 60 * 10**12
"""A minute: the burst of a rate is its whole limit."""
PS_PER_S: Final = 10**12
FULL_DEBT_PS: Final = 61 * PERIOD_PS
"""An answer that was larger than its reservation is paid for later: within an hour, however large it was."""
EXACT: Final = 2**53 - 1
"""The largest integer of Lua's numbers; larger amounts are counted in larger units (see `Scale`)."""
KEY_PREFIX: Final = "{llmgw}:"
GRANT_KEY_PREFIX: Final = "{llmgw}:grant:"
CONTROL_KEYS: Final = ("{llmgw}:epoch", "{llmgw}:leases")
SERVER_KEY: Final = "{llmgw}:server"

HOLD_KEPT_MS: Final = 25 * 3_600_000
"""After its last use; a request takes a day at most."""
BUDGET_KEPT_MS: Final = 35 * 86_400_000
"""The same of a budget: longer than a month."""

_TRIAL_KEPT_MS: Final = 1000

GRANTED: Final = 1
REFUSED: Final = 0
OTHER_EPOCH: Final = -1
"""The server has lost its data."""
TOO_LATE: Final = -2

SCRIPT: Final = resources.files("llmgw.limits.redis").joinpath("limits.lua").read_text("utf-8")
SHA: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

Argument = str | int


class Call(NamedTuple):
    """One call of the script."""

    keys: Sequence[str]
    arguments: Sequence[Argument]


class RateCost(NamedTuple):
    """What a request takes of a rate."""

    key: str
    cost_ps: int


class Mark(NamedTuple):
    """A rate just after a reservation. What has drained since then can't be given back."""

    at_us: int = 0
    ahead_ps: int = 0
    refunded_us: int = 0
    born_us: int = 0
    """0: nothing can be given back."""


class Correction(NamedTuple):
    """By how much a rate's reservation was wrong."""

    key: str
    difference_ps: int
    mark: Mark = Mark()
    most_ps: int = FULL_DEBT_PS
    """A positive difference puts the rate no further ahead than this."""


class Holding(NamedTuple):
    """What a request takes of a concurrency limit or a budget."""

    key: str
    amount: int
    kept_ms: int


class HoldCost(NamedTuple):
    """The same, to be checked."""

    holding: Holding
    limit: int
    base: int
    """What the caller knows that the database has counted."""


class Reserved(NamedTuple):
    """The reply to `reserve`."""

    state: int
    """GRANTED, REFUSED, OTHER_EPOCH or TOO_LATE."""
    now_us: int
    epoch: int
    marks: Sequence[Mark]
    """Of each rate; with the request's cost if it was granted."""
    used: Sequence[tuple[int, int]]
    """Of each hold: base and held; with the request's amount if it was granted."""


class Renewed(NamedTuple):
    """The reply to `renew`."""

    now_us: int
    epoch: int
    unknown: Sequence[int]
    """The places of grants that the server does not know."""


class ReplyError(LlmgwError):
    """A reply that the script can't have given."""


def cost_ps(units: int, limit_per_minute: int) -> int:
    """What so many requests or tokens take of a rate. Rounded down, so that the whole limit fits at once."""
    return units * PERIOD_PS // limit_per_minute


def reserve(
    grant: str,
    rates: Sequence[RateCost],
    holds: Sequence[HoldCost],
    *,
    epoch: int,
    lease_us: int,
    until_us: int = 0,
) -> Call:
    """Check all and take all, or nothing.

    `epoch`: the one that the caller knows; 0: none yet. `until_us`: so long somebody waits for it, by the
    server's clock; 0: for ever.
    """
    keys = [*CONTROL_KEYS, grant]
    arguments: list[Argument] = ["reserve", epoch, until_us, lease_us, len(rates)]
    for key, cost in rates:
        keys.append(key)
        arguments.append(cost)
    for (key, amount, kept_ms), limit, base in holds:
        keys.append(key)
        arguments += (amount, limit, base, kept_ms)
    return Call(keys, arguments)


def put(grant: str, corrections: Sequence[Correction], holds: Sequence[Holding], *, lease_us: int) -> Call:
    """Correct rates, and say what a request holds from now on; nothing: its grant is gone."""
    keys = [*CONTROL_KEYS, grant]
    arguments: list[Argument] = ["put", lease_us, len(corrections)]
    for key, difference, mark, most in corrections:
        keys.append(key)
        arguments += (difference, most, *mark)
    for key, amount, kept_ms in holds:
        keys.append(key)
        arguments += (amount, kept_ms)
    return Call(keys, arguments)


def store(bases: Sequence[tuple[str, int]], grants: Sequence[str]) -> Call:
    """Tell what the database has counted of budgets, only ever raised, and that these grants are in it."""
    arguments: list[Argument] = ["store", len(bases)]
    for _, base in bases:
        arguments += (base, BUDGET_KEPT_MS)
    return Call([*CONTROL_KEYS, *(key for key, _ in bases), *grants], arguments)


def renew(grants: Sequence[str], *, lease_us: int) -> Call:
    """Renew the leases of these grants, and see whether the server is that of before."""
    return Call([*CONTROL_KEYS, SERVER_KEY, *grants], ["renew", lease_us])


def look(rates: Sequence[str], holds: Sequence[str]) -> Call:
    """How these rates and holds are."""
    return Call([*CONTROL_KEYS, *rates, *holds], ["look", len(rates)])


def trial(name: str) -> list[Call]:
    """Calls that do all that requests do, and leave nothing."""
    grant, rate, hold = (f"{KEY_PREFIX}{kind}:trial:{name}" for kind in ("grant", "rate", "hold"))
    holding, lease_us = Holding(hold, 1, _TRIAL_KEPT_MS), _TRIAL_KEPT_MS * 1000
    return [
        reserve(grant, [RateCost(rate, 1)], [HoldCost(holding, 1, 0)], epoch=0, lease_us=lease_us),
        renew([grant], lease_us=lease_us),
        put(grant, [Correction(rate, -1)], [holding], lease_us=lease_us),
        Call([*CONTROL_KEYS, hold, grant], ["store", 1, 1, 1]),
        put(grant, [], [], lease_us=0),
    ]


def read_reserved(reply: object, rates: int, holds: int) -> Reserved:
    """Raises ReplyError."""
    numbers = _numbers(reply)
    state, now_us, epoch, *rest = numbers if len(numbers) >= 3 else (2, 0, 0)  # noqa: PLR2004
    if state in {OTHER_EPOCH, TOO_LATE} and not rest:
        return Reserved(state, now_us, epoch, (), ())
    if state not in {GRANTED, REFUSED} or len(rest) != 3 * rates + 2 * holds:
        raise ReplyError
    marks = [Mark(now_us, *rest[at : at + 3]) for at in range(0, 3 * rates, 3)]
    used = rest[3 * rates :]
    return Reserved(state, now_us, epoch, marks, list(zip(used[::2], used[1::2], strict=True)))


def read_renewed(reply: object) -> Renewed:
    """Raises ReplyError."""
    numbers = _numbers(reply)
    if len(numbers) < 2:  # noqa: PLR2004
        raise ReplyError
    return Renewed(numbers[0], numbers[1], [place - 1 for place in numbers[2:]])


def read_looked(reply: object, keys: int) -> list[int]:
    """One number of each key of `look`. Raises ReplyError."""
    numbers = _numbers(reply)
    if len(numbers) != keys - len(CONTROL_KEYS):
        raise ReplyError
    return numbers


def _numbers(reply: object) -> list[int]:
    if not isinstance(reply, list) or not all(type(number) is int for number in reply):
        raise ReplyError
    return reply
