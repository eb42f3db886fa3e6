"""The command line: what it prints, where, and with which exit status."""

import gzip
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llmgw import cli
from llmgw.commands.check import judge
from llmgw.commands.common import CommandError
from llmgw.commands.demo import demo_config
from llmgw.commands.gateway import base_url, claim_port
from llmgw.commands.keys import parse_duration
from llmgw.config import load_config
from llmgw.journal import Journal
from llmgw.keys import KeyRing, list_keys
from llmgw.ledger import Ledger, LedgerEntry
from llmgw.simulator import MODELS
from llmgw.store import open_store
from tests.support.processes import free_port

UPSTREAM_SECRET = "sk-upstream-secret"
CONFIG = """
[upstreams.local]
base_url = "{base_url}"
api_key = "env:CLI_TEST_KEY"

[[models]]
id = "qwen3-max"
upstream = "local"

[[models]]
id = "vendor/glm-5"
upstream = "local"
upstream_model = "glm-5"
"""


class Outcome(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `llmgw` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("LLMGW_CONFIG", "LLMGW_API_KEY", "CLI_TEST_KEY"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> Outcome:
        try:
            status = cli.main(arguments)
        except SystemExit as stop:  # argparse
            status = int(stop.code or 0)
        return Outcome(status, *capsys.readouterr())

    return command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """`./llmgw.toml`, whose upstream refuses connections."""
    return write_config(tmp_path, f"http://127.0.0.1:{free_port()}/v1")


def write_config(folder: Path, upstream: str) -> Path:
    file = folder / "llmgw.toml"
    file.write_text(CONFIG.format(base_url=upstream), "utf-8")
    return file


class Canned(NamedTuple):
    """One answer of a `Server`."""

    status: int
    body: bytes
    headers: dict[str, str] = {}  # noqa: RUF012  (never changed)


class Server:
    """Answers every request with what `answer` says, and remembers them."""

    def __init__(self, answer: Callable[[str], Canned]) -> None:
        """`answer` gets the path."""
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                requests.append((self.path, dict(self.headers), json.loads(body) if body else None))
                canned = answer(self.path)
                self.send_response(canned.status)
                for name, value in {"content-length": str(len(canned.body)), **canned.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(canned.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Silence."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(answer: Callable[[str], Canned]) -> Iterator[Server]:
    """A `Server` for the length of a block."""
    server = Server(answer)
    try:
        yield server
    finally:
        server.close()


# Help, usage and config faults.


def test_help_names_every_verb(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for verb in ("serve", "demo", "simulate", "keys", "usage", "check", "chat"):
        assert re.search(rf"^    {verb} ", out, re.MULTILINE)
    assert "start here:" in out


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself(run: Run, verb: str) -> None:
    status, out, _ = run(verb, "--help")
    assert status == 0
    assert cli.VERBS[verb][1:] in " ".join(out.split())
    assert "examples:" in out or verb == "simulate"


def test_version(run: Run) -> None:
    status, out, _ = run("--version")
    assert status == 0
    assert re.fullmatch(r"llmgw \S+\n", out)


@pytest.mark.parametrize(
    "arguments", [(), ("fly",), ("keys",), ("usage", "--by", "moon"), ("keys", "create", "--expires-in", "x")]
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "usage: llmgw" in err


@pytest.mark.parametrize("arguments", [("serve",), ("keys", "list"), ("usage",)])
def test_no_config(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "there is no such config file" in err
    assert "[[models]]" in err


def test_serve_lists_every_fault_and_does_not_start(run: Run, tmp_path: Path) -> None:
    file = write_config(tmp_path, "gopher://x")
    file.write_text(file.read_text("utf-8") + "thinkin = 1\n", "utf-8")
    status, out, err = run("serve")
    assert (status, out) == (2, "")
    assert [line.strip().partition(":")[0] for line in err.splitlines()[1:]] == [
        "upstreams.local.api_key",
        "upstreams.local.base_url",
        "models[1].thinkin",
    ]


# Keys and usage. None of these has the upstream's key in its environment, and none needs it.


@pytest.mark.usefixtures("config")
def test_a_key_goes_to_stdout_alone(run: Run) -> None:
    status, out, err = run("keys", "create", "--name", "ci")
    assert status == 0
    assert re.fullmatch(r"sk-gtw-\S{32}\n", out)
    assert "not shown again" in err
    assert out.strip() not in err


@pytest.mark.usefixtures("config")
def test_a_key_s_life(run: Run, tmp_path: Path) -> None:
    arguments = ("--name", "me", "--models", "qwen3-max, vendor/glm-5", "--expires-in", "30d")
    token = run("keys", "create", *arguments).out.strip()
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")  # beside the config file
    ring = KeyRing(store)
    key = ring.lookup(token)
    assert key is not None
    assert key.name == "me"
    assert key.models == frozenset({"qwen3-max", "vendor/glm-5"})
    assert key.expires_at is not None
    assert abs(key.expires_at - key.created_at - timedelta(days=30)) < timedelta(seconds=10)

    status, out, _ = run("keys", "list")
    assert status == 0
    assert token not in out
    [header, row] = out.splitlines()
    assert header.split() == ["ID", "NAME", "KEY", "MODELS", "CREATED", "EXPIRES", "STATE"]
    assert row.split()[:4] == ["1", "me", f"{key.prefix}…", "qwen3-max,vendor/glm-5"]
    assert row.endswith("active")

    assert run("keys", "revoke", "1") == (0, f"Key 1 ({key.prefix}…) is revoked.\n", "")
    ring.refresh()
    assert ring.lookup(token) is None
    assert "revoked" in run("keys", "list").out
    store.close()


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("keys", "revoke", "9"), "no key is known by that"),
        (
            ("keys", "create", "--models", "qwen3-mxa"),
            "there is no model 'qwen3-mxa': did you mean 'qwen3-max'?",
        ),
        (("keys", "create", "--models", "zzz"), "the config has qwen3-max, vendor/glm-5"),
    ],
)
def test_keys_that_can_t_be(run: Run, tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    assert expected in err
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    assert list_keys(store) == []
    store.close()


def test_a_database_that_can_t_be_opened(run: Run, config: Path) -> None:
    config.write_text(f'[store]\nurl = "sqlite:///none/x.db"\n{config.read_text("utf-8")}', "utf-8")
    status, _, err = run("keys", "list")
    assert status == 1
    assert err.startswith("llmgw: can't open the database")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("45m", timedelta(minutes=45)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5h", "30 d", "1y", "9999999d"])
def test_no_durations(run: Run, text: str) -> None:
    status, _, err = run("keys", "create", f"--expires-in={text}")
    assert status == 2
    assert "no duration" in err


@pytest.mark.usefixtures("config")
def test_usage(run: Run, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    ledger = Ledger(store)
    ledger.record(
        LedgerEntry(0.0, "r1", 200, 1.0, model="qwen3-max", prompt_tokens=1234, completion_tokens=5)
    )
    ledger.record(LedgerEntry(0.0, "r2", 504, 1.0, model="qwen3-max", error_kind="idle_timeout"))
    ledger.close_blocking()
    store.close()
    status, out, err = run("usage", "--by", "model")
    assert (status, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["MODEL", "REQUESTS", "ERRORS", "PROMPT", "COMPLETION", "REASONING", "CACHED"],
        ["qwen3-max", "2", "1", "1,234", "5", "0", "0"],
    ]
    assert run("usage", "--by", "day").out.splitlines()[1].startswith("1970-01-01")
    journal = Journal(tmp_path / "llmgw.db.journal", max_bytes=1_000_000)
    journal.append([{}, {}, {}])
    assert run("usage").err.startswith(f"3 more rows wait in {tmp_path}/llmgw.db.journal; ")
    journal.close()


# Check.

LISTED = b'{"object": "list", "data": [{"id": "qwen3-max"}, {"id": "glm-5"}]}'


@pytest.mark.parametrize(
    ("status", "body", "fault", "text"),
    [
        (200, LISTED, False, "ok"),
        (200, b'{"data": [{"id": "glm-5"}]}', False, "ok, but does not list qwen3-max"),
        (200, b"<html>", False, "answers, but with no list of models"),
        (200, b"[]", False, "answers, but with no list of models"),
        (200, b'{"data": [{"id": []}]}', False, "answers, but with no list of models"),
        (200, b"[" * 1_000_000, False, "answers, but with no list of models"),
        (401, b"", True, "refuses the API key"),
        (403, b"", True, "refuses the API key"),
        (404, b"", False, "reachable, but has no list of models (is base_url right?)"),
        (405, b"", False, "reachable, but has no list of models"),
        (429, b"", False, "reachable, but limits the rate of requests"),
        (302, b"", True, "redirects; base_url must be the final address"),
        (400, b"", True, "answers with an error"),
        (500, b"", True, "answers with an error"),
    ],
)
def test_verdicts(status: int, body: bytes, text: str, *, fault: bool) -> None:
    assert judge(status, body, ["qwen3-max", "glm-5"]) == (fault, text)


def check(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, upstream: str, *options: str) -> Outcome:
    monkeypatch.setenv("CLI_TEST_KEY", UPSTREAM_SECRET)
    write_config(folder, upstream)
    outcome = run("check", *options)
    assert UPSTREAM_SECRET not in outcome.out + outcome.err
    return outcome


def test_check_of_a_good_upstream(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Canned(200, LISTED)) as upstream:
        status, out, _ = check(run, tmp_path, monkeypatch, f"{upstream.url}/v1/")
    assert status == 0
    *_, header, row = out.splitlines()
    assert header.split() == ["UPSTREAM", "URL", "STATUS", "MS", "VERDICT"]
    assert re.fullmatch(rf"local +{upstream.url}/v1 +200 +\d+  ok", row)
    [(path, headers, _)] = upstream.requests
    assert path == "/v1/models"
    assert headers["authorization"] == f"Bearer {UPSTREAM_SECRET}"


TARGETS = """
[server]
port = {port}

[upstreams.local]
base_url = "{base_url}"

[upstreams.quick]
base_url = "{base_url}"
first_event_timeout_s = 5

[[models]]
id = "m"
targets = [{{upstream = "local", upstream_model = "qwen3-max", weight = 3}},
           {{upstream = "quick", upstream_model = "glm-5", priority = 2}}]
"""


def test_check_shows_targets(run: Run, tmp_path: Path) -> None:
    with serving(lambda _: Canned(200, LISTED)) as upstream:
        text = TARGETS.format(base_url=upstream.url, port=free_port())
        tmp_path.joinpath("llmgw.toml").write_text(text, "utf-8")
        status, out, _ = run("check")
    assert status == 0
    header, first, second = [line.split() for line in out.splitlines()[2:5]]
    assert header == ["MODEL", "UPSTREAM", "UPSTREAM", "MODEL", "DIALECT", "WEIGHT", "PRIORITY"]
    assert first == ["m", "local", "qwen3-max", "enable_thinking", "3", "1"]
    assert second == ["m", "quick", "glm-5", "thinking_object", "1", "2"]
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1  # the other one begins within a heartbeat
    assert notes[0].startswith(
        "note: upstreams.local.first_event_timeout_s (60) is not below server.heartbeat_s (15)"
    )
    assert [line.split()[-1] for line in out.splitlines()[-2:]] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (
            (
                b'{"status": "ok", "upstreams": [{"upstream": "local", "upstream_model": "qwen3-max", '
                b'"state": "cooling", "consecutive_failures": 5, "cooling_s": 3.8, "in_flight": 2}]}'
            ),
            True,
        ),
        (b'{"status": "ok"}', False),
        (b'{"upstreams": [{}]}', False),
        (b"[]", False),
        (b"<html>", False),
    ],
)
def test_check_shows_what_the_running_gateway_says(
    run: Run, tmp_path: Path, answer: bytes, *, shown: bool
) -> None:
    with ExitStack() as stack:
        upstream = stack.enter_context(serving(lambda _: Canned(200, LISTED)))
        gateway = stack.enter_context(serving(lambda _: Canned(200, answer)))
        text = TARGETS.format(base_url=upstream.url, port=gateway.url.rpartition(":")[2])
        tmp_path.joinpath("llmgw.toml").write_text(text, "utf-8")
        status, out, _ = run("check")
    assert status == 0
    assert [path for path, *_ in gateway.requests] == ["/readyz?verbose"]
    assert (f"a worker of the gateway at {gateway.url} says:" in out) is shown
    rows = [line.split() for line in out.splitlines() if "cooling" in line]
    assert rows == ([["local", "qwen3-max", "cooling", "5", "3.8", "2"]] if shown else [])


def test_check_warns_of_workers_that_share_no_reasoning(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _: Canned(200, LISTED)) as upstream:
        quiet = check(run, tmp_path, monkeypatch, f"{upstream.url}/v1/")
        file = tmp_path / "llmgw.toml"
        text = file.read_text("utf-8")
        model = '[[models]]\nid = "kimi-k2.6"\nupstream = "local"\n'
        file.write_text(f"[server]\nworkers = 2\n{text}\n{model}", "utf-8")
        warned = run("check")
    assert "warning" not in quiet.out
    assert "warning: each of the 2 workers keeps the reasoning of tool calls for itself" in warned.out
    assert "kimi-k2.6" in warned.out
    assert warned.status == 0


def test_check_of_a_cache_that_is_not_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _: Canned(200, LISTED)) as upstream:
        assert "cache:" not in check(run, tmp_path, monkeypatch, f"{upstream.url}/v1/").out
        file = tmp_path / "llmgw.toml"
        cache = f'[cache]\nurl = "redis://:hunter2@127.0.0.1:{free_port()}/0"\n'
        file.write_text(cache + file.read_text("utf-8"), "utf-8")
        status, out, err = run("check")
    assert (status, "cache: FAULT: can't be used (Redis: ConnectionError)" in out) == (1, True)
    assert "hunter2" not in out + err


def test_check_unpacks_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = Canned(200, gzip.compress(LISTED), {"content-encoding": "gzip"})
    with serving(lambda _: packed) as upstream:
        status, out, _ = check(run, tmp_path, monkeypatch, upstream.url)
    assert status == 0
    assert "answers, but with no list of models" in out
    assert upstream.requests[0][1]["accept-encoding"] == "identity"


def test_check_of_a_refusing_upstream(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Canned(401, b"wrong key " + UPSTREAM_SECRET.encode())) as upstream:
        status, out, _ = check(run, tmp_path, monkeypatch, upstream.url)
    assert status == 1
    assert "401" in out
    assert "FAULT: refuses the API key" in out


def test_the_key_does_not_follow_a_redirect(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        elsewhere = stack.enter_context(serving(lambda _: Canned(200, LISTED)))
        moved = Canned(307, b"", {"location": f"{elsewhere.url}/models"})
        upstream = stack.enter_context(serving(lambda _: moved))
        status, out, _ = check(run, tmp_path, monkeypatch, upstream.url)
    assert status == 1
    assert "FAULT: redirects" in out
    assert elsewhere.requests == []


def test_proxies_of_the_environment_are_not_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(serving(lambda _: Canned(200, LISTED)))
        upstream = stack.enter_context(serving(lambda _: Canned(200, LISTED)))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert check(run, tmp_path, monkeypatch, upstream.url).status == 0
    assert proxy.requests == []


def test_check_of_a_dead_upstream(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = check(run, tmp_path, monkeypatch, f"http://127.0.0.1:{free_port()}")
    assert status == 1
    assert "FAULT: can't be reached (ConnectError" in out


def test_check_of_a_silent_upstream(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        status, out, _ = check(run, tmp_path, monkeypatch, url, "--timeout", "0.1")
    assert status == 1
    assert "FAULT: no answer within 0.1 s" in out


@pytest.mark.usefixtures("config")
def test_check_of_a_bad_config(run: Run) -> None:
    status, out, err = run("check")
    assert (status, out) == (1, "")
    assert "the environment variable 'CLI_TEST_KEY' is not set" in err


# Chat.


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


# The gateway's address, and the demo.


@pytest.mark.parametrize("command", ["demo", "simulate"])
def test_a_port_in_use_is_refused(run: Run, command: str) -> None:
    with socket.socket() as listener:
        # As granian listens: without the check, a second gateway would silently share the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        status, _, err = run(command, "--port", str(port))
    assert status == 1
    assert f"can't listen on http://127.0.0.1:{port}: Address already in use; choose another" in err


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 8000)])
def test_an_address_that_can_t_be_used(host: str, port: int) -> None:
    with pytest.raises(CommandError, match="can't listen on"):
        claim_port(host, port)


def test_port_0_is_a_free_one() -> None:
    assert claim_port("127.0.0.1", 0) > 0


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80")]
)
def test_base_url(host: str, expected: str) -> None:
    assert base_url(host, 80) == expected


def test_the_demo_s_config_has_every_simulated_model(tmp_path: Path) -> None:
    file = tmp_path / "llmgw.toml"
    file.write_text(demo_config(9100), "utf-8")
    config = load_config(file)
    assert [model.id for model in config.models] == [model.id for model in MODELS]
    assert set(config.upstreams) == {"qwen", "deepseek", "glm", "kimi", "minimax"}
    assert config.upstreams["glm"].base_url == "http://127.0.0.1:9100/glm/v1"
    facts = {model.id: model for model in config.models}["qwen3.6-plus"]
    assert (facts.input_modalities, facts.context_window) == (("text", "image"), 1_000_000)
