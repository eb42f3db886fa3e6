"""Until when rows were deleted, so that none of them is counted again, and who deletes.

A row may be in a journal although the database has it: the process died, or its connection broke, between the
commit and the removal of the journal. It is known by its id, until it is deleted. A machine deletes nothing
while its own journals have rows, but what other machines' journals have nobody knows. So the transaction that
deletes notes the time of the latest row that is gone, and a row of a journal that is not later is left out.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select, update

from llmgw.budgets.windows import BEGINNING
from llmgw.ledger.entry import LedgerEntry
from llmgw.store import LedgerRow, Pruned

TURN: Final = timedelta(seconds=30)
"""A machine that has deleted nothing for so long may be gone."""
_MICROSECOND: Final = timedelta(microseconds=1)


def too_late(connection: Connection, entries: Collection[LedgerEntry]) -> set[str]:
    """The ids of entries that may have been stored, counted and deleted. Raises SQLAlchemyError.

    Until the transaction's end nobody deletes rows.
    """
    until = connection.scalar(select(Pruned.until).with_for_update(read=True))
    if until is None:
        return set()
    until_us = (until - BEGINNING) // _MICROSECOND
    old = {entry.request_id for entry in entries if round(entry.time_s * 1_000_000) <= until_us}
    if not old:
        return set()
    there = select(LedgerRow.request_id).where(LedgerRow.request_id.in_(old), LedgerRow.time <= until)
    return old.difference(connection.scalars(there))


def take_turn(connection: Connection, machine: str, now: datetime) -> bool:
    """False while another machine deletes. Nobody replays a journal until the transaction's end.

    Raises SQLAlchemyError.
    """
    row = connection.execute(select(Pruned.machine, Pruned.at).with_for_update()).one()
    # The clocks of machines differ, and one may be wrong by years.
    if row.machine not in (None, machine) and row.at is not None and abs(now - row.at) < TURN:
        return False
    connection.execute(update(Pruned).values(machine=machine, at=now))
    return True


def note_pruned(connection: Connection, until: datetime) -> None:
    """This transaction deletes rows up to this time. Raises SQLAlchemyError."""
    is_later = Pruned.until.is_(None) | (Pruned.until < until)
    connection.execute(update(Pruned).where(is_later).values(until=until))
