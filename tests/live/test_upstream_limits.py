"""What providers grant, over real sockets: passed over before they refuse; places that requests wait for."""

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.chat import body, mark, streamed
from tests.support.gateway import CHAT_COMPLETIONS, Gateway, config_text
from tests.support.limits import assert_granted
from tests.support.processes import wait_until
from tests.support.scripted import EVENT_STREAM_HEAD, ScriptedUpstream, Wait
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

SOON_S = 20.0
WAITING = "llmgw_waiting_requests"
RUNNING = "llmgw_requests_in_flight"

Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Start]:
    """Starts a gateway with these lines at two upstreams of one model, `both`, and at `only` alone."""
    with ExitStack() as stack:

        def start(first: str, second: str = "", *, workers: int = 1) -> Gateway:
            text = config_text(simulator.url, scripted.base_url, server=f"workers = {workers}")
            for name, more in (("first", first), ("second", second)):
                text += f'\n[upstreams.{name}]\nbase_url = "{simulator.url}/glm/v1"\n'
                text += f'api_key = "sim-glm"\n{more}\n'
            held = f'base_url = "{scripted.base_url}"\napi_key = "scripted-key"\n{first}\n'
            text += f"\n[upstreams.held]\n{held}"
            text += """
[[models]]
id = "both"
upstream_model = "glm-5"
targets = [{upstream = "first", priority = 1}, {upstream = "second", priority = 2}]
[[models]]
id = "only"
upstream = "first"
upstream_model = "glm-5"
[[models]]
id = "held"
upstream = "held"
upstream_model = "scripted"
"""
            gateway = stack.enter_context(Gateway(tmp_path, text))
            wait_until(lambda: len(gateway.workers()) == workers, "the workers", timeout_s=SOON_S)
            return gateway

        yield start


def ask(gateway: Gateway, request: dict[str, Any], key: str | None = None) -> httpx.Response:
    """On a connection of its own."""
    return httpx.post(
        f"{gateway.url}{CHAT_COMPLETIONS}",
        headers=gateway.headers(key),
        json=request,
        timeout=SOON_S,
        trust_env=False,
    )


def at_once(gateway: Gateway, request: dict[str, Any], number: int) -> list[httpx.Response]:
    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(lambda _: ask(gateway, request), range(number)))


@pytest.mark.parametrize("workers", [1, 2])
def test_field_b1_a_target_at_its_limit_is_passed_over_by_all_workers(start: Start, workers: int) -> None:
    """LiteLLM#40291: a router's check read the memory of its own process only."""
    gateway = start("requests_per_minute = 7", workers=workers)
    since_s = time.monotonic()
    answers = at_once(gateway, body("both"), 20)
    given_back = int((time.monotonic() - since_s) * 7 / 60)
    assert {answer.status_code for answer in answers} == {200}
    rows = [gateway.ledger(answer.headers["x-request-id"]) for answer in answers]
    first = sum(row["upstream"] == "first" for row in rows)
    assert 7 <= first <= 7 + given_back
    assert sum(row["upstream"] == "second" for row in rows) == 20 - first
    assert {row["attempts"] for row in rows} == {1}  # no attempt was spent on it


