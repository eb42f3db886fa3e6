"""Limits shared by processes, some of which are killed in the middle of it."""

import mmap
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from llmgw._core import LimitPlan, LimitTable, Reservation

BUDGET: Final = "budget:1:0"
PLACE: Final = "concurrent:key:1"
LIMIT: Final = 20_000
KILLS: Final = 12
DEADLINE_S: Final = 60.0

Child = Callable[[LimitTable], None]


@contextmanager
def process(folder: Path, work: Child) -> Iterator[int]:
    """A worker process with a table of its own, killed at the end if it still runs."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(LimitTable.open(str(folder)))
            status = 0
        finally:
            os._exit(status)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def reserved(plan: LimitPlan, cost: int = 0) -> Reservation | None:
    outcome = plan.reserve(time.monotonic_ns(), input_tokens=0, output_tokens=0, cost_nano=cost)
    return outcome if isinstance(outcome, Reservation) else None


def held(table: LimitTable, descriptor: str) -> int:
    usage = table.usage(descriptor, 0)
    return usage[1] if usage else 0


class Shared:
    """Numbers that forked children and their parent have in common."""

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, 8 * count)

    def __getitem__(self, at: int) -> int:
        return int.from_bytes(self._memory[8 * at : 8 * at + 8], "little")

    def __setitem__(self, at: int, value: int) -> None:
        self._memory[8 * at : 8 * at + 8] = value.to_bytes(8, "little")


def until_grown(numbers: Shared, which: tuple[int, ...], least: int) -> None:
    """Wait until each of these numbers is so large."""
    until(lambda: all(numbers[at] >= least for at in which))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def test_field_b2_workers_spend_a_budget_to_the_last_unit_though_some_are_killed(tmp_path: Path) -> None:
    table = LimitTable.open(str(tmp_path))
    taken = Shared(4)  # what each worker has
    grants = Shared(4)
    refused = Shared(4)  # how often each was refused the last unit
    fill, stop = Shared(1), Shared(1)

    def spend(at: int) -> Child:
        def work(own: LimitTable) -> None:
            plan = LimitPlan(own, [], [(BUDGET, "nano", LIMIT)])
            kept: list[tuple[int, Reservation]] = []
            randomly = random.Random(at)
            while not stop[0]:
                if kept and not fill[0] and randomly.random() < len(kept) / 40:
                    cost, oldest = kept.pop(0)
                    oldest.cancel()
                    taken[at] -= cost
                    continue
                cost = 1 if fill[0] else randomly.randint(1, LIMIT // 50)
                reservation = reserved(plan, cost)
                if reservation is not None:
                    kept.append((cost, reservation))
                    taken[at] += cost
                    grants[at] += 1
                elif fill[0]:
                    refused[at] += 1
            for _, reservation in kept:
                reservation.cancel()

        return work

    with process(tmp_path, spend(0)), process(tmp_path, spend(1)):
        for kill in range(1, KILLS):
            grants[2] = grants[3] = 0
            with process(tmp_path, spend(2)), process(tmp_path, spend(3)):
                until_grown(grants, (2, 3), 20 * kill)
            # Until somebody sweeps (a worker that waits for a killed one does), what these had is held.
            table.sweep()
        fill[0] = 1
        until_grown(refused, (0, 1), 3)
        assert taken[0] + taken[1] == LIMIT
        assert held(table, BUDGET) == LIMIT
        stop[0] = 1
        until(lambda: held(table, BUDGET) == 0)


def test_where_one_may_be_there_are_never_two_though_they_are_killed_there(tmp_path: Path) -> None:
    table = LimitTable.open(str(tmp_path))
    inside, broken = Shared(1), Shared(1)
    rounds = Shared(3)

    def enter(at: int) -> Child:
        def work(own: LimitTable) -> None:
            plan = LimitPlan(own, [], [(PLACE, "requests", 1)])
            while True:
                reservation = reserved(plan)
                if reservation is None:
                    continue
                inside[0] = own.slot
                for _ in range(50):
                    if inside[0] != own.slot:
                        broken[0] = 1
                rounds[at] += 1
                reservation.cancel()

        return work

    with process(tmp_path, enter(0)), process(tmp_path, enter(1)):
        for kill in range(1, KILLS):
            rounds[2] = 0
            with process(tmp_path, enter(2)):
                until_grown(rounds, (2,), 10 * kill)  # and killed wherever it is by then
            table.sweep()
            rounds[0] = rounds[1] = 0
            until_grown(rounds, (0, 1), 1)
            assert broken[0] == 0
    table.sweep()
    assert held(table, PLACE) == 0


def test_a_killed_workers_rate_stays_counted_and_its_slot_is_used_again(tmp_path: Path) -> None:
    table = LimitTable.open(str(tmp_path), slots=2)
    plan = LimitPlan(table, [("rpm:key:1", "requests", 10)], [])
    done = Shared(1)

    def work(own: LimitTable) -> None:
        theirs = LimitPlan(own, [("rpm:key:1", "requests", 10)], [])
        kept = [reserved(theirs) for _ in range(7)]
        done[0] = own.slot + len(kept)
        while True:
            signal.pause()

    for _ in range(3):
        with process(tmp_path, work):
            until(lambda: done[0] == 1 + 7)
            with pytest.raises(OSError, match="all 2 slots are taken"):
                LimitTable.open(str(tmp_path))
        done[0] = 0
    assert [reserved(plan) is not None for _ in range(2)] == [False, False]
    assert table.sweep() == 1


def test_a_table_that_nobody_uses_forgets_what_budgets_have_cost(tmp_path: Path) -> None:
    """An admin may have set the database's figure lower; rates stay as they are."""

    def spent(table: LimitTable) -> int:
        usage = table.usage(BUDGET, 0)
        return usage[0] if usage else 0

    def one_a_minute(table: LimitTable) -> Reservation | None:
        return reserved(LimitPlan(table, [("rpm:key:1", "requests", 1)], []))

    first = LimitTable.open(str(tmp_path))
    first.raise_base(BUDGET, 7)
    assert one_a_minute(first) is not None
    second = LimitTable.open(str(tmp_path))
    assert spent(second) == 7, "whoever runs beside goes by it"
    first.abandon()
    second.abandon()
    third = LimitTable.open(str(tmp_path))
    assert spent(third) == 0
    assert one_a_minute(third) is None
