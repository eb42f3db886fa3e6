"""The command line: what it prints, where, and with which exit status."""

import json
import os
import re
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from llmgw.access.keyring import KeyRing
from llmgw.access.keys import list_keys
from llmgw.cli import serve
from llmgw.cli.main import VERBS
from llmgw.cli.simulated.config import demo_config
from llmgw.cli.times import parse_duration
from llmgw.config import load_config
from llmgw.errors import CommandError
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.journal import Journal
from llmgw.ledger.order import ALL
from llmgw.ledger.usage import BUCKETS, DIMENSIONS
from llmgw.ledger.writer import Ledger
from llmgw.serving.ports import claim_port
from llmgw.serving.server import Listening
from llmgw.simulator import MODELS, PROVIDERS
from llmgw.store import open_store
from tests.support.cli import Run, write_config


def test_help_names_every_verb(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for verb in VERBS:
        assert re.search(rf"^    {verb} ", out, re.MULTILINE)
    assert "start here:" in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(run: Run, verb: str) -> None:
    status, out, _ = run(verb, "--help")
    assert status == 0
    assert VERBS[verb][1:] in " ".join(out.split())
    assert "examples:" in out or verb == "simulate"


@pytest.mark.parametrize("argument", ["--version", "-V", "version"])
def test_version(run: Run, argument: str) -> None:
    status, out, _ = run(argument)
    assert status == 0
    assert re.fullmatch(r"llmgw \S+\n", out)


def test_help_in_other_words(run: Run) -> None:
    expected = run("--help")
    assert run() == run("help") == expected
    assert run("help", "keys") == run("keys", "--help") != expected


@pytest.mark.parametrize(
    ("arguments", "usage", "message"),
    [
        (("sevre",), "llmgw ", "there is no 'sevre' here: did you mean 'serve'?"),
        (("fly",), "llmgw ", "there is no 'fly' here: there are init, serve, "),
        (("help", "sevre"), "llmgw ", "there is no 'help' here"),
        (("keys", "lst"), "llmgw keys ", "there is no 'lst' here: did you mean 'list'?"),
        (("keys", "create", "alice"), "llmgw keys create ", "unrecognized arguments: alice"),
        (("check", "--tyr"), "llmgw check ", "unrecognized arguments: --tyr"),
    ],
)
def test_wrong_words_get_the_nearest_usage(
    run: Run, arguments: tuple[str, ...], usage: str, message: str
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"usage: {usage}")
    assert message in err


def test_the_config_may_be_named_before_the_verb(run: Run, config: Path) -> None:
    config.rename("other.toml")
    assert run("--config", "other.toml", "keys", "list").status == 0
    assert run("keys", "list", "--config", "other.toml").status == 0
    assert run("--config", "none.toml", "keys", "list", "--config", "other.toml").status == 0
    assert run("keys", "list").status == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("llmgw ke", {"keys "}),
        ("llmgw keys ", {"block", "create", "list", "revoke", "rotate", "show", "unblock", "update"}),
        ("llmgw usage --by ", {*DIMENSIONS, *BUCKETS, ALL}),
        ("llmgw usage --by key,mo", {"key,model", "key,month"}),
        ("llmgw completion ", {"bash", "zsh", "fish"}),
        ("llmgw check --tr", {"--try "}),
    ],
)
def test_what_a_shell_is_told(tmp_path: Path, line: str, expected: set[str]) -> None:
    told = tmp_path / "told"
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1", "IFS": "\n"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(told), "_ARGCOMPLETE_IFS": "\n"}
    program = [sys.executable, "-m", "llmgw.cli.main"]
    subprocess.run(program, env={**os.environ, **asked}, check=True, timeout=30)
    assert set(told.read_text("utf-8").split("\n")) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, shell: str) -> None:
    status, out, _ = run("completion", shell)
    assert (status, "llmgw" in out) == (0, True)
    assert run("completion", "tcsh").status == 2


@pytest.mark.parametrize(
    "arguments", [("fly",), ("keys",), ("usage", "--by", "moon"), ("keys", "create", "--expires-in", "x")]
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
        "models[1].thinkin ('vendor/glm-5')",
    ]


