"""May this request be served, by what it will probably use? A worker's one object for limits and budgets.

    reserve ──► Grant ──► settle ──► stored
       │ no        │ what was used     the row is in the database, which now says what is spent
       ▼           ▼
    ApiError     cancel, if nothing was used

Reservations are in memory that all workers share (`_core.LimitTable`): the limits are exact over all of them,
and what a killed worker has reserved is given back by the others. Where machines share the limits, they are
in Redis (`limits.redis`), which takes a round trip: `admit` is `reserve` for those.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from llmgw._core import LimitPlan, LimitTable, Refusal, Reservation, budget_headers
from llmgw.budgets.spend import Spent
from llmgw.budgets.windows import window_of
from llmgw.config import Config
from llmgw.errors import ApiError
from llmgw.limits import descriptors, refusals
from llmgw.limits.bases import NO_BASES, read_bases
from llmgw.limits.compiled import Compiled, LimitedModel, keep_until_ns
from llmgw.limits.early import EARLY_BYTES, MAX_EARLY_BYTES, Early, Last
from llmgw.limits.estimates import Estimates, Need
from llmgw.limits.grant import Grant, HeaderFamily, SharedGrant
from llmgw.limits.plans import BudgetHere, LimitedKey, Rules, rules_for
from llmgw.limits.redis import Decision, RedisLimits, SharedPlan, SharedRefusal, SharedReservation
from llmgw.limits.redis.plan import Estimate
from llmgw.limits.rules import Limits
from llmgw.prices.billing import BYTES_PER_TOKEN
from llmgw.store import Store

logger = logging.getLogger(__name__)

MAX_PLANS: Final = 16_384
"""Compiled plans that a worker keeps, one for each key, model and user that it has met."""
MAX_UNSTORED: Final = 200_000
"""Requests whose use is not in the database yet. Beyond, no budget lets anything through."""
_UNSTORED_RETRY_AFTER_S: Final = 5.0
_SWEEP_INTERVAL_S: Final = 1.0


class Governor:
    """For the event loop's thread, except where a method says otherwise."""

    def __init__(
        self,
        table: LimitTable,
        config: Config,
        *,
        shared: RedisLimits | None = None,
        observe: Callable[[str, str], None] = lambda _limit, _scope: None,
    ) -> None:
        """`shared`: the limits that several machines share; None: those of this one.

        `observe`: told of each refusal, which kind of limit it was and whose (`plans.Subject.label`).
        """
        self.table = table
        self.shared = shared
        self.limits: LimitTable | RedisLimits = table if shared is None else shared
        self._observe = observe
        self.on_budget_refusal: Callable[[int, str], None] = lambda _budget_id, _user: None
        """Told of the budget, and of the user if it counts each by himself."""
        self._bases = NO_BASES
        self._plans: dict[tuple[int, str] | tuple[int, str, str], Compiled] = {}
        self._estimates: dict[str, Estimates] = {}
        self._unstored: dict[str, Reservation | SharedReservation] = {}
        """See `grant.Unstored`."""
        self._last: dict[int, Last] = {}
        """By key: what the last request was that asked shared limits."""
        self._refused = 0
        self._sweep_at_s = 0.0
        self.use(config)

    def use(self, config: Config) -> None:
        """Use this config from now on."""
        limits = config.limits
        self._defaults = Limits(
            limits.requests_per_minute, limits.tokens_per_minute, limits.concurrent_requests
        )
        self._zone = ZoneInfo(config.prices.timezone)
        self._currency = config.prices.currency
        self._may_be_unpriced = config.prices.unpriced == "allow"
        self._plans.clear()

    def load(self, session: Session) -> None:
        """Read what the budgets have come to. On any thread, before the keys of the same snapshot are used.

        Raises SQLAlchemyError.
        """
        self._bases = read_bases(session)

    def read_bases(self, store: Store) -> list[tuple[str, int]]:
        """Read anew what the budgets have come to; by descriptor. On any thread. Raises SQLAlchemyError."""
        with store.read() as session:
            bases = self._bases = read_bases(session)
        return [
            (descriptors.of_budget(budget_id, starts_at, user), spent)
            for (budget_id, user, starts_at), spent in bases.spent.items()
        ]

    def estimates(self, model: LimitedModel) -> Estimates:
        """What was seen of a model."""
        found = self._estimates.get(model.id)
        if found is None:
            found = self._estimates[model.id] = Estimates(model.max_output_tokens)
        return found

    def reserve(
        self,
        key: LimitedKey,
        model: LimitedModel,
        need: Need,
        *,
        images: int,
        user: str | None,
        at_s: float,
        request_id: str,
        family: HeaderFamily,
    ) -> Grant | None:
        """Reserve what a request will probably use of everything that binds it; None: nothing does.

        `images`: its media, which are in `need` already. `at_s`: when it arrived, in seconds since the epoch.
        Not for shared limits: see `admit`. Raises ApiError (`rate_limit_exceeded`, `insufficient_quota`,
        `unpriced_model`, `overloaded`); nothing is reserved then.
        """
        compiled = self._compiled(key, model, user, at_s)
        engine = compiled.engine
        if not isinstance(engine, LimitPlan):
            return None
        cost_nano = self._cost(compiled, need, images, at_s)
        input_tokens, output_tokens = need
        decision = engine.reserve(time.monotonic_ns(), input_tokens, output_tokens, cost_nano)
        if isinstance(decision, Refusal):
            raise self._refusal(compiled, engine, decision, need, family)
        return Grant(decision, family, request_id, self._unstored if compiled.rules.budgets else None)

    async def admit(  # noqa: PLR0913  (as `reserve`, and what was begun)
        self,
        key: LimitedKey,
        model: LimitedModel,
        need: Need,
        *,
        images: int,
        user: str | None,
        at_s: float,
        request_id: str,
        family: HeaderFamily,
        early: Early | None = None,
    ) -> Grant | None:
        """`reserve` for limits that machines share. `early`: see `begin`."""
        compiled = self._compiled(key, model, user, at_s)
        engine = compiled.engine
        if not isinstance(engine, SharedPlan):
            return None
        estimate = Estimate(need.input_tokens, need.output_tokens, self._cost(compiled, need, images, at_s))
        if len(self._last) >= MAX_PLANS:
            self._last.clear()
        self._last[key.id] = Last(model, need.output_tokens, user)
        decision: Decision | None = None
        if early is not None:
            decision = await early.take(compiled, estimate)
        if decision is None:
            decision = await engine.reserve(**estimate._asdict())
        if isinstance(decision, SharedRefusal):
            raise self._refusal(compiled, engine, decision, need, family)
        unstored = self._unstored if compiled.rules.budgets else None
        return SharedGrant(decision, family, request_id, unstored, governor=self, compiled=compiled)

    def begin(self, key: LimitedKey, size_bytes: int, at_s: float) -> Early | None:
        """A body of this size arrives: ask shared limits for a request like the key's last one already.

        None: it is not worth while, or nobody knows what to ask for. The caller must give it to `admit`, or
        abandon it.
        """
        last = self._last.get(key.id)
        if last is None or not EARLY_BYTES <= size_bytes <= MAX_EARLY_BYTES:
            return None
        compiled = self._compiled(key, last.model, last.user, at_s)
        engine = compiled.engine
        if not isinstance(engine, SharedPlan) or compiled.is_unpriced is not None:
            return None
        text = math.ceil(size_bytes / BYTES_PER_TOKEN * self.estimates(last.model).correction)
        need = Need(text, last.output_tokens)
        return Early(compiled, engine, Estimate(*need, self._cost(compiled, need, 0, at_s)))

    def _cost(self, compiled: Compiled, need: Need, images: int, at_s: float) -> int:
        """What it will probably cost at the dearest target.

        Raises ApiError: `unpriced_model`; `overloaded` where too much waits for the database.
        """
        if len(self._unstored) >= MAX_UNSTORED and compiled.rules.budgets:
            message = "The gateway can't count on budgets at the moment. Try again later."
            raise ApiError("overloaded", message, retry_after_s=_UNSTORED_RETRY_AFTER_S)
        if compiled.is_unpriced is not None and not self._may_be_unpriced:
            raise refusals.unpriced(compiled.model_id, compiled.is_unpriced, self._currency)
        cost = 0
        input_tokens, output_tokens = need
        for price in compiled.prices:
            cost = max(cost, price.estimate(input_tokens, output_tokens, images, at_s))
        return cost

    async def count(
        self, key: LimitedKey, model: LimitedModel, *, user: str | None, at_s: float, family: HeaderFamily
    ) -> Grant | None:
        """The same for a request that uses no tokens: it is one of those a minute, and of those at once."""
        compiled = self._compiled(key, model, user, at_s)
        engine = compiled.counting if compiled.engine is not None else None
        if engine is None:
            return None
        decision: Reservation | Refusal | Decision
        if isinstance(engine, SharedPlan):
            decision = await engine.reserve(input_tokens=0, output_tokens=0, cost_nano=0)
        else:
            decision = engine.reserve(time.monotonic_ns(), input_tokens=0, output_tokens=0, cost_nano=0)
        if isinstance(decision, Refusal | SharedRefusal):
            raise self._refusal(compiled, engine, decision, Need(0, 0), family)
        if isinstance(decision, SharedReservation):
            return SharedGrant(decision, family, governor=self, compiled=compiled)
        return Grant(decision, family)

    def rules(self, key: LimitedKey, model: LimitedModel, at_s: float) -> Rules:
        """What binds a request that arrives at `at_s` and names no user."""
        return rules_for(
            key, model.id, model.limits, None, defaults=self._defaults, zone=self._zone, at_s=at_s
        )

    def stored(self, request_ids: Iterable[str], spents: Iterable[Spent]) -> None:
        """These rows are in the database, or given up, and that is what the budgets have come to.

        `Ledger`'s `on_stored`, on its thread. Raises OSError where the table can't be locked: what the
        requests used then stays reserved beside what is spent, until a worker starts anew.
        """
        found = [self._unstored.pop(request_id, None) for request_id in request_ids]
        bases = [self._base(spent) for spent in spents]
        if self.shared is not None:
            self.shared.stored(bases, [each for each in found if isinstance(each, SharedReservation)])
        else:
            self.table.stored(bases, [each for each in found if isinstance(each, Reservation)])

    def _base(self, spent: Spent) -> tuple[str, int, int | None]:
        period = self._bases.periods.get(spent.budget_id, "day")
        window = window_of(period, spent.starts_at, self._zone)
        descriptor = descriptors.of_budget(spent.budget_id, spent.starts_at, spent.user)
        return descriptor, spent.spent, keep_until_ns(window)

    def budget_headers(self, compiled: Compiled) -> list[tuple[bytes, bytes]]:
        """`x-llmgw-budget-remaining` of shared limits. What the table counts, its own headers tell."""
        if self.shared is None:
            return []
        now_ns = time.monotonic_ns()
        budgets = []
        for here in compiled.rules.budgets:
            base, held, _ = self.shared.usage(here.descriptor, now_ns) or (0, 0, 0)
            left = max(here.limit - base - held, 0)
            budgets.append((here.limit, left, here.budget.is_money, here.words))
        return budget_headers(budgets)

    def tick(self) -> None:
        """Periodic work: give back what dead workers have reserved. Never raises."""
        now_s = time.monotonic()
        if now_s < self._sweep_at_s:
            return
        self._sweep_at_s = now_s + _SWEEP_INTERVAL_S
        try:
            freed = self.table.sweep(time.monotonic_ns())
        except OSError:
            logger.exception("the limits of dead workers can't be given back")
            return
        if freed:
            logger.warning("gave back what %d dead worker(s) had reserved", freed)

    def _compiled(self, key: LimitedKey, model: LimitedModel, user: str | None, at_s: float) -> Compiled:
        plans = self._plans
        compiled = plans.get((key.id, model.id))
        if compiled is None or not compiled.fits(key, model, at_s):
            compiled = plans[key.id, model.id] = self._compile(key, model, None, at_s)
        if user is None or not compiled.rules.names_users:
            return compiled
        of_user = plans.get((key.id, model.id, user))
        if of_user is None or not of_user.fits(key, model, at_s):
            of_user = plans[key.id, model.id, user] = self._compile(key, model, user, at_s)
        return of_user

    def _compile(self, key: LimitedKey, model: LimitedModel, user: str | None, at_s: float) -> Compiled:
        if len(self._plans) >= MAX_PLANS:
            # They are made again in microseconds; which of them are still needed is not worth knowing.
            self._plans.clear()
        rules = rules_for(
            key, model.id, model.limits, user, defaults=self._defaults, zone=self._zone, at_s=at_s
        )
        compiled = Compiled(self.limits, rules, key, model, currency=self._currency)
        compiled.know_bases(self._bases)
        return compiled

    def _refusal(
        self,
        compiled: Compiled,
        engine: LimitPlan | SharedPlan,
        refusal: Refusal | SharedRefusal,
        need: Need,
        family: HeaderFamily,
    ) -> ApiError:
        headers = refusal.headers(family, time.time()) + self.budget_headers(compiled)
        here = compiled.of(engine)[refusal.index]
        self._refused += 1
        if isinstance(here, BudgetHere):
            self._observe("budget", here.subject.label)
            self.on_budget_refusal(here.budget.id, here.user)
            used = refusal.spent
            held = max(refusal.limit - refusal.remaining - used, 0)
            return refusals.over_budget(
                here, used=used, held=held, now_s=time.time(), zone=self._zone, headers=headers
            )
        self._observe(here.kind, here.subject.label)
        if here.kind == "concurrent_requests":
            return refusals.too_many_at_once(here, self._refused, headers)
        return refusals.over_limit(here, refusal.retry_after_s, need.input_tokens, headers)
