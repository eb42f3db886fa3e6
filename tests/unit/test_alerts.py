"""Alerts of budgets: once in each window, whoever looks, and whatever the receiver does."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import NoReturn
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from llmgw.budgets import alerts, webhook
from llmgw.budgets.alerts import Alerts, Observer
from llmgw.budgets.spend import Spent
from llmgw.budgets.store import lift_budget, reset_budget
from llmgw.budgets.webhook import Webhook, signature
from llmgw.config.tables import AlertsConfig
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.writer import Ledger
from llmgw.store import BudgetWindow, Store, StoreGoneError, open_store
from tests.support.budgets import add_budget
from tests.support.processes import wait_until
from tests.support.webhook import OK, Answer, Receiver

ZONE = ZoneInfo("Asia/Shanghai")
YUAN = 10**9
SECRET = "shh"
TIMEOUT_S = 10.0
Start = Callable[..., tuple[Alerts, "Seen"]]


class Seen:
    """What the metrics are told."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.events: list[str] = []
        self.results: list[str] = []
        self.ratios: dict[int, float] = {}
        self.observer = Observer(self.events.append, self.results.append, self.ratios.__setitem__)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PAUSES_S", (0.01, 0.02))
    monkeypatch.setattr(alerts, "_LOOK_INTERVAL_S", 0.01)
    monkeypatch.setattr(alerts, "_CLOSE_TIMEOUT_S", 0.2)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def started(store: Store) -> Iterator[Start]:
    """Alerts of a worker."""
    with ExitStack() as stack:

        def start(
            url: str | None, *, secret: str | None = SECRET, timeout_s: float = 5.0
        ) -> tuple[Alerts, Seen]:
            table = AlertsConfig(
                url=None if url is None else SecretStr(url),
                secret=None if secret is None else SecretStr(secret),
                timeout_s=timeout_s,
            )
            seen = Seen()
            made = Alerts(store, table, ZONE, seen.observer)
            made.start()
            stack.callback(made.close)
            return made, seen

        yield start


def spend(store: Store, told: Alerts | None, *costs: int, user: str | None = None) -> None:
    """Of key 1."""
    ledger = Ledger(store, zone=ZONE, on_stored=lambda _ids, spents: told.spent(spents) if told else None)
    now = time.time()
    for number, cost in enumerate(costs):
        request_id = f"{time.monotonic_ns()}-{number}"
        ledger.record(LedgerEntry(now, request_id, 200, 1.0, key_id=1, user=user, cost=cost, currency="CNY"))
    ledger.close_blocking()


def windows(store: Store) -> list[tuple[bool, bool]]:
    with store.read() as session:
        rows = session.scalars(select(BudgetWindow).order_by(BudgetWindow.budget_id, BudgetWindow.user))
        return [(row.warned_at is not None, row.exhausted_at is not None) for row in rows]


