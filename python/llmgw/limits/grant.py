"""A request may be served: what was reserved for it, until it has ended."""

import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Literal, TypeAlias

from llmgw._core import Reservation
from llmgw.limits.redis import SharedReservation

if TYPE_CHECKING:
    from llmgw.limits.compiled import Compiled
    from llmgw.limits.governor import Governor

HeaderFamily: TypeAlias = Literal["openai", "anthropic"]
"""In whose words limits are told."""
Unstored: TypeAlias = MutableMapping[str, Reservation | SharedReservation]
"""By request: what has ended, and is not in the database yet."""


class Grant:
    """One request's. `settle` or `cancel` ends it; only the first call counts."""

    __slots__ = ("_family", "_has_ended", "_request_id", "_reservation", "_unstored")

    def __init__(
        self,
        reservation: Reservation | SharedReservation,
        family: HeaderFamily,
        request_id: str = "",
        unstored: Unstored | None = None,
    ) -> None:
        """`unstored`: where it waits for its row after it has ended; None: no budget holds anything."""
        self._reservation = reservation
        self._family: HeaderFamily = family
        self._request_id = request_id
        self._unstored = unstored
        self._has_ended = False

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the answer says of the strictest limits, and of the strictest budget."""
        return self._reservation.headers(self._family, time.time())

    def settle(self, tokens: int, cost_nano: int) -> None:
        """The answer has ended, and used this. To be called before its row goes to the ledger."""
        if self._has_ended:
            return
        self._has_ended = True
        self._reservation.settle(time.monotonic_ns(), tokens, cost_nano)
        if self._unstored is not None:
            self._unstored[self._request_id] = self._reservation

    def cancel(self) -> None:
        """Nothing was used."""
        if not self._has_ended:
            self._has_ended = True
            self._reservation.cancel(time.monotonic_ns())


class SharedGrant(Grant):
    """One of limits that machines share: what is left of budgets is not in the reservation."""

    __slots__ = ("_compiled", "_governor")

    def __init__(
        self,
        reservation: SharedReservation,
        family: HeaderFamily,
        request_id: str = "",
        unstored: Unstored | None = None,
        *,
        governor: "Governor",
        compiled: "Compiled",
    ) -> None:
        super().__init__(reservation, family, request_id, unstored)
        self._governor = governor
        self._compiled = compiled

    def headers(self) -> list[tuple[bytes, bytes]]:
        """As `Grant.headers`."""
        return super().headers() + self._governor.budget_headers(self._compiled)
