"""What the script of limits in Redis must do, said otherwise: in picoseconds of one clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PERIOD_PS = 60 * 10**12
MOST_PS = 61 * PERIOD_PS
US_PS = 10**6


@dataclass
class Bucket:
    """A rate: when it will be empty, and what was given back since it was last empty."""

    empty_at_ps: int = 0
    generation: int = 0
    refunds_us: list[int] = field(default_factory=list)

    def look(self, now_ps: int) -> int:
        """Its level."""
        if self.empty_at_ps <= now_ps:
            self.empty_at_ps = now_ps
            self.generation += 1
            self.refunds_us = []
        return self.empty_at_ps - now_ps


@dataclass(frozen=True)
class Charge:
    """What a request took of a bucket."""

    bucket: str
    end_ps: int
    generation: int
    refunds_before: int


@dataclass
class Hold:
    """A concurrency limit or a budget: who holds what."""

    base: int = 0
    amounts: dict[str, int] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """By all."""
        return sum(self.amounts.values())


class Model:
    """All limits."""

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.holds: dict[str, Hold] = {}
        self.leases: dict[str, int] = {}

    def level(self, key: str, now_us: int) -> int:
        """Of a rate."""
        return self.buckets.setdefault(key, Bucket()).look(now_us * US_PS)

    def hold(self, key: str) -> Hold:
        """Which may be new."""
        return self.holds.setdefault(key, Hold())

    def sweep(self, now_us: int) -> None:
        """Leases end."""
        for grant in [grant for grant, ends in self.leases.items() if ends <= now_us]:
            self.release(grant)

    def release(self, grant: str) -> None:
        """It holds nothing any more."""
        self.leases.pop(grant, None)
        for hold in self.holds.values():
            hold.amounts.pop(grant, None)

    def reserve(
        self,
        grant: str,
        rates: Mapping[str, int],
        holds: Mapping[str, tuple[int, int, int]],
        *,
        now_us: int,
        lease_us: int,
    ) -> list[Charge] | None:
        """None: refused. `rates`: costs; `holds`: amount, limit, known base."""
        self.sweep(now_us)
        fits = all(self.level(key, now_us) + cost <= PERIOD_PS for key, cost in rates.items())
        for key, (amount, limit, base) in holds.items():
            hold = self.hold(key)
            fits = fits and max(hold.base, base) + hold.held + amount <= limit
        if not fits:
            return None
        charges = []
        for key, cost in rates.items():
            bucket = self.buckets[key]
            bucket.empty_at_ps += cost
            charges.append(Charge(key, bucket.empty_at_ps, bucket.generation, len(bucket.refunds_us)))
        for key, (amount, _, base) in holds.items():
            hold = self.hold(key)
            hold.base = max(hold.base, base)
            hold.amounts[grant] = amount
        if holds:
            self.leases[grant] = now_us + lease_us
        return charges

    def put(
        self,
        grant: str,
        corrections: Iterable[tuple[Charge, int]],
        holds: Mapping[str, int],
        *,
        now_us: int,
        lease_us: int,
    ) -> None:
        """What it holds from now on, and by how much each charge was wrong."""
        for charge, difference in corrections:
            bucket = self.buckets[charge.bucket]
            level = bucket.look(now_us * US_PS)
            if difference > 0:
                bucket.empty_at_ps += max(0, min(difference, MOST_PS - level))
            elif bucket.generation == charge.generation:
                since = sum(bucket.refunds_us[charge.refunds_before :]) * US_PS
                left = max(0, charge.end_ps - now_us * US_PS - since)
                back = min(-difference, left, level)
                bucket.empty_at_ps -= back
                bucket.refunds_us.append(-(-back // US_PS))
        self.release(grant)
        for key, amount in holds.items():
            self.hold(key).amounts[grant] = amount
        if holds:
            self.leases[grant] = now_us + lease_us

    def renew(self, grants: Iterable[str], *, now_us: int, lease_us: int) -> set[str]:
        """Which of them are unknown."""
        self.sweep(now_us)
        unknown = set()
        for grant in grants:
            if grant in self.leases:
                self.leases[grant] = now_us + lease_us
            else:
                unknown.add(grant)
        return unknown
