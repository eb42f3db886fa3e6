"""A running gateway's budgets: told once over all workers, and the sum of the ledger whatever is killed."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from llmgw.access.keys import create_key
from llmgw.access.settings import BudgetSetting
from llmgw.budgets.store import BudgetState, list_budgets
from llmgw.budgets.verify import verify
from llmgw.ledger.usage import sum_usage
from llmgw.store import Store, open_store
from tests.support.chat import body
from tests.support.gateway import CHAT_COMPLETIONS, Gateway, config_text
from tests.support.limits import NO_TLS
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess
from tests.support.webhook import OK, Receiver

SOON_S = 20.0
KILLED_AFTER = 10
SPENT_WITHIN_S = 60.0
NANO = 10**9
ZONE = ZoneInfo("Asia/Shanghai")
MODEL = """
[[models]]
id = "priced"
upstream = "glm"
upstream_model = "glm-5"
max_output_tokens = 30
price = {input = 0.0, output = 10000.0}

[alerts]
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", OK) as opened:
        yield opened


@pytest.fixture
def shop(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream, receiver: Receiver
) -> Iterator[tuple[Gateway, Store]]:
    text = config_text(simulator.url, scripted.base_url, server="workers = 2")
    alerts = f'url = "{receiver.url}"\nsecret = "shh"\n'
    with Gateway(tmp_path, text + MODEL + alerts) as gateway:
        store = open_store(f"sqlite:///{gateway.database}")
        yield gateway, store
        store.close()


def ask(gateway: Gateway, key: str) -> httpx.Response:
    """On a connection of its own, so that any worker may answer."""
    url = f"{gateway.url}{CHAT_COMPLETIONS}"
    return httpx.post(
        url,
        headers=gateway.headers(key),
        json=body("priced", max_tokens=20),
        timeout=SOON_S,
        trust_env=False,
        verify=NO_TLS,
    )


def events(receiver: Receiver) -> list[str]:
    return [each["event"] for each in receiver.bodies]


def stored(store: Store, now: datetime) -> tuple[BudgetState, Mapping[str, int]]:
    """The one budget, and what all rows cost."""
    [state] = list_budgets(store, ZONE, now)
    [total] = sum_usage(store, [], ZONE).sums
    return state, total.costs


def test_field_b2_a_budget_is_told_once_and_is_the_ledgers_sum_after_a_kill(
    shop: tuple[Gateway, Store], receiver: Receiver
) -> None:
    gateway, store = shop
    budget = BudgetSetting(12 * NANO, "CNY", "day", warn_at_permille=500)
    key = create_key(store, actor="test", name="batch", budgets=[budget]).token
    statuses: list[int] = []
    while len(statuses) < KILLED_AFTER:
        statuses.append(ask(gateway, key).status_code)
    killed = gateway.workers()[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in gateway.workers(), "its end", timeout_s=SOON_S)

    def is_used_up() -> bool:
        # Its socket may be gone later than itself, with a connection that waits for it.
        with suppress(httpx.TransportError):
            statuses.append(ask(gateway, key).status_code)
        # What the dead worker held is refused to others for a moment: the first refusal may be that.
        return statuses[-1] == 429 and "budget.exhausted" in events(receiver)

    wait_until(is_used_up, "used up, and told", timeout_s=SPENT_WITHIN_S)
    now = datetime.now(UTC)

    def is_the_sum() -> bool:
        state, costs = stored(store, now)
        return costs == {"CNY": state.spent}

    # Rows may be on their way, and come between the two looks.
    wait_until(is_the_sum, "the ledger's sum", timeout_s=SOON_S)
    state, costs = stored(store, now)
    assert 0.9 < state.counted / state.limit <= 1.1
    assert verify(store, ZONE, now).is_right
    assert costs == {"CNY": state.spent}
    ids = {each["id"] for each in receiver.bodies}
    assert len(ids) == 2  # the first one was sent twice, since the receiver failed
    for headers, _ in receiver.requests:
        assert headers["x-llmgw-signature"].startswith("t=")
