"""The config file: what it means, which one it is, and what a reload can change."""

import importlib.util
import os
from pathlib import Path

import pytest

from llmgw.config import (
    MINIMAL_EXAMPLE,
    ConfigError,
    find_config,
    load_config,
    load_store,
    parse_config,
    parse_text,
    restart_faults,
)
from llmgw.config.shown import shown
from tests.support.configs import SECRET, faults, load, with_model, with_targets, with_upstream

CONTRACT = """
[server]
host = "127.0.0.1"
port = 8000
workers = 1
max_body_bytes = 33554432

[store]
url = "sqlite:///llmgw.db"           # keys and ledger

[upstreams.dashscope]
base_url = "https://dashscope.aliyuncs.com/compatible-mode/v1"
api_key = "env:DASHSCOPE_API_KEY"    # env:NAME, file:PATH, or the key itself
connect_timeout_s = 5
first_event_timeout_s = 60
idle_timeout_s = 60
total_timeout_s = 900

[[models]]
id = "qwen3.6-plus"
upstream = "dashscope"
upstream_model = "qwen3.6-plus"      # default: id
input_modalities = ["text", "image"] # default: ["text"]
context_window = 1000000             # optional facts for the catalog
thinking = "enable_thinking"         # default: by pattern, see Thinking
upstream_stream = "auto"             # auto | always | never, see Answers, not streaming
drop = []                            # request fields that this upstream refuses
"""


def test_targets_take_from_their_model_what_they_do_not_say(tmp_path: Path) -> None:
    said = (
        'upstream_model = "qwen3-max"\nthinking = "native"\ndrop = ["seed"]\nupstream_stream = "never"\n'
        'reasoning_tags = "think"'
    )
    other = (
        '{upstream = "local", upstream_model = "glm-5", weight = 3, priority = 2, thinking = "directive", '
        'drop = [], upstream_stream = "always", reasoning_tags = "none"}'
    )
    text = with_targets(f'[{{upstream = "local"}}, {other}]\n{said}')
    [model] = load(tmp_path, text).models
    first, second = model.targets
    assert (first.upstream, first.upstream_model, first.weight, first.priority) == (
        "local",
        "qwen3-max",
        1,
        1,
    )
    assert (first.thinking, first.drop, first.upstream_stream) == ("native", ("seed",), "never")
    assert first.inline_reasoning == "think"
    assert (second.upstream_model, second.weight, second.priority) == ("glm-5", 3, 2)
    assert (second.thinking, second.drop, second.upstream_stream) == ("directive", (), "always")
    assert second.inline_reasoning is None


def test_what_neither_says_follows_from_the_target_s_own_name(tmp_path: Path) -> None:
    text = with_targets('[{upstream = "local"}, {upstream = "local", upstream_model = "MiniMax-M2"}]')
    [model] = load(tmp_path, text).models
    assert [target.upstream_model for target in model.targets] == ["m", "MiniMax-M2"]
    assert [target.inline_reasoning for target in model.targets] == [None, "think"]
    assert [target.thinking for target in model.targets] == [None, None]


def test_one_upstream_is_the_short_form_of_one_target(tmp_path: Path) -> None:
    [short] = load(tmp_path, with_model('drop = ["seed"]')).models
    [long] = load(tmp_path, with_targets('[{upstream = "local"}]\ndrop = ["seed"]')).models
    assert short == long
    assert len(short.targets) == 1


def test_the_contract_s_example(tmp_path: Path) -> None:
    config = load(tmp_path, CONTRACT)
    upstream = config.upstreams["dashscope"]
    assert upstream.api_key is not None
    assert upstream.api_key.get_secret_value() == SECRET
    assert (upstream.connect_timeout_s, upstream.total_timeout_s) == (5.0, 900.0)
    assert config.store.url == f"sqlite:///{tmp_path}/llmgw.db"
    assert config.source == tmp_path / "llmgw.toml"
    assert config.created_s == int(config.source.stat().st_mtime)
    [model] = config.models
    assert model.input_modalities == ("text", "image")
    assert model.thinking == "enable_thinking"


