"""A request may be served: what was reserved for it, until it has ended."""

import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from llmgw._core import Reservation
from llmgw.limits.redis import SharedReservation

if TYPE_CHECKING:
    from llmgw.limits.compiled import Compiled
    from llmgw.limits.governor import Governor

HeaderFamily: TypeAlias = Literal["openai", "anthropic"]
"""In whose words limits are told."""


class Grant:
    """One request's. `settle` or `cancel` ends it; only the first call counts."""

    __slots__ = ("_compiled", "_family", "_governor", "_has_ended", "_request_id", "_reservation")

    def __init__(
        self,
        governor: "Governor",
        compiled: "Compiled",
        reservation: Reservation | SharedReservation,
        *,
        request_id: str,
        family: HeaderFamily,
    ) -> None:
        self._governor = governor
        self._compiled = compiled
        self._reservation = reservation
        self._request_id = request_id
        self._family: HeaderFamily = family
        self._has_ended = False

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the answer says of the strictest limits, and of the strictest budget."""
        headers = self._reservation.headers(self._family, time.time())
        if self._governor.shared is not None:
            headers += self._governor.budget_headers(self._compiled)
        return headers

    def settle(self, tokens: int, cost_nano: int) -> None:
        """The answer has ended, and used this. To be called before its row goes to the ledger."""
        if self._has_ended:
            return
        self._has_ended = True
        self._reservation.settle(time.monotonic_ns(), tokens=tokens, cost_nano=cost_nano)
        if self._compiled.rules.budgets:
            self._governor.settled(self._request_id, self._reservation)

    def cancel(self) -> None:
        """Nothing was used."""
        if not self._has_ended:
            self._has_ended = True
            self._reservation.cancel(time.monotonic_ns())
