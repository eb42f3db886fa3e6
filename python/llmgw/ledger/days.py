"""Daily sums: made from the hourly ones, and kept beside them by the ledger's writer."""

import logging
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from llmgw.budgets.windows import Window, window_of
from llmgw.store import REPORT_TIMEOUT_S, Store, UsageDay, UsageHour
from llmgw.store.wholes import whole_sum

logger = logging.getLogger(__name__)

KEYS: Final = tuple(column.name for column in UsageDay.__table__.primary_key)
COUNTERS: Final = tuple(column.name for column in UsageDay.__table__.columns if not column.primary_key)


def days_are_whole(connection: Connection, zone: tzinfo) -> bool:
    """False if some are missing, or if they are days of another time zone. Raises SQLAlchemyError."""
    first_hour = connection.scalar(select(func.min(UsageHour.hour)))
    days = _days(connection)
    if first_hour is None:
        return True
    has_first = bool(days) and days[0] <= first_hour
    return has_first and all(window_of("day", day, zone).starts_at == day for day in days)


def ensure_days(store: Store, zone: tzinfo) -> None:
    """Make them if they are not whole: after an update, or after a change of the time zone.

    Raises SQLAlchemyError.
    """
    with store.read(statement_timeout_s=REPORT_TIMEOUT_S) as session:
        if days_are_whole(session.connection(), zone):
            return
    logger.info("summing the ledger's hours to days")
    with store.write(statement_timeout_s=REPORT_TIMEOUT_S) as session:
        connection = session.connection()
        if days_are_whole(connection, zone):  # another machine that starts has just done it
            return
        connection.execute(delete(UsageDay))
        hours = connection.scalars(select(UsageHour.hour).distinct().order_by(UsageHour.hour))
        for day in sorted({window_of("day", hour, zone) for hour in hours}):
            _sum(connection, day)


def resum_day(connection: Connection, at: datetime, zone: tzinfo) -> None:
    """Make the day in which `at` lies again. Raises SQLAlchemyError."""
    day = window_of("day", at, zone)
    connection.execute(delete(UsageDay).where(UsageDay.day == day.starts_at))
    _sum(connection, day)


def _sum(connection: Connection, day: Window) -> None:
    grouped = [getattr(UsageHour, name) for name in KEYS[1:]]
    sums = [whole_sum(getattr(UsageHour, name)) for name in COUNTERS]
    query = select(*grouped, *sums).where(UsageHour.hour >= day.starts_at, UsageHour.hour < day.ends_at)
    rows = connection.execute(query.group_by(*grouped)).all()
    names = (*KEYS[1:], *COUNTERS)
    if rows:
        values = [{"day": day.starts_at, **dict(zip(names, row, strict=True))} for row in rows]
        connection.execute(insert(UsageDay), values)


def _days(connection: Connection) -> Sequence[datetime]:
    return connection.scalars(select(UsageDay.day).distinct().order_by(UsageDay.day)).all()
