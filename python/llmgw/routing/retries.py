"""How many retries may all requests of a worker make together?"""

from typing import Final

BUDGET_WINDOW_S: Final = 10


class RetryBudget:
    """The number of attempts beyond the first that all requests of a worker may have together.

    The limit is the larger of two: `ratio` retries per request of the last `BUDGET_WINDOW_S` seconds, and
    `min_per_s` per second. So when every upstream fails, the load grows by a fifth and not by a factor.
    """

    def __init__(self, *, ratio: float = 0.2, min_per_s: int = 3) -> None:
        """Starts without requests, so at first only `min_per_s` applies."""
        self._ratio = ratio
        self._min_per_s = min_per_s
        # One slot a second, in a ring.
        self._second = 0
        self._requests = [0] * BUDGET_WINDOW_S
        self._retries = [0] * BUDGET_WINDOW_S

    def request(self, now_s: float) -> None:
        """Count a request, at its first attempt. `now_s`: monotonic time, also below."""
        second = int(now_s)
        if second != self._second:
            self._advance(second)
        self._requests[second % BUDGET_WINDOW_S] += 1

    def take(self, now_s: float) -> bool:
        """Count a retry if the budget allows one; else return False."""
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
