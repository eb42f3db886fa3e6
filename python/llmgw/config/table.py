"""What all tables of the config file have in common."""

from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

FAULT: Final = "llmgw_fault"
"""The type of errors that tell their problem and their remedy themselves."""


class Table(BaseModel):
    """The base of all tables: no unknown keys, no conversions, no changes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True)


def told(problem: str, remedy: str) -> PydanticCustomError:
    """The error of a validator, in the two halves of a `faults.Fault`. Neither may show a secret."""
    return PydanticCustomError(FAULT, "{problem}; {remedy}", {"problem": problem, "remedy": remedy})