def test_defaults_are_the_contract_s(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL_EXAMPLE)
    written = load(tmp_path, CONTRACT)
    assert config.server == written.server
    assert config.store == written.store
    assert config.upstreams == written.upstreams
    [model] = config.models
    assert model.upstream_model == model.id == "qwen3.6-plus"
    assert (model.input_modalities, model.output_modalities) == (("text",), ("text",))
    assert (model.upstream_stream, model.drop, model.thinking) == ("auto", (), None)


def test_no_secret_in_any_rendering(tmp_path: Path) -> None:
    config = load(tmp_path, CONTRACT)
    for rendering in (repr(config), str(config), config.model_dump_json(), str(config.model_dump())):
        assert SECRET not in rendering


@pytest.mark.parametrize(
    ("api_key", "expected"),
    [
        ("env:DASHSCOPE_API_KEY", SECRET),
        ("file:key.txt", "from-file"),
        ("file:/dev/null/../key", None),
        ("sk-literal", "sk-literal"),
        ("sk:with:colons", "sk:with:colons"),
    ],
)
def test_secrets(tmp_path: Path, api_key: str, expected: str | None) -> None:
    tmp_path.joinpath("key.txt").write_text("from-file\n", "utf-8")
    text = with_upstream(f'api_key = "{api_key}"')
    if expected is None:
        assert "can't be read" in faults(tmp_path, text)[0]
    else:
        key = load(tmp_path, text).upstreams["local"].api_key
        assert key is not None
        assert key.get_secret_value() == expected


def test_an_upstream_needs_no_key(tmp_path: Path) -> None:
    assert load(tmp_path, with_upstream("")).upstreams["local"].api_key is None


def test_secrets_can_be_left_alone(tmp_path: Path) -> None:
    config = load(tmp_path, with_upstream('api_key = "env:NOT_SET"'), secrets=False)
    assert config.upstreams["local"].api_key is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///llmgw.db", "{folder}/llmgw.db"),
        ("sqlite:///data/keys.db", "{folder}/data/keys.db"),
        ("sqlite:////var/lib/llmgw.db", "/var/lib/llmgw.db"),
    ],
)
def test_store_paths_start_at_the_config_file(tmp_path: Path, url: str, expected: str) -> None:
    config = load(tmp_path, f'[store]\nurl = "{url}"\n{with_upstream("")}')
    assert config.store.url == "sqlite:///" + expected.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", "{folder}/llmgw.db.journal"),
        ('[store]\nurl = "sqlite:////data/keys.db"', "/data/keys.db.journal"),
        ('[ledger]\njournal = "rows"', "{folder}/rows"),
        ('[ledger]\njournal = "/other/disk/rows"', "/other/disk/rows"),
    ],
)
def test_where_the_journal_is(tmp_path: Path, lines: str, expected: str) -> None:
    config = load(tmp_path, f"{lines}\n{with_upstream('')}")
    assert str(config.journal_folder) == expected.format(folder=tmp_path)


POSTGRESQL = "postgresql+psycopg://llmgw:geheim@db.internal:5432/llmgw?sslmode=verify-full"


@pytest.mark.parametrize("where", ["here", "env", "file"])
def test_a_store_url_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """It may have a password; commands that need no other secret need it too."""
    monkeypatch.setenv("STORE_URL", POSTGRESQL)
    (tmp_path / "url").write_text(f"{POSTGRESQL}\n", "utf-8")
    reference = {"here": POSTGRESQL, "env": "env:STORE_URL", "file": "file:url"}[where]
    text = f'[store]\nurl = "{reference}"\n{with_upstream("")}'
    path = tmp_path / "llmgw.toml"
    path.write_text(text, "utf-8")
    config = load_config(path)
    assert config.store.url == POSTGRESQL
    assert "geheim" not in repr(config)
    assert load_config(config.source, secrets=False).store == config.store
    config.source.write_text(f"{text}\n[broken]\n", "utf-8")
    assert load_store(config.source) == config.store


