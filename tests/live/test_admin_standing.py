"""What is left of limits, by the admin API: as the key itself is told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body
from tests.support.gateway import config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

MODEL = 'id = "qwen3-max"'
LIMITS = {"requests_per_minute": 10, "tokens_per_minute": 100_000, "concurrent_requests": 3}


@pytest.fixture(scope="module", params=["in the workers", "in its own process"])
def admin(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
) -> Iterator[Admin]:
    """A gateway with defaults, and a limit of one model."""
    config = config_text(simulator.url, scripted.base_url)
    config = config.replace(MODEL, f"{MODEL}\nrequests_per_minute = 600", 1)
    config += "\n[limits]\nconcurrent_requests = 40\n"
    own_process = request.param == "in its own process"
    with admin_gateway(tmp_path_factory.mktemp("admin"), config, own_process=own_process) as admin:
        yield admin


def made(admin: Admin, path: str, **more: object) -> dict[str, Any]:
    answer = admin.send("POST", path, {"name": "k", **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def standing(admin: Admin, path: str) -> list[dict[str, Any]]:
    answer = admin.get(f"{path}/standing")
    assert answer.status_code == 200, answer.text
    assert answer.json()["unknown"] is None
    found: list[dict[str, Any]] = answer.json()["limits"]
    return found


def by_name(admin: Admin, path: str) -> dict[tuple[str, str | None, str], dict[str, Any]]:
    return {(each["scope"], each["model"], each["kind"]): each for each in standing(admin, path)}


def name(limit: dict[str, Any]) -> tuple[object, ...]:
    """All that is said of a limit but what is left of it."""
    return tuple(limit[member] for member in ("kind", "scope", "of", "limit"))


def test_a_keys_limits_are_those_that_it_is_told_itself(admin: Admin) -> None:
    # Few of a minute: a place comes back after six seconds, and not while the test looks.
    project = made(admin, "/admin/v1/projects", limits={"requests_per_minute": 10})
    key = made(
        admin,
        "/admin/v1/keys",
        project=project["name"],
        models=["qwen3-max", "glm-5"],
        limits={"requests_per_minute": 10, "tokens_per_minute": 100_000},
        limits_by=[
            {"model": "glm-5", "requests_per_minute": 2}, {"per_user": True, "requests_per_minute": 1},
        ],
    )  # fmt: skip
    path = f"/admin/v1/keys/{key['id']}"
    assert {which: each["remaining"] for which, each in by_name(admin, path).items()} == {
        ("key", None, "requests_per_minute"): 10,
        ("key", None, "tokens_per_minute"): 100_000,
        ("key", None, "concurrent_requests"): 40,
        ("key_model", "glm-5", "requests_per_minute"): 2,
        ("project", None, "requests_per_minute"): 10,
        ("model", "qwen3-max", "requests_per_minute"): 600,
    }
    assert admin.gateway.post(body("qwen3-max"), key=key["secret"]).status == 200
    told = admin.gateway.get("/v1/usage/me", key=key["secret"]).json()["limits"]
    assert {name(each) for each in standing(admin, path)} == {name(each) for each in told}
    at_once = ("key", None, "concurrent_requests")
    wait_until(lambda: by_name(admin, path)[at_once]["remaining"] == 40, "its end", timeout_s=SOON_S)
    used = by_name(admin, path)
    one = used["key", None, "requests_per_minute"]
    assert (one["limit"], one["remaining"]) == (10, 9)
    assert 0 < one["reset_s"] <= 6
    assert used["project", None, "requests_per_minute"]["remaining"] == 9
    assert used["key_model", "glm-5", "requests_per_minute"]["remaining"] == 2


def test_a_projects_limits_are_those_of_its_keys_together(admin: Admin) -> None:
    limits_by = [{"model": "glm-5", **LIMITS}]
    project = made(admin, "/admin/v1/projects", name="team", limits=LIMITS, limits_by=limits_by)
    path = f"/admin/v1/projects/{project['id']}"
    key = made(admin, "/admin/v1/keys", project="team")
    before = standing(admin, path)
    assert [(each["scope"], each["model"], each["remaining"]) for each in before] == [
        ("project", None, 10), ("project", None, 100_000), ("project", None, 3),
        ("project_model", "glm-5", 10), ("project_model", "glm-5", 100_000), ("project_model", "glm-5", 3),
    ]  # fmt: skip
    assert admin.gateway.post(body("qwen3-max"), key=key["secret"]).status == 200
    after = standing(admin, path)
    assert (after[0]["remaining"], after[3]["remaining"]) == (9, 10)
    assert standing(admin, "/admin/v1/projects/1") == []


def test_an_admins_key_has_none(admin: Admin) -> None:
    [mine] = admin.all_of("/admin/v1/keys", {"kind": "admin"})
    assert standing(admin, f"/admin/v1/keys/{mine['id']}") == []


@pytest.mark.parametrize("path", ["/admin/v1/keys/999/standing", "/admin/v1/projects/999/standing"])
def test_of_nobody(admin: Admin, path: str) -> None:
    answer = admin.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_gateway_goes_on_as_the_admin_process_looks(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    """It has a place in the workers' memory, which nobody takes for a dead worker's."""
    config = config_text(simulator.url, scripted.base_url)
    with admin_gateway(tmp_path, config, own_process=True) as admin:
        key = made(admin, "/admin/v1/keys", limits=LIMITS)
        for left in (9, 8, 7):
            assert admin.gateway.post(body("qwen3-max"), key=key["secret"]).status == 200
            found = standing(admin, f"/admin/v1/keys/{key['id']}")
            assert (found[0]["kind"], found[0]["remaining"]) == ("requests_per_minute", left)
        assert admin.gateway.process.stop() == 0
