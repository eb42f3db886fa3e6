"""Which of a model's targets is asked: those that are well, of the best priority, by weight and load."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmgw import _core
    from llmgw.limits.admission import Slots
    from llmgw.routing.health import Health


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One upstream that can serve a model, and how requests are rewritten for it."""

    upstream: "_core.Upstream"
    route: "_core.Route"
    health: "Health"
    """Shared by all models that have the same upstream serve the same model."""
    slots: "Slots"
    """Shared by all models of the upstream."""
    weight: int = 1
    priority: int = 1
    """Lower is better."""
    total_timeout_s: float = 900.0

    @property
    def name(self) -> str:
        """The upstream's name in the config."""
        return self.health.upstream

    @property
    def may_be_asked(self) -> bool:
        """True if it is well and has a slot left."""
        return self.health.may_be_asked and not self.slots.full

    @property
    def load(self) -> float:
        """Attempts under way, relative to the weight."""
        return self.health.in_flight / self.weight


class Targets:
    """A model's targets."""

    def __init__(
        self, targets: Sequence[Target], *, max_cooling_share: float = 0.5, rng: random.Random | None = None
    ) -> None:
        """At least one. `max_cooling_share`: see `RoutingConfig`."""
        self.all = tuple(targets)
        """In the order of the config."""
        self._only = self.all[0] if len(self.all) == 1 else None
        by_priority = sorted(self.all, key=lambda target: target.priority)
        self._groups = [tuple(group) for _, group in groupby(by_priority, lambda target: target.priority)]
        self._max_cooling_share = max_cooling_share
        self._rng = rng or random.Random()  # noqa: S311  (a draw, not a secret)

    def first(self) -> Target:
        """Whom a new request asks: there always is somebody."""
        if self._only is not None:
            return self._only
        for group in self._groups:
            if in_play := self._in_play(group):
                return self._draw(in_play)
        # All are unwell or full: of those with a slot left, the one whose cool-down ends first.
        return min(self.all, key=lambda t: (t.slots.full, t.health.is_probed, t.health.cooling_s))

    def other(self, asked: Collection[Target]) -> Target | None:
        """Whom to ask after these have failed; None: nobody else is well."""
        for group in self._groups:
            well = [target for target in group if target not in asked and target.may_be_asked]
            if well:
                return self._draw(well)
        return None

    def _in_play(self, group: tuple[Target, ...]) -> list[Target]:
        """Those of one priority that may be asked; empty if none of them is well."""
        well = [target for target in group if target.may_be_asked]
        unwell = [target for target in group if not target.health.may_be_asked]
        excess = len(unwell) - int(len(group) * self._max_cooling_share)
        if well and excess > 0:
            # The last ones standing must not get everybody's load, which would fell them too.
            unwell = [target for target in unwell if not (target.health.is_probed or target.slots.full)]
            unwell.sort(key=lambda target: target.health.cooling_s)
            well += unwell[:excess]
        return well

    def _draw(self, candidates: list[Target]) -> Target:
        """Two draws by weight; of the two, the one with less to do."""
        if len(candidates) == 1:
            return candidates[0]
        weights = [target.weight for target in candidates]
        one, two = self._rng.choices(candidates, weights, k=2)
        return two if two.load < one.load else one