@pytest.mark.parametrize(
    ("variable", "shown"), [("HTTPS_PROXY", True), ("all_proxy", True), ("NO_PROXY", False)]
)
def test_serve_says_that_a_proxy_is_not_used(
    run: Run, config: Path, monkeypatch: pytest.MonkeyPatch, variable: str, *, shown: bool
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLI_TEST_KEY", "sk-1")
    monkeypatch.setenv(variable, "http://proxy.example:3128")
    monkeypatch.setattr("llmgw.cli.serve.run_gateway", lambda *_, **__: None)
    err = run("serve", "--config", str(config)).err
    assert (f"warning: the proxy in {variable} is not used" in err) is shown


@pytest.mark.parametrize(
    ("listening", "config", "lines"),
    [
        (Listening("http://0.0.0.0:1", None, has_admin=True), None, []),
        (
            Listening("http://[::]:1", "http://[::1]:1/console/", has_admin=True),
            "x",
            ["http://[::1]:1/console/"],
        ),
        (
            Listening("http://h:1", "http://h:2/console/", has_admin=False),
            None,
            ["http://h:2/console/", "llmgw keys create --admin --name me"],
        ),
        (
            Listening("http://h:1", "http://h:2/console/", has_admin=False),
            "/etc/my gateway.toml",
            ["http://h:2/console/", "llmgw keys create --admin --name me --config '/etc/my gateway.toml'"],
        ),
    ],
)
def test_serve_says_where_it_listens(
    monkeypatch: pytest.MonkeyPatch, listening: Listening, config: str | None, lines: list[str]
) -> None:
    monkeypatch.setattr(serve, "is_built", lambda: True)
    first, *others = serve.welcome(listening, config).splitlines()
    assert first.endswith(f" listening on {listening.url}")
    starts = ("console at ", "no admin key yet: ")
    assert others == [start + line for start, line in zip(starts, lines, strict=False)]


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
    assert header.split() == [
        "ID", "NAME", "PROJECT", "KEY", "MODELS", "LIMITS", "CREATED", "EXPIRES", "STATE",
    ]  # fmt: skip
    assert row.split()[:5] == ["1", "me", "default", f"{key.prefix}…", "qwen3-max,vendor/glm-5"]
    assert row.endswith("active")

    assert run("keys", "revoke", "1") == (0, f"Key 1 ({key.prefix}…) is revoked.\n", "")
    ring.refresh()
    assert ring.lookup(token) is None
    assert "revoked" in run("keys", "list").out
    store.close()


@pytest.mark.usefixtures("config")
def test_a_key_is_revoked_by_its_name_if_no_other_has_it(run: Run) -> None:
    for name in ("ci", "me", "me", ""):
        run("keys", "create", "--name", name)
    assert run("keys", "revoke", "ci").status == 0
    status, _, err = run("keys", "revoke", "me")
    assert (status, "several keys are known by that (ids 2, 3)" in err) == (1, True)
    assert run("keys", "revoke", "").status == 1
    states = [key["state"] for key in json.loads(run("keys", "list", "--json").out)]
    assert states == ["revoked", "active", "active", "active"]


@pytest.mark.usefixtures("config")
def test_keys_as_json(run: Run) -> None:
    made = json.loads(run("keys", "create", "--name", "团队", "--models", "qwen3-max", "--json").out)
    assert made["key"].startswith("sk-gtw-")
    assert made["secret"] == made["key"]
    run("keys", "create", "--json")
    run("keys", "revoke", "2")
    first, second = json.loads(run("keys", "list", "--json").out)
    assert first == {name: value for name, value in made.items() if name not in {"key", "secret"}}
    assert (first["name"], first["models"], first["state"]) == ("团队", ["qwen3-max"], "active")
    assert (second["state"], second["models"], second["expires_at"]) == ("revoked", None, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", second["revoked_at"])


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
    assert "its folder does not exist; make it (mkdir -p " in err


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
    assert "is not a duration" in err


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("text", ["999999w", "36501d", "999999d"])
def test_a_key_lives_no_longer_than_dates_do(run: Run, text: str) -> None:
    status, _, err = run("keys", "create", f"--expires-in={text}")
    assert status == 2
    assert f"{text!r} is more than 36500 days; leave the option out where there is no end" in err
    assert run("keys", "create", "--expires-in=36500d").status == 0


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("number", ["0", "-1", "1025", "two", "1.5", "", "９", "9" * 5_000])
def test_numbers_of_workers_that_are_none(run: Run, number: str) -> None:
    status, _, err = run("serve", f"--workers={number}")
    assert status == 2
    assert "argument --workers: it must be a number from 1 to 1024" in err


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("reference", ["9" * 18, "9" * 19, "9" * 5_000])
def test_a_key_with_a_huge_id_is_not_there(run: Run, reference: str) -> None:
    status, _, err = run("keys", "revoke", reference)
    assert (status, "no key is known by that" in err) == (1, True)


@pytest.mark.usefixtures("config")
def test_odd_names_are_shown_and_steer_nothing(run: Run) -> None:
    for name in ("\x1b[2Jgone", "a\rb", "\x9b31m", "not UTF-8: \udcff"):
        assert run("keys", "create", "--name", name).status == 0
    listed = run("keys", "list").out
    assert r"\x1b[2Jgone" in listed
    assert "not UTF-8: \ufffd" in listed
    for out in (listed, run("keys", "list", "--json").out, run("usage").out):
        assert all(line.isprintable() for line in out.split("\n"))
    err = run("keys", "create", "--models", "\x1b[2J").err
    assert all(line.isprintable() for line in err.split("\n"))


@pytest.mark.usefixtures("config")
def test_usage(run: Run, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    ledger = Ledger(store)
    ledger.record(
        LedgerEntry(
            0.0, "r1", 200, 1.0, model="qwen3-max", prompt_tokens=1234, completion_tokens=5, api="messages"
        )
    )
    ledger.record(LedgerEntry(0.0, "r2", 504, 1.0, model="qwen3-max", error_kind="idle_timeout"))
    ledger.close_blocking()
    store.close()
    status, out, err = run("usage", "--by", "model")
    assert (status, err) == (0, "")
    assert [re.split(r" {2,}", line) for line in out.splitlines()] == [
        [
            *("MODEL", "REQUESTS", "ERRORS", "PROMPT", "COMPLETION", "REASONING", "CACHED", "CACHE WRITE"),
            *("COST", "UNPRICED"),
        ],
        ["qwen3-max", "2", "1", "1,234", "5", "0", "0", "0", "-", "1"],
    ]
    assert json.loads(run("usage", "--by", "model", "--json").out) == [
        {
            "model": "qwen3-max",
            "requests": 2,
            "errors": 1,
            "unpriced": 1,
            "prompt_tokens": 1234,
            "completion_tokens": 5,
            "reasoning_tokens": 0,
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "costs": {},
        }
    ]
    assert run("usage", "--by", "day").out.splitlines()[1].startswith("1970-01-01")
    # The second row is of before there was a column for it.
    by_api = [line.split() for line in run("usage", "--by", "api").out.splitlines()]
    assert [cells[:3] for cells in by_api] == [
        ["API", "REQUESTS", "ERRORS"],
        ["-", "1", "1"],
        ["messages", "1", "0"],
    ]
    journal = Journal(tmp_path / "llmgw.db.journal", max_bytes=1_000_000)
    journal.append([{}, {}, {}])
    assert run("usage").err.startswith(f"3 more rows wait in {tmp_path}/llmgw.db.journal; ")
    journal.close()


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


def test_the_demo_s_config_has_every_simulated_model(tmp_path: Path) -> None:
    file = tmp_path / "llmgw.toml"
    file.write_text(demo_config(9100), "utf-8")
    config = load_config(file)
    retrieval = {each.model: each.kind for provider in PROVIDERS.values() for each in provider.retrieval}
    assert {model.id: model.kind for model in config.models} == {
        **dict.fromkeys((model.id for model in MODELS), "chat"),
        **retrieval,
    }
    assert set(retrieval.values()) == {"embedding", "rerank"}
    assert config.upstreams["qwen"].rerank_url == "http://127.0.0.1:9100/qwen/compatible-api/v1/reranks"
    assert set(config.upstreams) == {"qwen", "qwen-standby", "deepseek", "glm", "kimi", "minimax"}
    assert config.upstreams["glm"].base_url == "http://127.0.0.1:9100/glm/v1"
    facts = {model.id: model for model in config.models}["qwen3.6-plus"]
    assert (facts.input_modalities, facts.context_window) == (("text", "image"), 1_000_000)
    assert [target.upstream for target in facts.targets] == ["qwen", "qwen-standby"]
    assert (config.admin.enabled, config.admin.capture) == (True, True)
    file.write_text(demo_config(9100, admin=False), "utf-8")
    assert not load_config(file).admin.enabled
