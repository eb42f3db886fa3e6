"""Keys on a running gateway: made, limited, expired, revoked."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.chat import body, streamed
from tests.support.frames import check_stream
from tests.support.gateway import Gateway
from tests.support.processes import NOISE, ROOT, wait_until
from tests.support.scripted import ScriptedUpstream, Wait, partial_event_stream

pytestmark = pytest.mark.alone

CHUNK = (
    b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%b}]}'
)
BEGIN = b"data: " + CHUNK % b'{"role":"assistant","content":"a"},"finish_reason":null' + b"\n\n"
END = b"data: " + CHUNK % b'{"content":"b"},"finish_reason":"stop"' + b"\n\ndata: [DONE]\n\n"
REVOKED_WITHIN_S = 1.0
SOON_S = 20.0


def command(gateway: Gateway, *arguments: str) -> str:
    """`llmgw keys …`; its stdout."""
    verb, *rest = arguments
    done = subprocess.run(
        [sys.executable, "-m", "llmgw", "keys", verb, "--config", str(gateway.config), *rest],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "python",
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_key_works_at_once_and_a_revoked_one_ends_within_a_second(gateway: Gateway) -> None:
    key = gateway.new_key()
    assert gateway.post(body("glm-5"), key=key).status == 200
    gateway.revoke(key)
    # Asks for something that does not reload the keys: the revocation must come by itself.
    took_s = wait_until(lambda: gateway.get("/v1/models", key=key).status == 401, "revoked", timeout_s=SOON_S)
    assert took_s <= REVOKED_WITHIN_S * NOISE
    assert gateway.post(body("glm-5"), key=key).error["code"] == "invalid_api_key"


def test_the_command_line(gateway: Gateway) -> None:
    key = command(gateway, "create", "--name", "by hand", "--models", "glm-5", "--expires-in", "1h").strip()
    assert key.startswith("sk-gtw-")
    assert len(key) >= len("sk-gtw-") + 22
    assert gateway.post(body("glm-5"), key=key).status == 200
    listed = command(gateway, "list")
    assert "by hand" in listed
    assert key not in listed
    command(gateway, "revoke", key)
    took_s = wait_until(lambda: gateway.get("/v1/models", key=key).status == 401, "revoked", timeout_s=SOON_S)
    assert took_s <= REVOKED_WITHIN_S * NOISE


def test_keys_lie_hashed_in_the_database(gateway: Gateway) -> None:
    gateway.new_key()
    stored = gateway.database.read_bytes()
    log = gateway.database.with_name(gateway.database.name + "-wal")
    stored += log.read_bytes() if log.exists() else b""
    assert b"sk-gtw-" in stored
    assert gateway.key.encode() not in stored


def test_a_key_sees_only_its_models(gateway: Gateway) -> None:
    key = gateway.new_key(models=["glm-5", "vendor/qwen3.6-plus"])
    for path in ("/v1/models", "/v1/model-catalog"):
        assert {entry["id"] for entry in gateway.get(path, key=key).json()["data"]} == {
            "glm-5",
            "vendor/qwen3.6-plus",
        }
        assert gateway.get(f"{path}/vendor/qwen3.6-plus", key=key).status == 200
        assert gateway.get(f"{path}/qwen3-max", key=key).error["code"] == "model_not_allowed"
    assert gateway.post(body("qwen3-max"), key=key).status == 403
    assert gateway.post(body("glm-5"), key=key).status == 200


def test_a_key_expires_while_the_gateway_runs(gateway: Gateway) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=4)
    key = gateway.new_key(expires_at=expires_at)
    assert gateway.get("/v1/models", key=key).status == 200
    wait_until(lambda: gateway.get("/v1/models", key=key).status == 401, "expired", timeout_s=SOON_S)
    assert datetime.now(UTC) >= expires_at
    assert gateway.get("/v1/models", key=key).error["code"] == "expired_api_key"


def test_unknown_keys_do_not_slow_the_gateway_down(gateway: Gateway) -> None:
    """Each unknown key may make it look into the database; it must not do so for every one."""
    begun = time.monotonic()
    for number in range(40):
        assert gateway.get("/v1/models", key=f"sk-gtw-{number:032}").status == 401
    assert time.monotonic() - begun < 10


def test_the_stream_of_a_key_that_is_revoked_ends_as_it_began(
    gateway: Gateway, scripted: ScriptedUpstream
) -> None:
    """A key is asked for when a request begins. What it has begun, it may end; the next one is refused."""
    key = gateway.new_key()
    more = threading.Event()
    rest = b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END)
    script = scripted.script(*partial_event_stream(BEGIN), Wait(more), rest)
    with gateway.stream(streamed("scripted", script=script), key=key) as response:
        pieces = response.iter_raw()
        received = next(pieces)
        gateway.revoke(key)
        wait_until(lambda: gateway.get("/v1/models", key=key).status == 401, "revoked", timeout_s=SOON_S)
        more.set()
        received += b"".join(pieces)
    assert check_stream(received, include_usage=False).only.content == "ab"
    assert gateway.ledger(response.headers["x-request-id"])["error_kind"] is None
