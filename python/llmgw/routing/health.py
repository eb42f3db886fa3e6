"""Is a target healthy enough to be asked? Numbers and a clock, no I/O.

`Health` learns from the requests themselves. Consecutive failures or a rate limit cool a target down:
requests go to other targets. After the cool-down one request probes the target. If it succeeds the target
is up again, else it cools down for twice as long.

A `Health` belongs to one worker and its event loop. It uses monotonic time only, so a jump of the system
clock has no effect.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from llmgw.routing.accounts import account_name
from llmgw.routing.verdict import Blame

logger = logging.getLogger(__name__)

JITTER: Final = 0.2
"""Cool-downs are randomly longer or shorter by this share, so that workers do not all come back at once."""

_MAX_DOUBLINGS: Final = 32

HealthState = Literal["up", "cooling", "probing"]
Observe: TypeAlias = Callable[[str, int | None, str, bool], None]
"""Told of a target's upstream, account and model there, and whether it is cooling, whenever that changes."""


@dataclass(frozen=True, slots=True)
class CoolDown:
    """When a target cools down, and for how long."""

    failures: int = 5
    """Consecutive ones."""
    first_s: float = 1.0
    max_s: float = 60.0


class Health:
    """What one worker knows about one model at one account of an upstream."""

    __slots__ = (
        "_clock", "_cool_down", "_doublings", "_failed_at_s", "_observe", "_probes", "_random", "_until_s",
        "account", "failures", "in_flight", "last_failure", "may_cool", "upstream", "upstream_model",
    )  # fmt: skip

    def __init__(
        self,
        upstream: str,
        upstream_model: str,
        *,
        account: int | None = None,
        cool_down: CoolDown | None = None,
        observe: Observe | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
    ) -> None:
        """`account`: its number; None: the upstream has one."""
        self.upstream = upstream
        self.account = account
        self.upstream_model = upstream_model
        self.may_cool = False
        """True if a request could go to another target instead."""
        self.in_flight = 0
        """Attempts that are running."""
        self.failures = 0
        """Consecutive ones."""
        self.last_failure: str | None = None
        """What went wrong last, in words. It stays after a success."""
        self._failed_at_s = 0.0
        self._cool_down = cool_down or CoolDown()
        self._observe = observe
        self._clock = clock
        self._random = rng
        self._until_s: float | None = None  # None: up
        self._doublings = 0
        self._probes = 0

    @property
    def state(self) -> HealthState:
        """`probing`: the cool-down is over, and a probe is running or will be the next request."""
        if self._until_s is None:
            return "up"
        return "cooling" if self._clock() < self._until_s else "probing"

    @property
    def cooling_s(self) -> float:
        """The rest of the cool-down; 0 if there is none."""
        return 0.0 if self._until_s is None else max(self._until_s - self._clock(), 0.0)

    @property
    def last_failure_age_s(self) -> float:
        """How long ago `last_failure` was."""
        return self._clock() - self._failed_at_s

    @property
    def is_probed(self) -> bool:
        """True while a probe is running."""
        return self._probes > 0

    @property
    def may_be_asked(self) -> bool:
        """True if it is up, or if its cool-down is over and no probe is running."""
        return self._until_s is None or (self._probes == 0 and self._clock() >= self._until_s)

    def begin_to_cool(self) -> None:
        """There are other targets: it may cool down."""
        if not self.may_cool:
            self.may_cool = True
            self._tell(cooling=False)

    def renumber(self, account: int | None) -> None:
        """A reload has put the account's key elsewhere in the list. Then call `remind`."""
        if self.may_cool:
            self._tell(cooling=False)
        self.account = account

    def remind(self) -> None:
        """Tell again whether it is cooling, once no other one has its number any more."""
        if self.may_cool:
            self._tell(cooling=self._until_s is not None)

    def stand_alone(self) -> None:
        """A reload has removed every other target: it does not cool down any more."""
        self.may_cool = False
        if self._until_s is not None:
            self._let_back()

    def retire(self) -> None:
        """No new request will use it. It is reported as not cooling from here on."""
        if self._until_s is not None:
            self._tell(cooling=False)
        self._observe = None

    def begin(self) -> bool:
        """Count an attempt; True if it is a probe. Each call needs one of `end`."""
        self.in_flight += 1
        if self._until_s is None:
            return False
        self._probes += 1
        return True

    def answered(self) -> None:
        """A probe's answer has begun: the target is up, and the probe becomes an ordinary attempt.

        Until it has succeeded, one more failure cools the target down again.
        """
        self._probes -= 1
        if self._until_s is not None:
            self._let_back()
            self.failures = max(self._cool_down.failures - 1, 0)

    def end(
        self,
        blame: Blame | None,
        *,
        probe: bool,
        retry_after_s: float | None = None,
        failure: str | None = None,
    ) -> None:
        """An attempt is over. `blame` None: it succeeded. `probe`: as `begin` returned, unless `answered`.

        `failure` is reported as the last one if it is held against the target.
        """
        self.in_flight -= 1
        if failure is not None and blame in {Blame.UPSTREAM, Blame.PACE}:
            self.last_failure, self._failed_at_s = failure, self._clock()
        if probe:
            self._probes -= 1
        if blame is None or blame is Blame.REQUEST:
            # A request sent before the cool-down says nothing about the target now.
            if self._until_s is not None and not probe:
                return
            self.failures = 0
            self._doublings = 0
            if self._until_s is not None:
                self._let_back()
        elif blame is not Blame.NOBODY:
            self.failures += 1
            if self.may_cool:
                self._failed(limited=blame is Blame.PACE, probe=probe, retry_after_s=retry_after_s)

    def _failed(self, *, limited: bool, probe: bool, retry_after_s: float | None) -> None:
        if self._until_s is None:
            if limited or self.failures >= self._cool_down.failures:
                self._cool(retry_after_s)
        elif probe and self._clock() >= self._until_s:
            self._cool(retry_after_s)
        elif limited and retry_after_s is not None:
            # This attempt began before the cool-down. Its retry-after counts, its failure does not.
            self._until_s = max(self._until_s, self._clock() + min(retry_after_s, self._cool_down.max_s))

    def _cool(self, retry_after_s: float | None) -> None:
        length_s = min(self._cool_down.first_s * 2.0**self._doublings, self._cool_down.max_s)
        length_s *= 1 - JITTER + 2 * JITTER * self._random()
        if retry_after_s is not None:
            # At least as long as the upstream asked for, within the cap.
            asked_s = min(retry_after_s, self._cool_down.max_s)
            length_s = max(length_s, asked_s * (1 + JITTER * self._random()))
        self._doublings = min(self._doublings + 1, _MAX_DOUBLINGS)
        was_up = self._until_s is None
        self._until_s = self._clock() + length_s
        logger.warning(
            "upstream %s, model %s: cools down for %.1f s (%d consecutive failures)",
            account_name(self.upstream, self.account), self.upstream_model, length_s, self.failures,
        )  # fmt: skip
        if was_up:
            self._tell(cooling=True)

    def _let_back(self) -> None:
        self._until_s = None
        called = account_name(self.upstream, self.account)
        logger.warning("upstream %s, model %s: is back", called, self.upstream_model)
        self._tell(cooling=False)

    def _tell(self, *, cooling: bool) -> None:
        if self._observe is not None:
            self._observe(self.upstream, self.account, self.upstream_model, cooling)
