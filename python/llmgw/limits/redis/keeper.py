"""Redis is told what requests hold and have used, in the background, and comes back without anybody's help.

One task of each worker. While Redis is up, it tells what has changed as soon as something has, renews leases,
and looks once a second whether the server and its data are there. When Redis has gone it tries again. Once it
answers, it is told everything that this worker has, and only then do requests ask it again:

* what each open request holds. That is said whole each time, so that it may be said twice;
* what was let through of rates in the meantime, in the last minute; a rate is then full at most. So nothing
  is forgotten, and nothing counts for longer than a minute;
* what the database has counted of budgets.

A server that has lost its data (another `epoch`) has lost it for all machines: it is asked again only after
`SETTLE_S`, when every worker has told what it has. Another process is taken for one that has: a replica that
was promoted, a restart from a file and the node that a slot has moved to may lack the last writes.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from llmgw.limits.redis import script
from llmgw.limits.redis.recent import Recent
from llmgw.limits.redis.script import Call, Correction
from llmgw.limits.redis.server import BATCH, Server, ServerGone

if TYPE_CHECKING:
    from llmgw.limits.redis.limits import RedisLimits
    from llmgw.limits.redis.plan import PlannedRate
    from llmgw.limits.redis.reservation import SharedReservation

BEAT_S: Final = 1.0
"""How often it is looked at, at least."""
RENEWALS: Final = 3
"""In the time of a lease."""
FIRST_PAUSE_S: Final = 0.1
"""After a failure. Twice as long after each further one,"""
LAST_PAUSE_S: Final = 1.0
"""but no longer than this."""
OPERATOR_PAUSE_S: Final = 5.0
"""After a refusal that stays until somebody changes a password or an ACL."""
STEADY_S: Final = 5.0
"""After being up for so long, a failure is the first one again."""
SETTLE_S: Final = 2.5
"""In this time every worker has noticed that the data is new: a beat, a pause and a time-out."""
LEARN_BASES_S: Final = 2.0
"""How often the database is asked for budgets while Redis is gone."""

FORGOTTEN_S: Final = 60.0
"""A rate forgets in a minute."""
CHUNK: Final = 256
"""Grants or budgets that are told of at once."""
PASSES: Final = 2

MAX_UNSENT: Final = 65_536
"""Requests that have ended and of which Redis does not know it; of more, the leases' end tells it."""


