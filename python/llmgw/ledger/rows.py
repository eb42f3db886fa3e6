"""Ledger entries as rows of the database."""

from datetime import UTC, datetime
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Dialect
from sqlalchemy.dialects.sqlite import insert

from llmgw.ledger.entry import TOKEN_COUNTS, LedgerEntry
from llmgw.store import LedgerRow

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_TOKENS: Final = 2**40
"""More than any answer has. What an upstream claims beyond it would only make the sums overflow."""


class Insertion:
    """The INSERT for one dialect of SQL, and rows for it.

    Compiled once, and rows are made by picking: SQLAlchemy's own bulk insert takes three to six times as long
    (5 against 17 to 33 µs a row) while it holds the interpreter that the requests need.
    """

    def __init__(self, dialect: Dialect) -> None:
        columns = tuple("time" if name == "time_s" else name for name in LedgerEntry._fields)
        values = insert(LedgerRow).values(dict.fromkeys(columns))
        # A request has one row, however often it is replayed.
        statement = values.on_conflict_do_nothing(index_elements=["request_id"]).compile(dialect=dialect)
        order = statement.positiontup or ()
        self.sql = str(statement)
        self._pick: Callable[[LedgerEntry], tuple[Any, ...]] = itemgetter(*map(columns.index, order))
        self._time_at = order.index("time")
        self._counts_at = tuple(map(order.index, TOKEN_COUNTS))
        time_text = LedgerRow.__table__.c.time.type.dialect_impl(dialect).bind_processor(dialect)
        self._time_text: Callable[[datetime], str] = time_text or str
        self._second = -1
        self._second_text = ""

    def row(self, entry: LedgerEntry) -> tuple[Any, ...]:
        """The entry's values, in the order of the statement's placeholders."""
        row = list(self._pick(entry))
        row[self._time_at] = self._time(entry.time_s)
        for at in self._counts_at:
            if row[at] is not None and row[at] > _MAX_TOKENS:
                row[at] = _MAX_TOKENS
        return tuple(row)

    def _time(self, time_s: float) -> str:
        """As `LedgerRow.time` writes it: to the microsecond, which are its last six digits."""
        second, microsecond = divmod(round(time_s * 1_000_000), 1_000_000)
        if second != self._second:
            # Thousands of requests may come within one.
            self._second_text = self._time_text(datetime.fromtimestamp(second, UTC))[:-6]
            self._second = second
        return f"{self._second_text}{microsecond:06}"


insertion: Final = cache(Insertion)
