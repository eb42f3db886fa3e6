"""Plays events under load, one after the other, and judges each: the ledgers, limits and budgets."""

import asyncio
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from llmgw.access.keys import create_key
from llmgw.access.settings import BudgetSetting, LimitChange
from llmgw.budgets.verify import verify
from tests.cluster.cluster import MACHINES, Cluster
from tests.cluster.events import Cuts, Event
from tests.cluster.held import NANO, REQUESTS, TOKENS, Grant, Span, Verdict, at_once, budget, grant_of, rate
from tests.cluster.load import FREE, METERED, PAID_EVENTS, PAID_TOKENS, Group, Load
from tests.cluster.said import defects, outages
from tests.faults.client import Seen
from tests.faults.reconcile import PER_INPUT, PER_OUTPUT, Account, reconcile
from tests.faults.script import KEY_PREFIX, PROMPT_TOKENS, Exchange

ZONE: Final = ZoneInfo("Asia/Shanghai")
PLACES: Final = 3
PAID_NANO: Final = PROMPT_TOKENS * PER_INPUT + PAID_EVENTS * PER_OUTPUT
CUT_WINDOW_S: Final = 2.0
"""So long after a kill may a request still find a connection to what was killed."""
UNSAVED_S: Final = 2.0
"""So late are rows of refused requests stored, and with `durability = "relaxed"` all of them: half a second,
and a commit on a busy machine."""
OK: Final = 200
ROWS_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True)
class Pace:
    """How much of everything."""

    users: int = 8
    """Without limits; each limited key has a few more."""
    pause_s: float = 0.0
    """Of each user after a request, on the average."""
    lead_s: float = 3.0
    """Of calm load before an event and after it."""
    away_s: float = 5.0
    """For how long something is away."""
    paid_requests: int = 40
    """That each budget has room for."""
    requests_per_minute: int = 40
    tokens_per_minute: int = 800


