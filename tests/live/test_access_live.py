"""Blocks, rotations, projects and admin keys on a running gateway: within a second, on every path."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import get_args

import pytest

from llmgw.access.key import KeyKind
from llmgw.access.keys import block_key, create_key, rotate_key, unblock_key, update_key
from llmgw.access.projects import block_project, create_project, unblock_project
from llmgw.access.settings import LimitChange
from llmgw.store import Store, open_store
from tests.support.chat import body
from tests.support.gateway import Answer, Gateway, config_text
from tests.support.processes import NOISE, wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

ACTOR = "test"
WITHIN_S = 1.0
MODEL = "glm-5"
PATHS = {
    "POST": (
        "/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/messages/count_tokens",
        "/v1/responses", "/v1/embeddings", "/v1/rerank",
    ),
    "GET": ("/v1/models", f"/v1/models/{MODEL}", "/v1/model-catalog", "/v1/nowhere"),
}  # fmt: skip


@pytest.fixture(scope="module")
def two_workers(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """A gateway whose workers must both know."""
    folder = tmp_path_factory.mktemp("access")
    text = config_text(simulator.url, scripted.base_url, server="workers = 2")
    with Gateway(folder, text) as gateway:
        yield gateway


@pytest.fixture
def store(two_workers: Gateway) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{two_workers.database}")
    yield opened
    opened.close()


def seen_by_all(gateway: Gateway, key: str, expected: Callable[[int, str | None], bool], what: str) -> None:
    """Wait until many answers in a row, each on its own connection, are as expected. Within a second."""

    def is_seen() -> bool:
        for _ in range(8):
            head = f"authorization: Bearer {key}\r\nconnection: close"
            with gateway.connect(f"GET /v1/models HTTP/1.1\r\nhost: gateway\r\n{head}\r\n\r\n") as connection:
                answer = b"".join(iter(lambda: connection.recv(65_536), b""))
            status = int(answer.split(b" ", 2)[1])
            code = answer.rpartition(b'"code":"')[2].partition(b'"')[0].decode() if status != 200 else None
            if not expected(status, code):
                return False
        return True

    assert wait_until(is_seen, what, timeout_s=20) <= WITHIN_S * NOISE


def answer_with(status: int, ask: Callable[[], Answer]) -> Answer:
    """Soon: the client's own connections may lead to the one worker that `seen_by_all` did not ask."""
    answers: list[Answer] = []

    def is_it() -> bool:
        answers.append(ask())
        return answers[-1].status == status

    assert wait_until(is_it, f"a {status}", timeout_s=20) <= WITHIN_S * NOISE
    return answers[-1]


def is_good(status: int, _code: str | None) -> bool:
    return status == 200


def is_blocked(status: int, code: str | None) -> bool:
    return (status, code) == (403, "blocked_api_key")


def test_a_block_and_its_end(two_workers: Gateway, store: Store) -> None:
    new = create_key(store, actor=ACTOR, name="k")
    reference = str(new.key.id)
    assert two_workers.post(body(MODEL), key=new.token).status == 200
    block_key(store, reference, actor=ACTOR)
    seen_by_all(two_workers, new.token, is_blocked, "blocked")
    refused = answer_with(403, lambda: two_workers.post(body(MODEL), key=new.token))
    assert (refused.error["type"], refused.headers["x-should-retry"]) == ("permission_error", "false")
    assert refused.error["message"] == "The API key is blocked. Ask the operator of the gateway."
    unblock_key(store, reference, actor=ACTOR)
    seen_by_all(two_workers, new.token, is_good, "unblocked")
    answer_with(200, lambda: two_workers.post(body(MODEL), key=new.token))


def test_a_blocked_project_takes_its_keys_with_it_and_no_others(two_workers: Gateway, store: Store) -> None:
    create_project(store, actor=ACTOR, name="research")
    inside = create_key(store, actor=ACTOR, name="inside", project="research").token
    outside = create_key(store, actor=ACTOR, name="outside").token
    block_project(store, "research", actor=ACTOR)
    seen_by_all(two_workers, inside, is_blocked, "blocked")
    message = answer_with(403, lambda: two_workers.get("/v1/models", key=inside)).error["message"]
    assert message == "The project of the API key is blocked. Ask the operator of the gateway."
    assert two_workers.get("/v1/models", key=outside).status == 200
    unblock_project(store, "research", actor=ACTOR)
    seen_by_all(two_workers, inside, is_good, "unblocked")


def test_a_rotation(two_workers: Gateway, store: Store) -> None:
    old = create_key(store, actor=ACTOR, name="k")
    reference = str(old.key.id)
    new = rotate_key(store, reference, actor=ACTOR, grace=timedelta(hours=1))
    for token in (old.token, new.token):
        assert two_workers.post(body(MODEL), key=token).status == 200
    newer = rotate_key(store, reference, actor=ACTOR, grace=timedelta(0))
    assert two_workers.post(body(MODEL), key=newer.token).status == 200
    for token in (old.token, new.token):
        seen_by_all(two_workers, token, lambda status, _: status == 401, "replaced")


def test_a_grace_ends_by_itself(two_workers: Gateway, store: Store) -> None:
    old = create_key(store, actor=ACTOR, name="k")
    rotate_key(store, str(old.key.id), actor=ACTOR, grace=timedelta(seconds=5))
    assert two_workers.get("/v1/models", key=old.token).status == 200
    wait_until(lambda: two_workers.get("/v1/models", key=old.token).status == 401, "ended", timeout_s=20)
    error = two_workers.get("/v1/models", key=old.token).error
    assert (error["code"], "rotated" in error["message"]) == ("expired_api_key", True)


def test_a_limit_is_in_force_within_a_second(two_workers: Gateway, store: Store) -> None:
    new = create_key(store, actor=ACTOR, name="k")
    update_key(store, str(new.key.id), actor=ACTOR, limits=[LimitChange({"requests_per_minute": 1})])
    took_s = wait_until(
        lambda: two_workers.post(body(MODEL), key=new.token).status == 429, "limited", timeout_s=20
    )
    assert took_s <= WITHIN_S * NOISE
    update_key(store, str(new.key.id), actor=ACTOR, limits=[LimitChange({"requests_per_minute": None})])
    wait_until(lambda: two_workers.post(body(MODEL), key=new.token).status == 200, "free", timeout_s=10)


@pytest.mark.parametrize("kind", get_args(KeyKind)[1:])
def test_an_admin_key_calls_no_model(two_workers: Gateway, store: Store, kind: KeyKind) -> None:
    key = create_key(store, actor=ACTOR, name=kind, kind=kind).token
    headers = {"authorization": f"Bearer {key}"}
    for method, paths in PATHS.items():
        for path in paths:
            response = two_workers.client.request(method, path, headers=headers, json={"model": MODEL})
            assert response.status_code == 403, path
            error = response.json()["error"]
            assert error.get("code", "wrong_key_kind") == "wrong_key_kind", path
            assert "admin key" in error["message"]
            assert key not in response.text


def test_an_unknown_admin_key_is_as_unknown_as_any(two_workers: Gateway) -> None:
    answer = two_workers.get("/v1/models", key="sk-gtw-admin-" + "x" * 32)
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


def test_no_secret_of_an_admin_is_stored(two_workers: Gateway, store: Store) -> None:
    key = create_key(store, actor=ACTOR, name="ops", kind="admin").token
    two_workers.get("/v1/models", key=key)
    secret = key[len("sk-gtw-admin-xxxx") :].encode()
    for file in two_workers.database.parent.glob("gateway.db*"):
        if file.is_file():
            assert secret not in file.read_bytes()