@pytest.mark.parametrize(
    ("file", "lines", "expected"),
    [
        ("llmgw.toml", "", ("llmgw-journal", "llmgw-limits", "llmgw-run")),
        ("staging.toml", "", ("staging-journal", "staging-limits", "staging-run")),
        (
            "llmgw.toml",
            '[ledger]\njournal = "state/rows"',
            ("state/rows", "state/llmgw-limits", "state/llmgw-run"),
        ),
    ],
)
def test_where_a_machine_keeps_its_own_if_the_store_is_a_server(
    tmp_path: Path, file: str, lines: str, expected: tuple[str, ...]
) -> None:
    path = tmp_path / file
    path.write_text(f'[store]\nurl = "{POSTGRESQL}"\n{lines}\n{with_upstream("")}', "utf-8")
    config = load_config(path)
    folders = config.journal_folder, config.limits_folder, config.run_folder
    assert tuple(str(folder.relative_to(tmp_path)) for folder in folders) == expected


def test_a_postgresql_store_needs_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    expected = "store.url: the package psycopg is not installed; install llmgw[postgres]"
    assert faults(tmp_path, f'[store]\nurl = "{POSTGRESQL}"\n{with_upstream("")}') == [expected]


def test_models_are_listed_by_number(tmp_path: Path) -> None:
    text = with_upstream("") + '[[models]]\nid = "x"\nupstream = "nope"\n' * 11
    listed = [fault.partition(".")[0] for fault in faults(tmp_path, text) if "no upstream" in fault]
    assert listed == [f"models[{index}]" for index in range(1, 12)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"[server\nport = 1",
            "is not TOML: Expected ']' at the end of a table declaration (at line 1, column 8)",
        ),
        (b"a = 1\na = 2\n", "is not TOML: Cannot overwrite a value (at line 2, column 6)"),
        (b'a = "\xff"', "is not UTF-8 (byte 5)"),
    ],
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "llmgw.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    [fault] = caught.value.faults
    assert fault.problem == expected
    assert str(file) in str(caught.value)


def test_a_file_that_can_t_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't be read \(it is a folder, not a regular file\)"):
        load_config(tmp_path)


def test_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("llmgw.toml", "env.toml", "option.toml"):
        tmp_path.joinpath(name).touch()
    environ = {"LLMGW_CONFIG": "env.toml"}
    assert find_config("option.toml", environ) == tmp_path / "option.toml"
    assert find_config(None, environ) == tmp_path / "env.toml"
    assert find_config(None, {}) == tmp_path / "llmgw.toml"


def test_no_file_at_all_shows_one_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        find_config(None, {})
    assert "there is no such config file (the default)" in str(caught.value)
    shown = [line.strip() for line in str(caught.value).splitlines()]
    assert all(line in shown for line in MINIMAL_EXAMPLE.splitlines())
    load(tmp_path, MINIMAL_EXAMPLE)


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DASHSCOPE_API_KEY", SECRET)
    file = tmp_path / "llmgw.toml"
    file.write_text(MINIMAL_EXAMPLE, "utf-8")
    assert load_config(file).upstreams["dashscope"].api_key is not None


