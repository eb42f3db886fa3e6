"""All requests of the demo's past: the same for the same seed, moment and time zone."""

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from llmgw import _core
from llmgw.cli.simulated.draft import Draft
from llmgw.cli.simulated.faults import with_faults
from llmgw.cli.simulated.paces import PACES, PREFILL_TOKENS_PER_S, Pace
from llmgw.cli.simulated.team import BLOCKED, REVOKED
from llmgw.cli.simulated.work import WORKS, Work
from llmgw.simulator.model import Thinking
from llmgw.simulator.providers import MODELS

DAYS: Final = 14
SEED: Final = 14
_HOUR: Final = timedelta(hours=1)
_SATURDAY: Final = 5
_GROWTH: Final = 0.05
"""By this share of today's traffic there was less for each day ago."""
_QUIET_S: Final = 90.0
"""Between the end of the last request and now: more than any failure adds."""
_CACHE_BLOCK: Final = 64
_HABITS: Final = {model.id: model.thinking for model in MODELS}
_REFUSES_OFF: Final = "unsupported_thinking_mode"


class _Said(NamedTuple):
    """What a model makes of the thinking switch."""

    sent: str | None
    reasons: bool
    refused: bool = False


def drafts(upstreams: Mapping[str, str], now: datetime, zone: tzinfo, seed: int = SEED) -> list[Draft]:
    """All requests in the order in which they came, the last of which ended before `now`.

    `upstreams`: which one each model is asked at first. `zone`: whose days and nights it has.
    """
    rng = random.Random(seed)  # noqa: S311  (not a secret: it must be the same again)
    made: list[Draft] = []
    for work in WORKS:
        over = (REVOKED | BLOCKED).get(work.key)
        ended = now - timedelta(seconds=_QUIET_S) if over is None else over.before(now, zone)
        made += _Sessions(work, upstreams, now, ended, zone, rng).requests()
    made.sort(key=lambda draft: draft.time_s)
    return with_faults(made, rng)


