"""`llmgw chat`: what it asks and what it shows."""

import builtins
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
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
    told = "Let me think.\n\nusage: 3 prompt + 7 completion (4 reasoning) = 10 tokens (m)\n"
    assert (status, out, err) == (0, "天\u2028[31m蓝。\n", told)
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
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        _, out, err = ask(run, server, "Why?")
    assert out == "天\u2028[31m蓝。\n"
    assert err.startswith("\x1b[2mLet me \x1b[0m\x1b[2mthink.\x1b[0m\n\n")
    assert err.endswith("\x1b[2musage: 3 prompt + 7 completion (4 reasoning) = 10 tokens (first)\x1b[0m\n")


def test_quiet_is_the_answer_alone(run: Run) -> None:
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        assert ask(run, server, "-q", "Why?") == (0, "天\u2028[31m蓝。\n", "")


def test_a_question_on_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("line 1\nline 2\n"))
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        assert ask(run, server).status == 0
    assert server.requests[-1][2]["messages"] == [{"role": "user", "content": "line 1\nline 2"}]


def test_chat_takes_the_first_model_and_no_switch_by_default(run: Run) -> None:
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        assert ask(run, server, "Why?").status == 0
    _, _, body = server.requests[-1]
    assert body["model"] == "first"
    assert "llmgw_thinking" not in body


@pytest.mark.parametrize(
    ("models", "taken"),
    [
        ([{"id": "e", "kind": "embedding"}, {"id": "c", "kind": "chat"}], "c"),
        ([{"id": "r", "kind": "rerank"}], None),
        ([], None),
    ],
)
def test_chat_takes_no_model_of_another_kind(
    run: Run, models: list[dict[str, str]], taken: str | None
) -> None:
    answers = gateway(frames(*ANSWER, "[DONE]"))
    listed = json.dumps({"object": "list", "data": models}).encode()
    with serving(lambda path: Canned(200, listed) if path == "/v1/models" else answers(path)) as server:
        status, _, err = ask(run, server, "Why?")
    if taken is None:
        assert (status, err) == (1, "llmgw: this key may use no chat model\n")
    else:
        assert (status, server.requests[-1][2]["model"]) == (0, taken)


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
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == f"llmgw: {expected}"


def test_chat_without_a_key(run: Run) -> None:
    status, _, err = run("chat", "Why?")
    assert status == 1
    assert "no API key: set $LLMGW_API_KEY" in err


def test_chat_without_a_gateway(run: Run) -> None:
    status, _, err = run("chat", "--base-url", f"http://127.0.0.1:{free_port()}", "--api-key", "k", "Why?")
    assert status == 1
    assert "is llmgw serve running?" in err


# A conversation.


class Typist(io.StringIO):
    """Somebody at a terminal who types these lines, and then Ctrl-D."""

    def __init__(self, *lines: str | type[BaseException]) -> None:
        super().__init__()
        self._lines = list(lines)

    def isatty(self) -> bool:
        """It is one."""
        return True

    def type(self, _prompt: str) -> str:
        """Stands in for `input`."""
        if not self._lines:
            raise EOFError
        line = self._lines.pop(0)
        if isinstance(line, str):
            return line
        raise line


def converse(
    run: Run, monkeypatch: pytest.MonkeyPatch, server: Server, *lines: str | type[BaseException]
) -> Outcome:
    typist = Typist(*lines)
    monkeypatch.setattr(sys, "stdin", typist)
    monkeypatch.setattr(builtins, "input", typist.type)
    return ask(run, server)


def test_a_conversation_remembers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        status, out, err = converse(
            run, monkeypatch, server, "Why?", "", KeyboardInterrupt, "/model m", "/thinking off", "And?",
            "/new", "/thinking auto", "Again?", "/help", "/exit", "never",
        )  # fmt: skip
    assert (status, out) == (0, "天\u2028[31m蓝。\n" * 3)
    assert err.startswith(f"first at {server.url}; /help lists the commands\n")
    assert "/thinking on|off|auto" in err
    bodies = [body for path, _, body in server.requests if path.endswith("/completions")]
    asked = [[message["content"] for message in body["messages"]] for body in bodies]
    assert asked == [["Why?"], ["Why?", "天\u2028\x1b[31m蓝。", "And?"], ["Again?"]]
    assert [(body["model"], body.get("llmgw_thinking")) for body in bodies] == [
        ("first", None), ("m", False), ("m", None),
    ]  # fmt: skip


def test_an_error_does_not_end_a_conversation(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(gateway(frames(*ANSWER[:3], ERROR))) as server:
        status, _, err = converse(run, monkeypatch, server, "One?", "Two?")
    assert status == 0
    assert err.count("llmgw: invalid_api_key: No.") == 2
    assert [len(body["messages"]) for path, _, body in server.requests if body] == [1, 1]


# Address and key without being told.


def test_the_address_comes_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        monkeypatch.setenv("LLMGW_BASE_URL", f"{server.url}/v1/")
        monkeypatch.setenv("LLMGW_API_KEY", "sk-gtw-mine")
        assert run("chat", "Why?").status == 0


def test_address_and_key_of_the_config(run: Run, config: Path) -> None:
    with serving(gateway(frames(*ANSWER, "[DONE]"))) as server:
        port = server.url.rpartition(":")[2]
        config.write_text(f"[server]\nport = {port}\n{config.read_text('utf-8')}", "utf-8")
        assert run("chat", "Why?").status == 0
        assert run("chat", "Why?", "--config", str(config)).status == 0
    assert server.requests[-1][1]["authorization"].startswith("Bearer sk-gtw-")
    keys = json.loads(run("keys", "list", "--json").out)
    assert [(key["name"], key["state"]) for key in keys] == [("llmgw chat", "revoked")] * 2


def test_a_config_that_was_named_must_be_good(run: Run) -> None:
    assert run("chat", "Why?", "--config", "none.toml").status == 2
