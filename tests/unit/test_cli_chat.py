"""`llmgw chat`: what it asks and what it shows."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.cli import Canned, Outcome, Run, Server, serving
from tests.support.processes import free_port


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], "usage": None}


def frames(*payloads: dict[str, Any] | str) -> bytes:
    texts = [p if isinstance(p, str) else json.dumps(p, ensure_ascii=False) for p in payloads]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 7,
    "total_tokens": 10,
    "completion_tokens_details": {"reasoning_tokens": 4},
}
ANSWER = (
    chunk({"role": "assistant", "reasoning_content": "Let me "}),
    chunk({"reasoning_content": "think."}),
    chunk({"content": "天\u2028\x1b[31m蓝"}),
    chunk({"content": "。"}, "stop"),
    {"choices": [], "usage": USAGE},
)
STREAM = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_7"}


def gateway(body: bytes, status: int = 200) -> Callable[[str], Canned]:
    """A gateway with one model that answers so."""

    def answer(path: str) -> Canned:
        if path == "/v1/models":
            return Canned(200, b'{"object": "list", "data": [{"id": "first"}]}')
        return Canned(status, body, STREAM)

    return answer


def ask(run: Run, server: Server, *arguments: str) -> Outcome:
    return run("chat", "--base-url", server.url, "--api-key", "sk-gtw-mine", *arguments)


def test_chat(run: Run) -> None:
    with serving(gateway(b": keep-alive\n\n" + frames(*ANSWER, "[DONE]"))) as server:
        status, out, err = ask(run, server, "--model", "m", "--thinking", "off", "Why", "blue?")
    # No ANSI where no terminal is, and no control characters of the model's anywhere.
    expected = "Let me think.\n\n天\u2028[31m蓝。\nusage: 3 prompt + 7 completion (4 reasoning) = 10 tokens\n"
    assert (status, out, err) == (0, expected, "")
    [(path, headers, body)] = server.requests
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer sk-gtw-mine"
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Why blue?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "llmgw_thinking": False,
    }


def test_chat_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        out = ask(run, server, "Why?").out
    assert out.startswith("\x1b[2mLet me think.\x1b[0m\n\n天")
    assert out.endswith("\n\x1b[2musage: 3 prompt + 7 completion (4 reasoning) = 10 tokens\x1b[0m\n")
    assert "\x1b[31m" not in out


def test_chat_takes_the_first_model_and_no_switch_by_default(run: Run) -> None:
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        assert ask(run, server, "Why?").status == 0
    _, _, body = server.requests[-1]
    assert body["model"] == "first"
    assert "llmgw_thinking" not in body


ERROR = {"error": {"message": "No.", "type": "t", "param": None, "code": "invalid_api_key"}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, json.dumps(ERROR).encode(), "invalid_api_key: No. (status 401, request req_7)"),
        (502, b"<html>", "the server answered with status 502; is this an llmgw gateway?"),
        (200, frames(*ANSWER[:3], ERROR), "invalid_api_key: No. (status 200, request req_7)"),
        (200, frames(*ANSWER), "the answer broke off"),
    ],
    ids=["refused", "not ours", "error in the stream", "no [DONE]"],
)
def test_chat_that_fails(run: Run, status: int, body: bytes, expected: str) -> None:
    with serving(gateway(body, status)) as server:
        outcome = ask(run, server, "--model", "m", "Why?")
    assert (outcome.status, outcome.err) == (1, f"llmgw: {expected}\n")


def test_chat_without_a_key(run: Run) -> None:
    status, _, err = run("chat", "Why?")
    assert status == 1
    assert "no API key: set $LLMGW_API_KEY" in err


def test_chat_without_a_gateway(run: Run) -> None:
    status, _, err = run("chat", "--base-url", f"http://127.0.0.1:{free_port()}", "--api-key", "k", "Why?")
    assert status == 1
    assert "is llmgw serve running?" in err
