"""`GET /v1/usage/me/{request_id}`: a key sees what its own requests cost, and nobody else's."""

from collections.abc import Iterator
from typing import Any

import pytest

from llmgw.access.keys import create_key
from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body, streamed
from tests.support.gateway import config_text
from tests.support.processes import NOISE, wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

ME = "/v1/usage/me"
WRITTEN_S = 2.0
"""Within which a request is in the ledger and its cost is told."""
OPERATORS = {
    "id", "key_id", "key_name", "project_id", "project_name", "user", "upstream", "attempt_errors",
    "price_digest", "captured_in",
}  # fmt: skip
"""What only the admin API tells of a request."""


@pytest.fixture(scope="module")
def admin(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Admin]:
    """A gateway one of whose models has a price."""
    config = config_text(simulator.url, scripted.base_url, server="cors_origins = ['https://page.example']")
    config = config.replace('id = "qwen3-max"', 'id = "qwen3-max"\nprice = {input = 1000, output = 2000}', 1)
    with admin_gateway(tmp_path_factory.mktemp("own"), config, own_process=True) as admin:
        # Its keys are polled.
        wait_until(
            lambda: admin.get(ME, key=admin.gateway.key).status_code == 200, "the key", timeout_s=SOON_S
        )
        yield admin


@pytest.fixture(scope="module")
def other(admin: Admin) -> str:
    """A key of the same project."""
    secret = create_key(admin.gateway.store, actor="test", name="other").token
    wait_until(lambda: admin.gateway.get(ME, key=secret).status == 200, "the other key", timeout_s=SOON_S)
    return secret


def ask(admin: Admin, request: dict[str, Any]) -> str:
    """Have it answered; its id, once its row is written."""
    request_id: str = admin.gateway.post(request).headers["x-request-id"]
    admin.gateway.ledger(request_id)
    return request_id


def test_what_a_stream_cost_is_told_soon(admin: Admin) -> None:
    stream = streamed("qwen3-max", enable_thinking=True)
    request_id = admin.gateway.post(stream).headers["x-request-id"]
    path = f"{ME}/{request_id}"
    wait_until(lambda: admin.gateway.get(path).status == 200, "its cost", timeout_s=WRITTEN_S * NOISE)
    answer = admin.gateway.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    told = answer.json()
    assert told.pop("object") == "usage.request"
    known = admin.get(f"/admin/v1/requests/{request_id}").json()
    assert float(told["cost"]) > 0
    assert (told["currency"], told["stream"], told["usage_source"]) == ("CNY", True, "upstream")
    assert told == {name: value for name, value in known.items() if name not in OPERATORS}
    assert known.keys() - told.keys() == OPERATORS


def test_without_a_price_there_is_no_cost(admin: Admin) -> None:
    told = admin.gateway.get(f"{ME}/{ask(admin, body('glm-5'))}").json()
    assert (told["status"], told["cost"], told["cost_output"], told["currency"]) == (200, None, None, None)
    told = admin.gateway.get(f"{ME}/{ask(admin, body('nobody'))}").json()
    assert (told["status"], told["model"], told["error_kind"]) == (404, None, "model_not_found")


def test_another_key_is_told_what_it_is_told_of_no_request(admin: Admin, other: str) -> None:
    request_id = ask(admin, body("qwen3-max"))
    assert admin.gateway.get(f"{ME}/{request_id}").status == 200
    theirs = admin.gateway.get(f"{ME}/{request_id}", key=other)
    nobodys = admin.gateway.get(f"{ME}/req_{'0' * 32}", key=other)
    assert theirs.status == nobodys.status == 404
    assert theirs.error == nobodys.error
    assert theirs.error["code"] == "not_found"
    assert "about a second after its end" in theirs.error["message"]


def test_who_may_ask_and_how(admin: Admin) -> None:
    gateway, path = admin.gateway, f"{ME}/{ask(admin, body('glm-5'))}"
    assert gateway.client.get(path).status_code == 401
    assert gateway.get(path, key=admin.key).error["code"] == "wrong_key_kind"
    answer = gateway.client.post(path, headers=gateway.headers())
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    answer = gateway.client.head(path, headers=gateway.headers())
    assert (answer.status_code, answer.content) == (200, b"")
    answer = gateway.client.get(path, headers={**gateway.headers(), "origin": "https://page.example"})
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    for rest in ("%00", "a" * 65, "a/b", "%ff"):
        assert gateway.get(f"{ME}/{rest}").error["code"] == "not_found"


def test_the_admin_process_passes_it_on(admin: Admin, other: str) -> None:
    path = f"{ME}/{ask(admin, body('qwen3-max'))}"
    direct = admin.gateway.get(path)
    passed = admin.get(path, key=admin.gateway.key)
    assert (passed.status_code, passed.content) == (200, direct.body)
    assert admin.client.get(path).status_code == 401
    assert admin.get(path, key=other).json()["error"]["code"] == "not_found"
    assert admin.get(path).json()["error"]["code"] == "wrong_key_kind"
    assert admin.send("POST", path, key=admin.gateway.key).status_code == 403
