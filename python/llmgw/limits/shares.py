"""How much of something limited each key and each address holds."""

from collections.abc import Hashable, Iterable
from typing import Final, TypeAlias

Owner: TypeAlias = Hashable
"""The id of a key, or an address."""
RESERVED: Final = 0.125
"""This share is kept for owners that hold less than as much themselves."""


class Shares:
    """Amounts by owner. One amount may have several owners, such as a key and an address."""

    def __init__(self) -> None:
        """Nobody holds anything."""
        self._held: dict[Owner, int] = {}

    def add(self, owners: Iterable[Owner], amount: int) -> None:
        """Each of them holds so much more."""
        for owner in owners:
            self._held[owner] = self._held.get(owner, 0) + amount

    def remove(self, owners: Iterable[Owner], amount: int) -> None:
        """Each of them gives so much back."""
        for owner in owners:
            left = self._held[owner] - amount
            if left:
                self._held[owner] = left
            else:
                del self._held[owner]

    def most(self, owners: Iterable[Owner]) -> int:
        """What the one of them holds that holds most."""
        return max((self._held.get(owner, 0) for owner in owners), default=0)