@dataclass
class Outcome:
    """One event, judged."""

    event: Event
    took_s: float
    figure: str
    account: Account
    requests: int
    slowest_s: float
    """The completed request that took longest."""
    cut: int
    stale: int
    verdicts: list[Verdict]
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing went wrong."""
        return not self.faults


class Campaign:
    """One cluster, its keys and its load."""

    def __init__(self, cluster: Cluster, pace: Pace, *, seed: int = 1) -> None:
        """Makes the keys that stay."""
        self.cluster = cluster
        self.pace = pace
        self.load = Load("127.0.0.1", cluster.balancer.port, cluster.chaos, seed, pace.pause_s)
        self.outcomes: list[Outcome] = []
        self._gone: list[Span] = []
        self._tokens: list[str] = []
        self._grants: dict[str, list[Grant]] = defaultdict(list)
        self._refused: dict[str, int] = defaultdict(int)
        places = [LimitChange({"concurrent_requests": PLACES})]
        self._standing = [
            Group("free", self._key("free"), pace.users, FREE),
            Group("at once", self._key("places", limits=places), 6, METERED),
        ]

    def _key(self, name: str, **fields: Any) -> str:  # noqa: ANN401 - as create_key takes them
        token = create_key(self.cluster.store, actor="test", name=name, **fields).token
        self._tokens.append(token)
        return token

    def _fresh(self) -> list[Group]:
        """Keys with limits and budgets that this event uses up."""
        number, pace = len(self.outcomes) + 1, self.pace
        room = pace.paid_requests
        fields: dict[str, dict[str, Any]] = {
            "requests a minute": {"limits": [LimitChange({"requests_per_minute": pace.requests_per_minute})]},
            "tokens a minute": {"limits": [LimitChange({"tokens_per_minute": pace.tokens_per_minute})]},
            "budget of money": {"budgets": [BudgetSetting(room * PAID_NANO, "CNY", "month")]},
            "budget of tokens": {"budgets": [BudgetSetting(room * PAID_TOKENS, "tokens", "day")]},
        }
        return [
            Group(f"{name} {number}", self._key(f"{name} {number}", **values), 2, METERED)
            for name, values in fields.items()
        ]

    async def play(self, event: Event) -> Outcome:
        """Let it happen under load, wait until all is well again, and judge."""
        begun_s = time.monotonic()
        faults: list[str] = []
        fresh = await asyncio.to_thread(self._fresh)
        figure = ""
        async with self.load.running([*self._standing, *fresh]):
            await asyncio.sleep(self.pace.lead_s)
            try:
                figure = await event.run(self.cluster, self.pace.away_s)
                await self.cluster.calm()
            except (AssertionError, OSError, RuntimeError, subprocess.TimeoutExpired) as error:
                faults.append(f"{type(error).__name__}: {error}"[:3000])
            await asyncio.sleep(self.pace.lead_s)
        outcome = await self._judge(event, fresh, figure, faults)
        outcome.took_s = time.monotonic() - begun_s
        self.outcomes.append(outcome)
        return outcome

    async def _judge(self, event: Event, fresh: Sequence[Group], figure: str, faults: list[str]) -> Outcome:
        await self.cluster.quiet()
        seen = self.load.take()
        faults += self.load.faults
        stale = list(self.load.stale)
        self.load.faults.clear()
        self.load.stale.clear()
        faults += self._excuse(seen, event.cuts)
        exchanges = await self.cluster.exchanges()
        rows = await self._rows(sum(one.counted and one.row_owed and not one.cut for one in seen))
        account = reconcile(seen, rows, exchanges)
        asked = {exchange.mark for exchange in exchanges}
        account.faults += [
            f"{mark}: sent again, though an upstream was asked" for mark in stale if mark in asked
        ]
        self._grant(seen, exchanges, {row["request_id"] for row in rows})
        logs = await asyncio.to_thread(self.cluster.logs)
        self._gone = outages(logs)
        verdicts = self._verdicts(fresh)
        faults += account.faults
        faults += [f"not held: {verdict}" for verdict in verdicts if not verdict.held]
        faults += defects(logs)
        faults += await asyncio.to_thread(self._sums)
        faults += await asyncio.to_thread(self._leaks)
        slowest_s = max((one.took_s for one in seen if one.completed), default=0.0)
        cut = sum(one.cut for one in seen)
        return Outcome(event, 0.0, figure, account, len(seen), slowest_s, cut, len(stale), verdicts, faults)

    def _excuse(self, seen: Sequence[Seen], cuts: Cuts) -> list[str]:
        """Decide what a kill explains; what it does not is a fault."""
        relaxed = self.cluster.setup.durability == "relaxed"
        gateway_of = self.cluster.balancer.gateway_of()
        faults = []
        for one in seen:
            port = gateway_of.get(one.request_id or "")
            kills = [at_s for at_s, killed in self.cluster.kills if port in (None, killed)]
            struck = any(one.sent_s <= at_s + CUT_WINDOW_S and one.ended_s >= at_s for at_s in kills)
            may_be = cuts == "any" or (cuts == "unanswered" and one.status != OK)
            if one.cut and not (may_be and struck):
                faults.append(
                    f"{one.mark}: broken off, nothing was killed: status {one.status}, {one.body[-200:]!r}"
                )
            unsaved = any(at_s - UNSAVED_S <= one.ended_s <= at_s + CUT_WINDOW_S for at_s in kills)
            if cuts == "any" and ((one.left and struck) or (unsaved and (relaxed or one.status != OK))):
                one.row_owed = False
        return faults

    async def _rows(self, expected: int) -> list[dict[str, Any]]:
        rows = await asyncio.to_thread(self.cluster.rows)
        deadline_s = time.monotonic() + ROWS_TIMEOUT_S
        while len(rows) < expected and time.monotonic() < deadline_s:  # what is missing is told by name
            await asyncio.sleep(0.1)
            rows += await asyncio.to_thread(self.cluster.rows)
        return rows

    def _grant(self, seen: Sequence[Seen], exchanges: Sequence[Exchange], rows: set[str]) -> None:
        attempts: dict[str, list[Exchange]] = defaultdict(list)
        for exchange in exchanges:
            attempts[exchange.mark].append(exchange)
        for one in seen:
            name = self.load.whose.pop(one.mark)
            self._refused[name] += one.status == 429
            if one.mark in attempts and name != "free":
                found = attempts[one.mark]
                grant = grant_of(one.sent_s, found, is_lost=found[-1].request_id not in rows)
                self._grants[name].append(grant)

    def _verdicts(self, fresh: Sequence[Group]) -> list[Verdict]:
        pace, machines, gone = self.pace, len(MACHINES), self._gone
        places = self._standing[1].name
        rpm, tpm, money, tokens = (group.name for group in fresh)
        got = self._grants
        found = [
            at_once(places, PLACES, got[places], machines=machines, gone=gone),
            rate(rpm, pace.requests_per_minute, got[rpm], REQUESTS, machines=machines, gone=gone),
            rate(tpm, pace.tokens_per_minute, got[tpm], TOKENS, machines=machines, gone=gone),
            budget(money, pace.paid_requests * PAID_NANO, got[money], NANO, gone=gone),
            budget(tokens, pace.paid_requests * PAID_TOKENS, got[tokens], TOKENS, gone=gone),
        ]
        return [verdict.having_refused(self._refused[verdict.name]) for verdict in found]

    def _sums(self) -> list[str]:
        """What `llmgw budgets verify` says."""
        report = verify(self.cluster.store, ZONE, datetime.now(UTC))
        if report.is_right and report.windows and report.hours:
            return []
        return [f"the sums differ: {report}"[:2000]]

    def _leaks(self) -> list[str]:
        """Keys in anything that was written."""
        secrets = [KEY_PREFIX, *self._tokens]
        found = []
        for path in self.cluster.folder.rglob("*"):
            if not path.is_file():
                continue
            with suppress(FileNotFoundError):  # a journal that has just been stored
                written = path.read_bytes()
                name = path.relative_to(self.cluster.folder)
                found += [f"{name} holds {secret!r}" for secret in secrets if secret.encode() in written]
        return found


async def play_all(
    cluster: Cluster, pace: Pace, events: Sequence[Event], say: Callable[[Outcome], None], *, seed: int = 1
) -> Campaign:
    """All of them, on one cluster."""
    campaign = Campaign(cluster, pace, seed=seed)
    for event in events:
        say(await campaign.play(event))
    return campaign