def test_a_soft_limit_and_the_end_are_told_once(store: Store, started: Start) -> None:
    add_budget(store, ZONE, amount=10 * YUAN, warn_at_permille=800)
    with Receiver(OK) as receiver:
        told, seen = started(receiver.url)
        spend(store, told, 7 * YUAN)
        wait_until(lambda: seen.ratios == {1: 0.7}, "looked at", timeout_s=TIMEOUT_S)
        assert receiver.requests == []
        spend(store, told, YUAN)
        wait_until(lambda: len(receiver.requests) == 1, "a warning", timeout_s=TIMEOUT_S)
        spend(store, told, YUAN, YUAN, YUAN)
        wait_until(lambda: len(receiver.requests) == 2, "the end", timeout_s=TIMEOUT_S)
        spend(store, told, YUAN)
        wait_until(lambda: seen.ratios == {1: 1.2}, "looked at", timeout_s=TIMEOUT_S)
        wait_until(lambda: seen.results == ["delivered"] * 2, "delivered", timeout_s=TIMEOUT_S)
    warning, end = receiver.bodies
    assert [warning["event"], end["event"]] == ["budget.warned", "budget.exhausted"]
    assert (warning["amount"], warning["spent"], warning["left"], warning["unit"]) == (
        "10.00",
        "8.00",
        "2.00",
        "CNY",
    )
    assert (end["spent"], end["left"]) == ("11.00", "0.00")
    assert warning["who"] == {"type": "key", "id": 1, "name": "", "user": None}
    assert warning["budget"] == {"id": 1, "period": "day", "model": None, "warn_at_permille": 800}
    assert warning["id"] != end["id"]
    begin, until = (datetime.fromisoformat(warning["window"][name]) for name in ("starts_at", "ends_at"))
    assert begin <= datetime.fromisoformat(warning["time"]) < until
    assert warning["text"].startswith(
        "The budget of key 1 has reached its soft limit: 8.00 of 10.00 CNY per day, until 20"
    )
    assert seen.events == ["warned", "exhausted"]
    assert windows(store) == [(True, True)]


def test_field_b5_soft_limits_are_at_all_levels(store: Store, started: Start) -> None:
    """LiteLLM#31097 has them at some: here a project, a key, a key's model and each user are warned of."""
    levels: list[dict[str, object]] = [
        {"scope": "project"}, {}, {"model": "m"}, {"per_user": True}, {"scope": "project", "model": "m"},
    ]  # fmt: skip
    for level in levels:
        add_budget(store, ZONE, amount=10 * YUAN, warn_at_permille=800, **level)
    add_budget(store, ZONE, amount=10 * YUAN, warn_at_permille=800, model="another")
    with Receiver(OK) as receiver:
        told, _ = started(receiver.url)
        ledger = Ledger(store, zone=ZONE, on_stored=lambda _ids, spents: told.spent(spents))
        entry = LedgerEntry(time.time(), "r", 200, 1.0, key_id=1, model="m", project_id=1, user="ann")
        ledger.record(entry._replace(cost=8 * YUAN, currency="CNY"))
        ledger.close_blocking()
        wait_until(lambda: len(receiver.requests) == len(levels), "all warnings", timeout_s=TIMEOUT_S)
    warned = {(body["who"]["type"], body["budget"]["model"], body["who"]["user"]) for body in receiver.bodies}
    assert warned == {
        ("project", None, None), ("key", None, None), ("key", "m", None), ("key", None, "ann"),
        ("project", "m", None),
    }  # fmt: skip
    assert {body["event"] for body in receiver.bodies} == {"budget.warned"}


