"""`GET /v1/usage/me`: a key sees its own use, and nobody else's."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body, streamed
from tests.support.gateway import config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream, Wait, partial_event_stream
from tests.support.simulator import SimulatorProcess

ME = "/v1/usage/me"
CHUNK = (
    b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%b}]}'
)
BEGIN = b"data: " + CHUNK % b'{"role":"assistant","content":"a"},"finish_reason":null' + b"\n\n"
END = b"data: " + CHUNK % b'{"content":"b"},"finish_reason":"stop"' + b"\n\ndata: [DONE]\n\n"


@pytest.fixture(scope="module")
def admin(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Admin]:
    """A gateway one of whose models has a price."""
    config = config_text(simulator.url, scripted.base_url)
    config = config.replace('id = "qwen3-max"', 'id = "qwen3-max"\nprice = {input = 1000, output = 2000}', 1)
    with admin_gateway(tmp_path_factory.mktemp("admin"), config, own_process=True) as admin:
        yield admin


def new_key(admin: Admin, **more: object) -> dict[str, Any]:
    answer = admin.send("POST", "/admin/v1/keys", {"name": "k", **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def me(admin: Admin, key: dict[str, Any]) -> dict[str, Any]:
    answer = admin.gateway.get(ME, key=key["secret"])
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


def test_what_was_used_and_what_is_left(admin: Admin) -> None:
    key = new_key(
        admin,
        limits={"requests_per_minute": 10, "tokens_per_minute": 100_000, "concurrent_requests": 3},
        limits_by=[{"model": "glm-5", "requests_per_minute": 2}],
        budgets=[{"amount": "100", "unit": "CNY", "period": "day", "warn_at": 0.5}],
    )
    fresh = me(admin, key)
    limits = {(each["scope"], each["kind"]): each["remaining"] for each in fresh["limits"]}
    assert limits == {
        ("key", "requests_per_minute"): 10, ("key", "tokens_per_minute"): 100_000,
        ("key", "concurrent_requests"): 3, ("key_model", "requests_per_minute"): 2,
    }  # fmt: skip
    assert fresh["usage"] == []
    assert fresh["budgets"][0]["left"] == "100.00"
    for wanted in (body("qwen3-max"), streamed("qwen3-max")):
        answer = admin.gateway.post(wanted, key=key["secret"])
        assert answer.status == 200
        admin.gateway.ledger(answer.headers["x-request-id"])
    wait_until(lambda: bool(me(admin, key)["usage"]), "the use", timeout_s=SOON_S)
    used = me(admin, key)
    [row] = used["usage"]
    assert (row["model"], row["requests"]) == ("qwen3-max", 2)
    assert row["day"] == (datetime.now(UTC) + timedelta(hours=8)).strftime("%Y-%m-%d")
    [budget] = used["budgets"]
    assert budget["spent"] == row["costs"]["CNY"]
    assert float(budget["left"]) == pytest.approx(100 - float(budget["spent"]))
    assert budget["resets_at"].endswith("T16:00:00Z")
    left = {(each["scope"], each["kind"]): each for each in used["limits"]}
    assert left["key", "requests_per_minute"]["remaining"] in {8, 9}
    assert 0 < left["key", "requests_per_minute"]["reset_s"] <= 12


def test_what_running_requests_may_use_is_not_left(admin: Admin, scripted: ScriptedUpstream) -> None:
    budget = {"amount": "1000000", "unit": "tokens", "period": "total"}
    key = new_key(admin, limits={"concurrent_requests": 3}, budgets=[budget])
    gate = threading.Event()
    rest = b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END)
    script = scripted.script(*partial_event_stream(BEGIN), Wait(gate), rest)
    with admin.gateway.stream(streamed("scripted", script=script), key=key["secret"]) as response:
        begin = response.iter_raw()
        next(begin)
        wait_until(lambda: me(admin, key)["limits"][0]["remaining"] == 2, "one less", timeout_s=SOON_S)
        [state] = me(admin, key)["budgets"]
        assert int(state["reserved"]) > 0
        assert int(state["left"]) + int(state["reserved"]) == 1_000_000
        gate.set()
        assert b"[DONE]" in b"".join(begin)
    wait_until(lambda: me(admin, key)["budgets"][0]["reserved"] == "0", "nothing reserved", timeout_s=SOON_S)
    assert me(admin, key)["limits"][0]["remaining"] == 3


def test_a_key_sees_its_own_use_alone(admin: Admin) -> None:
    admin.send("POST", "/admin/v1/projects", {"name": "seen", "budgets": [
        {"amount": "900", "unit": "CNY", "period": "month"},
        {"amount": "100", "unit": "CNY", "period": "month", "per_user": True}]})  # fmt: skip
    one, other = (new_key(admin, project="seen", name=name) for name in ("one", "other"))
    answer = admin.gateway.post({**body("qwen3-max"), "user": "secret-user"}, key=one["secret"])
    assert answer.status == 200
    admin.gateway.ledger(answer.headers["x-request-id"])
    wait_until(lambda: bool(me(admin, one)["usage"]), "the use", timeout_s=SOON_S)
    seen = me(admin, other)
    assert seen["usage"] == []
    assert [(each["scope"], each["amount"]) for each in seen["budgets"]] == [("project", "900.00")]
    assert seen["budgets"][0]["spent"] != "0.00"
    assert "secret-user" not in json.dumps([seen, me(admin, one)])


def test_who_may_ask_and_how(admin: Admin) -> None:
    gateway = admin.gateway
    assert gateway.client.get(ME).status_code == 401
    assert gateway.get(ME, key=admin.key).error["code"] == "wrong_key_kind"
    answer = gateway.client.post(ME, headers=gateway.headers())
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


def test_a_crowd_of_askers_costs_few_reads(admin: Admin) -> None:
    key = new_key(admin, name="crowd")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: admin.gateway.get(ME, key=key["secret"]).body, range(200)))
    assert 1 <= len(set(answers)) <= 12
    assert json.loads(answers[0])["key"]["name"] == "crowd"
