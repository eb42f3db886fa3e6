"""Which models may a client have meant that asks for one which does not exist?

A comparison costs some 10 to 50 µs on the event loop, and a client with a typo may ask in a loop. So only a
few names are compared: those next to the wrong one in the alphabet, where names with the same beginning are.
"""

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from llmgw.access.key import Key

_SUGGESTIONS: Final = 3
SHOWN_LENGTH: Final = 128
"""Longer model ids are cut before they are compared and shown."""
_COMPARED: Final = 24
"""At most this many names are compared with a wrong one."""
_LOOKED_AT: Final = 256
"""At most this many are looked at for some that the key may use."""


class Suggestions:
    """The known model ids in the order of the alphabet, upper and lower case alike."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = sorted(known, key=str.casefold)

    def for_(self, wrong: str, key: Key) -> list[str]:
        """The best first; only what the key may use. `wrong` is to be cut at `SHOWN_LENGTH`."""
        around = islice(self._around(wrong), _LOOKED_AT)
        usable = islice((name for name in around if key.may_use(name)), _COMPARED)
        return difflib.get_close_matches(wrong, list(usable), n=_SUGGESTIONS)

    def _around(self, wrong: str) -> Iterator[str]:
        """All names, from where `wrong` would be outwards to both sides."""
        above = bisect_left(self._known, wrong.casefold(), key=str.casefold)
        below = above - 1
        while below >= 0 or above < len(self._known):
            if above < len(self._known):
                yield self._known[above]
            if below >= 0:
                yield self._known[below]
            above, below = above + 1, below - 1
