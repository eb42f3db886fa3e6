"""Usage by the admin API, in its own shape and in OpenAI's."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from tests.support.admin import Admin, admin_gateway
from tests.support.chat import body
from tests.support.gateway import config_text
from tests.support.processes import wait_until
from tests.support.schemas import USAGE as USAGE_RESPONSE
from tests.support.schemas import validator
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

USAGE = "/admin/v1/usage"
COMPLETIONS = "/v1/organization/usage/completions"
COSTS = "/v1/organization/costs"
DAY_S = 86_400
QUICK_S = 10.0


@pytest.fixture(scope="module")
def served() -> list[datetime]:
    """When `admin` began to serve its requests, and when it had."""
    return []


@pytest.fixture(scope="module")
def admin(
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
    served: list[datetime],
) -> Iterator[Admin]:
    """A gateway that has served some requests, of two keys and two users."""
    config = config_text(simulator.url, scripted.base_url)
    priced = 'id = "qwen3-max"\nprice = {input = 1000, output = 2000}'
    config = config.replace('id = "qwen3-max"', priced, 1)
    with admin_gateway(tmp_path_factory.mktemp("admin"), config, own_process=True) as admin:
        gateway = admin.gateway
        other = admin.send("POST", "/admin/v1/keys", {"name": "other"}).json()
        served.append(datetime.now(UTC))
        ids = [gateway.post({**body("qwen3-max"), "user": user}) for user in ("王伟", "li.na", "li.na")]
        ids += [gateway.post(body("glm-5"), key=other["secret"]), gateway.post(body("nobody"))]
        ids.append(gateway.post({"model": "text-embedding-v4", "input": "x"}, path="/v1/embeddings"))
        served.append(datetime.now(UTC))
        for answer in ids:
            gateway.ledger(answer.headers["x-request-id"])
        yield admin


def rows(admin: Admin, by: str, **query: str | int) -> list[dict[str, Any]]:
    return list(admin.all_of(USAGE, {"by": by, "limit": 2, **query}))


def test_any_grouping(admin: Admin) -> None:
    by_model = {row["model"]: row for row in rows(admin, "model")}
    assert set(by_model) == {"qwen3-max", "glm-5", "text-embedding-v4", None}
    assert by_model["qwen3-max"]["requests"] == 3
    assert by_model[None]["errors"] == 1
    assert by_model["glm-5"]["costs"] == {}
    assert by_model["glm-5"]["unpriced"] == 1
    ledger = list(admin.all_of("/admin/v1/requests", {"model": "qwen3-max"}))
    assert by_model["qwen3-max"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in ledger)
    cost = sum(int(float(row["cost"]) * 10**9 + 0.5) for row in ledger)
    assert int(float(by_model["qwen3-max"]["costs"]["CNY"]) * 10**9 + 0.5) == cost
    users = {(row["user"], row["model"]): row["requests"] for row in rows(admin, "user,model", key_id=1)}
    assert users["li.na", "qwen3-max"] == 2
    assert {row["key"]["name"] for row in rows(admin, "key")} == {"test", "other"}
    assert rows(admin, "project")[0]["project"] == {"id": 1, "name": "default"}


def test_buckets_are_those_of_the_configured_zone(admin: Admin, served: list[datetime]) -> None:
    there = [at + timedelta(hours=8) for at in served]  # two, since an hour may have ended between them
    for by, label in (("day", "%Y-%m-%d"), ("month", "%Y-%m"), ("hour", "%Y-%m-%d %H:")):
        assert rows(admin, by)[-1][by].startswith(tuple(at.strftime(label) for at in there)), by
    [day, *_] = rows(admin, "day")
    assert day["starts_at"].endswith("T16:00:00Z")
    assert "week" in rows(admin, "week,api")[0]


@pytest.mark.parametrize(
    ("filters", "requests"),
    [
        ({"model": "glm-5"}, 1),
        ({"user": "王伟"}, 1),
        ({"api": "embeddings"}, 1),
        ({"upstream": "qwen"}, 4),
        ({"key_id": 99}, 0),
        ({"project_id": 1, "model": "qwen3-max"}, 3),
        ({"since": "2999-01-01T00:00:00Z"}, 0),
        ({"until": "1999-01-01T00:00:00Z"}, 0),
        ({"model": "' OR 1=1 --"}, 0),
    ],
)
def test_filters(admin: Admin, filters: dict[str, str | int], requests: int) -> None:
    assert sum(row["requests"] for row in rows(admin, "model", **filters)) == requests


@pytest.mark.parametrize("by", ["", "modle", "model,model", "day,hour", "model,", "key;drop table"])
def test_groupings_that_are_none(admin: Admin, by: str) -> None:
    answer = admin.get(USAGE, {"by": by})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "by")


def test_latency_by_any_grouping(admin: Admin) -> None:
    found = {row["model"]: row for row in rows(admin, "model,day", latency="true")}
    assert found["qwen3-max"]["total_p50_s"] in {0.1, 0.25, 0.5, 1.0}
    assert found["qwen3-max"]["total_p95_s"] >= found["qwen3-max"]["total_p50_s"]
    assert "total_p50_s" not in rows(admin, "model")[0]
    nothing = rows(admin, "model", latency="true", since="2999-01-01T00:00:00Z")
    assert nothing == []


def test_a_cursor_of_another_grouping_is_none(admin: Admin) -> None:
    cursor = admin.get(USAGE, {"by": "model", "limit": 1}).json()["next_cursor"]
    assert admin.get(USAGE, {"by": "user", "cursor": cursor}).status_code == 400


def test_the_command_line_says_the_same(admin: Admin) -> None:
    for by, order in (
        ("model", "group"), ("key,day", "requests"), ("user,model,hour", "cost"),
        ("project,api,month", "errors"), ("all", "tokens"),
    ):  # fmt: skip
        command = [
            sys.executable,
            "-m",
            "llmgw",
            "usage",
            "--by",
            by,
            "--order",
            order,
            "--json",
            "--config",
            str(admin.gateway.config),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == rows(admin, by, order=order), by


def buckets(admin: Admin, path: str, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """All buckets, each page as OpenAI describes it."""
    begin = round(datetime.now(UTC).timestamp()) - 2 * DAY_S
    asked: dict[str, Any] = {"start_time": begin, "limit": 1, **query}
    found = []
    while True:
        answer = admin.client.get(path, params=asked, headers=admin.headers())
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert [error.message for error in validator(USAGE_RESPONSE).iter_errors(page)] == []
        found += page["data"]
        assert page["has_more"] == (page["next_page"] is not None)
        if not page["has_more"]:
            return found
        asked["page"] = page["next_page"]


def results(found: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [result for bucket in found for result in bucket["results"]]


def test_openais_completions_usage(admin: Admin) -> None:
    found = buckets(admin, COMPLETIONS, **{"group_by[]": ["model", "user_id"]})
    assert len(found) == 3
    for before, after in pairwise(found):
        assert before["end_time"] == after["start_time"] == before["start_time"] + DAY_S
    models = {(each["model"], each["user_id"]): each["num_model_requests"] for each in results(found)}
    assert models["qwen3-max", "li.na"] == 2
    assert "text-embedding-v4" not in {model for model, _ in models}
    hours = results(buckets(admin, COMPLETIONS, bucket_width="1h", limit=168, group_by="api_key_id"))
    assert {each["api_key_id"] for each in hours} == {"1", "3"}
    own = next(row for row in rows(admin, "model") if row["model"] == "qwen3-max")
    [total] = results(buckets(admin, COMPLETIONS, models="qwen3-max", limit=31))
    assert total["input_tokens"] == own["prompt_tokens"]
    assert total["output_tokens"] == own["completion_tokens"]
    assert results(buckets(admin, COMPLETIONS, batch="true", limit=31)) == []
    assert results(buckets(admin, COMPLETIONS, api_key_ids="nobody", limit=31)) == []
    assert results(buckets(admin, COMPLETIONS, project_ids=["1", "2"], group_by="project_id", limit=31))


def test_openais_own_client(admin: Admin) -> None:
    http_client = httpx2.Client(trust_env=False)
    with OpenAI(admin_api_key=admin.key, base_url=f"{admin.url}/v1", http_client=http_client) as client:
        begin = round(datetime.now(UTC).timestamp()) - DAY_S
        usage = client.admin.organization.usage
        page = usage.completions(start_time=begin, group_by=["model", "api_key_id"], models=["qwen3-max"])
        [result] = results(page.to_dict()["data"])
        assert (result["model"], result["num_model_requests"]) == ("qwen3-max", 3)
        [cost] = results(usage.costs(start_time=begin).to_dict()["data"])
        assert cost["amount"]["currency"] == "cny"


def test_openais_costs(admin: Admin) -> None:
    found = results(buckets(admin, COSTS, group_by=["line_item", "project_id"]))
    [cost] = found
    assert (cost["line_item"], cost["project_id"]) == ("qwen3-max", "1")
    own = next(row for row in rows(admin, "model") if row["model"] == "qwen3-max")
    assert cost["amount"] == {"value": float(own["costs"]["CNY"]), "currency": "cny"}


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        (COMPLETIONS, {}, "start_time"),
        (COMPLETIONS, {"start_time": "x"}, "start_time"),
        (COMPLETIONS, {"start_time": 10**12}, "start_time"),
        (COMPLETIONS, {"start_time": 10, "end_time": 10}, "end_time"),
        (COMPLETIONS, {"start_time": 10, "bucket_width": "1m"}, "bucket_width"),
        (COMPLETIONS, {"start_time": 10, "limit": 32}, "limit"),
        (COMPLETIONS, {"start_time": 10, "group_by": "line_item"}, "group_by[0]"),
        (COMPLETIONS, {"start_time": 10, "page": "x"}, "page"),
        (COSTS, {"start_time": 10, "bucket_width": "1h"}, "bucket_width"),
        (COSTS, {"start_time": 10, "limit": 181}, "limit"),
        (COSTS, {"start_time": 10, "models": "x"}, "models"),
    ],
)
def test_what_exporters_may_not_ask(admin: Admin, path: str, query: dict[str, str | int], param: str) -> None:
    answer = admin.get(path, query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_fifty_years_of_buckets_are_a_page(admin: Admin) -> None:
    answer = admin.get(COSTS, {"start_time": 0, "limit": 180})
    assert len(answer.json()["data"]) == 180
    assert answer.elapsed.total_seconds() < QUICK_S
    wait_until(
        lambda: admin.get(COSTS, {"start_time": 2**33}).json()["data"] == [], "no bucket", timeout_s=20
    )
