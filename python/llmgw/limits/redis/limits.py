"""Limits and budgets that all machines share, in Redis; while it is gone, each machine takes its share.

    reserve ──► one round trip, at most TIMEOUT_S ──► SharedReservation | SharedRefusal
       └── Redis is gone: the machine's own table, limit ÷ machines, at once

What follows a reservation (settle, cancel, stored) waits for nothing: `keeper` tells Redis. It also says how
Redis comes back.
"""

import asyncio
import logging
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from llmgw._core import LimitTable
from llmgw.limits.redis import script
from llmgw.limits.redis.keeper import Keeper
from llmgw.limits.redis.plan import Estimate, Hold, PlannedHold, PlannedRate, Rate, Rules, SharedRefusal
from llmgw.limits.redis.reservation import SharedReservation
from llmgw.limits.redis.script import Correction, HoldCost, Mark, RateCost, Reserved
from llmgw.limits.redis.server import TIMEOUT_S, Server, ServerGone
from llmgw.limits.redis.share import Share
from llmgw.redis import RedisClient

logger = logging.getLogger(__name__)

LEASE_S: Final = 75.0
"""What a request holds is given back so long after its worker was last heard of."""

Decision: TypeAlias = SharedReservation | SharedRefusal
Base: TypeAlias = tuple[str, int, int | None]
"""As `_core.LimitTable.stored` takes it."""
BasesReader: TypeAlias = Callable[[], Iterable[tuple[str, int]]]
"""What the database has counted of each budget's current windows: descriptor and sum. Blocking."""


class BudgetState:
    """What this worker knows of one window of a budget."""

    __slots__ = ("__weakref__", "base", "held", "hold")

    def __init__(self, hold: PlannedHold) -> None:
        self.hold = hold
        self.base = 0
        """In the budget's own unit, like `held`."""
        self.held = 0
        """By all machines, as Redis last said."""


