"""A key's life, and a project's, by the admin API."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body
from tests.support.gateway import config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

KEYS = "/admin/v1/keys"
PROJECTS = "/admin/v1/projects"
ISSUE = {
    "name": "batch",
    "project": "default",
    "models": ["qwen3-max"],
    "expires_at": "2999-01-01T00:00:00+08:00",
    "limits": {"requests_per_minute": 5, "tokens_per_minute": 1000, "concurrent_requests": 2},
    "budgets": [
        {"amount": "10.00", "unit": "CNY", "period": "day", "warn_at": 0.8},
        {"amount": "5000000", "unit": "tokens", "period": "month"},
    ],
}
"""As the issue has it."""


@pytest.fixture(scope="module")
def admin(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Admin]:
    """A gateway whose admin API has a process of its own."""
    config = config_text(simulator.url, scripted.base_url) + '[prices]\nunpriced = "allow"\n'
    with admin_gateway(tmp_path_factory.mktemp("admin"), config, own_process=True) as admin:
        yield admin


def made(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """What was answered."""
    assert answer.status_code == status, answer.text
    whole: dict[str, Any] = answer.json()
    return whole


def new_key(admin: Admin, **more: object) -> dict[str, Any]:
    return made(admin.send("POST", KEYS, {"name": "k", **more}), 201)


def status_of(admin: Admin, secret: str) -> tuple[int, str | None]:
    answer = admin.gateway.post(body("qwen3-max"), key=secret)
    return answer.status, None if answer.status == 200 else answer.error["code"]


def becomes(admin: Admin, secret: str, expected: tuple[int, str | None]) -> None:
    """Within a second or so."""
    wait_until(lambda: status_of(admin, secret) == expected, f"{expected}", timeout_s=SOON_S)


def test_the_json_of_the_issue(admin: Admin) -> None:
    key = made(admin.send("POST", KEYS, ISSUE), 201)
    assert key["secret"].startswith(key["prefix"])
    assert {name: key[name] for name in ("name", "project", "models", "limits")} == {
        name: ISSUE[name] for name in ("name", "project", "models", "limits")
    }
    assert key["expires_at"] == "2998-12-31T16:00:00Z"
    budgets = [(b["amount"], b["unit"], b["period"], b["warn_at"]) for b in key["budgets"]]
    assert budgets == [("10.00", "CNY", "day", 0.8), ("5000000", "tokens", "month", None)]
    assert status_of(admin, key["secret"]) == (200, None)
    shown = made(admin.get(f"{KEYS}/{key['id']}"))
    assert (shown.pop("inherited_limits"), shown.pop("inherited_budgets")) == ([], [])
    del key["secret"]
    assert shown == key


def test_field_b5_what_is_shown_of_a_key_can_be_sent_back(admin: Admin) -> None:
    key = new_key(
        admin,
        limits_by=[
            {"model": "glm-5", "requests_per_minute": 3},
            {"model": None, "per_user": True, "concurrent_requests": 1},
        ],
        budgets=[{"amount": "1", "unit": "CNY", "period": "week", "model": "glm-5", "per_user": True}],
        owner="王伟",
        trusts_user_header=True,
    )
    assert key["budgets"][0]["amount"] == "1.00"
    writable = (
        "name",
        "project",
        "models",
        "expires_at",
        "limits",
        "limits_by",
        "owner",
        "trusts_user_header",
    )
    again = {name: key[name] for name in writable}
    again["budgets"] = [{n: v for n, v in budget.items() if n != "id"} for budget in key["budgets"]]
    del key["secret"]
    assert made(admin.send("PATCH", f"{KEYS}/{key['id']}", again)) == key


def test_a_change_leaves_what_it_does_not_name(admin: Admin) -> None:
    key = new_key(admin, limits={"requests_per_minute": 5, "tokens_per_minute": 9}, models=["glm-5"])
    changed = made(admin.send("PATCH", f"{KEYS}/{key['id']}", {"limits": {"tokens_per_minute": None}}))
    assert changed["limits"]["requests_per_minute"] == 5
    assert changed["limits"]["tokens_per_minute"] is None
    assert changed["models"] == ["glm-5"]
    changed = made(admin.send("PATCH", f"{KEYS}/{key['id']}", {"models": None, "name": "other"}))
    assert (changed["models"], changed["name"]) == (None, "other")
    assert made(admin.send("PATCH", f"{KEYS}/{key['id']}", {})) == changed


def test_blocked_unblocked_rotated_revoked(admin: Admin) -> None:
    key = new_key(admin)
    path, secret = f"{KEYS}/{key['id']}", key["secret"]
    assert status_of(admin, secret) == (200, None)
    first = made(admin.send("POST", f"{path}/block"))
    assert first["state"] == "blocked"
    assert made(admin.send("POST", f"{path}/block")) == first
    becomes(admin, secret, (403, "blocked_api_key"))
    assert made(admin.send("POST", f"{path}/unblock"))["state"] == "active"
    assert made(admin.send("POST", f"{path}/unblock"))["state"] == "active"
    becomes(admin, secret, (200, None))
    rotated = made(admin.send("POST", f"{path}/rotate", {"grace_s": 3600}))
    assert rotated["secret"] != secret
    assert rotated["previous_expires_at"] is not None
    assert status_of(admin, rotated["secret"]) == (200, None)
    assert status_of(admin, secret) == (200, None)
    third = made(admin.send("POST", f"{path}/rotate", {"grace_s": 0}))
    becomes(admin, rotated["secret"], (401, "invalid_api_key"))
    ended = made(admin.send("POST", f"{path}/revoke"))
    assert made(admin.send("POST", f"{path}/revoke")) == ended
    becomes(admin, third["secret"], (401, "invalid_api_key"))
    for verb in ("block", "unblock", "rotate"):
        answer = admin.send("POST", f"{path}/{verb}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    assert admin.send("PATCH", path, {"name": "late"}).status_code == 409


def test_a_rotation_without_a_body_keeps_the_old_secret_for_a_day(admin: Admin) -> None:
    key = new_key(admin)
    rotated = made(admin.send("POST", f"{KEYS}/{key['id']}/rotate"))
    assert rotated["previous_expires_at"][:10] > rotated["rotated_at"][:10]


def test_admin_keys_are_made_by_admins(admin: Admin) -> None:
    key = new_key(admin, kind="admin_read")
    assert key["secret"].startswith("sk-gtw-admin-")
    assert admin.get(KEYS, key=key["secret"]).status_code == 200
    assert admin.send("POST", KEYS, {"name": "x"}, key=key["secret"]).status_code == 403
    assert status_of(admin, key["secret"]) == (403, "wrong_key_kind")


@pytest.mark.parametrize(
    ("name", "wanted", "params"),
    [
        ("nothing", {}, ["name"]),
        ("no object", [], [None]),
        ("all of it wrong", {"nmae": "x", "models": "glm-5", "expires_at": "soon", "limits": {"rpm": 1}},
         ["name", "models", "expires_at", "limits.rpm", "nmae"]),
        ("numbers", {"name": "x", "limits": {"requests_per_minute": 0, "tokens_per_minute": 1.5,
                                             "concurrent_requests": "2"}},
         ["limits.requests_per_minute", "limits.tokens_per_minute", "limits.concurrent_requests"]),
        ("a boolean for a number", {"name": "x", "limits": {"requests_per_minute": True}},
         ["limits.requests_per_minute"]),
        ("budgets", {"name": "x", "budgets": [
            {"amount": 10, "unit": "CNY", "period": "day"},
            {"amount": "1.5", "unit": "tokens", "period": "day"},
            {"amount": "1", "unit": "CNY", "period": "year"},
            {"amount": "1", "unit": "CNY", "period": "day", "warn_at": 2},
            {"amount": "-1", "unit": "CNY", "period": "day"},
        ]}, ["budgets[0].amount", "budgets[1].amount", "budgets[2].period", "budgets[3].warn_at",
             "budgets[4].amount"]),
        ("what the config does not know", {"name": "x", "models": ["qwen3-mx"], "budgets": [
            {"amount": "1", "unit": "EUR", "period": "day"}]}, ["models", "budgets[0].unit"]),
        ("the same budget twice", {"name": "x", "budgets": 2 * [
            {"amount": "1", "unit": "CNY", "period": "day"}]}, ["budgets"]),
        ("an admin key with models", {"name": "x", "kind": "admin", "models": ["glm-5"]}, ["models"]),
        ("no such project", {"name": "x", "project": "nobody's"}, ["project"]),
        ("a line break", {"name": "a\nb"}, ["name"]),
        ("half a character", {"name": "\ud800"}, ["name"]),
        ("a long name", {"name": "x" * 201}, ["name"]),
        ("a time without a zone", {"name": "x", "expires_at": "2030-01-01T00:00:00"}, ["expires_at"]),
        ("a day that is none", {"name": "x", "expires_at": "2030-02-30T00:00:00Z"}, ["expires_at"]),
        ("a number for a time", {"name": "x", "expires_at": 1893456000}, ["expires_at"]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_with_a_key_at_once(
    admin: Admin, name: str, wanted: object, params: list[str | None]
) -> None:
    before = len(list(admin.all_of(KEYS)))
    answer = admin.client.post(KEYS, content=json.dumps(wanted), headers=admin.headers())
    assert answer.status_code == 400, (name, answer.text)
    error = answer.json()["error"]
    assert sorted(str(fault["param"]) for fault in error["faults"]) == sorted(map(str, params)), name
    assert error["param"] == error["faults"][0]["param"]
    assert len(list(admin.all_of(KEYS))) == before


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("nothing", b"", "missing_field"),
        ("no JSON", b"{", "invalid_json"),
        ("no UTF-8", b'{"name": "\xff"}', "invalid_json"),
        ("deep arrays", b'{"name": ' + b"[" * 30_000, "invalid_json"),
        ("deep objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "invalid_json"),
        ("a number of thousands of digits", b'{"name": ' + b"9" * 20_000 + b"}", "invalid_json"),
        ("what is no JSON but Python", b'{"name": NaN}', "invalid_type"),
    ],
)
def test_a_body_that_can_not_be_read(admin: Admin, name: str, content: bytes, code: str) -> None:
    answer = admin.client.post(KEYS, content=content, headers=admin.headers())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), name


@pytest.mark.parametrize("key_id", ["0", "-1", "x", "1.5", "9" * 30, "1%27%20OR%201=1", "%00"])
def test_ids_that_are_none(admin: Admin, key_id: str) -> None:
    assert admin.get(f"{KEYS}/{key_id}").status_code == 400
    assert admin.send("POST", f"{KEYS}/{key_id}/revoke").status_code == 400


def test_a_key_that_is_not_there(admin: Admin) -> None:
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("POST", "/block"),
        ("POST", "/revoke"),
        ("POST", "/rotate"),
    ):
        answer = admin.send(method, f"{KEYS}/123456789{path}", {} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_project_that_is_not_there(admin: Admin) -> None:
    """404 where the path names it, 400 where the body does."""
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/block"), ("POST", "/unblock")):
        body: dict[str, Any] | None = {} if method == "PATCH" else None
        answer = admin.send(method, f"/admin/v1/projects/123456789{path}", body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), path
    answer = admin.send("PATCH", f"{KEYS}/{new_key(admin)['id']}", {"project": "nope"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "project")


def test_a_key_whose_name_is_another_ones_id(admin: Admin) -> None:
    first = new_key(admin)
    second = new_key(admin, name=str(first["id"]))
    assert made(admin.get(f"{KEYS}/{first['id']}"))["id"] == first["id"]
    assert made(admin.send("POST", f"{KEYS}/{first['id']}/block"))["id"] == first["id"]
    assert made(admin.get(f"{KEYS}/{second['id']}"))["state"] == "active"


def test_changes_at_the_same_time_all_take_effect(admin: Admin) -> None:
    key = new_key(admin)
    changes: list[dict[str, Any]] = [
        {"limits": {name: number}}
        for number in range(1, 9)
        for name in ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
    ] + [{"owner": f"owner {number}"} for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda change: admin.send("PATCH", f"{KEYS}/{key['id']}", change), changes))
    assert {answer.status_code for answer in answers} == {200}
    shown = made(admin.get(f"{KEYS}/{key['id']}"))
    assert None not in shown["limits"].values()
    assert shown["owner"] is not None
    audit = list(admin.all_of("/admin/v1/audit", {"target": f"key {key['id']}", "limit": 7}))
    last: dict[str, Any] = {}
    for entry in reversed(audit):
        # Each row begins where the one before has ended: none was lost, and none overwritten unseen.
        for member, value in (entry["before"] or {}).items():
            assert last.get(member, value) == value
        last |= entry["after"]
    assert last["limits"] == shown["limits"]


def test_pages_and_filters_of_keys(admin: Admin) -> None:
    made(admin.send("POST", PROJECTS, {"name": "listed"}), 201)
    keys = [new_key(admin, project="listed", name=f"listed {number}")["id"] for number in range(5)]
    listed = [key["id"] for key in admin.all_of(KEYS, {"project": "listed", "limit": 2})]
    assert listed == keys
    made(admin.send("POST", f"{KEYS}/{keys[2]}/block"))
    filters: dict[str, str | int] = {"project": "listed", "state": "blocked"}
    assert [key["id"] for key in admin.all_of(KEYS, filters)] == [keys[2]]
    assert [key["id"] for key in admin.all_of(KEYS, {"name": "isted 4"})] == [keys[4]]
    assert admin.get(KEYS, {"project": "nobody's"}).status_code == 400
    assert admin.get(KEYS, {"state": "sleeping"}).status_code == 400


def test_a_projects_life(admin: Admin) -> None:
    wanted = {
        "name": "search",
        "limits": {"requests_per_minute": 600},
        "budgets": [{"amount": "3000", "unit": "CNY", "period": "month", "warn_at": 0.9}],
    }
    project = made(admin.send("POST", PROJECTS, wanted), 201)
    path = f"{PROJECTS}/{project['id']}"
    assert made(admin.get(path)) == project
    again = admin.send("POST", PROJECTS, wanted)
    assert (again.status_code, again.json()["error"]["param"]) == (409, "name")
    key = new_key(admin, project="search")
    assert key["project_id"] == project["id"]
    made(admin.send("POST", f"{KEYS}/{new_key(admin, project='search')['id']}/revoke"))
    assert (project["keys"], made(admin.get(path))["keys"]) == (0, 1)
    assert status_of(admin, key["secret"]) == (200, None)
    assert made(admin.send("POST", f"{path}/block"))["blocked_at"] is not None
    becomes(admin, key["secret"], (403, "blocked_api_key"))
    refused = admin.send("POST", KEYS, {"name": "x", "project": "search"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (409, "project")
    made(admin.send("POST", f"{path}/unblock"))
    becomes(admin, key["secret"], (200, None))
    changed = made(admin.send("PATCH", path, {"name": "find", "budgets": []}))
    assert (changed["name"], changed["budgets"]) == ("find", [])
    assert changed["limits"]["requests_per_minute"] == 600
    listed = {each["name"]: each["keys"] for each in admin.all_of(PROJECTS, {"limit": 1})}
    assert listed["find"] == 1


def test_field_b5_the_projects_limits_are_on_the_keys_page(admin: Admin) -> None:
    wanted = {
        "name": "team",
        "limits": {"requests_per_minute": 600},
        "limits_by": [{"model": "glm-5", "tokens_per_minute": 9}],
        "budgets": [{"amount": "5", "unit": "CNY", "period": "month"}],
    }
    project = made(admin.send("POST", PROJECTS, wanted), 201)
    key = new_key(admin, project="team", limits={"requests_per_minute": 5})
    shown = made(admin.get(f"{KEYS}/{key['id']}"))
    limits = [(each["scope"], each["model"], each["requests_per_minute"], each["tokens_per_minute"])
              for each in shown["inherited_limits"]]  # fmt: skip
    assert limits == [("project", None, 600, None), ("project", "glm-5", None, 9)]
    assert shown["inherited_budgets"] == project["budgets"]
    assert shown["limits"]["requests_per_minute"] == 5


def test_limits_say_whom_they_bind(admin: Admin) -> None:
    key = new_key(admin, name="limited", limits_by=[{"model": "glm-5", "tokens_per_minute": 77}])
    limits = [
        each for each in admin.all_of("/admin/v1/limits", {"limit": 3}) if each["scope_id"] == key["id"]
    ]
    assert [(each["scope"], each["name"], each["model"], each["tokens_per_minute"]) for each in limits] == [
        ("key", "limited", "glm-5", 77)
    ]


def test_the_audit_says_who_did_what(admin: Admin) -> None:
    key = new_key(admin, name="watched")
    path = f"{KEYS}/{key['id']}"
    admin.send("PATCH", path, {"name": "seen"})
    admin.send("POST", f"{path}/block")
    admin.send("POST", f"{path}/rotate", {"grace_s": 0})
    admin.send("POST", f"{path}/revoke")
    entries = list(admin.all_of("/admin/v1/audit", {"target": f"key {key['id']}", "limit": 2}))
    assert [entry["action"] for entry in entries] == [
        "key.revoke", "key.rotate", "key.block", "key.update", "key.create",
    ]  # fmt: skip
    assert {entry["actor"] for entry in entries} == {"key 2 (admin)"}
    assert entries[3]["before"] == {"name": "watched"}
    assert entries[3]["after"] == {"name": "seen"}
    assert key["secret"] not in json.dumps(entries)
    filters: dict[str, str | int] = {"action": "key.", "since": key["created_at"]}
    assert {entry["action"].partition(".")[0] for entry in admin.all_of("/admin/v1/audit", filters)} == {
        "key"
    }
