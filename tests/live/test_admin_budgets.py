"""Budgets by the admin API: spent, left, lifted, reset, verified."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body
from tests.support.gateway import config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

BUDGETS = "/admin/v1/budgets"


@pytest.fixture(scope="module")
def admin(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Admin]:
    """A gateway one of whose models has a price."""
    config = config_text(simulator.url, scripted.base_url)
    priced = 'id = "qwen3-max"\nprice = {input = 1000, output = 2000}'
    config = config.replace('id = "qwen3-max"', priced, 1)
    with admin_gateway(tmp_path_factory.mktemp("admin"), config, own_process=True) as admin:
        yield admin


def new_key(admin: Admin, *budgets: dict[str, Any]) -> dict[str, Any]:
    answer = admin.send("POST", "/admin/v1/keys", {"name": "k", "budgets": list(budgets)})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def budgets_of(admin: Admin, key: dict[str, Any]) -> list[dict[str, Any]]:
    return list(admin.all_of(BUDGETS, {"key_id": key["id"], "limit": 1}))


def ask(admin: Admin, key: dict[str, Any], **more: object) -> int:
    return admin.gateway.post({**body("qwen3-max"), **more}, key=key["secret"]).status


def test_what_is_spent_and_left(admin: Admin) -> None:
    key = new_key(
        admin,
        {"amount": "100", "unit": "CNY", "period": "day", "warn_at": 0.5},
        {"amount": "1000000", "unit": "tokens", "period": "total"},
    )
    assert ask(admin, key) == 200
    wait_until(lambda: budgets_of(admin, key)[0]["spent"] != "0.00", "the spend", timeout_s=SOON_S)
    money, tokens = budgets_of(admin, key)
    [row] = admin.all_of("/admin/v1/requests", {"key_id": key["id"]})
    assert money["spent"] == row["cost"]
    assert float(money["left"]) == pytest.approx(100 - float(row["cost"]))
    assert tokens["spent"] == str(row["prompt_tokens"] + row["completion_tokens"])
    assert (money["ends_at"] is None, tokens["ends_at"] is None) == (False, True)
    assert admin.get(f"{BUDGETS}/verify").json()["is_right"] is True


def test_lifted_and_reset(admin: Admin) -> None:
    key = new_key(admin, {"amount": "0.000000001", "unit": "CNY", "period": "month"})
    assert ask(admin, key) == 429
    [budget] = budgets_of(admin, key)
    path = f"{BUDGETS}/{budget['id']}"
    lifted = admin.send("POST", f"{path}/lift", {"amount": "50"}).json()
    assert (lifted["lifted"], lifted["left"]) == ("50.00", "50.000000001")
    wait_until(lambda: ask(admin, key) == 200, "a request under the lifted budget", timeout_s=SOON_S)
    wait_until(lambda: budgets_of(admin, key)[0]["spent"] != "0.00", "the spend", timeout_s=SOON_S)
    spent = budgets_of(admin, key)[0]["spent"]
    [reset] = admin.send("POST", f"{path}/reset").json()["data"]
    assert (reset["spent"], reset["forgiven"]) == ("0.00", spent)
    actions = [
        each["action"] for each in admin.all_of("/admin/v1/audit", {"target": f"budget {budget['id']}"})
    ]
    assert actions == ["budget.reset", "budget.lift"]


def test_budgets_of_each_user(admin: Admin) -> None:
    key = new_key(admin, {"amount": "100", "unit": "CNY", "period": "day", "per_user": True})
    for user in ("王伟", "li.na"):
        assert ask(admin, key, user=user) == 200
    wait_until(lambda: len(budgets_of(admin, key)) == 3, "both users", timeout_s=SOON_S)
    states = {each["user"]: each for each in budgets_of(admin, key)}
    assert set(states) == {None, "王伟", "li.na"}
    path = f"{BUDGETS}/{states['王伟']['id']}/reset"
    wait_until(
        lambda: "0.00" not in {each["spent"] for each in budgets_of(admin, key) if each["user"]},
        "the spend",
        timeout_s=SOON_S,
    )
    [reset] = admin.send("POST", path, {"user": "王伟"}).json()["data"]
    assert (reset["user"], reset["spent"]) == ("王伟", "0.00")
    assert {each["user"]: each["spent"] for each in budgets_of(admin, key)}["li.na"] != "0.00"


@pytest.mark.parametrize(
    ("name", "verb", "wanted", "status", "param"),
    [
        ("no amount", "lift", {}, 400, "amount"),
        ("nothing", "lift", {"amount": "0"}, 400, "amount"),
        ("less than nothing", "lift", {"amount": "-1"}, 400, "amount"),
        ("a number", "lift", {"amount": 5}, 400, "amount"),
        ("a part of a nano", "lift", {"amount": "0.0000000001"}, 400, "amount"),
        ("more than there can be", "lift", {"amount": "9999999999"}, 400, "amount"),
        ("a user of a budget for all", "lift", {"amount": "1", "user": "x"}, 400, "user"),
        ("a user of a budget for all", "reset", {"user": "x"}, 400, "user"),
        ("another member", "reset", {"who": "x"}, 400, "who"),
    ],
)
def test_what_can_not_be_done_to_a_budget(
    admin: Admin, name: str, verb: str, wanted: object, status: int, param: str
) -> None:
    key = new_key(admin, {"amount": "1", "unit": "CNY", "period": "day"})
    [budget] = budgets_of(admin, key)
    answer = admin.send("POST", f"{BUDGETS}/{budget['id']}/{verb}", wanted)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), name


def test_a_budget_that_is_not_there(admin: Admin) -> None:
    for verb, wanted in (("lift", {"amount": "1"}), ("reset", None)):
        answer = admin.send("POST", f"{BUDGETS}/123456/{verb}", wanted)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    answer = admin.get(BUDGETS, {"key_id": 1, "project_id": 1})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "project_id")