class _Sessions:
    """What one key is used for."""

    def __init__(
        self,
        work: Work,
        upstreams: Mapping[str, str],
        now: datetime,
        ended: datetime,
        zone: tzinfo,
        rng: random.Random,
    ) -> None:
        self._work = work
        self._upstreams = upstreams
        self._ended_s = ended.timestamp()
        self._rng = rng
        self._hours, self._weights = _busy_hours(work, now, ended, zone)

    def requests(self) -> list[Draft]:
        """As many as it has, of which the last session may be shorter."""
        made: list[Draft] = []
        while len(made) < self._work.requests:
            made += self._session()
        return made[: self._work.requests]

    def _session(self) -> list[Draft]:
        work, rng = self._work, self._rng
        [hour] = rng.choices(self._hours, self._weights)
        time_s = hour.timestamp() + rng.uniform(0, _HOUR.total_seconds())
        [model] = rng.choices([*work.models], [*work.models.values()])
        user = rng.choice(work.users) if work.users else None
        asked = self._asked()
        made: list[Draft] = []
        prompt, cached = rng.randint(*work.prompt), 0
        for _ in range(rng.randint(*work.turns)):
            for each in work.retrieval:
                made.append(self._looked_up(each, time_s, user))
                time_s += made[-1].total_s
            draft = self._request(time_s, model, user, prompt, cached, asked=asked)
            made.append(draft)
            time_s += draft.total_s + rng.uniform(*work.pause_s)
            cached = prompt // _CACHE_BLOCK * _CACHE_BLOCK if work.grows[1] else 0
            prompt += draft.text + rng.randint(*work.grows)
        late_s = max(0.0, max(draft.time_s + draft.total_s for draft in made) - self._ended_s)
        return [draft._replace(time_s=draft.time_s - late_s) for draft in made]

    def _asked(self) -> bool | None:
        asks = self._work.asks
        [asked] = self._rng.choices([*asks], [*asks.values()])
        return asked

    def _looked_up(self, model: str, time_s: float, user: str | None) -> Draft:
        """Embeddings of a question, or a rerank of what was found."""
        rng = self._rng
        is_rerank = model.endswith("rerank")
        took_s = PACES[model].first_s * rng.lognormvariate(0, 0.35)
        return Draft(
            time_s, self._work.key, "rerank" if is_rerank else "embeddings", model, self._upstreams[model],
            stream=False, user=user,
            prompt=rng.randint(1600, 5200) if is_rerank else rng.randint(9, 60),
            cached=0, text=0, reasoning=0, finish=None, asked=None, sent=None, first_s=took_s, total_s=took_s,
        )  # fmt: skip

    def _request(
        self, time_s: float, model: str, user: str | None, prompt: int, cached: int, *, asked: bool | None
    ) -> Draft:
        work, rng, pace = self._work, self._rng, PACES[model]
        is_chat = work.api not in {"completions", "embeddings"}
        said = self._said(model, pace, asked=asked) if is_chat else _Said(None, reasons=False)
        reasoning = _between(rng, *pace.reasoning) if said.reasons else 0
        text = _between(rng, *work.output)
        if rng.random() < 0.08:  # a provider forgets  # noqa: PLR2004
            cached = 0
        first_s = pace.first_s * rng.lognormvariate(0, 0.4) + (prompt - cached) / PREFILL_TOKENS_PER_S
        per_s = pace.tokens_per_s * rng.uniform(0.75, 1.2)
        wrote_s = (reasoning + text) / per_s if per_s else 0.0
        draft = Draft(
            time_s, work.key, work.api, model, self._upstreams[model],
            stream=rng.random() < work.streams, user=user, prompt=prompt, cached=cached,
            text=text, reasoning=reasoning, finish=self._finish(), asked=asked if is_chat else None,
            sent=said.sent, first_s=first_s, total_s=first_s + wrote_s,
        )  # fmt: skip
        if not said.refused:
            return draft
        return draft._replace(
            upstream=None,
            status=400,
            error_kind=_REFUSES_OFF,
            finish=None,
            attempts=0,
            came=0.0,
            total_s=0.002,
        )

    def _finish(self) -> str | None:
        if self._work.api == "embeddings":
            return None
        return "tool_calls" if self._rng.random() < self._work.tools else "stop"

    def _said(self, model: str, pace: Pace, *, asked: bool | None) -> _Said:
        """In the words of the model's family, as the gateway would tell it."""
        habit = _HABITS[model]
        if asked is None:
            return _Said(None, reasons=habit is not Thinking.OFF)
        if not asked and habit is Thinking.ALWAYS:
            return _Said(None, reasons=False, refused=True)
        dialect = _core.dialect_for(model)
        if dialect == "native":
            return _Said("ignored", reasons=habit is not Thinking.OFF)
        return _Said(dialect, reasons=asked or self._rng.random() < pace.sloppy)


def _busy_hours(
    work: Work, now: datetime, ended: datetime, zone: tzinfo
) -> tuple[Sequence[datetime], Sequence[float]]:
    """The hours before now in which the key was used, and how busy each of them was."""
    hours, weights = [], []
    for ago in range(1, DAYS * 24 + 1):
        begin = now - ago * _HOUR
        local = (begin + _HOUR / 2).astimezone(zone)
        weight = work.hours[local.hour] * (1 - _GROWTH * ago / 24)
        if local.weekday() >= _SATURDAY:
            weight *= work.weekend
        if begin + _HOUR <= ended.astimezone(UTC) + _HOUR / 2 and weight > 0:
            hours.append(begin)
            weights.append(weight)
    return hours, weights


def _between(rng: random.Random, least: int, most: int) -> int:
    """Small numbers are more frequent than large ones."""
    if most <= 0:
        return 0
    least = max(least, 1)
    return round(math.exp(rng.uniform(math.log(least), math.log(most))))