class RedisLimits:
    """One worker's. For the event loop's thread, except where a method says otherwise."""

    def __init__(
        self,
        client: RedisClient,
        table: LimitTable,
        *,
        machines: int,
        lease_s: float = LEASE_S,
        timeout_s: float = TIMEOUT_S,
        on_change: Callable[[bool], None] = lambda _up: None,
        on_lost: Callable[[int], None] = lambda _number: None,
        read_bases: BasesReader = tuple,
    ) -> None:
        """`client`: not closed with it.

        `on_change`: Redis is back (True) or gone. `on_lost`: so many changes Redis will never hear of.

        `read_bases`: called in a thread while Redis is gone, and when it has lost its data.
        """
        self.table = table
        self.machines = machines
        self.redis = client
        self._server = Server(client, timeout_s=timeout_s, on_change=self._changed_state)
        self._on_change = on_change
        self._was_up = False
        self._told = ""
        """Why Redis is gone, as the log says; empty: it is there, or nobody knows yet."""
        self._budgets: weakref.WeakValueDictionary[str, BudgetState] = weakref.WeakValueDictionary()
        """By descriptor; a plan of this worker has them."""
        self._plans: weakref.WeakSet[SharedPlan] = weakref.WeakSet()
        self.keeper = Keeper(self._server, self, lease_us=round(lease_s * 1e6), on_lost=on_lost)
        self._read_bases = read_bases
        self._worker = secrets.token_hex(8)
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def _changed_state(self) -> None:
        was_up, self._was_up = self._was_up, self.up
        if self.up:
            logger.info("the limits' Redis is there: all machines share the limits")
            self._told = ""
        elif not self._told or (self._server.is_for_the_operator and self._told != self._server.reason):
            # While it is gone, its failures may differ from one attempt to the next.
            self._told = self._server.reason
            logger.warning("%s", self.warning)
        if was_up:
            self.keeper.gone()
        if was_up != self.up:
            self._on_change(self.up)

    @property
    def up(self) -> bool:
        """False: this machine decides alone."""
        return self._server.up

    @property
    def warning(self) -> str | None:
        """For `/readyz`."""
        if self.up:
            return None
        return (
            f"the limits' Redis is gone ({self._server.reason}): this machine takes 1/{self.machines} of each"
        )

    async def start(self) -> None:
        """Begin; Redis is up after this, if it can be asked."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        await self.keeper.start()

    async def close(self) -> None:
        """Tell Redis the last, and stop."""
        await self.keeper.close()
        await self._server.close()

    def plan(self, rates: Sequence[Rate], holds: Sequence[Hold]) -> "SharedPlan":
        """Compile, as `_core.LimitPlan`."""
        plan = SharedPlan(self, rates, holds)
        self._plans.add(plan)
        return plan

    def budget(self, hold: PlannedHold) -> BudgetState:
        """What is known of it."""
        state = self._budgets.get(hold.descriptor)
        if state is None:
            state = self._budgets[hold.descriptor] = BudgetState(hold)
        state.hold = hold
        return state

    def stored(self, bases: Sequence[Base], reservations: Sequence[SharedReservation]) -> None:
        """As `LimitTable.stored`, and Redis will know. From any thread. Raises OSError, as that."""
        self.on_loop(lambda: self._stored(bases, reservations))
        self.table.stored(bases, [each.local for each in reservations if each.local is not None])

    def _stored(self, bases: Sequence[Base], reservations: Sequence[SharedReservation]) -> None:
        for descriptor, base, _ in bases:
            self._raise(descriptor, base)
        for reservation in reservations:
            reservation.stored()

    def raise_base(self, descriptor: str, base: int, *, keep_until_ns: int | None = None) -> None:
        """As `LimitTable.raise_base`, and Redis will know. From any thread."""
        self.table.raise_base(descriptor, base, keep_until_ns=keep_until_ns)
        self.on_loop(lambda: self._raise(descriptor, base))

    def _raise(self, descriptor: str, base: int) -> None:
        state = self._budgets.get(descriptor)
        if state is None:
            # No plan of this worker asks for it. Another worker's may.
            state = BudgetState(PlannedHold.of(descriptor, "nano", base))
        if base > state.base:
            state.base = base
            self.keeper.raise_base(state.hold.key, state.hold.scaled(base))

    def usage(self, descriptor: str, now_ns: int) -> tuple[int, int, int] | None:
        """As `LimitTable.usage`, of budgets: as Redis last said, or the machine's own."""
        state = self._budgets.get(descriptor)
        if state is None or not self.up:
            return self.table.usage(descriptor, now_ns)
        return state.base, state.held, 0

    async def reserve(self, plan: "SharedPlan", estimate: Estimate) -> Decision:
        """Take what a request needs of every limit, or nothing of any."""
        if not self._server.up:
            return self._alone(plan, estimate)
        key = self._next_key()
        try:
            reply = await self._ask(plan, estimate, key)
        except ServerGone:
            self.keeper.forget(key)
            return self._alone(plan, estimate)
        except script.ReplyError:
            self._server.fail(script.ReplyError.__name__)
            self.keeper.forget(key)
            return self._alone(plan, estimate)
        if reply.state == script.OTHER_EPOCH:
            self.keeper.data_lost()
        if reply.state in {script.OTHER_EPOCH, script.TOO_LATE}:
            return self._alone(plan, estimate)
        plan.saw(reply)
        if reply.state == script.REFUSED:
            return plan.rules.refusal(estimate, reply)
        return self._granted(plan, estimate, key, reply)

    async def _ask(self, plan: "SharedPlan", estimate: Estimate, key: str) -> Reserved:
        """Raises ServerGone, ReplyError."""
        server, keeper = self._server, self.keeper
        costs, holds = plan.costs(estimate)
        until_us = server.until_us()
        while True:
            call = script.reserve(
                key, costs, holds, epoch=keeper.epoch, lease_us=keeper.lease_us, until_us=until_us
            )
            answer = await server.ask(call, lambda: keeper.forget(key))
            reply = script.read_reserved(answer, len(costs), len(holds))
            server.clock(reply.now_us)
            if reply.state != script.TOO_LATE or until_us == 0:
                return reply
            # We still wait, so it is the server's clock that was set forward.
            until_us = 0

    def _granted(self, plan: "SharedPlan", estimate: Estimate, key: str, reply: Reserved) -> Decision:
        reservation = SharedReservation(
            self,
            key,
            plan.rules,
            estimate,
            marks=reply.marks,
            local=plan.share.count(time.monotonic_ns(), estimate),
            strictest=plan.rules.standings(reply.marks),
        )
        self.keeper.opened(reservation)
        return reservation

    def _alone(self, plan: "SharedPlan", estimate: Estimate) -> Decision:
        now_ns = time.monotonic_ns()
        plan.fill(now_ns, self.keeper.outages)
        decision = plan.share.reserve(now_ns, estimate)
        if isinstance(decision, SharedRefusal):
            return decision
        for rate in plan.rules.rates:
            self.alone(rate, rate.units(estimate), now_ns / 1e9)
        reservation = SharedReservation(
            self,
            self._next_key(),
            plan.rules,
            estimate,
            marks=None,
            local=decision,
            strictest=decision.strictest,
        )
        self.keeper.opened(reservation)
        return reservation

    def alone(self, rate: PlannedRate, units: int, now_s: float) -> None:
        """So much of a rate was used without Redis."""
        self.keeper.used_alone(rate, units, now_s)

    def changed(self, reservation: SharedReservation, corrections: Sequence[Correction]) -> None:
        """It holds something else than before."""
        self.keeper.changed(reservation, corrections)

    def on_loop(self, work: Callable[[], None]) -> None:
        """Do this on the event loop's thread, after what was asked before. From any thread."""
        if self._loop is None or threading.get_ident() == self._thread:
            work()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work)

    def levels(self, now_ns: int) -> dict[str, int]:
        """How full the rates are that were used in the last minute, as Redis last said (ps)."""
        levels: dict[str, int] = {}
        for plan in self._plans:
            for rate, mark in zip(plan.rules.rates, plan.marks, strict=False):
                level_ps = mark.ahead_ps - (now_ns - plan.seen_ns) * 1000
                if level_ps > levels.get(rate.key, 0):
                    levels[rate.key] = level_ps
        return levels

    async def learn_bases(self) -> None:
        """Read from the database what the budgets have come to, which others may have added to."""
        try:
            bases = await asyncio.to_thread(lambda: list(self._read_bases()))
        except Exception:  # noqa: BLE001  (whatever the database says: what is known stays)
            return
        for descriptor, base in bases:
            if descriptor in self._budgets:
                self.raise_base(descriptor, base)

    def bases(self) -> list[tuple[str, int]]:
        """What this worker knows, as Redis counts it."""
        return [(state.hold.key, state.hold.scaled(state.base)) for state in list(self._budgets.values())]

    def _next_key(self) -> str:
        self._count += 1
        return f"{script.GRANT_KEY_PREFIX}{self._worker}:{self._count}"


