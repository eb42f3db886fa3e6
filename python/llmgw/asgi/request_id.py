"""Ids of requests."""

import os
import time
from typing import Final

ID_PATTERN: Final = "[0-9A-Za-z_-]{1,64}"
"""What the id of a request may look like; also those of older and of simulated rows do."""
_RANDOM_BYTES: Final = 10
_DRAWN_AT_ONCE: Final = 64


class RequestIds:
    """`req_`, the time in milliseconds and 80 random bits, in hexadecimal.

    The time comes first, so that new ids stand together in the ledger's index: with random ones, each row
    writes a page of it, and the ledger takes twice the time. The bits are drawn for many at once.
    """

    def __init__(self) -> None:
        """Draws nothing yet: what is drawn before a fork would be the same in each child."""
        self._bits = ""
        self._at = 0

    def next(self) -> str:
        """One that nobody else has."""
        if self._at == len(self._bits):
            self._bits = os.urandom(_RANDOM_BYTES * _DRAWN_AT_ONCE).hex()
            self._at = 0
        begin, self._at = self._at, self._at + 2 * _RANDOM_BYTES
        return f"req_{int(time.time() * 1000):012x}{self._bits[begin : self._at]}"
