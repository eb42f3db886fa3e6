"""How many requests a limit lets through: exact where the machine is quick."""

import ssl
import time
from collections import Counter

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""`verify` of many clients at once that speak plain HTTP: by default each would load all CA certificates."""


def assert_granted(counts: Counter[int], limit: int, *, since_s: float) -> None:
    """As many are served as a fresh limit has places, and all others refused.

    A limit of so many a minute gives places back evenly. `since_s`: when it was first asked, by the monotonic
    clock; what it has given back since then may be taken too.
    """
    given_back = int((time.monotonic() - since_s) * limit / 60)
    assert set(counts) == {200, 429}, counts
    assert limit <= counts[200] <= limit + given_back, (counts, limit, given_back)
