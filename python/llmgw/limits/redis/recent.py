"""What this worker let through of a rate without Redis, which Redis is told when it is back."""

from typing import Final

_SLOT_S: Final = 10
_SLOTS: Final = 6


class Recent:
    """Units of the last minute; of up to ten seconds more."""

    __slots__ = ("limit", "slots")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.slots: dict[int, int] = {}
        """Units by ten seconds."""

    def add(self, units: int, now_s: float) -> None:
        """Negative: they were not used after all."""
        slot = int(now_s // _SLOT_S)
        self.slots[slot] = self.slots.get(slot, 0) + units
        if len(self.slots) > _SLOTS + 1:
            self.slots = {at: units for at, units in self.slots.items() if at >= slot - _SLOTS}

    def total(self, now_s: float) -> int:
        """Of all that still counts."""
        first = int(now_s // _SLOT_S) - _SLOTS
        return max(0, sum(units for slot, units in self.slots.items() if slot >= first))

    def include(self, other: "Recent") -> None:
        """Add what another one has."""
        for slot, units in other.slots.items():
            self.add(units, slot * _SLOT_S)
