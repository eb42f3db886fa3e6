"""How many requests a limit lets through: exact where the machine is quick."""

import time
from collections import Counter


def assert_granted(counts: Counter[int], limit: int, *, since_s: float, free: int | None = None) -> None:
    """As many are served as places were free, and all others refused.

    A limit of so many a minute gives places back evenly. `since_s`: when it was first asked, by the monotonic
    clock; what it has given back since then may be taken too. `free`: places at that time, if not all.
    """
    given_back = int((time.monotonic() - since_s) * limit / 60)
    free = limit if free is None else free
    assert set(counts) == {200, 429}, counts
    assert free <= counts[200] <= free + given_back, (counts, free, given_back)
