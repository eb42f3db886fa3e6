"""How many retries all requests of a worker may make together."""

from typing import Final

BUDGET_WINDOW_S: Final = 10


class RetryBudget:
    """How many attempts beyond the first all requests of a worker may have together.

    In the last `BUDGET_WINDOW_S` seconds no more than `ratio` for each request, but always `min_per_s` in a
    second: the larger of the two, not their sum. So when everything fails, retries cost a fifth more and no
    multiple.
    """

    def __init__(self, *, ratio: float = 0.2, min_per_s: int = 3) -> None:
        """Without requests so far: the first seconds have only what is always allowed."""
        self._ratio = ratio
        self._min_per_s = min_per_s
        # One slot a second, in a ring.
        self._second = 0
        self._requests = [0] * BUDGET_WINDOW_S
        self._retries = [0] * BUDGET_WINDOW_S

    def request(self, now_s: float) -> None:
        """Count a request, at its first attempt. `now_s` is monotonic, here and below."""
        second = int(now_s)
        if second != self._second:
            self._advance(second)
        self._requests[second % BUDGET_WINDOW_S] += 1

    def take(self, now_s: float) -> bool:
        """Count a retry, if there is one left."""
        second = int(now_s)
        if second != self._second:
            self._advance(second)
        slot = second % BUDGET_WINDOW_S
        allowed = sum(self._requests) * self._ratio
        if self._retries[slot] < self._min_per_s or sum(self._retries) + 1 <= allowed:
            self._retries[slot] += 1
            return True
        return False

    def _advance(self, second: int) -> None:
        for passed in range(min(second - self._second, BUDGET_WINDOW_S)):
            slot = (second - passed) % BUDGET_WINDOW_S
            self._requests[slot] = self._retries[slot] = 0
        self._second = second
