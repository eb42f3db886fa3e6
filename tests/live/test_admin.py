"""The admin API over real sockets, in the workers and in a process of its own."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmgw.serving.admin_process import NICENESS
from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body
from tests.support.gateway import Gateway, config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess


@pytest.fixture(scope="module", params=["in the workers", "in its own process"])
def admin(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
) -> Iterator[Admin]:
    """A gateway with its admin API on."""
    config = config_text(simulator.url, scripted.base_url)
    own_process = request.param == "in its own process"
    with admin_gateway(tmp_path_factory.mktemp("admin"), config, own_process=own_process) as admin:
        yield admin


@pytest.fixture
def own(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Admin]:
    """One of the test's own, whose admin API has its own process."""
    with admin_gateway(tmp_path, config_text(simulator.url, scripted.base_url), own_process=True) as admin:
        yield admin


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, in the gateway's shape."""
    whole = answer.json()
    assert set(whole) == {"error"}
    error: dict[str, Any] = whole["error"]
    assert set(error) - {"faults"} == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")
    return error


PATH = "/admin/v1/models"


def test_a_model_key_is_told_that_it_is_of_the_wrong_kind(admin: Admin) -> None:
    answer = admin.get(PATH, key=admin.gateway.key)
    assert (answer.status_code, error_of(answer)["code"]) == (403, "wrong_key_kind")


@pytest.mark.parametrize("path", [PATH, "/admin", "/admin/v2/anything", "/v1/organization/x"])
def test_a_stranger_learns_nothing(admin: Admin, path: str) -> None:
    answer = admin.client.get(path)
    assert (answer.status_code, error_of(answer)["code"]) == (401, "missing_api_key")
    answer = admin.get(path, key="sk-gtw-unknown")
    assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")
    assert admin.client.get(path, headers={"x-api-key": admin.key}).status_code == 401


def test_an_expired_admin_key_is_refused(admin: Admin) -> None:
    key = admin.new_key("admin", expires_at=datetime.now(UTC) - timedelta(days=1))
    answer = admin.get(PATH, key=key)
    assert (answer.status_code, error_of(answer)["code"]) == (401, "expired_api_key")


def test_a_read_only_key_looks_and_changes_nothing(admin: Admin) -> None:
    key = admin.new_key("admin_read")
    assert admin.get(PATH, key=key).status_code == 200
    for method in ("POST", "PATCH", "DELETE", "PUT"):
        answer = admin.send(method, "/admin/v1/reload", key=key)
        assert (answer.status_code, error_of(answer)["code"]) == (403, "read_only_key")


@pytest.mark.parametrize(
    ("name", "method", "path", "status", "code"),
    [
        ("a path that is none", "GET", "/admin/v1/nothing", 404, "not_found"),
        ("the root", "GET", "/admin", 404, "not_found"),
        ("a slash too many", "GET", "/admin/v1/models/", 404, "not_found"),
        ("another method", "DELETE", PATH, 405, "method_not_allowed"),
        ("a request that is none", "GET", "/admin/v1/requests/req_1", 404, "not_found"),
    ],
)
def test_what_is_not_there(admin: Admin, name: str, method: str, path: str, status: int, code: str) -> None:
    answer = admin.send(method, path)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code), name


def test_a_wrong_method_is_told_the_right_ones(admin: Admin) -> None:
    for path, allowed in ((PATH, "GET"), ("/admin/v1/keys", "GET, POST"), ("/admin/v1/keys/1", "GET, PATCH")):
        answer = admin.send("DELETE", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_all_faults_of_a_query_at_once(admin: Admin) -> None:
    query: dict[str, str | int] = {
        "limit": 0,
        "cursor": "x",
        "since": "yesterday",
        "status": "ok",
        "modle": "m",
    }
    error = error_of(admin.get("/admin/v1/requests", query))
    assert [fault["param"] for fault in error["faults"]] == ["limit", "status", "since", "modle"]
    assert error["param"] == "limit"


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("a huge one", b" " * 70_000, 413, "body_too_large"),
    ],
)
def test_bodies_that_are_refused(admin: Admin, name: str, content: bytes, status: int, code: str) -> None:
    answer = admin.client.post("/admin/v1/reload", content=content, headers=admin.headers())
    assert (answer.status_code, error_of(answer)["code"]) == (status, code), name


