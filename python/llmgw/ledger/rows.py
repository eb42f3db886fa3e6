"""How ledger entries become rows of the database, fast."""

from datetime import UTC, datetime
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Dialect
from sqlalchemy.dialects.sqlite import insert

from llmgw.ledger.entry import COSTS, MAX_COST, MAX_TOKENS, TOKEN_COUNTS, LedgerEntry
from llmgw.store import LedgerRow

if TYPE_CHECKING:
    from collections.abc import Callable


class Insertion:
    """The INSERT for one dialect of SQL, and rows for it.

    It is compiled once, and rows are built by hand: SQLAlchemy's own bulk insert takes three to six times as
    long (17 to 33 µs a row instead of 5) and holds the GIL meanwhile, which the requests need.
    """

    def __init__(self, dialect: Dialect) -> None:
        columns = tuple("time" if name == "time_s" else name for name in LedgerEntry._fields)
        values = insert(LedgerRow).values(dict.fromkeys(columns))
        # A replayed row is ignored if it is in the database already.
        statement = values.on_conflict_do_nothing(index_elements=["request_id"]).compile(dialect=dialect)
        order = statement.positiontup or ()
        self.sql = str(statement)
        self._pick: Callable[[LedgerEntry], tuple[Any, ...]] = itemgetter(*map(columns.index, order))
        self._time_at = order.index("time")
        capped = [*((name, MAX_TOKENS) for name in TOKEN_COUNTS), *((name, MAX_COST) for name in COSTS)]
        self._capped = tuple((order.index(name), cap) for name, cap in capped)
        time_text = LedgerRow.__table__.c.time.type.dialect_impl(dialect).bind_processor(dialect)
        self._time_text: Callable[[datetime], str] = time_text or str
        self._second = -1
        self._second_text = ""

    def row(self, entry: LedgerEntry) -> tuple[Any, ...]:
        """The entry's values, in the order of the statement's placeholders."""
        row = list(self._pick(entry))
        row[self._time_at] = self._time(entry.time_s)
        for at, cap in self._capped:
            value = row[at]
            if value is not None and not 0 <= value <= cap:
                row[at] = cap if value > cap else 0
        return tuple(row)

    def _time(self, time_s: float) -> str:
        """The text that `LedgerRow.time` writes; its last six digits are the microseconds."""
        second, microsecond = divmod(round(time_s * 1_000_000), 1_000_000)
        if second != self._second:
            # Formatted once per second, because there may be thousands of requests in it.
            self._second_text = self._time_text(datetime.fromtimestamp(second, UTC))[:-6]
            self._second = second
        return f"{self._second_text}{microsecond:06}"


insertion: Final = cache(Insertion)