class Keeper:
    """See above. For the event loop's thread."""

    def __init__(
        self, server: Server, limits: "RedisLimits", *, lease_us: int, on_lost: Callable[[int], None]
    ) -> None:
        self._server = server
        self._limits = limits
        self.lease_us = lease_us
        self.epoch = 0
        """Of the server's data; 0: unknown."""
        self.outages = 1
        """Counts them."""
        self._on_lost = on_lost
        self._open: dict[str, SharedReservation] = {}
        self._changed: dict[str, list[Correction]] = {}
        """Grants that Redis must be told of, with corrections of rates."""
        self._bases: dict[str, int] = {}
        self._alone: dict[str, Recent] = {}
        self._wake = asyncio.Event()
        self._levels: dict[str, int] = {}
        """How full rates were that the server has lost (ps)."""
        self._task: asyncio.Task[None] | None = None
        self._learning: asyncio.Task[None] | None = None
        self._renew_at_s = self._look_at_s = self._learn_at_s = self._up_since_s = self._gone_since_s = 0.0
        self._is_closing = False
        self._name = secrets.token_hex(8)
        self._settled_us = 0
        """By the server's clock: every worker has told a server with new data what it has."""

    async def start(self) -> None:
        """Begin."""
        with contextlib.suppress(ServerGone):
            await self._come_back()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Tell the last, and stop."""
        # The package may swallow a cancellation, hence the flag too.
        self._is_closing = True
        self._wake.set()
        tasks = [task for task in (self._task, self._learning) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._server.up:
            with contextlib.suppress(ServerGone):
                await self._tell()

    def opened(self, reservation: "SharedReservation") -> None:
        """A request holds something."""
        if reservation.holds:
            self._open[reservation.key] = reservation
            if not reservation.known:
                self._tell_of(reservation.key, ())

    def changed(self, reservation: "SharedReservation", corrections: Sequence[Correction]) -> None:
        """It holds something else, or nothing more; and what its rates were wrong by."""
        if not reservation.holds:
            held = self._open.pop(reservation.key, None) is not None
            if not reservation.known:
                self._changed.pop(reservation.key, None)
                return
            if not held and not corrections:
                return
        self._tell_of(reservation.key, corrections)

    def forget(self, key: str) -> None:
        """Nobody knows whether Redis has granted this; nobody has it."""
        self._tell_of(key, ())

    def _tell_of(self, key: str, corrections: Sequence[Correction]) -> None:
        known = self._changed.get(key)
        if known is None and len(self._changed) >= MAX_UNSENT:
            self._on_lost(1)
            return
        self._changed[key] = [*(known or ()), *corrections]
        self._wake.set()

    def raise_base(self, key: str, base: int) -> None:
        """The database has counted so much of a budget."""
        self._bases[key] = max(base, self._bases.get(key, 0))
        self._wake.set()

    def used_alone(self, rate: "PlannedRate", units: int, now_s: float) -> None:
        """So much was let through while Redis was gone."""
        recent = self._alone.get(rate.key)
        if recent is None:
            recent = self._alone[rate.key] = Recent(rate.limit)
        recent.add(units, now_s)

    def data_lost(self) -> None:
        """The server's data is of another epoch than ours."""
        self._server.fail("it has lost its data")

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._is_closing:
            self._wake.clear()
            try:
                if not self._server.up:
                    await self._come_back()
                await self._tell()
                await self._look()
            except ServerGone:
                if time.monotonic() - self._up_since_s > STEADY_S:
                    pause_s = FIRST_PAUSE_S
                self._learn_bases()
                await asyncio.sleep(OPERATOR_PAUSE_S if self._server.is_for_the_operator else pause_s)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()

    async def _tell(self) -> None:
        """Tell all that has changed. Raises ServerGone."""
        while self._bases or self._changed:
            bases = {key: self._bases.pop(key) for key in list(islice(self._bases, CHUNK))}
            changed = {key: self._changed.pop(key) for key in list(islice(self._changed, CHUNK))}
            gone = [key for key, corrections in changed.items() if not corrections and key not in self._open]
            calls = [script.store(list(bases.items()), gone)] if bases or gone else []
            calls += [self._put(key, changed[key]) for key in changed.keys() - set(gone)]
            try:
                await self._server.exchange(calls)
            except ServerGone:
                # Rates may have been corrected or not; the rest may be said again.
                self._on_lost(sum(map(len, changed.values())))
                self._changed = {key: self._changed.get(key, []) for key in changed} | self._changed
                for key, base in bases.items():
                    self.raise_base(key, base)
                raise

    def _put(self, key: str, corrections: Sequence[Correction]) -> Call:
        reservation = self._open.get(key)
        if reservation is None:
            return script.put(key, corrections, (), lease_us=self.lease_us)
        reservation.known = True
        return script.put(key, corrections, reservation.holds, lease_us=self.lease_us)

    async def _look(self) -> None:
        """Is it there, and are its data? Renew leases where it is time. Raises ServerGone."""
        now_s = time.monotonic()
        is_due = now_s >= self._renew_at_s
        if not is_due and now_s < self._look_at_s:
            return
        self._look_at_s = now_s + BEAT_S / 2
        grants = list(self._open) if is_due else []
        for start in range(0, max(len(grants), 1), CHUNK):
            chunk = grants[start : start + CHUNK]
            renewed = await self._renew(chunk)
            if renewed.epoch != self.epoch:
                self.data_lost()
                raise ServerGone(self._server.reason)
            for place in renewed.unknown:
                if chunk[place] in self._open:
                    self._tell_of(chunk[place], ())
        if is_due:
            self._renew_at_s = now_s + self.lease_us / 1e6 / RENEWALS

    async def _renew(self, grants: Sequence[str]) -> script.Renewed:
        [reply] = await self._server.exchange([script.renew(grants, lease_us=self.lease_us)])
        try:
            renewed = script.read_renewed(reply)
        except script.ReplyError as error:
            self._server.fail(type(error).__name__)
            raise ServerGone(self._server.reason) from None
        self._server.clock(renewed.now_us)
        return renewed

    async def _come_back(self) -> None:
        """Tell it everything, and ask it again from then on. Raises ServerGone."""
        renewed = await self._renew(())
        if renewed.epoch != self.epoch:
            if self.epoch:
                self._settled_us = renewed.epoch + round(SETTLE_S * 1e6)
                self._levels = self._limits.levels(time.monotonic_ns())
                self._learn_at_s = 0.0
                self._learn_bases()
            self.epoch = renewed.epoch
        if time.monotonic() - self._gone_since_s > FORGOTTEN_S:
            # What was too much or too little then has drained.
            self._changed = {key: [] for key in self._changed}
        for key in self._open:
            self._tell_of(key, ())
        for key, base in self._limits.bases():
            self.raise_base(key, base)
        await self._tell_levels()
        await self._tell()
        # Rights that only requests need: without, they would find out one after the other.
        await self._server.exchange(script.trial(self._name))
        left_s = (self._settled_us - renewed.now_us) / 1e6
        if left_s > 0:
            await asyncio.sleep(left_s)
            await self._renew(())
        for _ in range(PASSES):
            # Not before all have told their levels, which would hide it. Twice, for what other requests have
            # taken meanwhile.
            await self._tell_alone()
            await self._tell()
        self._up_since_s = time.monotonic()
        self._renew_at_s = 0.0
        self._server.back()

    async def _tell_levels(self) -> None:
        """How full the rates were, to a server that has lost them. Raises ServerGone."""
        levels, self._levels = self._levels, {}
        try:
            await self._tell_rates([Correction(key, level, most_ps=level) for key, level in levels.items()])
        except ServerGone:
            self._levels = levels
            raise

    async def _tell_alone(self) -> None:
        """What was used without it. Raises ServerGone."""
        alone, self._alone = self._alone, {}
        now_s = time.monotonic()
        corrections = []
        for key, recent in alone.items():
            cost = min(script.cost_ps(recent.total(now_s), recent.limit), script.PERIOD_PS)
            corrections.append(Correction(key, cost, most_ps=script.PERIOD_PS))
        try:
            await self._tell_rates(corrections)
        except ServerGone:
            for key, recent in self._alone.items():
                alone.setdefault(key, Recent(recent.limit)).include(recent)
            self._alone = alone
            raise

    async def _tell_rates(self, corrections: Sequence[Correction]) -> None:
        key = f"{script.GRANT_KEY_PREFIX}rates"  # holds nothing, so it is never there
        chunks = [corrections[at : at + BATCH] for at in range(0, len(corrections), BATCH)]
        for start in range(0, len(chunks), BATCH):
            some = chunks[start : start + BATCH]
            await self._server.exchange(
                [script.put(key, chunk, (), lease_us=self.lease_us) for chunk in some]
            )

    def gone(self) -> None:
        """The server has just failed."""
        self.outages += 1
        self._gone_since_s = time.monotonic()

    def _learn_bases(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._learn_at_s and (self._learning is None or self._learning.done()):
            self._learn_at_s = now_s + LEARN_BASES_S
            self._learning = asyncio.create_task(self._limits.learn_bases())
