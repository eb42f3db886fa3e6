"""What the admin API tells of the running gateway: in one worker, in two, and in a process of its own."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body
from tests.support.gateway import config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

PATH = "/admin/v1/live"
ASKER = "/admin/v1/me"
SYSTEM = "/admin/v1/system"
LATELY = "/admin/v1/thinking"
PLACES = {"one worker": (1, False), "two workers": (2, False), "two and a process": (2, True)}


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> tuple[int, bool]:
    """How many workers there are, and whether the API is in a process of its own."""
    return PLACES[request.param]


@pytest.fixture(scope="module")
def admin(
    place: tuple[int, bool],
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
) -> Iterator[Admin]:
    """A gateway with its admin API on."""
    workers, own_process = place
    config = config_text(simulator.url, scripted.base_url, server=f"workers = {workers}")
    with admin_gateway(tmp_path_factory.mktemp("live"), config, own_process=own_process) as admin:
        yield admin


def live(admin: Admin) -> dict[str, Any]:
    """What runs now, or a second ago."""
    answer = admin.get(PATH)
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


def later(admin: Admin, is_so: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    """The first look of which that is true."""
    seen: dict[str, Any] = {}

    def look() -> bool:
        nonlocal seen
        try:
            seen = live(admin)
        except httpx.TransportError:  # the worker that would have answered is dead
            return False
        return is_so(seen)

    wait_until(look, what, timeout_s=SOON_S)
    return seen


def model_of(seen: dict[str, Any], model: str | None) -> dict[str, Any]:
    """What is told of one; nothing counted: empty."""
    return next((each for each in seen["models"] if each["model"] == model), {"requests": 0, "errors": 0})


def test_what_was_asked_is_counted(admin: Admin) -> None:
    before = live(admin)
    for switch in (True, True, False):
        assert admin.gateway.post(body("qwen3.6-plus", enable_thinking=switch)).status == 200
    assert admin.gateway.post(body("nobody-has-this")).status == 404
    assert admin.gateway.get("/v1/models", key="sk-gtw-unknown").status == 401
    seen = later(
        admin,
        lambda seen: model_of(seen, "qwen3.6-plus")["requests"] == 3 and bool(seen["auth_failures"]),
        "three requests",
    )
    model = model_of(seen, "qwen3.6-plus")
    assert model["errors"] == 0
    assert model["prompt_tokens"] > 0
    assert model["completion_tokens"] > model["reasoning_tokens"] > 0
    assert sum(model["total"]["counts"]) == 3
    assert len(model["total"]["counts"]) == len(model["total"]["bounds_s"]) + 1
    thinking = {
        (each["asked"], each["sent"], each["observed"]): each["requests"] for each in model["thinking"]
    }
    assert thinking == {("on", "enable_thinking", True): 2, ("off", "enable_thinking", False): 1}
    assert model_of(seen, None)["errors"] == 1
    assert {"kind": "model_not_found", "requests": 1} in seen["errors"]
    assert {"code": "invalid_api_key", "requests": 1} in seen["auth_failures"]
    [qwen] = [each for each in seen["upstreams"] if each["upstream"] == "qwen"]
    assert {"outcome": "ok", "count": 3} in qwen["attempts"]
    assert "qwen3.6-plus" in {target["upstream_model"] for target in qwen["targets"]}
    assert (seen["status"], seen["problems"], seen["warnings"]) == ("ok", [], [])
    assert seen["store"] == [{"purpose": "keys", "healthy": True}, {"purpose": "ledger", "healthy": True}]
    assert (seen["instance"], seen["redis"]) == (before["instance"], {"limits_up": None})
    assert set(seen["workers"]) <= set(admin.gateway.workers())


def test_all_workers_are_met(admin: Admin, place: tuple[int, bool]) -> None:
    # The process of the admin API is no worker.
    later(admin, lambda seen: len(seen["workers"]) == place[0], "every worker")


def test_many_who_ask_are_one_who_asks(admin: Admin) -> None:
    # Each on a connection of its own, which any worker may get.
    url, headers = f"{admin.url}{PATH}", admin.headers()
    begun_s = time.monotonic()
    seen = {httpx.get(url, headers=headers, trust_env=False).json()["at"] for _ in range(30)}
    assert len(seen) <= 2 + (time.monotonic() - begun_s)


def test_who_asks(admin: Admin) -> None:
    me = admin.get(ASKER).json()
    assert (me["name"], me["kind"], me["may_change"], me["expires_at"]) == ("admin", "admin", True, None)
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    me = admin.get(ASKER, key=admin.new_key("admin_read", expires_at=expires_at)).json()
    assert (me["kind"], me["may_change"]) == ("admin_read", False)
    assert datetime.fromisoformat(me["expires_at"]) == expires_at


@pytest.mark.parametrize("path", [PATH, ASKER, SYSTEM, LATELY])
def test_a_model_key_is_of_the_wrong_kind(admin: Admin, path: str) -> None:
    answer = admin.get(path, key=admin.gateway.key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_key_kind")


def test_the_system(admin: Admin) -> None:
    gateway = admin.gateway
    gateway.ledger(gateway.post(body("qwen3-max")).headers["x-request-id"])
    system = admin.get(SYSTEM).json()
    assert system["python"].startswith("3.")
    assert datetime.now(UTC) - datetime.fromisoformat(system["started_at"]) < timedelta(minutes=5)
    assert {each["worker"] for each in system["workers"]} <= set(gateway.workers())
    assert system["generation"] == max(each["generation"] for each in system["workers"])
    assert [each["problem"] for each in system["workers"]] == [None] * len(system["workers"])
    assert system["admin"] == {"own_listener": admin.url != gateway.url, "capture": False}
    config = admin.get("/admin/v1/config").json()
    assert system["config"] == {name: config[name] for name in ("source", "changed_at")}
    database = system["database"]
    assert (database["kind"], database["url"]) == ("sqlite", f"sqlite:///{gateway.database}")
    assert database["reachable"]
    assert database["size_bytes"] > 4096
    assert database["ledger_rows_estimate"] >= 1
    assert system["redis"] == {"cache": False, "limits": False}
    assert system["journal"] == {"folder": f"{gateway.database}.journal"}
    assert (system["timezone"], system["currencies"]) == ("Asia/Shanghai", ["CNY"])


def test_thinking_lately(admin: Admin) -> None:
    gateway = admin.gateway
    for switch in (True, False):
        answer = gateway.post(body("qwen3.6-plus", enable_thinking=switch))
        gateway.ledger(answer.headers["x-request-id"])
    lately = admin.get(LATELY, {"rows": 2}).json()
    groups = [(each["model"], each["asked"], each["observed"], each["requests"]) for each in lately["data"]]
    assert groups == [("qwen3.6-plus", "off", False, 1), ("qwen3.6-plus", "on", True, 1)]
    assert lately["rows"] == 2
    assert datetime.now(UTC) - datetime.fromisoformat(lately["since"]) < timedelta(minutes=1)
    for rows in (0, 10_001):
        assert admin.get(LATELY, {"rows": rows}).status_code == 400


def test_a_killed_worker_changes_the_instance_only_if_it_was_alone(
    admin: Admin, place: tuple[int, bool]
) -> None:
    before = later(admin, lambda seen: bool(seen["workers"]), "a worker")
    asked = model_of(before, "qwen3.6-plus")["requests"]
    os.kill(before["workers"][0], signal.SIGKILL)

    def is_replaced(seen: dict[str, Any]) -> bool:
        return seen["status"] != "unavailable" and before["workers"][0] not in seen["workers"]

    seen = later(admin, is_replaced, "a successor")
    if place[0] == 1:
        assert seen["instance"] != before["instance"]
        assert model_of(seen, "qwen3.6-plus")["requests"] == 0
    else:
        assert seen["instance"] == before["instance"]
        assert model_of(seen, "qwen3.6-plus")["requests"] == asked


def test_a_reload_changes_no_instance(admin: Admin) -> None:
    before = later(admin, lambda seen: seen["status"] == "ok", "calm")
    assert admin.send("POST", "/admin/v1/reload").status_code == 200
    seen = later(admin, lambda seen: seen["at"] > before["at"], "another look")
    assert seen["instance"] == before["instance"]


def test_a_gateway_that_does_not_answer(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    config = config_text(simulator.url, scripted.base_url)
    with admin_gateway(tmp_path, config, own_process=True) as admin:
        [worker] = live(admin)["workers"]
        os.kill(worker, signal.SIGSTOP)
        try:
            seen = later(admin, lambda seen: seen["status"] == "unavailable", "that nobody answers")
        finally:
            os.kill(worker, signal.SIGCONT)
        assert (seen["instance"], seen["models"], seen["upstreams"], seen["workers"]) == (None, [], [], [])
        assert "does not answer" in seen["problems"][0]
        later(admin, lambda seen: seen["status"] == "ok", "that it answers again")
