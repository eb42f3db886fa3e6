"""`llmgw check`: its verdicts, and what it shows."""

import gzip
import json
import re
import socket
import ssl
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import ANY

import pytest

from llmgw.routing.probe import judge
from tests.support.cli import UPSTREAM_SECRET, Canned, Outcome, Run, serving, write_config
from tests.support.postgres import PostgresServer
from tests.support.processes import ROOT, free_port
from tests.support.simulator import SimulatorProcess

LISTED = b'{"object": "list", "data": [{"id": "qwen3-max"}, {"id": "glm-5"}]}'


NO_LIST = "answers, but with no list of models; llmgw check --try asks the models themselves"
NO_PATH = "has no list of models; llmgw check --try asks the models themselves"


@pytest.mark.parametrize(
    ("status", "body", "level", "text"),
    [
        (200, LISTED, "ok", "ok"),
        (
            200,
            b'{"data": [{"id": "qwen3-mxa"}, {"id": "glm-5"}]}',
            "fault",
            "does not list qwen3-max; did you mean 'qwen3-mxa'? (--no-list: its list is not complete)",
        ),
        (
            200,
            b'{"data": []}',
            "fault",
            "does not list qwen3-max, glm-5 (--no-list: its list is not complete)",
        ),
        (200, b"<html>", "warning", NO_LIST),
        (200, b"[]", "warning", NO_LIST),
        (
            200,
            b'{"data": [{"id": []}]}',
            "fault",
            "does not list qwen3-max, glm-5 (--no-list: its list is not complete)",
        ),
        (200, b"[" * 1_000_000, "warning", NO_LIST),
        (401, b"", "fault", "refuses the API key"),
        (403, b"", "fault", "refuses the API key"),
        (404, b"", "warning", NO_PATH),
        (405, b"", "warning", NO_PATH),
        (429, b"", "warning", "reachable, but limits the rate of requests"),
        (302, b"", "fault", "redirects; base_url must be the final address"),
        (400, b"", "fault", "answers with an error"),
        (500, b"", "fault", "answers with an error"),
    ],
)
def test_verdicts(status: int, body: bytes, level: str, text: str) -> None:
    assert judge(status, body, ["qwen3-max", "glm-5"]) == (level, text)


CERTIFICATES = ROOT / "tests" / "corpus" / "tls"


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
    notes = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert len(notes) == 1  # from the other one nothing follows
    assert notes[0].startswith(
        "warning: upstreams.local.first_event_timeout_s (60) is not below server.heartbeat_s (15)"
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
        warned = run("check", "--no-list")
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


def test_check_of_a_store(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer, migrated: str
) -> None:
    with serving(lambda _: Canned(200, LISTED)) as upstream:
        assert "store:" not in check(run, tmp_path, monkeypatch, f"{upstream.url}/v1/").out
        file = tmp_path / "llmgw.toml"
        alone = file.read_text("utf-8")
        for url, expected, said in (
            (postgres.url(migrated), 0, "store: ok\n"),
            (postgres.url(postgres.new_database()), 0, "store: ok; it is empty, and the first start makes"),
            (postgres.url("postgres"), 1, "store: FAULT: is empty, and its user may make no tables"),
            (postgres.url(of_revision(postgres, "0006")), 0, "store: ok; its tables are of an older version"),
            (postgres.url(of_revision(postgres, "9999")), 1, "FAULT: its tables are of a newer version"),
            (postgres.url("none"), 1, "store: FAULT: can't be used (connection failed: "),
            (postgres.url("none", port=free_port()), 1, "Connection refused Is the server running"),
        ):
            file.write_text(f'[store]\nurl = "env:STORE_URL"\n{alone}', "utf-8")
            monkeypatch.setenv("STORE_URL", url)
            status, out, err = run("check")
            assert (status, said in out) == (expected, True)
            assert postgres.password not in out + err


def of_revision(postgres: PostgresServer, revision: str) -> str:
    """The name of a new database that says so of itself."""
    name = postgres.new_database()
    with postgres.connect(name) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num text)")
        connection.execute("INSERT INTO alembic_version VALUES (%s)", (revision,))
        connection.execute("GRANT SELECT ON alembic_version TO PUBLIC")
    return name


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


