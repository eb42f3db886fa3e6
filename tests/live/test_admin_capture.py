"""Requests with their bodies, kept for a while at an admin's wish."""

import gzip
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import body, streamed
from tests.support.gateway import CHAT_COMPLETIONS, TIMEOUT_S, Answer, config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

HEADER = "x-llmgw-captured"


@pytest.fixture(scope="module")
def admin(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Admin]:
    """A gateway that may capture."""
    folder, config = tmp_path_factory.mktemp("admin"), config_text(simulator.url, scripted.base_url)
    with admin_gateway(folder, config, own_process=True, more="capture = true\n") as admin:
        yield admin


class Lease:
    """A key with a lease that every worker knows of."""

    def __init__(self, admin: Admin, **how: int) -> None:
        """`how`: of the lease."""
        self.admin = admin
        made = admin.send("POST", "/admin/v1/keys", {"name": "captured"}).json()
        self.key_id, self.secret = made["id"], made["secret"]
        answer = admin.send("POST", f"/admin/v1/keys/{self.key_id}/capture", how or None)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]
        wait_until(lambda: HEADER in self.ask().headers, "the lease in the worker", timeout_s=SOON_S)
        self.known = len(self.stored())

    def ask(self, wanted: bytes | dict[str, Any] | None = None, **headers: str) -> Answer:
        """A request of the key; by default one that is refused, and costs nothing."""
        content = wanted if isinstance(wanted, bytes) else json.dumps(wanted or body("nobody")).encode()
        sent = {**self.admin.headers(self.secret), "content-type": "application/json", **headers}
        with self.admin.gateway.client.stream("POST", CHAT_COMPLETIONS, content=content, headers=sent) as got:
            return Answer(got.status_code, got.headers, b"".join(got.iter_raw()))

    def stored(self) -> list[dict[str, Any]]:
        """What is there by now."""
        return list(self.admin.all_of(f"/admin/v1/captures/{self.id}/requests", {"limit": 3}))

    def read(self, answer: Answer) -> dict[str, Any]:
        """The capture of this answer's request. Waits for it."""
        request_id = answer.headers["x-request-id"]
        path = f"/admin/v1/captures/{self.id}/requests/{request_id}"
        wait_until(lambda: self.admin.get(path).status_code == 200, "the capture", timeout_s=SOON_S)
        found: dict[str, Any] = self.admin.get(path).json()
        return found


def kill_the_worker(lease: Lease) -> None:
    """And wait until its successor captures too."""
    [worker] = lease.admin.upstreams()["workers"]
    os.kill(worker, signal.SIGKILL)

    def captures_again() -> bool:
        try:
            return HEADER in lease.ask().headers
        except httpx.TransportError:
            return False

    wait_until(captures_again, "the new worker", timeout_s=SOON_S)


def test_a_capture_has_the_bodies_as_they_were_sent_and_got(admin: Admin) -> None:
    lease = Lease(admin)
    for wanted in (body("qwen3-max"), streamed("qwen3-max"), body("nobody"), {"model": 1}):
        answer = lease.ask(wanted)
        assert answer.headers[HEADER] == "1"
        captured = lease.read(answer)
        assert captured["response_body"].encode() == answer.body
        assert json.loads(captured["request_body"]) == wanted
        assert not captured["is_cut"]
        assert captured["expires_at"] > captured["time"]


def test_a_request_says_which_lease_has_its_bodies(admin: Admin) -> None:
    lease = Lease(admin)
    request_id = lease.read(lease.ask())["request_id"]
    path = f"/admin/v1/requests/{request_id}"
    wait_until(lambda: admin.get(path).status_code == 200, "the row", timeout_s=SOON_S)
    assert admin.get(path).json()["captured_in"] == lease.id
    with closing(sqlite3.connect(admin.gateway.database, timeout=TIMEOUT_S)) as database, database:
        database.execute(
            "UPDATE captures SET expires_at = '2020-01-01 00:00:00.000000' WHERE lease_id = ?", [lease.id]
        )
    assert admin.get(path).json()["captured_in"] is None


def test_a_compressed_body_is_kept_plain(admin: Admin) -> None:
    lease = Lease(admin)
    plain = json.dumps(body("qwen3-max")).encode()
    answer = lease.ask(gzip.compress(plain), **{"content-encoding": "gzip"})
    assert answer.status == 200
    assert lease.read(answer)["request_body"].encode() == plain


def test_long_bodies_are_cut(admin: Admin) -> None:
    lease = Lease(admin, max_body_bytes=64)
    wanted = streamed("qwen3-max")
    answer = lease.ask(wanted)
    captured = lease.read(answer)
    assert captured["is_cut"]
    assert captured["response_body"].encode() == answer.body[:64]
    assert captured["request_body"].encode() == json.dumps(wanted).encode()[:64]


def test_the_number_ends_a_lease(admin: Admin) -> None:
    lease = Lease(admin, max_requests=2)
    wait_until(lambda: HEADER not in lease.ask().headers, "the end", timeout_s=SOON_S)
    wait_until(lambda: len(lease.stored()) == 2, "both", timeout_s=SOON_S)
    [shown] = admin.all_of("/admin/v1/captures", {"key_id": lease.key_id})
    assert (shown["is_open"], shown["captured_requests"]) == (False, 2)


