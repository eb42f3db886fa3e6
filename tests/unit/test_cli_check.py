"""`llmgw check`: its verdicts, and what it shows."""

import gzip
import re
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from llmgw.cli.check import judge
from tests.support.cli import UPSTREAM_SECRET, Canned, Outcome, Run, serving, write_config
from tests.support.processes import free_port

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
