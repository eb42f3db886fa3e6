"""The battery's seconds: some cases by themselves, and a short mix of all. `make faults` plays all of it."""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from tests.faults import soak
from tests.faults.case import CASES
from tests.faults.cases import (
    clients,
    databases,
    doors,
    governance,
    operations,
    processes,
    several_machines,
    upstream,
)
from tests.faults.rig import Rig
from tests.faults.runner import Rigs, run_case

pytestmark = pytest.mark.alone

MODULES = (
    upstream,
    clients,
    operations,
    processes,
    doors,
    governance,
    several_machines,
    databases,
)  # importing them has registered their cases
LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="looks into /proc, and sets limits of other processes"
)
QUICK = (
    1, 5, 6, 7, 9, 10, 12, 13, 14, 15, 18, 19, 20, 22, 23, 24, 26, 28,
    29, 32, 35, 38, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55,
)  # fmt: skip
MIX_S = 6.0
USERS = 12


@pytest.fixture(scope="module")
def rigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rigs]:
    """Gateways that the cases share."""
    with Rigs(tmp_path_factory.mktemp("faults")) as started:
        yield started


def test_none_is_missing() -> None:
    assert {*range(1, 41), *range(46, 55)} <= set(CASES)
    assert {*range(1, 41), 46, 49, *range(50, 56)} <= set(CASES)


@LINUX
@pytest.mark.parametrize("number", QUICK, ids=lambda number: f"{number}: {CASES[number].fault}")
def test_alone(rigs: Rigs, number: int) -> None:
    result = run_case(CASES[number], rigs)
    assert result.ok, result.figure


@LINUX
def test_all_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Rig.running(tmp_path_factory.mktemp("mix"), soak.MIX) as rig:
        found = asyncio.run(soak.mixed(rig, seconds=MIX_S, seed=1, users=USERS, disturbed=False))
    assert not found.faults, "\n".join([*found.faults, *found.lines])
    assert found.result.requests > USERS