def test_time_ends_a_lease(admin: Admin) -> None:
    lease = Lease(admin, duration_s=5)
    wait_until(lambda: HEADER not in lease.ask().headers, "the end", timeout_s=SOON_S)
    [shown] = admin.all_of("/admin/v1/captures", {"key_id": lease.key_id})
    assert not shown["is_open"]


def test_an_admin_ends_a_lease(admin: Admin) -> None:
    lease = Lease(admin)
    path = f"/admin/v1/keys/{lease.key_id}/capture"
    assert admin.send("POST", path).status_code == 409
    assert admin.send("DELETE", path).json()["is_open"] is False
    assert admin.send("DELETE", path).status_code == 404
    wait_until(lambda: HEADER not in lease.ask().headers, "the end", timeout_s=SOON_S)
    wait_until(lambda: bool(lease.stored()), "what was captured", timeout_s=SOON_S)


def test_a_lease_outlives_rotation_and_the_death_of_a_worker(admin: Admin) -> None:
    lease = Lease(admin)
    rotated = admin.send("POST", f"/admin/v1/keys/{lease.key_id}/rotate", {"grace_s": 0}).json()
    lease.secret = rotated["secret"]
    assert lease.ask().headers[HEADER] == "1"
    kill_the_worker(lease)
    admin.send("POST", "/admin/v1/reload")
    assert HEADER in lease.ask().headers


def test_who_opened_and_read_a_capture_is_in_the_audit(admin: Admin) -> None:
    lease = Lease(admin)
    lease.read(lease.ask())
    admin.send("DELETE", f"/admin/v1/keys/{lease.key_id}/capture")
    entries = admin.all_of("/admin/v1/audit", {"target": f"key {lease.key_id}", "action": "capture."})
    actions = [entry["action"] for entry in entries]
    assert (actions[0], actions[-1]) == ("capture.close", "capture.open")
    assert "capture.read" in actions


def test_a_read_only_key_reads_no_bodies(admin: Admin) -> None:
    lease = Lease(admin)
    answer = lease.ask()
    lease.read(answer)
    reader = admin.new_key("admin_read")
    path = f"/admin/v1/captures/{lease.id}/requests"
    assert admin.get(path, key=reader).status_code == 200
    refused = admin.get(f"{path}/{answer.headers['x-request-id']}", key=reader)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "read_only_key")


def test_old_captures_are_deleted(admin: Admin) -> None:
    lease = Lease(admin)
    captured = lease.read(lease.ask())
    with closing(sqlite3.connect(admin.gateway.database, timeout=TIMEOUT_S)) as database, database:
        database.execute(
            "UPDATE captures SET expires_at = '2020-01-01 00:00:00.000000' WHERE lease_id = ?", [lease.id]
        )
    kill_the_worker(lease)  # the next one looks for old captures at once
    wait_until(
        lambda: captured["request_id"] not in {each["request_id"] for each in lease.stored()},
        "no old capture",
        timeout_s=SOON_S,
    )


def test_other_keys_are_not_captured(admin: Admin) -> None:
    lease = Lease(admin)
    answer = admin.gateway.post(body("qwen3-max"))
    assert HEADER not in answer.headers
    assert answer.headers["x-request-id"] not in {each["request_id"] for each in lease.stored()}


@pytest.mark.parametrize(
    ("how", "param"),
    [
        ({"duration_s": 3601}, "duration_s"),
        ({"duration_s": 0}, "duration_s"),
        ({"max_requests": 1001}, "max_requests"),
        ({"max_body_bytes": 1_048_577}, "max_body_bytes"),
        ({"duration_s": "60"}, "duration_s"),
        ({"minutes": 5}, "minutes"),
    ],
)
def test_a_lease_has_its_bounds(admin: Admin, how: dict[str, object], param: str) -> None:
    key = admin.send("POST", "/admin/v1/keys", {"name": "captured"}).json()
    answer = admin.send("POST", f"/admin/v1/keys/{key['id']}/capture", how)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_without_leave_of_the_config_nothing_is_captured(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    config = config_text(simulator.url, scripted.base_url)
    with admin_gateway(tmp_path, config, own_process=True, more="capture = true\n") as admin:
        lease = Lease(admin)
        text = admin.gateway.config.read_text("utf-8").replace("capture = true", "capture = false")
        admin.gateway.config.write_text(text, "utf-8")
        assert admin.send("POST", "/admin/v1/reload").status_code == 200
        assert HEADER not in lease.ask().headers
        other = admin.send("POST", "/admin/v1/keys", {"name": "other"}).json()

        def is_refused() -> bool:
            answer = admin.send("POST", f"/admin/v1/keys/{other['id']}/capture")
            return answer.status_code == 403 and answer.json()["error"]["code"] == "capture_disabled"

        wait_until(is_refused, "the refusal", timeout_s=SOON_S)
        assert admin.send("DELETE", f"/admin/v1/keys/{lease.key_id}/capture").status_code == 200