@pytest.mark.parametrize(
    ("base", "completions", "status", "text"),
    [
        ("/v1", 400, 0, NO_PATH),
        ("/v1", 401, 0, NO_PATH),
        (
            "/v1",
            404,
            1,
            "has neither a list of models nor an endpoint for them at this address; is base_url right?",
        ),
        ("", 404, 1, 'should base_url be "{url}/v1"?'),
        ("/qwen", 405, 1, 'should base_url be "{url}/qwen/v1"?'),
    ],
)
def test_a_base_url_at_which_nothing_is_is_a_fault(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    base: str,
    completions: int,
    status: int,
    text: str,
) -> None:
    """Without a list of models, the path of completions tells; nothing is generated there."""
    with serving(lambda path: Canned(completions if path.endswith("/completions") else 404, b"")) as upstream:
        outcome = check(run, tmp_path, monkeypatch, upstream.url + base)
        assert text.format(url=upstream.url) in outcome.out
        assert outcome.status == status
    assert [body for path, _, body in upstream.requests if path.endswith("/completions")] == [{}]


def test_a_model_that_is_not_listed_is_a_fault_unless_told_otherwise(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _: Canned(200, b'{"data": [{"id": "qwen3-max"}]}')) as upstream:
        refused = check(run, tmp_path, monkeypatch, upstream.url)
        allowed = check(run, tmp_path, monkeypatch, upstream.url, "--no-list")
    assert (refused.status, allowed.status) == (1, 0)
    assert "FAULT: does not list glm-5 (--no-list" in refused.out


@pytest.mark.parametrize(("trusted", "status"), [("ca.pem", 0), ("other-ca.pem", 1)])
def test_check_trusts_whom_the_gateway_trusts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, status: int
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / trusted))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    with serving(lambda _: Canned(200, LISTED), context) as upstream:
        outcome = check(run, tmp_path, monkeypatch, f"{upstream.url}/v1")
    assert outcome.status == status
    assert ("CERTIFICATE_VERIFY_FAILED" in outcome.out) is bool(status)


SIMULATED = """
[upstreams.qwen]
base_url = "{url}/qwen/v1"
api_key = "sim-qwen"

[upstreams.glm]
base_url = "{url}/glm/v1"
api_key = "{key}"

[[models]]
id = "qwen3.6-plus"
upstream = "qwen"

[[models]]
id = "glm-5"
upstream = "glm"
"""


def test_one_token_of_each_target(run: Run, tmp_path: Path, simulator: SimulatorProcess) -> None:
    file = tmp_path / "llmgw.toml"
    file.write_text(SIMULATED.format(url=simulator.url, key="sim-glm"), "utf-8")
    status, out, err = run("check", "--try")
    assert (status, err) == (0, "")
    assert [line.split() for line in out.splitlines()[-3:]] == [
        ["MODEL", "UPSTREAM", "UPSTREAM", "MODEL", "MS", "ONE", "TOKEN"],
        ["qwen3.6-plus", "qwen", "qwen3.6-plus", ANY, "ok,", ANY, ANY],
        ["glm-5", "glm", "glm-5", ANY, "ok,", "1", "token"],
    ]
    file.write_text(SIMULATED.format(url=simulator.url, key="wrong"), "utf-8")
    status, out, _ = run("check", "--try", "--json")
    told = json.loads(out)
    assert (status, told["ok"]) == (1, False)
    assert [target["level"] for target in told["targets"]] == ["ok", "fault"]
    assert told["targets"][1]["text"].startswith("status 401")
    assert [upstream["text"] for upstream in told["upstreams"]] == ["ok", "refuses the API key"]


OTHER_KINDS = """
[upstreams.qwen]
base_url = "{url}/qwen/v1"
rerank_url = "{url}/qwen/compatible-api/v1/reranks"
api_key = "sim-qwen"

[[models]]
id = "text-embedding-v4"
upstream = "qwen"
kind = "embedding"

[[models]]
id = "qwen3-rerank"
upstream = "qwen"
kind = "rerank"

[[models]]
id = "no-embedding"
upstream = "qwen"
kind = "embedding"
"""


