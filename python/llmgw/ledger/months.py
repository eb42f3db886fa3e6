"""The ledger's partitions on PostgreSQL: one for each month in UTC, and `ledger_default` for all other rows.

They are made ahead, so that no row has to be moved; if that fails for weeks, rows go to the default partition
and are moved when their month is made. A month that is too old is dropped as a whole, which takes a moment,
where deleting its rows would take hours. Both need the whole table for themselves. They wait for it only a
little, since others wait behind them, and are tried again later.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from llmgw.ledger.pruned import note_pruned, take_turn
from llmgw.store import LedgerRow, Store

AHEAD: Final = 2
"""Months that are made before they begin."""
TRIES: Final = 10
_PAUSE_S: Final = 0.5
_BUSY_TIMEOUT_S: Final = 0.2
"""How long everybody waits behind us for those who read or write."""
_NAME: Final = re.compile(r"ledger_(\d{4})_(\d\d)")
_EXISTING: Final = """\
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'ledger'::regclass"""

Wait = Callable[[float], bool]


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


class Month(NamedTuple):
    """Of a year."""

    year: int
    month: int

    @classmethod
    def of(cls, at: datetime) -> "Month":
        """The one in which an aware datetime lies, in UTC."""
        at = at.astimezone(UTC)
        return cls(at.year, at.month)

    @property
    def following(self) -> "Month":
        """The next one."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def starts_at(self) -> datetime:
        """In UTC."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def partition(self) -> str:
        """Its table's name, which needs no quotes."""
        return f"ledger_{self.year:04}_{self.month:02}"


def has_months(store: Store) -> bool:
    """False for SQLite, which has one table."""
    return store.dialect == "postgresql"


def months_between(first: datetime, last: datetime) -> Iterator[Month]:
    """Those that have any of this time, with both ends."""
    month = Month.of(first)
    while month <= Month.of(last):
        yield month
        month = month.following


def make_months(store: Store, now: datetime, *, wait: Wait = _sleep) -> Sequence[Month]:
    """Make this month's partition and those of the next ones, if they are missing; those that were made.

    Of several machines that do it, each does what is left. `wait`: for seconds; True: it is to end. Raises
    SQLAlchemyError.
    """
    if not has_months(store):
        return []
    wanted = [Month.of(now)]
    for _ in range(AHEAD):
        wanted.append(wanted[-1].following)
    with store.read() as session:
        existing = _existing(session.connection())
    return [month for month in wanted if month not in existing and _attempt(store, month, make_month, wait)]


def make_month(session: Session, month: Month) -> bool:
    """Make a partition, within a transaction of `Store.write`. False: it is there. Raises SQLAlchemyError."""
    connection = session.connection()
    if month in _existing(connection):
        return False
    name, begin, end = month.partition, *map(_literal, (month.starts_at, month.following.starts_at))
    is_of_it = f"time >= {begin} AND time < {end}"
    moved = f"WITH moved AS (DELETE FROM ledger_default WHERE {is_of_it} RETURNING *)"  # noqa: S608  (of digits)
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE ledger INCLUDING ALL EXCLUDING IDENTITY)")
    connection.exec_driver_sql(f"{moved} INSERT INTO {name} SELECT * FROM moved")  # noqa: S608
    bounds = f"FOR VALUES FROM ({begin}) TO ({end})"
    connection.exec_driver_sql(f"ALTER TABLE ledger ATTACH PARTITION {name} {bounds}")
    return True


def make_months_of(source: Session, target: Session) -> None:
    """Make those of all rows of another database, which are to come here. Within a transaction of `write`.

    Raises SQLAlchemyError.
    """
    if target.connection().dialect.name != "postgresql":
        return
    first = select(func.min(LedgerRow.time))
    at = source.scalar(first)
    while at is not None:
        month = Month.of(at)
        make_month(target, month)
        at = source.scalar(first.where(LedgerRow.time >= month.following.starts_at))


def drop_months(
    store: Store, oldest: datetime, *, machine: str, now: datetime, wait: Wait = _sleep
) -> Sequence[Month]:
    """Drop those that have no rows from `oldest` on; those that were dropped. Raises SQLAlchemyError.

    `machine` and `now`: see `take_turn`; `wait`: see `make_months`.
    """
    if not has_months(store):
        return []
    with store.read() as session:
        existing = _existing(session.connection())

    def drop(session: Session, month: Month) -> bool:
        connection = session.connection()
        if month not in _existing(connection) or not take_turn(connection, machine, now):
            return False
        name = month.partition
        connection.exec_driver_sql("LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE")
        last = connection.exec_driver_sql(f"SELECT max(time) FROM {name}").scalar()  # noqa: S608  (of digits)
        if last is not None:
            note_pruned(connection, last.replace(tzinfo=UTC))
        connection.exec_driver_sql(f"DROP TABLE {name}")
        return True

    old = [month for month in existing if month.following.starts_at <= oldest]
    return [month for month in old if _attempt(store, month, drop, wait)]


def _attempt(store: Store, month: Month, change: Callable[[Session, Month], bool], wait: Wait) -> bool:
    """Raises SQLAlchemyError if the table was in use each time."""
    for left in reversed(range(TRIES)):
        try:
            with store.write(busy_timeout_s=_BUSY_TIMEOUT_S) as session:
                return change(session, month)
        except SQLAlchemyError:
            if not left or wait(_PAUSE_S):
                raise
    return False


def _existing(connection: Connection) -> list[Month]:
    """Those that were made here, in order; others may have been made by hand."""
    names = connection.exec_driver_sql(_EXISTING).scalars()
    found = [match for name in names if (match := _NAME.fullmatch(name))]
    return sorted(Month(int(match[1]), int(match[2])) for match in found)


def _literal(at: datetime) -> str:
    return f"'{at:%Y-%m-%d %H:%M:%S}'"
