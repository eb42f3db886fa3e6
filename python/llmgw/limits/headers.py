"""The headers in which a client reads its limits: OpenAI's six, or Anthropic's family on Messages."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

Header: TypeAlias = tuple[bytes, bytes]

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


class Standing(NamedTuple):
    """How a limit stands."""

    limit: int
    remaining: int
    reset_s: float
    """Until all of it is there again."""


Standings: TypeAlias = tuple[tuple[int, int, float] | None, tuple[int, int, float] | None]
"""The strictest limits of requests and of tokens, each as in `Standing`; None: there is none."""
LimitHeaders: TypeAlias = Callable[[Standings, float], list[Header]]
"""Of these, and the time in seconds since the epoch."""


def openai_headers(standings: Standings, now_s: float) -> list[Header]:
    """`x-ratelimit-…`; resets are durations."""
    del now_s
    headers: list[Header] = []
    for standing, unit in zip(standings, (b"requests", b"tokens"), strict=True):
        if standing is not None:
            limit, remaining, reset_s = standing
            headers += (
                (b"x-ratelimit-limit-" + unit, b"%d" % limit),
                (b"x-ratelimit-remaining-" + unit, b"%d" % remaining),
                (b"x-ratelimit-reset-" + unit, duration(reset_s).encode("ascii")),
            )
    return headers


def anthropic_headers(standings: Standings, now_s: float) -> list[Header]:
    """`anthropic-ratelimit-…`; resets are times, RFC 3339."""
    headers: list[Header] = []
    for standing, unit in zip(standings, (b"requests", b"tokens"), strict=True):
        if standing is not None:
            limit, remaining, reset_s = standing
            at = datetime.fromtimestamp(math.ceil(now_s + reset_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            headers += (
                (b"anthropic-ratelimit-%b-limit" % unit, b"%d" % limit),
                (b"anthropic-ratelimit-%b-remaining" % unit, b"%d" % remaining),
                (b"anthropic-ratelimit-%b-reset" % unit, at.encode("ascii")),
            )
    return headers


def duration(duration_s: float) -> str:
    """As OpenAI writes one: `120ms`, `1.5s`, `6m0s`. Rounded up, so that nobody comes back too early."""
    milliseconds = math.ceil(max(duration_s, 0.0) * 1000)
    if milliseconds < 1000:  # noqa: PLR2004  (a second)
        return f"{milliseconds}ms"
    if milliseconds < _MINUTE_S * 1000:
        return seconds(milliseconds / 1000)
    whole = math.ceil(milliseconds / 1000)
    minutes, rest = divmod(whole, _MINUTE_S)
    if whole < _HOUR_S:
        return f"{minutes}m{rest}s"
    return f"{minutes // 60}h{minutes % 60}m{rest}s"


def seconds(duration_s: float) -> str:
    """Such as `1.5s`, rounded up to a millisecond: what Codex looks for behind "try again in"."""
    rounded = math.ceil(round(max(duration_s, 0.0) * 1000, 3)) / 1000
    return f"{rounded:.3f}".rstrip("0").rstrip(".") + "s"