def test_models_of_other_kinds_are_asked_what_they_can_answer(
    run: Run, tmp_path: Path, simulator: SimulatorProcess
) -> None:
    (tmp_path / "llmgw.toml").write_text(OTHER_KINDS.format(url=simulator.url), "utf-8")
    status, out, _ = run("check", "--try", "--json")
    told = json.loads(out)
    assert [(each["model"], each["level"], each["text"][:10]) for each in told["targets"]] == [
        ("text-embedding-v4", "ok", "ok"),
        ("qwen3-rerank", "ok", "ok"),
        ("no-embedding", "fault", "status 404"),
    ]
    assert [upstream["text"] for upstream in told["upstreams"]] == ["ok"]
    assert status == 1


@pytest.mark.parametrize(
    ("kind", "more", "path", "is_there"),
    [
        ("embedding", "", "/v1/embeddings", True),
        ("embedding", "", "/v1/chat/completions", False),
        ("rerank", "", "/v1/rerank", True),
        ("rerank", 'rerank_url = "{url}/x"', "/x", True),
        ("rerank", 'rerank_url = "{url}/x"', "/v1/rerank", False),
    ],
)
def test_without_a_list_the_path_of_the_kind_tells(
    run: Run, tmp_path: Path, kind: str, more: str, path: str, *, is_there: bool
) -> None:
    with serving(lambda asked: Canned(400 if asked == path else 404, b"")) as upstream:
        (tmp_path / "llmgw.toml").write_text(
            f'[upstreams.u]\nbase_url = "{upstream.url}/v1"\n{more.format(url=upstream.url)}\n'
            f'[[models]]\nid = "m"\nupstream = "u"\nkind = "{kind}"\n',
            "utf-8",
        )
        assert (run("check").status == 0) is is_there


def test_progress_is_for_terminals(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Canned(200, LISTED)) as upstream:
        assert check(run, tmp_path, monkeypatch, upstream.url).err == ""
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        shown = check(run, tmp_path, monkeypatch, upstream.url).err
    assert "upstreams: 0 of 1 have answered" in shown
    assert "upstreams: 1 of 1 have answered" in shown
    assert shown.endswith("\r\x1b[K")


@pytest.mark.usefixtures("config")
def test_faults_of_the_file_as_json(run: Run) -> None:
    status, out, _ = run("check", "--json")
    told = json.loads(out)
    assert (status, told["ok"]) == (1, False)
    assert told["faults"][0]["path"] == "upstreams.local.api_key"


def test_each_account_is_probed_with_its_key(run: Run, tmp_path: Path, simulator: SimulatorProcess) -> None:
    text = f'[upstreams.glm]\nbase_url = "{simulator.url}/glm/v1"\napi_keys = ["sim-glm", "sk-not-the-key"]\n'
    text += '[[models]]\nid = "glm-5"\nupstream = "glm"\n'
    (tmp_path / "llmgw.toml").write_text(text, "utf-8")
    status, out, err = run("check", "--try")
    assert (status, err) == (1, "")
    good, bad = re.findall(r"^glm#\d .*v1 .*$", out, re.MULTILINE)
    assert re.fullmatch(rf"glm#1 +{simulator.url}/glm/v1 +200 +\d+  ok", good)
    assert re.fullmatch(rf"glm#2 +{simulator.url}/glm/v1 +401 +\d+  FAULT: refuses the API key", bad)
    told = json.loads(run("check", "--try", "--json")[1])
    for kind in ("upstreams", "targets"):
        found = [(each["upstream"], each["account"], each["level"]) for each in told[kind]]
        assert found == [("glm", 1, "ok"), ("glm", 2, "fault")]
    assert "sk-not-the-key" not in out + json.dumps(told)
    listed = json.loads(run("upstreams", "list", "--json")[1])
    assert [target["account"] for target in listed[0]["targets"]] == [1, 2]
    _, out, _ = run("upstreams", "list")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["glm#1", "glm-5"], ["glm#2", "glm-5"]]