RUNNING = f"[server]\nworkers = 2\n{with_upstream('')}"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("the same", RUNNING, []),
        ("another model", f'{RUNNING}\n[[models]]\nid = "n"\nupstream = "local"\n', []),
        ("another upstream", f'{RUNNING}\n[upstreams.n]\nbase_url = "http://127.0.0.1:2/v1"\n', []),
        ("an upstream's key", RUNNING.replace("/v1", '/v1"\napi_key = "other'), []),
        (
            "what a worker reads anew",
            RUNNING.replace("workers", "drain_timeout_s = 1\nmax_in_flight_requests = 9\nworkers"),
            [],
        ),
        ("prices", f'[prices]\nunpriced = "allow"\nexchange = {{USD = 7.1}}\n{RUNNING}', []),
        (
            "what windows are made of",
            f'[prices]\ncurrency = "USD"\ntimezone = "UTC"\n{RUNNING}',
            ["prices.currency", "prices.timezone"],
        ),
        ("workers", RUNNING.replace("= 2", "= 3"), ["server.workers"]),
        ("whether requests may be captured", f"[admin]\ncapture = true\n{RUNNING}", []),
        (
            "the admin API",
            f'[admin]\nenabled = true\nhost = "::1"\nport = 1\n{RUNNING}',
            ["admin.enabled", "admin.host", "admin.port"],
        ),
        (
            "all that can't",
            f'[store]\nurl = "sqlite:///b.db"\n{RUNNING}'.replace("workers = 2", 'port = 1\nhost = "::"'),
            ["server.host", "server.port", "server.workers", "store"],
        ),
    ],
)
def test_what_a_reload_can_change(name: str, text: str, expected: list[str], tmp_path: Path) -> None:
    running, new = (parse_text(part, tmp_path / "llmgw.toml", changed_s=0) for part in (RUNNING, text))
    assert [fault.path for fault in restart_faults(running, new)] == expected, name


def test_the_text_is_kept_and_never_shown(tmp_path: Path) -> None:
    text = with_upstream(f'api_key = "{SECRET}"')
    config = load(tmp_path, text)
    assert config.text == text
    assert SECRET not in repr(config)


def test_redis_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'[cache]\nurl = "redis://host"\n{with_upstream("")}'
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    expected = "cache.url: the package redis is not installed; install llmgw[redis], or leave the line out"
    assert faults(tmp_path, text) == [expected]
    assert load(tmp_path, with_upstream("")).cache.url is None


def test_a_webhook_and_its_secret_are_secrets(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("signing-1\n")
    text = f'[alerts]\nurl = "https://host/{SECRET}"\nsecret = "file:secret.txt"\n{with_upstream("")}'
    alerts = load(tmp_path, text).alerts
    assert alerts.url is not None
    assert alerts.secret is not None
    assert alerts.url.get_secret_value() == f"https://host/{SECRET}"
    assert alerts.secret.get_secret_value() == "signing-1"
    assert SECRET not in repr(alerts)


def test_the_url_of_the_cache_is_a_secret(tmp_path: Path) -> None:
    text = f'[cache]\nurl = "redis://:{SECRET}@host:6379/1"\n{with_upstream("")}'
    config = load(tmp_path, text)
    assert config.cache.url is not None
    assert config.cache.url.get_secret_value() == f"redis://:{SECRET}@host:6379/1"
    assert SECRET not in repr(config)
    file = tmp_path / "url.txt"
    file.write_text("rediss://host\n", "utf-8")
    config = load(tmp_path, f'[cache]\nurl = "file:url.txt"\n{with_upstream("")}')
    assert config.cache.url is not None
    assert config.cache.url.get_secret_value() == "rediss://host"


def test_the_url_of_a_database_server_is_shown_to_nobody(tmp_path: Path) -> None:
    url = "postgresql+psycopg://llmgw@host/db?password=geheim"
    tables = {"upstreams": {"a": {"base_url": "http://a"}}, "models": [{"id": "m", "upstream": "a"}]}
    config = parse_config(tables | {"store": {"url": url}}, tmp_path / "llmgw.toml")
    assert config.store.url == url
    for said in (str(shown(config)), repr(config), str(config)):
        assert "geheim" not in said
    assert shown(config)["store"]["url"] == "**********"
    file = parse_config(tables, tmp_path / "llmgw.toml")
    assert shown(file)["store"]["url"] == file.store.url