class SharedPlan:
    """All limits of one kind of request, compiled. Made once and cached; as `_core.LimitPlan`, but async."""

    def __init__(self, limits: RedisLimits, rates: Sequence[Rate], holds: Sequence[Hold]) -> None:
        self._limits = limits
        self.rules = Rules.of(rates, holds)
        self.share = Share(limits.table, rates, holds, machines=limits.machines)
        self._states = [limits.budget(hold) if hold.is_budget else None for hold in self.rules.holds]
        self.marks: Sequence[Mark] = ()
        """Of the rates, as Redis last said."""
        self.seen_ns = 0
        self._outage = 0

    async def reserve(
        self, _now_ns: int = 0, *, input_tokens: int, output_tokens: int, cost_nano: int
    ) -> Decision:
        """Take what a request needs of every limit, or nothing of any. The time is the server's."""
        return await self._limits.reserve(self, Estimate(input_tokens, output_tokens, cost_nano))

    def costs(self, estimate: Estimate) -> tuple[list[RateCost], list[HoldCost]]:
        """What a request takes of each."""
        rules = self.rules
        rates = [RateCost(rate.key, rate.cost_ps(rate.units(estimate))) for rate in rules.rates]
        holds = [
            HoldCost(
                hold.holding(hold.units(estimate)),
                hold.limit // hold.scale,
                0 if state is None else hold.scaled(state.base),
            )
            for hold, state in zip(rules.holds, self._states, strict=True)
        ]
        return rates, holds

    def saw(self, reply: Reserved) -> None:
        """Remember what Redis said."""
        self.marks, self.seen_ns = reply.marks, time.monotonic_ns()
        for state, (base, held) in zip(self._states, reply.used, strict=True):
            if state is not None:
                scale = state.hold.scale
                state.base, state.held = max(state.base, base * scale), held * scale

    def fill(self, now_ns: int, outage: int) -> None:
        """Once an outage: the machine's rates begin as full as Redis had them."""
        if self._outage != outage:
            self._outage = outage
            self.share.fill(now_ns, self.marks, seen_ns=self.seen_ns)
