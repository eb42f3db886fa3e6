"""A bounded queue in which owners take turns, so that one that asks much can't starve the others.

    a a a b c   ──►  a b c a a

Within an owner the first to come is the first to go. Nothing here waits: see `places`.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

MAX_WAITING: Final = 1024
"""Requests that wait for one upstream in one worker."""
MAX_WAITING_OF_ONE: Final = 128
"""Of these, requests of one key."""

Item = TypeVar("Item", bound=Hashable)


class Turns(Generic[Item]):
    """The queue. Each operation takes constant time."""

    __slots__ = ("_by_owner", "_length", "_most", "_most_of_one")

    def __init__(self, most: int = MAX_WAITING, most_of_one: int = MAX_WAITING_OF_ONE) -> None:
        """How many it holds, of all owners and of each."""
        self._most = most
        self._most_of_one = most_of_one
        self._length = 0
        # The owners in the order of their turns, each with its items in the order in which they came.
        self._by_owner: OrderedDict[Hashable, OrderedDict[Item, None]] = OrderedDict()

    def __len__(self) -> int:
        """How many items it holds."""
        return self._length

    def add(self, owner: Hashable, item: Item) -> bool:
        """Queue an item, which must not be queued yet; a new owner is the last in turn.

        False: there is no room for another one, or none for another one of this owner.
        """
        items = self._by_owner.get(owner)
        if self._length >= self._most or (items is not None and len(items) >= self._most_of_one):
            return False
        if items is None:
            items = self._by_owner[owner] = OrderedDict()
        items[item] = None
        self._length += 1
        return True

    def remove(self, owner: Hashable, item: Item) -> None:
        """Take an item out, wherever it is; does nothing if it is not queued. Nobody loses a turn."""
        items = self._by_owner.get(owner)
        if items is None or item not in items:
            return
        del items[item]
        self._length -= 1
        if not items:
            del self._by_owner[owner]

    def first(self) -> Item | None:
        """The item whose turn it is; None if there is none."""
        for items in self._by_owner.values():
            return next(iter(items))
        return None

    def take(self) -> Item:
        """Take that item out; its owner is then the last in turn. Raises KeyError if there is none."""
        owner = next(iter(self._by_owner), None)
        items = self._by_owner[owner]
        item, _ = items.popitem(last=False)
        self._length -= 1
        if items:
            self._by_owner.move_to_end(owner)
        else:
            del self._by_owner[owner]
        return item