@pytest.mark.parametrize("workers", [1, 2])
def test_without_another_target_it_is_told(start: Start, workers: int) -> None:
    gateway = start("requests_per_minute = 5", workers=workers)
    since_s = time.monotonic()
    answers = at_once(gateway, body("only"), 12)
    counts = Counter(answer.status_code for answer in answers)
    assert_granted(counts, 5, since_s=since_s)
    refused = next(answer for answer in answers if answer.status_code == 429)
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("upstream_rate_limited", "rate_limit_error")
    assert "grants no more requests per minute now. Please try again in " in error["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 12
    row = gateway.ledger(refused.headers["x-request-id"])
    assert (row["upstream"], row["attempts"], row["usage_source"]) == (None, 0, "none")
    limited = 'llmgw_limited_total{limit="requests_per_minute",scope="upstream"}'
    wait_until(lambda: gateway.metric(limited) == counts[429], "the metric", timeout_s=SOON_S)


def test_tokens_are_settled_after_each_attempt(start: Start) -> None:
    """Each reserves what the client allows, and uses a few: many follow each other at once."""
    gateway = start("tokens_per_minute = 1000")
    for _ in range(6):
        assert gateway.post(body("only", max_tokens=500, llmgw_thinking=False)).status == 200
    slow = body("only", max_tokens=500, simulate={"first_delay_ms": 3000})
    assert Counter(answer.status_code for answer in at_once(gateway, slow, 4)) == {200: 1, 429: 3}


def test_tokens_of_failures_and_lost_clients_come_back(start: Start) -> None:
    gateway = start("tokens_per_minute = 600")
    for _ in range(4):
        assert gateway.post(body("only", max_tokens=500, simulate={"status": 400})).status == 400
        with gateway.stream(streamed("only", max_tokens=500, simulate={"stall_after_chunks": 1})) as answer:
            next(answer.iter_raw())
        gateway.ledger(answer.headers["x-request-id"])
    assert gateway.post(body("only", max_tokens=500)).status == 200


def test_a_request_waits_for_a_place_in_a_rate(start: Start) -> None:
    gateway = start("requests_per_minute = 60\nwait_s = 20")  # one every second
    begun_s = time.monotonic()
    answers = at_once(gateway, body("only"), 63)
    assert {answer.status_code for answer in answers} == {200}
    assert 3 <= time.monotonic() - begun_s < SOON_S


def test_the_wait_ends(start: Start) -> None:
    gateway = start("requests_per_minute = 1\nwait_s = 0.3")
    assert gateway.post(body("only")).status == 200
    begun_s = time.monotonic()
    refused = gateway.post(body("only"))
    assert (refused.status, refused.error["code"]) == (429, "upstream_rate_limited")
    assert 0.3 <= time.monotonic() - begun_s < 5


class Held:
    """Requests at an upstream that answers each when it is told to, and what became of them."""

    def __init__(self, gateway: Gateway, scripted: ScriptedUpstream) -> None:
        self.gateway = gateway
        self.scripted = scripted
        self.done: list[str] = []
        self.statuses: Counter[int] = Counter()
        self._threads: list[threading.Thread] = []

    def ask(self, name: str, key: str | None = None) -> threading.Event:
        """Begin one, in a thread; set what is returned to let the upstream answer."""
        go = threading.Event()
        choice = {"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
        chunk = {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        event = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(chunk).encode()
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)
        script = self.scripted.script(Wait(go), EVENT_STREAM_HEAD, framed)

        def run() -> None:
            answer = ask(self.gateway, streamed("held", script=script), key)
            self.statuses[answer.status_code] += 1
            self.done.append(name)

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)
        return go

    def running(self) -> None:
        """Until one is at the upstream."""
        wait_until(lambda: self.gateway.metric(RUNNING) == 1, "the first", timeout_s=SOON_S)

    def waiting(self, number: int) -> None:
        """Until so many wait for a place."""
        wait_until(lambda: self.gateway.metric(WAITING) == number, f"{number} waiting", timeout_s=SOON_S)

    def join(self) -> None:
        """Until all have their answers."""
        for thread in self._threads:
            thread.join(SOON_S)


def test_keys_take_turns_and_first_come_is_first_served(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start("max_in_flight = 1\nwait_s = 60")
    held, other = Held(gateway, scripted), gateway.new_key()
    order = ["a0", "a1", "b0", "a2", "a3"]
    goes = {"a0": held.ask("a0")}
    held.running()
    for number, name in enumerate(("a1", "a2", "a3", "b0"), start=1):
        goes[name] = held.ask(name, other if name == "b0" else None)
        held.waiting(number)
    for name in order:
        goes[name].set()
        wait_until(lambda: name in held.done, name, timeout_s=SOON_S)  # noqa: B023  (called at once)
    held.join()
    assert held.done == order
    assert held.statuses == {200: 5}


def test_who_leaves_gives_its_turn_up(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start("max_in_flight = 1\nwait_s = 60")
    held = Held(gateway, scripted)
    first = held.ask("first")
    held.running()
    text = mark()
    content = json.dumps(body("held", user=text)).encode()
    held_requests = len(scripted.requests)
    connection = gateway.connect(gateway.chat_head(len(content)), content)
    held.waiting(1)
    last = held.ask("last")
    held.waiting(2)
    connection.close()
    held.waiting(1)
    wait_until(
        lambda: any(row["user"] == text and row["status"] == 499 for row in gateway.ledger_rows()),
        "the row of the one that left",
        timeout_s=SOON_S,
    )
    first.set()
    last.set()
    held.join()
    assert held.statuses == {200: 2}
    assert len(scripted.requests) - held_requests <= 2  # the one that left was never sent
    held.waiting(0)


def test_a_stop_ends_the_wait(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start("max_in_flight = 1\nwait_s = 60")
    held = Held(gateway, scripted)
    first = held.ask("running")
    held.running()
    held.ask("waiting")
    held.waiting(1)
    gateway.process.terminate()
    wait_until(lambda: held.done == ["waiting"], "the one that waits", timeout_s=SOON_S)
    assert held.statuses == {503: 1}
    first.set()
    held.join()
    assert held.statuses == {503: 1, 200: 1}


def test_a_reload_that_grants_more_serves_those_who_wait(start: Start, scripted: ScriptedUpstream) -> None:
    gateway = start("max_in_flight = 1\nwait_s = 60")
    held = Held(gateway, scripted)
    goes = [held.ask("first"), held.ask("second")]
    held.waiting(1)
    text = gateway.config.read_text("utf-8")
    gateway.config.write_text(text.replace("max_in_flight = 1", "max_in_flight = 2"), "utf-8")
    gateway.process.process.send_signal(signal.SIGHUP)
    held.waiting(0)
    for go in goes:
        go.set()
    held.join()
    assert held.statuses == {200: 2}
