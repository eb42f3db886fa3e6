"""How ledger entries become rows of PostgreSQL, fast, and add to the sums there, beside other machines."""

from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection

from llmgw.budgets.spend import MAX_SPENT, time_text
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.rows import CAPS, Groups, TimeTexts, first_of
from llmgw.store import LedgerRow, UsageDay, UsageHour
from llmgw.store.arrays import array_text, insertion_of_arrays, quote, storable

_TIME: Final = LedgerEntry._fields.index("time_s")
_REQUEST_ID: Final = LedgerEntry._fields.index("request_id")
_request_id: Final = itemgetter(_REQUEST_ID)
_CAPPED: Final = tuple((LedgerEntry._fields.index(name), cap) for name, cap in CAPS.items())


class PostgresStatements:
    """See `ledger.statements`."""

    appends_alone: bool = False

    def __init__(self) -> None:
        names = ("time", *LedgerEntry._fields[1:])
        inserted = insertion_of_arrays(LedgerRow, names)
        self._sql = f"{inserted} ON CONFLICT (request_id, time) DO NOTHING RETURNING request_id"
        self._time_text = TimeTexts().of

    def insert(self, connection: Connection, batch: Sequence[LedgerEntry]) -> Sequence[LedgerEntry]:
        """Insert the rows that are not there yet, and return those."""
        if not batch:
            return batch
        # In one order everywhere: two transactions that have some of the same rows wait at most once.
        batch = sorted(batch, key=_request_id)
        columns: list[Sequence[Any]] = list(zip(*batch, strict=True))
        columns[_TIME] = [*map(self._time_text, columns[_TIME])]
        for at, cap in _CAPPED:
            columns[at] = [None if each is None else min(max(each, 0), cap) for each in columns[at]]
        values = tuple(map(array_text, columns))
        inserted = connection.exec_driver_sql(self._sql, values).scalars().all()
        if len(inserted) == len(batch):
            return batch
        if "\\" in values[_REQUEST_ID]:  # of a journal that another program has written
            batch = [entry._replace(request_id=storable(entry.request_id)) for entry in batch]
        return first_of(batch, inserted)

    def add(self, connection: Connection, table: type[UsageHour | UsageDay], groups: Groups) -> None:
        """Add to the sums.

        Rows are locked in the order of their keys, so that two appends wait for one another at most once.
        """
        keys, counters = zip(*sorted(groups.items()), strict=True)
        first, *others = zip(*keys, strict=True)
        columns = ([*map(time_text, first)], *others, *zip(*counters, strict=True))
        connection.exec_driver_sql(_upsertion(table), tuple(map(array_text, columns)))


@cache
def _upsertion(table: type[UsageHour | UsageDay]) -> str:
    columns = table.__table__.columns
    keys = ", ".join(quote(column.name) for column in columns if column.primary_key)
    # Of a sum that is too large, PostgreSQL would refuse the rows. No counter comes to more than that.
    grown = ", ".join(
        f"{name} = least({table.__tablename__}.{name}, {MAX_SPENT} - excluded.{name}) + excluded.{name}"
        for name in (quote(column.name) for column in columns if not column.primary_key)
    )
    names = [column.name for column in columns]
    return f"{insertion_of_arrays(table, names)} ON CONFLICT ({keys}) DO UPDATE SET {grown}"
