"""Shared limits that are asked while a body still arrives: a wrong guess counts for nothing."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llmgw._core import LimitTable
from llmgw.budgets.budget import Budget
from llmgw.config import Config
from llmgw.errors import ApiError
from llmgw.limits.early import EARLY_BYTES, MAX_EARLY_BYTES, Early
from llmgw.limits.estimates import Need
from llmgw.limits.governor import Governor
from llmgw.limits.grant import Grant
from llmgw.limits.redis import RedisLimits
from llmgw.limits.rules import NO_LIMITS, LimitRule, Limits
from llmgw.redis import connect
from tests.support.configs import load, with_upstream
from tests.support.redis import RedisServer

SIZE = 400_000
TOKENS = SIZE // 4
GENEROUS_S = 20.0
RPM, TPM, PLACES, TOTAL = 100, 1_000_000, 10, 10_000_000


class Key(NamedTuple):
    """What the governor must know of one."""

    limits: tuple[LimitRule, ...]
    budgets: tuple[Budget, ...]
    id: int = 7
    name: str = "batch"


class Model(NamedTuple):
    """The same."""

    id: str = "m"
    limits: Limits = NO_LIMITS
    max_output_tokens: int | None = None
    writes: bool = True
    prices: tuple[None, ...] = ()


KEY = Key(
    (LimitRule("key", 7, "batch", None, per_user=False, limits=Limits(RPM, TPM, PLACES)),),
    (
        Budget(
            id=1,
            scope="key",
            scope_id=7,
            name="batch",
            model=None,
            per_user=False,
            unit="tokens",
            amount=TOTAL,
            period="total",
            warn_at_permille=None,
        ),
    ),
)
MODEL, OTHER = Model(), Model("other")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(tmp_path, with_upstream(""))


class Case:
    """A governor whose limits are in Redis, and a key that has asked once."""

    def __init__(self, limits: RedisLimits, config: Config) -> None:
        self.limits = limits
        self.begun_s = time.monotonic()
        self.governor = Governor(limits.table, config, shared=limits)

    async def admit(self, need: Need, *, early: Early | None = None, model: Model = MODEL) -> Grant | None:
        """As a request does."""
        return await self.governor.admit(
            KEY,
            model,
            need,
            images=0,
            user=None,
            at_s=datetime.now(UTC).timestamp(),
            request_id="r",
            family="openai",
            early=early,
        )

    def begin(self, size_bytes: int = SIZE) -> Early | None:
        """The body begins to arrive."""
        return self.governor.begin(KEY, size_bytes, datetime.now(UTC).timestamp())

    async def used(self) -> tuple[int, int, int, int]:
        """Requests, tokens, places and tokens of the budget, once Redis knows all."""
        deadline_s = time.monotonic() + GENEROUS_S
        while self.limits.keeper._changed:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.002)
        rates = [("rpm:key:7", "requests", RPM), ("tpm:key:7", "tokens", TPM)]
        holds = [("concurrent:key:7", "requests", PLACES, None), ("budget:1:0", "tokens", 0, None)]
        refusal: Any = await self.limits.plan(rates, holds).reserve(  # type: ignore[arg-type]
            input_tokens=1, output_tokens=0, cost_nano=0
        )
        requests, tokens = refusal.strictest
        descriptor = self.governor._compiled(KEY, MODEL, None, datetime.now(UTC).timestamp()).rules.budgets[0]
        _, held, _ = self.limits.usage(descriptor.descriptor, 0) or (0, 0, 0)
        return RPM - requests[1], TPM - tokens[1], len(self.limits.keeper._open), held


def run(server: RedisServer, config: Config, test: Any) -> None:  # noqa: ANN401 - a coroutine function
    async def within() -> None:
        limits = RedisLimits(connect(server.url), LimitTable.in_memory(), machines=2, timeout_s=10)
        await limits.start()
        try:
            case = Case(limits, config)
            first = await case.admit(Need(0, 50))
            assert first is not None
            first.cancel()
            await test(case)
        finally:
            await limits.close()

    asyncio.run(within())


async def near(case: Case, requests: int, tokens: int, places: int) -> None:
    """So much is used, once Redis knows all; of rates, less what has drained since the case began.

    What is told may still be on its way. Places and the budget show when it has come, since neither drains,
    and rates are looked at in that moment.
    """
    deadline_s = time.monotonic() + GENEROUS_S
    while (used := await case.used())[2:] != (places, tokens):
        assert time.monotonic() < deadline_s, used
        await asyncio.sleep(0.01)
    passed_s = time.monotonic() - case.begun_s
    assert requests - max(3, passed_s * RPM / 60 + 1) <= used[0] <= requests + 1, used
    assert tokens - max(50_000, passed_s * TPM / 60 + 1) <= used[1] <= tokens + 1, used


async def answered(early: Early | None) -> None:
    """The guess, whatever becomes of it."""
    assert early is not None
    assert early._asked is not None
    await asyncio.wait([early._asked])


def test_what_was_reserved_too_much_is_given_back(server: RedisServer, config: Config) -> None:
    async def test(case: Case) -> None:
        early = case.begin()
        grant = await case.admit(Need(TOKENS // 2, 20), early=early)
        assert grant is not None
        await near(case, 2, TOKENS // 2 + 20, 1)
        [reservation] = case.limits.keeper._open.values()
        assert [hold.amount for hold in reservation.holds] == [1, TOKENS // 2 + 20]

    run(server, config, test)


@pytest.mark.parametrize(
    ("need", "model"),
    [(Need(2 * TOKENS, 50), MODEL), (Need(TOKENS // 2, 50), OTHER)],
    ids=["more than was announced", "another model"],
)
def test_a_wrong_guess_counts_for_nothing(
    server: RedisServer, config: Config, need: Need, model: Model
) -> None:
    async def test(case: Case) -> None:
        early = case.begin()
        guess = asyncio.create_task(answered(early))
        await asyncio.sleep(0)
        assert await case.admit(need, early=early, model=model) is not None
        await guess
        await near(case, 2, sum(need), 1)

    run(server, config, test)


@pytest.mark.parametrize("comes_back", [False, True], ids=["at once", "after the answer"])
def test_a_body_that_never_comes_counts_for_nothing(
    server: RedisServer, config: Config, *, comes_back: bool
) -> None:
    async def test(case: Case) -> None:
        early = case.begin()
        assert early is not None
        guess = asyncio.create_task(answered(early))
        await asyncio.sleep(0)
        if comes_back:
            await guess
        early.abandon()
        early.abandon()
        await guess
        await near(case, 1, 0, 0)

    run(server, config, test)


def test_a_refusal_of_the_guess_decides_nothing(server: RedisServer, config: Config) -> None:
    async def test(case: Case) -> None:
        filling = await case.admit(Need(TPM - TOKENS, 0))
        assert filling is not None
        early = case.begin(MAX_EARLY_BYTES)  # more than is left
        assert await case.admit(Need(10, 0), early=early) is not None
        with pytest.raises(ApiError, match="tokens per minute"):
            await case.admit(Need(TPM, 0), early=case.begin(MAX_EARLY_BYTES))

    run(server, config, test)


def test_only_what_takes_a_while_is_begun(server: RedisServer, config: Config) -> None:
    async def test(case: Case) -> None:
        for size_bytes in (0, EARLY_BYTES - 1, MAX_EARLY_BYTES + 1):
            assert case.begin(size_bytes) is None
        stranger = KEY._replace(id=8)
        assert case.governor.begin(stranger, SIZE, time.time()) is None

    run(server, config, test)
