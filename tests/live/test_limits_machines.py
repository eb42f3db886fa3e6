"""Two gateways with tables of their own, as two machines have them, and one Redis."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from llmgw.access.keys import create_key
from llmgw.access.settings import BudgetSetting, LimitChange
from llmgw.store import open_store
from tests.support.chat import body
from tests.support.gateway import CHAT_COMPLETIONS, Gateway, config_text
from tests.support.limits import assert_granted
from tests.support.processes import wait_until
from tests.support.redis import RedisServer
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

SOON_S = 20.0
PLACE_EVERY_S = 5.0
"""What 12 requests per minute give back."""
MODEL = "glm-5"
GONE = "the limits' Redis is gone"
TRIES = 3
T = TypeVar("T")


class Machines:
    """Two of two workers each, which know the same keys."""

    def __init__(self, stack: ExitStack, folder: Path, text: str) -> None:
        """Keys are made before the start: each machine has a copy of the database here."""
        self.keys: dict[str, str] = {}
        original = folder / "original.db"
        store = open_store(f"sqlite:///{original}")
        rpm = LimitChange({"requests_per_minute": 12})
        places = LimitChange({"concurrent_requests": 4})
        limits = {f"{name}-{turn}": rpm for name in ("rpm", "large") for turn in range(TRIES)}
        for name, limit in {**limits, "paced": rpm, "places": places}.items():
            self.keys[name] = create_key(store, actor="test", name=name, limits=[limit]).token
        budget = BudgetSetting(10_000, "tokens", "total")
        self.keys["budget"] = create_key(store, actor="test", name="budget", budgets=[budget]).token
        store.close()
        self.gateways = []
        for name in ("left", "right"):
            (folder / name).mkdir()
            with (
                closing(sqlite3.connect(original)) as source,
                closing(sqlite3.connect(folder / name / "gateway.db")) as target,
            ):
                source.backup(target)
            self.gateways.append(stack.enter_context(Gateway(folder / name, text)))

    def ask(self, key: str, number: int) -> Counter[int]:
        """The statuses of so many requests at once, half of them on each machine."""

        async def run() -> list[int]:
            async with httpx.AsyncClient(trust_env=False, timeout=SOON_S) as client:
                answers = await asyncio.gather(
                    *(
                        client.post(
                            f"{self.gateways[turn % 2].url}{CHAT_COMPLETIONS}",
                            headers=self.gateways[turn % 2].headers(self.keys[key]),
                            json=body(MODEL, max_tokens=20),
                        )
                        for turn in range(number)
                    )
                )
            return [answer.status_code for answer in answers]

        return Counter(asyncio.run(run()))

    def warnings(self) -> list[str]:
        """Of both machines, as the worker says that happens to answer."""
        reports = [httpx.get(f"{gateway.url}/readyz", trust_env=False).json() for gateway in self.gateways]
        return [warning for report in reports for warning in report.get("warnings", [])]

    def undisturbed(self, name: str, look: Callable[[str], T]) -> T:
        """What is found with a fresh key while Redis is there for both.

        A worker that gets no answer within a quarter of a second takes its machine's share, as it should: on
        a machine that stalls, it is tried again with another key.
        """
        turn = 0
        while True:
            gone = self._told_gone()
            found = look(f"{name}-{turn}")
            turn += 1
            if self._told_gone() == gone or turn == TRIES:
                return found
            wait_until(lambda: self.up() == [1, 1], "Redis is back", timeout_s=SOON_S)

    def _told_gone(self) -> int:
        """How often the workers have said that Redis is gone."""
        return sum(gateway.process.output.count(GONE) for gateway in self.gateways)

    def up(self) -> list[float]:
        """`llmgw_limits_redis_up` of each."""
        texts = [httpx.get(f"{gateway.url}/metrics", trust_env=False).text for gateway in self.gateways]
        return [
            float(line.rsplit(" ", 1)[1])
            for text in texts
            for line in text.splitlines()
            if line.startswith("llmgw_limits_redis_up")
        ]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
    redis: RedisServer,
) -> Iterator[Machines]:
    text = config_text(simulator.url, scripted.base_url, server="workers = 2")
    text += f'\n[limits]\nmachines = 2\n\n[cache]\nurl = "{redis.url}"\n'
    with ExitStack() as stack:
        made = Machines(stack, tmp_path_factory.mktemp("machines"), text)
        wait_until(lambda: made.up() == [1, 1], "both ask Redis", timeout_s=SOON_S)
        yield made


def test_limits_are_exact_over_both_machines(machines: Machines) -> None:
    def look(key: str) -> tuple[Counter[int], float]:
        since_s = time.monotonic()
        return machines.ask(key, 40), since_s

    counts, since_s = machines.undisturbed("rpm", look)
    assert_granted(counts, 12, since_s=since_s)
    assert machines.warnings() == []


def test_places_and_budgets_come_back_over_both_machines(machines: Machines) -> None:
    assert machines.ask("places", 4) == {200: 4}
    for _ in range(2):
        # A request does not wait until Redis has heard of its end.
        wait_until(lambda: machines.ask("places", 4) == {200: 4}, "all places", timeout_s=SOON_S)
    served = machines.ask("budget", 8)
    assert served == {200: 8}


def test_large_bodies_are_counted_once(machines: Machines) -> None:
    """Their limits are asked before they have come (`llmgw.limits.early`)."""
    gateway = machines.gateways[0]
    messages = [{"role": "user", "content": "word " * 40_000}]
    content = httpx.Request("POST", "http://x", json=body(MODEL, messages=messages, max_tokens=20)).content

    def look(key: str) -> tuple[list[int], int]:
        headers = gateway.headers(machines.keys[key])
        with httpx.Client(trust_env=False, timeout=SOON_S, headers=headers) as client:
            left = []
            since_s = time.monotonic()
            for broken in (False, False, True, False):
                answer = client.post(
                    f"{gateway.url}{CHAT_COMPLETIONS}", content=content[:-1] if broken else content
                )
                assert answer.status_code == (400 if broken else 200), answer.text
                if not broken:
                    left.append(int(answer.headers["x-ratelimit-remaining-requests"]))
        return left, int((time.monotonic() - since_s) / PLACE_EVERY_S)

    left, given_back = machines.undisturbed("large", look)
    for asked, number in enumerate(left, start=1):
        # The last one may come before Redis has heard that the broken one's place is free.
        unheard = 1 if asked == len(left) else 0
        assert asked - given_back - 1 <= 12 - number <= asked + unheard


def test_redis_gone_and_back_in_mid_minute(machines: Machines, redis: RedisServer) -> None:
    since_s = time.monotonic()
    assert machines.ask("paced", 4) == {200: 4}
    redis.kill()
    # Each machine takes half: 6, of which as large a part is used as its workers have seen: 4 of 12 by
    # the one that asked last, nothing by one that has not asked.
    served = machines.ask("paced", 40)[200]
    assert 8 <= served <= 12 + (time.monotonic() - since_s) / PLACE_EVERY_S
    since_s = time.monotonic()

    def warned() -> bool:
        warnings = machines.warnings()
        return len(warnings) == 2 and all(warning.startswith(GONE) for warning in warnings)

    wait_until(warned, "both machines warn", timeout_s=SOON_S)
    wait_until(lambda: machines.up() == [0, 0], "the metrics say so", timeout_s=SOON_S)
    redis.start()
    wait_until(lambda: machines.up() == [1, 1] and not machines.warnings(), "Redis is back", timeout_s=SOON_S)
    # What was used without it counts.
    served = machines.ask("paced", 20)[200]
    assert served <= 2 + (time.monotonic() - since_s) / PLACE_EVERY_S
