"""What SECURITY.md promises about connections: to the configured address only, and none held up for long."""

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.chat import body
from tests.support.gateway import Gateway
from tests.support.scripted import ScriptedUpstream, json_answer

COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"},
    ],
}


def config(base_url: str, server: str = "") -> str:
    return (
        f"[server]\n{server}\n"
        f'[store]\nurl = "sqlite:///gateway.db"\n[upstreams.up]\nbase_url = "{base_url}"\n'
        'api_key = "canary-upstream"\n[[models]]\nid = "m"\nupstream = "up"\n'
    )


def test_no_proxy_is_taken_from_the_environment(tmp_path: Path, scripted: ScriptedUpstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        env = dict.fromkeys(names, url) | {"no_proxy": "", "NO_PROXY": ""}
        with Gateway(tmp_path, config(scripted.base_url), env=env) as gateway:
            answer = gateway.post(body("m", script=scripted.script(json_answer(COMPLETION))))
        assert answer.status == 200, answer.body
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_a_body_that_dribbles_in_ends_in_a_timeout(tmp_path: Path, scripted: ScriptedUpstream) -> None:
    """However steadily it does."""
    with Gateway(tmp_path, config(scripted.base_url, "body_timeout_s = 0.5")) as gateway:
        host, port = gateway.client.base_url.host, gateway.client.base_url.port
        assert port is not None
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        with socket.create_connection((host, port), timeout=0.1) as connection:
            connection.sendall(f"{head}content-length: 1000\r\n\r\n".encode())
            answer = b""
            for _ in range(200):
                connection.sendall(b" ")
                with suppress(TimeoutError):
                    answer = connection.recv(65_536)
                    break
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"request_timeout" in answer