def test_an_encoded_body_is_refused(admin: Admin) -> None:
    headers = {**admin.headers(), "content-encoding": "gzip"}
    answer = admin.client.post("/admin/v1/reload", content=b"{}", headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (415, "unsupported_encoding")


def test_requests_are_the_ledgers_newest_first_in_pages(admin: Admin) -> None:
    gateway = admin.gateway
    asked = [gateway.post(body("qwen3-max")).headers["x-request-id"] for _ in range(5)]
    asked.append(gateway.post(body("unknown-model")).headers["x-request-id"])
    for request_id in asked:
        gateway.ledger(request_id)
    listed = [row["request_id"] for row in admin.all_of("/admin/v1/requests", {"limit": 2})]
    assert listed[:6] == asked[::-1]
    assert len(set(listed)) == len(listed)
    first = admin.get(f"/admin/v1/requests/{asked[0]}").json()
    row = gateway.ledger(asked[0])
    assert first["total_s"] == row["total_s"]
    assert first["prompt_tokens"] == row["prompt_tokens"]
    assert first["time"].endswith("Z")
    assert (first["key_name"], first["project_name"], first["captured_in"]) == ("test", "default", None)


@pytest.mark.parametrize(
    ("name", "filters", "expected"),
    [
        ("a model", {"model": "glm-5"}, {"glm-5"}),
        ("an error", {"error_kind": "model_not_found"}, {None}),
        ("a status", {"status": 200, "model": "glm-5"}, {"glm-5"}),
        ("a class of status", {"status_class": 4}, {None}),
        ("what failed", {"failed": "true", "model": "glm-5"}, set()),
        ("what worked", {"failed": "false", "model": "glm-5"}, {"glm-5"}),
        ("another API", {"api": "rerank"}, set()),
        ("a key that is not there", {"key_id": 999_999}, set()),
        ("SQL for a model", {"model": "x' OR '1'='1"}, set()),
        ("SQL for a user", {"user": "%"}, set()),
        ("the future", {"since": "2999-01-01T00:00:00Z"}, set()),
        ("the past", {"until": "1999-01-01T00:00:00+08:00"}, set()),
    ],
)
def test_filters_of_requests(
    admin: Admin, name: str, filters: dict[str, str | int], expected: set[str | None]
) -> None:
    gateway = admin.gateway
    if not list(admin.all_of("/admin/v1/requests", {"model": "glm-5"})):
        for model in ("nobody", "glm-5"):
            gateway.ledger(gateway.post(body(model)).headers["x-request-id"])
    assert {row["model"] for row in admin.all_of("/admin/v1/requests", filters)} == expected, name


def test_the_config_in_force_has_no_secret(admin: Admin) -> None:
    answer = admin.get("/admin/v1/config")
    text = answer.text
    assert answer.json()["source"] == str(admin.gateway.config)
    assert answer.json()["config"]["upstreams"]["qwen"]["api_key"] == "**********"
    for secret in ("sim-qwen", "scripted-key", "sim-not-the-key"):
        assert secret not in text


def test_models_and_upstreams_have_their_health(admin: Admin) -> None:
    models = {model["id"]: model for model in admin.all_of("/admin/v1/models", {"limit": 7})}
    assert models["qwen3-max"]["catalog"]["family"] == "qwen"
    assert models["qwen3-max"]["targets"][0]["state"] == "up"
    page = admin.upstreams(workers=1)
    [qwen] = [upstream for upstream in page["data"] if upstream["name"] == "qwen"]
    assert {target["upstream_model"] for target in qwen["targets"]} >= {"qwen3-max"}
    assert all(target["workers"] for target in qwen["targets"])


def test_a_reload_takes_the_file_over_or_tells_its_faults(own: Admin) -> None:
    good = own.gateway.config.read_text("utf-8")
    own.gateway.config.write_text(good.replace('upstream = "kimi"', 'upstream = "kimy"', 1), "utf-8")
    answer = own.send("POST", "/admin/v1/reload")
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (409, "config_refused")
    assert error["faults"][0]["message"] == "there is no upstream 'kimy'; did you mean 'kimi'?"
    more = '[[models]]\nid = "new"\nupstream = "qwen"\nupstream_model = "qwen3-max"\n'
    own.gateway.config.write_text(good.replace("[[models]]", f"{more}\n[[models]]", 1), "utf-8")
    answer = own.send("POST", "/admin/v1/reload")
    assert (answer.status_code, answer.json()["problems"]) == (200, [])
    assert len(answer.json()["workers"]) == 1
    assert own.gateway.post(body("new")).status == 200
    wait_until(
        lambda: "new" in {model["id"] for model in own.all_of("/admin/v1/models")},
        "the model in the admin process",
        timeout_s=SOON_S,
    )


def test_a_check_says_what_a_reload_would_find(own: Admin) -> None:
    good = own.gateway.config.read_text("utf-8")
    checked = own.get("/admin/v1/check").json()
    assert (checked["ok"], checked["faults"], checked["needs_restart"], checked["upstreams"]) == (
        True, [], [], None,
    )  # fmt: skip
    own.gateway.config.write_text(good.replace('upstream = "kimi"', 'upstream = "kimy"', 1), "utf-8")
    checked = own.get("/admin/v1/check").json()
    assert [fault["remedy"] for fault in checked["faults"]] == ["did you mean 'kimi'?"]
    own.gateway.config.write_text(good.replace("enabled = true", "enabled = false"), "utf-8")
    checked = own.get("/admin/v1/check").json()
    assert [fault["path"] for fault in checked["needs_restart"]] == ["admin.enabled"]
    assert not checked["ok"]
    own.gateway.config.write_text(good, "utf-8")
    probed = own.get("/admin/v1/check", {"probe": "true"}).json()["upstreams"]
    probes = {each["upstream"]: each for each in probed}
    assert (probes["qwen"]["level"], probes["unreachable"]["level"]) == ("ok", "fault")
    assert "sim-not-the-key" not in json.dumps(probes)


def test_the_admin_process_is_started_again_and_ends_with_the_gateway(own: Admin) -> None:
    gateway = own.gateway
    [admin_pid] = set(children(gateway)) - set(own.upstreams()["workers"])
    assert os.getpriority(os.PRIO_PROCESS, admin_pid) == NICENESS + os.getpriority(os.PRIO_PROCESS, 0)
    os.kill(admin_pid, signal.SIGKILL)
    wait_until(lambda: admin_pid not in children(gateway) and own.answers(), "another one", timeout_s=SOON_S)
    assert gateway.post(body("qwen3-max")).status == 200
    pids = children(gateway)
    assert gateway.process.stop() == 0
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def children(gateway: Gateway) -> list[int]:
    """All processes of the gateway but the parent."""
    parent = gateway.process.process.pid
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return sorted(int(child) for file in tasks for child in file.read_text("ascii").split())


def test_with_a_port_of_its_own_the_gateways_port_knows_no_admin(own: Admin) -> None:
    for key in (own.gateway.key, own.key):
        answer = own.gateway.get(PATH, key=key)
        assert answer.status == 404 or answer.error["code"] == "wrong_key_kind"
    assert own.gateway.get(PATH).error["code"] == "not_found"


def test_without_admin_there_is_no_such_path(gateway: Gateway) -> None:
    for path in (PATH, "/admin", "/v1/organization/costs"):
        assert gateway.get(path).error["code"] == "not_found"
    assert gateway.client.get(PATH).status_code == 401


def test_the_document_is_served(admin: Admin) -> None:
    committed = json.loads((Path(__file__).parents[2] / "docs/admin-openapi.json").read_text("utf-8"))
    assert admin.get("/admin/v1/openapi.json").json() == committed