def test_the_body_is_signed(store: Store, started: Start) -> None:
    add_budget(store, ZONE, amount=YUAN)
    with Receiver(OK) as receiver:
        told, _ = started(receiver.url)
        spend(store, told, YUAN)
        wait_until(lambda: len(receiver.requests) == 1, "the end", timeout_s=TIMEOUT_S)
    headers, body = receiver.requests[0]
    fields = dict(part.split("=", 1) for part in headers["x-llmgw-signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{fields['t']}.".encode() + body, hashlib.sha256).hexdigest()
    assert fields["v1"] == expected
    assert abs(int(fields["t"]) - time.time()) < 60
    assert headers["content-type"] == "application/json"


def test_a_known_signature() -> None:
    """By OpenSSL: printf '1764144000.{"a":1}' | openssl dgst -sha256 -hmac key."""
    expected = "27ea9416786812849ea7d8630c0dced58b764974e1bea0fe56fbd05d099ffbed"
    assert signature(b"key", b'{"a":1}', 1764144000) == f"t=1764144000,v1={expected}"


FAULTS: list[tuple[str, Answer]] = [
    ("an error", b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"),
    ("a redirect", b"HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
    ("junk", b"\x00\xff junk\r\n\r\n"),
    ("nothing", b""),
    ("silence", None),
    ("a head without an end", b"HTTP/1.1 200 OK\r\nx-a: b\r\n"),
]


HANGING = {"silence", "a head without an end"}
"""It takes the time-out to see them."""


@pytest.mark.parametrize(("name", "fault"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_receiver_that_fails_is_asked_again(store: Store, started: Start, name: str, fault: Answer) -> None:
    add_budget(store, ZONE, amount=YUAN)
    with Receiver(fault, OK) as receiver:
        told, seen = started(receiver.url, timeout_s=1.0 if name in HANGING else TIMEOUT_S)
        spend(store, told, YUAN)
        wait_until(lambda: seen.results[-1:] == ["delivered"], "delivered", timeout_s=2 * TIMEOUT_S)
    assert seen.results[0] == "failed"
    # The time-out holds for the good answer too, which a busy machine may be late with.
    assert len(seen.results) == 2 or name in HANGING
    assert receiver.bodies[0] == receiver.bodies[1]  # the receiver can tell by the id


def test_one_that_always_fails_is_given_up_and_counted(
    store: Store,
    started: Start,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add_budget(store, ZONE, amount=YUAN)
    add_budget(store, ZONE, amount=YUAN, unit="tokens")
    with Receiver(FAULTS[0][1]) as receiver:
        told, seen = started(receiver.url)
        spend(store, told, YUAN)
        wait_until(lambda: "given_up" in seen.results, "given up", timeout_s=TIMEOUT_S)
    assert seen.results == ["failed"] * 3 + ["given_up"]
    assert "hidden" not in caplog.text
    assert windows(store)[0] == (True, True)


def test_an_answer_without_end_is_not_read(store: Store, started: Start) -> None:
    add_budget(store, ZONE, amount=YUAN)
    with Receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n" + b"x" * 100_000) as receiver:
        told, seen = started(receiver.url)
        spend(store, told, YUAN)
        wait_until(lambda: seen.results == ["delivered"], "delivered", timeout_s=TIMEOUT_S)


def test_of_many_workers_one_tells(store: Store, started: Start) -> None:
    for _ in range(5):
        add_budget(store, ZONE, amount=YUAN, warn_at_permille=500)
    with Receiver(OK) as receiver:
        workers = [started(receiver.url) for _ in range(4)]
        spend(store, None, 2 * YUAN)
        for told, _ in workers:
            told.spent(Spent(budget, "", datetime.now(UTC), 0) for budget in range(1, 6))
        wait_until(lambda: len(receiver.requests) == 5, "all", timeout_s=TIMEOUT_S)
        wait_until(lambda: all(seen.ratios for _, seen in workers), "all have looked", timeout_s=TIMEOUT_S)
    assert sorted(body["budget"]["id"] for body in receiver.bodies) == [1, 2, 3, 4, 5]


def test_after_a_restart_only_what_was_not_delivered_is_told(store: Store, started: Start) -> None:
    add_budget(store, ZONE, amount=YUAN)
    with Receiver(None, OK) as receiver:
        told, _ = started(receiver.url)
        spend(store, told, YUAN)
        wait_until(lambda: len(receiver.requests) == 1, "the receiver hangs", timeout_s=TIMEOUT_S)
        told.close()
        # The close waits for it no longer than it may.
        wait_until(lambda: windows(store) == [(True, False)], "given back", timeout_s=TIMEOUT_S)
        _, seen = started(receiver.url)
        wait_until(lambda: seen.results == ["delivered"], "told by the next", timeout_s=TIMEOUT_S)
        _, seen = started(receiver.url)
        wait_until(lambda: bool(seen.ratios), "a third one looks", timeout_s=TIMEOUT_S)
        assert seen.events == []
    assert len(receiver.requests) == 2


def test_a_rest_that_is_too_small_for_any_request_is_the_end(store: Store, started: Start) -> None:
    for amount in (100 * YUAN, 60 * YUAN):
        add_budget(store, ZONE, amount=amount)
    told, seen = started(None)
    spend(store, told, 58 * YUAN)
    wait_until(lambda: len(seen.ratios) == 2, "looked at", timeout_s=TIMEOUT_S)
    assert seen.events == []
    told.refused(1, "")  # one request was too large for it
    told.refused(2, "")
    wait_until(lambda: seen.events == ["exhausted"], "the end", timeout_s=TIMEOUT_S)
    told.refused(2, "")
    spend(store, told, 1)
    wait_until(lambda: seen.ratios[1] > 0.58, "looked at again", timeout_s=TIMEOUT_S)
    assert seen.events == ["exhausted"]
    assert windows(store) == [(False, False), (True, True)]


def test_users_are_told_one_by_one(store: Store, started: Start) -> None:
    add_budget(store, ZONE, amount=YUAN, per_user=True)
    with Receiver(OK) as receiver:
        told, _ = started(receiver.url)
        spend(store, told, YUAN, user="ann")
        spend(store, told, YUAN // 2, user="bob")
        spend(store, told, 3 * YUAN)
        wait_until(lambda: len(receiver.requests) == 2, "two", timeout_s=TIMEOUT_S)
    assert {body["who"]["user"]: body["spent"] for body in receiver.bodies} == {"ann": "1.00", "": "3.00"}


def test_a_lift_or_a_reset_lets_it_be_told_again(store: Store, started: Start) -> None:
    budget = add_budget(store, ZONE, amount=YUAN)
    told, seen = started(None)
    spend(store, told, YUAN)
    wait_until(lambda: seen.events == ["exhausted"], "the end", timeout_s=TIMEOUT_S)
    lift_budget(store, budget, YUAN, ZONE, actor="test")
    spend(store, told, YUAN)
    wait_until(lambda: seen.events == ["exhausted"] * 2, "again", timeout_s=TIMEOUT_S)
    reset_budget(store, budget, ZONE, actor="test")
    spend(store, told, 2 * YUAN)
    wait_until(lambda: seen.events == ["exhausted"] * 3, "and again", timeout_s=TIMEOUT_S)


def test_more_than_can_be_delivered_at_once_wait_in_the_database(
    store: Store,
    started: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alerts, "MAX_ALERTS", 3)
    for _ in range(10):
        add_budget(store, ZONE, amount=YUAN)
    with Receiver(OK) as receiver:
        told, seen = started(receiver.url)
        spend(store, told, YUAN)
        wait_until(lambda: seen.results == ["delivered"] * 10, "all", timeout_s=TIMEOUT_S)
    assert len({body["id"] for body in receiver.bodies}) == 10


def test_alerts_stop_nobody_while_the_database_fails(
    store: Store, started: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_budget(store, ZONE, amount=YUAN)
    spend(store, None, YUAN)
    looks: list[str] = []

    def fail() -> NoReturn:
        looks.append("in vain")
        raise StoreGoneError

    with monkeypatch.context() as failing:
        failing.setattr(store, "read", fail)
        told, seen = started(None)
        told.spent([Spent(1, "", datetime.now(UTC), YUAN)])
        wait_until(lambda: bool(looks), "a look", timeout_s=TIMEOUT_S)
    assert seen.events == []
    told.spent([Spent(1, "", datetime.now(UTC), YUAN)])
    wait_until(lambda: seen.events == ["exhausted"], "told", timeout_s=TIMEOUT_S)


def test_a_receiver_that_is_not_there_takes_no_time_of_a_close() -> None:
    async def deliver() -> bool:
        results: list[str] = []
        hook = Webhook("http://127.0.0.1:1/", None, timeout_s=1.0, observe=results.append, pauses_s=())
        delivered = await hook.deliver("warned", b"{}")
        await hook.close()
        assert results == ["failed", "given_up"]
        return delivered

    assert asyncio.run(deliver()) is False
