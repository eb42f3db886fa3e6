"""Granted against allowed: books that are kept beside the limits, by plain sums, whatever those believe."""

from dataclasses import dataclass
from typing import Final

from benches.limits.traffic import S

MINUTE_NS: Final = 60 * S


@dataclass
class Rate:
    """Of requests or tokens. Over any stretch of time it may grant its limit, and as much for each minute."""

    limit: int
    granted: int = 0
    """In all, as it was used in the end."""
    worst: float = 0.0
    """By how much the stretch was exceeded at most when something was granted."""
    _level: float = 0.0
    _at_ns: int = 0

    def grant(self, at_ns: int, amount: int) -> None:
        """So much was granted. Times do not decrease."""
        self._add(at_ns, amount)
        self.worst = max(self.worst, self._level - self.limit)

    def correct(self, at_ns: int, amount: int) -> None:
        """What was granted was used otherwise: by so much more, or less if negative."""
        self._add(at_ns, amount)

    def _add(self, at_ns: int, amount: int) -> None:
        self._level = max(self._level - self.limit * (at_ns - self._at_ns) / MINUTE_NS, 0.0)
        self._level = max(self._level + amount, 0.0)
        self._at_ns = at_ns
        self.granted += amount


@dataclass
class Concurrency:
    """Requests at once."""

    limit: int
    now: int = 0
    most: int = 0

    def begin(self) -> None:
        """One more."""
        self.now += 1
        self.most = max(self.most, self.now)


@dataclass
class Budget:
    """Money, in 10⁻⁹ of a currency's unit."""

    amount: int
    spent: int = 0
    """Of rows in the ledger."""
    unwritten: int = 0
    """Of answers whose rows are not there yet."""
    reserved: int = 0
    """Guessed, of what is running."""
    short: int = 0
    """By how much the guesses of what is running are too low."""
    most_short: int = 0
    phantoms: int = 0
    """Refusals though there was money left."""

    @property
    def taken(self) -> int:
        """All of it."""
        return self.spent + self.unwritten + self.reserved

    @property
    def overspent(self) -> int:
        """What was spent beyond the amount."""
        return max(self.spent - self.amount, 0)

    def begin(self, guess: int, real: int) -> None:
        """A request was granted."""
        self.reserved += guess
        self.short += max(real - guess, 0)
        self.most_short = max(self.most_short, self.short)

    def end(self, guess: int, real: int) -> None:
        """It is over; its row is still to be written."""
        self.lose(guess, real)
        self.unwritten += real

    def lose(self, guess: int, real: int) -> None:
        """It is over and has left no row."""
        self.reserved -= guess
        self.short -= max(real - guess, 0)

    def write(self, real: int) -> None:
        """Its row is in the ledger."""
        self.unwritten -= real
        self.spent += real

    def refused(self, guess: int) -> None:
        """A request was refused because of this budget."""
        self.phantoms += self.taken + guess <= self.amount
