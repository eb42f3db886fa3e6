"""The shape of every error."""

from pydantic import Field

from llmgw.admin.schemas.base import Schema


class FaultSchema(Schema):
    """One thing that is wrong."""

    param: str | None = Field(description="The path of the field or the parameter's name; null: the whole.")
    message: str


class ErrorDetail(Schema):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str = Field(description="See docs/api.md, Errors.")
    faults: list[FaultSchema] = Field(
        default=[], description="All that is wrong with the input; absent where the input is not at fault."
    )


class ErrorBody(Schema):
    """The body of every answer other than success."""

    error: ErrorDetail
