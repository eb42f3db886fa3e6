"""Which of a model's targets serves a request: healthy ones of the best priority.

A request of a session goes to the session's own (see `affinity`), any other by weight and load.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from llmgw.routing.accounts import account_name
from llmgw.routing.affinity import nearest
from llmgw.routing.providers import NO_SERVERS, UNKNOWN, ProviderModel, Servers

if TYPE_CHECKING:
    from llmgw import _core
    from llmgw.limits.places import Places
    from llmgw.prices.price import Price
    from llmgw.routing.health import Health


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """An account of an upstream and a model there, and how requests are rewritten for it."""

    upstream: "_core.Upstream"
    route: "_core.Route"
    health: "Health"
    """Shared by all models with the same account and upstream model."""
    places: "Places"
    """Shared by all models at the account."""
    total_timeout_s: float
    identity: int
    """See `affinity.identity_of`."""
    weight: int = 1
    priority: int = 1
    """Lower is better."""
    price: "Price | None" = None
    """Its own, else its model's. None: it has none."""
    provider_model: ProviderModel = UNKNOWN
    """As metrics and spans say it."""
    servers: Servers = NO_SERVERS
    """Where it is, for each API in which it is asked."""

    @property
    def name(self) -> str:
        """The upstream's name in the config."""
        return self.health.upstream

    @property
    def full_name(self) -> str:
        """The same, with the account's number if there are several: `X#2`."""
        return account_name(self.health.upstream, self.health.account)

    @property
    def may_be_asked(self) -> bool:
        """True if it is healthy and has a place."""
        return self.health.may_be_asked and not self.places.full

    @property
    def load(self) -> float:
        """Running attempts, relative to the weight."""
        return self.health.in_flight / self.weight


class Targets:
    """A model's targets."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        affinity: bool = True,
        max_cooling_share: float = 0.5,
        rng: random.Random | None = None,
    ) -> None:
        """`targets` must not be empty. `affinity`, `max_cooling_share`: see `RoutingConfig`."""
        self.all = tuple(targets)
        """In the order of the config."""
        self._only = self.all[0] if len(self.all) == 1 else None
        self.want_session = affinity and len(self.all) > 1
        """Whether it matters which session a request belongs to."""
        by_priority = sorted(self.all, key=lambda target: target.priority)
        self._groups = [tuple(group) for _, group in groupby(by_priority, lambda target: target.priority)]
        self._max_cooling_share = max_cooling_share
        self._rng = rng or random.Random()  # noqa: S311  (a draw, not a secret)

    def first(self, session: int | None = None) -> Target:
        """The target for a new request: its session's own, or one that is drawn. Never None."""
        if self._only is not None:
            return self._only
        for group in self._groups:
            if in_play := self._in_play(group):
                return self._draw(in_play) if session is None else nearest(session, in_play)
        # All are cooling or full. Of those with a place, take the one whose cool-down ends first.
        return min(self.all, key=lambda t: (t.places.full, t.health.is_probed, t.health.cooling_s))

    def other(self, asked: Collection[Target], session: int | None = None) -> Target | None:
        """The target to try after those in `asked` have failed; None if no other is healthy.

        Of a session the next nearest, so that its retries all find what the one before has put in the cache.
        """
        for group in self._groups:
            healthy = [target for target in group if target not in asked and target.may_be_asked]
            if healthy:
                return self._draw(healthy) if session is None else nearest(session, healthy)
        return None

    def _in_play(self, group: tuple[Target, ...]) -> list[Target]:
        """The targets of one priority to draw from; empty if none of them is healthy."""
        healthy = [target for target in group if target.may_be_asked]
        cooling = [target for target in group if not target.health.may_be_asked]
        excess = len(cooling) - int(len(group) * self._max_cooling_share)
        if healthy and excess > 0:
            # Keep some cooling targets in play, or the few healthy ones get all the load and fail as well.
            cooling = [target for target in cooling if not (target.health.is_probed or target.places.full)]
            cooling.sort(key=lambda target: target.health.cooling_s)
            healthy += cooling[:excess]
        return healthy

    def _draw(self, candidates: list[Target]) -> Target:
        """Draw two by weight and take the one with less load."""
        if len(candidates) == 1:
            return candidates[0]
        weights = [target.weight for target in candidates]
        one, two = self._rng.choices(candidates, weights, k=2)
        return two if two.load < one.load else one
