"""Plays cases, each on its own or on a rig that it shares, and says how each went."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.faults.case import Case
from tests.faults.rig import Rig, Setup

CASE_TIMEOUT_S = 180.0
_SHOWN_CHARS = 1500


@dataclass(frozen=True)
class Result:
    """One row of the report."""

    number: int
    fault: str
    right: str
    ok: bool
    figure: str
    """Or what was wrong."""
    took_s: float


class Rigs:
    """Starts rigs when they are first needed; ends them all."""

    def __init__(self, folder: Path) -> None:
        """`folder` gets a folder for each rig."""
        self._folder = folder
        self._shared: dict[Setup, Rig] = {}
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self._stack.close()

    def shared(self, setup: Setup) -> Rig:
        """The one rig of this setup; a new one if the last user broke it."""
        rig = self._shared.get(setup)
        if rig is None or rig.gateway.process.process.poll() is not None:
            rig = self._shared[setup] = self._start(self._stack, setup)
        return rig

    def own(self, stack: ExitStack, setup: Setup) -> Rig:
        """A rig of its own, which ends with `stack`."""
        return self._start(stack, setup)

    def _start(self, stack: ExitStack, setup: Setup) -> Rig:
        self._count += 1
        return stack.enter_context(Rig.running(self._folder / f"rig-{self._count}", setup))


def run_case(case: Case, rigs: Rigs) -> Result:
    """Play one case. What goes wrong is in the result."""
    with ExitStack() as stack:
        begun = time.monotonic()
        try:
            rig = rigs.own(stack, case.setup) if case.setup.own else rigs.shared(case.setup)
            begun = time.monotonic()
            ok, figure = True, asyncio.run(_play(case, rig))
        except Exception as error:  # noqa: BLE001  (whatever it is, it is this case's result)
            ok, figure = False, f"{type(error).__name__}: {error}"[:_SHOWN_CHARS]
        return Result(case.number, case.fault, case.right, ok, figure, time.monotonic() - begun)


async def _play(case: Case, rig: Rig) -> str:
    async with asyncio.timeout(CASE_TIMEOUT_S):
        try:
            await rig.earn_retries()
            figure = await case.run(rig)
        except Exception:
            if not case.setup.own:
                with contextlib.suppress(Exception):  # the next case's account begins here
                    await rig.account()
            raise
        if not case.setup.own:  # a case of its own does this itself, as far as anything is left to ask
            (await rig.account()).check()
            assert (await rig.client.get("/healthz")).status == 200
    return figure


def run_cases(cases: Sequence[Case], folder: Path, say: Callable[[str], None]) -> Iterator[Result]:
    """Play them in their order, a line for each."""
    with Rigs(folder) as rigs:
        for case in cases:
            result = run_case(case, rigs)
            state = "ok    " if result.ok else "FAILED"
            say(f"{case.number:>3} {state} {result.took_s:6.1f} s  {case.fault}: {result.figure}")
            yield result
