"""What a case is: one of the faults, by its number, with what is right and how that is judged."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.faults.rig import Rig, Setup

Run: TypeAlias = Callable[[Rig], Awaitable[str]]
"""Plays the fault. Returns the figure for the report; AssertionError says what was wrong."""


@dataclass(frozen=True)
class Case:
    """One fault."""

    number: int
    fault: str
    right: str
    run: Run
    setup: Setup


CASES: Final[dict[int, Case]] = {}
"""By number; filled when the modules in `cases/` are imported."""


def case(number: int, fault: str, right: str, setup: Setup = Setup()) -> Callable[[Run], Run]:  # noqa: B008  (frozen)
    """Register a fault: what happens, what is right then, and the rig that it needs."""

    def register(run: Run) -> Run:
        assert number not in CASES, number
        CASES[number] = Case(number, fault, right, run, setup)
        return run

    return register
