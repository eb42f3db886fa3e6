"""What all tables have in common."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Dialect, Integer
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC, because SQLite drops the zone."""

    impl: TypeEngine[datetime] | type[TypeEngine[datetime]] = DateTime
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """An aware datetime becomes a naive one in UTC. Raises ValueError for a naive one."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a time without a zone can't be stored"
            raise ValueError(message)
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """A naive datetime in UTC becomes an aware one."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The migrations must produce this class's metadata."""

    type_annotation_map: ClassVar[dict[type, type[TypeEngine[Any]] | TypeEngine[Any]]] = {
        datetime: UtcDateTime,
        # An integer of SQLite has 64 bits whatever it is called, and only an INTEGER counts by itself.
        int: BigInteger().with_variant(Integer(), "sqlite"),
    }
