"""What all schemas have in common: times, amounts of money, names, pages."""

import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from llmgw.access.checks import MAX_NAME_LENGTH
from llmgw.admin.paging import DEFAULT_LIMIT, MAX_CURSOR_CHARS, MAX_LIMIT
from llmgw.budgets.money import amount_text

T = TypeVar("T")
MAX_FILTER_CHARS: Final = 512
MAX_ID: Final = 2**63 - 1
FAULT: Final = "llmgw_input"
"""The type of pydantic errors whose message is the operator's already."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_TIME_EXAMPLE: Final = "2026-11-26T08:00:00Z"


class Schema(BaseModel):
    """The base of all: no unknown members, no changes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


def fault(message: str) -> PydanticCustomError:
    """The error of a validator. `message` goes on from the name of the field: "is empty"."""
    return PydanticCustomError(FAULT, "{message}", {"message": message})


def _time(value: object) -> datetime:
    """RFC 3339, with its offset; a datetime that our own code made stays."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            # Python 3.11 takes at most six digits of a second.
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.upper())).astimezone(UTC)
        except (ValueError, OverflowError):  # such as the 31st of February, or a year 0
            pass
    raise fault(f"must be a time such as {_TIME_EXAMPLE}")


def told_time(value: datetime) -> str:
    """RFC 3339 in UTC; milliseconds only where there are any."""
    precision = "milliseconds" if value.microsecond >= 1000 else "seconds"  # noqa: PLR2004
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    PlainSerializer(told_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": [_TIME_EXAMPLE]}),
]
"""RFC 3339. What is answered is in UTC."""


def _visible(value: object) -> object:
    """A name goes into logs, headers and terminals."""
    if isinstance(value, str) and not value.isprintable():
        raise fault("holds a line break or another character that can't be seen")
    return value


Text = Annotated[str, StringConstraints(strict=True, max_length=MAX_NAME_LENGTH), BeforeValidator(_visible)]
"""One line of the operator's words, which may be empty."""
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Count = Annotated[int, Field(ge=0)]
Money = Annotated[str, Field(examples=["10.00"])]
"""An exact decimal number of the currency beside it."""


def money_or_none(nano: int | None) -> str | None:
    """10⁻⁹ of a currency's unit as a decimal number; None stays."""
    return None if nano is None else amount_text(nano, "")


class Page(Schema, Generic[T]):
    """A part of a list."""

    data: list[T]
    next_cursor: str | None = Field(
        description="Send it as `cursor` to get the next page; null: this is the last one.", examples=[None]
    )


class PageQuery(Schema):
    """Which part of a list is wanted."""

    limit: int = Field(
        default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="The most entries of this page."
    )
    cursor: str | None = Field(
        default=None, max_length=MAX_CURSOR_CHARS, description="`next_cursor` of the page before."
    )
