"""Sums of whole numbers that stay whole numbers: PostgreSQL's sum of a BIGINT is a NUMERIC."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Dialect, func
from sqlalchemy.types import TypeDecorator, TypeEngine

if TYPE_CHECKING:
    from sqlalchemy.sql._typing import _ColumnExpressionArgument


class _Whole(TypeDecorator[int]):
    """An int of any size in Python."""

    impl: TypeEngine[int] | type[TypeEngine[int]] = BigInteger
    cache_ok: bool | None = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """None for SQLite, whose sums are whole numbers: so nothing is called for each of them."""
        del coltype
        return None if dialect.name == "sqlite" else _int


def _int(value: Any) -> int | None:  # noqa: ANN401
    return None if value is None else int(value)


def whole_sum(
    column: "_ColumnExpressionArgument[Any]",
) -> ColumnElement[int]:
    """The sum; None of no rows."""
    return func.sum(column, type_=_Whole())
