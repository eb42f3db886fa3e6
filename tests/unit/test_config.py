"""The config file: what is right, and the words for what is wrong."""

import importlib.util
import os
from pathlib import Path

import pytest

from llmgw.config import (
    MINIMAL_EXAMPLE,
    Config,
    ConfigError,
    find_config,
    load_config,
    parse_text,
    restart_faults,
)

SECRET = "sk-very-secret"
ENVIRON = {"DASHSCOPE_API_KEY": SECRET, "EMPTY": " ", "SPLIT": "two words", "FORGED": "a\r\nx: y"}

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


def load(folder: Path, text: str, *, secrets: bool = True) -> Config:
    file = folder / "llmgw.toml"
    file.write_text(text, "utf-8")
    return load_config(file, ENVIRON, secrets=secrets)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert SECRET not in str(caught.value)
    return [str(fault) for fault in caught.value.faults]


def with_upstream(line: str) -> str:
    """A config that is right but for `line` in its upstream."""
    base_url = "" if line.startswith("base_url") else 'base_url = "http://127.0.0.1:1/v1"\n'
    return f'[upstreams.local]\n{base_url}{line}\n[[models]]\nid = "m"\nupstream = "local"\n'


def with_model(line: str) -> str:
    """The same for a line in its model."""
    return f"{with_upstream('')}{line}\n"


def with_targets(targets: str) -> str:
    """The same with these targets instead of one upstream."""
    return with_model(f"targets = {targets}").replace('upstream = "local"\n', "")


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


NOT_A_URL = 'upstreams.local.base_url: is not an http or https URL; write it like "https://host/v1"'
NOT_REDIS = (
    "cache.url: is not the URL of a Redis server; "
    'write it like "redis://127.0.0.1:6379/0" (rediss:// with TLS), or "env:NAME"'
)
NOT_SQLITE = (
    "store.url: is not the URL of a SQLite file; "
    'write "sqlite:///llmgw.db" (beside this file) or "sqlite:////absolute/path.db"'
)


UNPRINTABLE = (
    "holds a line break or another character that can't be seen; write one line of visible characters"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Keys
        (f"serevr = {{}}\n{with_upstream('')}", "serevr: is not a known key; did you mean 'server'?"),
        (
            with_upstream("idle_timeout = 3"),
            "upstreams.local.idle_timeout: is not a known key; did you mean 'idle_timeout_s'?",
        ),
        (with_model("stream = 1"), "models[0].stream: is not a known key; did you mean 'upstream'?"),
        (
            f"{with_upstream('')}[server]\nzzz = 1",
            (
                "server.zzz: is not a known key; it must be one of 'host', 'port', 'workers', "
                "'max_body_bytes', 'max_in_flight_requests', 'max_in_flight_bytes', 'body_timeout_s', "
                "'client_write_timeout_s', 'heartbeat_s', 'drain_timeout_s', 'log_level'"
            ),
        ),
        # What is missing
        (
            '[upstreams.a]\nbase_url = "http://h"',
            "models: is missing; add at least one [[models]] table with an id and an upstream",
        ),
        (
            'models = []\n[upstreams.a]\nbase_url = "http://h"',
            "models: is empty; add at least one [[models]] table with an id and an upstream",
        ),
        (
            '[upstreams.a]\n[[models]]\nid="m"\nupstream="a"',
            'upstreams.a.base_url: is missing; write it like "https://host/v1"',
        ),
        # References
        (
            with_model("").replace('upstream = "local"', 'upstream = "locl"'),
            "models[0].upstream: there is no upstream 'locl'; did you mean 'local'?",
        ),
        (
            with_model("").replace('upstream = "local"', 'upstream = "zzz"'),
            "models[0].upstream: there is no upstream 'zzz'; it must be one of 'local'",
        ),
        (
            with_model('[[models]]\nid = "m"\nupstream = "local"'),
            "models[1].id: 'm' is taken by models[0]; give each model its own id",
        ),
        # Targets
        (
            with_targets('[{upstream = "local"}, {upstream = "locl"}]'),
            "models[0].targets[1].upstream: there is no upstream 'locl'; did you mean 'local'?",
        ),
        (
            with_targets("[{weight = 2}]"),
            "models[0].targets[0].upstream: is missing; name one of the [upstreams.NAME] tables",
        ),
        (
            with_targets('[{upstream = "local", wieght = 2}]'),
            "models[0].targets[0].wieght: is not a known key; did you mean 'weight'?",
        ),
        (
            with_targets('[{upstream = "local", weight = 0}]'),
            "models[0].targets[0].weight: is out of range; it must be greater than or equal to 1",
        ),
        (
            with_targets('[{upstream = "local", priority = 1.5}]'),
            "models[0].targets[0].priority: has the wrong type; it must be a whole number",
        ),
        (
            with_targets('[{upstream = "local", drop = ["model"]}]'),
            "models[0].targets[0].drop: no request works without 'model'; name optional fields only",
        ),
        (
            with_targets('[{upstream = "local"}, {upstream = "local", upstream_model = "m"}]'),
            (
                "models[0].targets[1]: asks the same upstream for the same model as targets[0]; "
                "keep one of them, with a higher weight"
            ),
        ),
        (
            with_targets("[]"),
            "models[0].targets: is empty; name at least one upstream, or write upstream instead",
        ),
        (with_targets('"local"'), "models[0].targets: has the wrong type; it must be a list in brackets"),
        (
            with_model('targets = [{upstream = "local"}]'),
            "models[0].targets: stands beside upstream; keep one of the two",
        ),
        (
            with_model("").replace('upstream = "local"', ""),
            "models[0].upstream: is missing; name one of the [upstreams.NAME] tables",
        ),
        (
            f"[routing]\nmax_attempts = 0\n{with_upstream('')}",
            "routing.max_attempts: is out of range; it must be greater than or equal to 1",
        ),
        # Secrets
        (
            with_upstream('api_key = "env:NOT_SET"'),
            "upstreams.local.api_key: the environment variable 'NOT_SET' is not set; set it before the start",
        ),
        (
            with_upstream('api_key = "env:EMPTY"'),
            "upstreams.local.api_key: the environment variable 'EMPTY' is empty; set it before the start",
        ),
        (
            with_upstream('api_key = "env:SPLIT"'),
            "upstreams.local.api_key: can't stand in a header; a key is one word of visible ASCII characters",
        ),
        (
            with_upstream('api_key = "file:none.txt"'),
            (
                "upstreams.local.api_key: the file 'none.txt' can't be read (No such file or directory); "
                "check its path and permissions"
            ),
        ),
        (
            with_upstream('api_key = ""'),
            'upstreams.local.api_key: is empty; write "env:NAME", "file:PATH" or the key, or leave it out',
        ),
        # URLs
        (with_upstream('base_url = "ftp://host/v1"'), NOT_A_URL),
        (with_upstream('base_url = "host/v1"'), NOT_A_URL),
        (with_upstream('base_url = "https://"'), NOT_A_URL),
        (with_upstream('base_url = "http://[::1"'), NOT_A_URL),
        (with_upstream('base_url = "http://host:99999/"'), NOT_A_URL),
        (with_upstream('base_url = "http://ho st/"'), NOT_A_URL),
        (
            with_upstream(f'base_url = "http://user:{SECRET}@host/v1"'),
            (
                "upstreams.local.base_url: carries credentials; "
                'put the secret into api_key and write it like "https://host/v1"'
            ),
        ),
        (
            with_upstream('base_url = "http://host/v1?a=b"'),
            'upstreams.local.base_url: has a query or a fragment; write it like "https://host/v1"',
        ),
        (
            with_upstream('base_url = "http://host/v1/chat/completions/"'),
            "upstreams.local.base_url: names an endpoint; leave out /chat/completions: the gateway adds it",
        ),
        (f'[store]\nurl = "postgresql://host/db"\n{with_upstream("")}', NOT_SQLITE),
        (f'[store]\nurl = "sqlite://"\n{with_upstream("")}', NOT_SQLITE),
        (f'[store]\nurl = "sqlite:///:memory:"\n{with_upstream("")}', NOT_SQLITE),
        (
            f"[store]\nstale_keys_s = 2592001\n{with_upstream('')}",
            "store.stale_keys_s: is out of range; it must be less than or equal to 2592000",
        ),
        (
            f'[ledger]\ndurability = "always"\n{with_upstream("")}',
            "ledger.durability: is not a known value; it must be one of 'relaxed', 'strict'",
        ),
        (
            f'[ledger]\njournal_folder = "x"\n{with_upstream("")}',
            "ledger.journal_folder: is not a known key; did you mean 'journal'?",
        ),
        (
            f"[ledger]\njournal_max_bytes = -1\n{with_upstream('')}",
            "ledger.journal_max_bytes: is out of range; it must be greater than or equal to 0",
        ),
        # The cache
        (f'[cache]\nurl = "http://host"\n{with_upstream("")}', NOT_REDIS),
        (f'[cache]\nurl = "redis://"\n{with_upstream("")}', NOT_REDIS),
        (f'[cache]\nurl = "redis://host:99999"\n{with_upstream("")}', NOT_REDIS),
        (f'[cache]\nurl = "redis://ho st"\n{with_upstream("")}', NOT_REDIS),
        (
            f'[cache]\nurl = "env:NOT_SET"\n{with_upstream("")}',
            "cache.url: the environment variable 'NOT_SET' is not set; set it before the start",
        ),
        (
            f"[cache]\nreasoning_ttl_s = 0\n{with_upstream('')}",
            "cache.reasoning_ttl_s: is out of range; it must be greater than 0",
        ),
        (
            f"[cache]\nreasoning_ttl = 1\n{with_upstream('')}",
            "cache.reasoning_ttl: is not a known key; did you mean 'reasoning_ttl_s'?",
        ),
        # Line breaks, which could forge a header, a metric or a line of the log
        (with_upstream(r'base_url = "http://host/v1\r\nx: y"'), NOT_A_URL),
        (with_upstream(r'base_url = "http://host/v1\u0000"'), f"upstreams.local.base_url: {UNPRINTABLE}"),
        (
            with_upstream(r'api_key = "a\r\nx: y"'),
            "upstreams.local.api_key: can't stand in a header; a key is one word of visible ASCII characters",
        ),
        (
            with_upstream('api_key = "env:FORGED"'),
            "upstreams.local.api_key: can't stand in a header; a key is one word of visible ASCII characters",
        ),
        (with_model(r'upstream_model = "m\nx"'), f"models[0].upstream_model: {UNPRINTABLE}"),
        (with_model(r'owned_by = "a\u2028b"'), f"models[0].owned_by: {UNPRINTABLE}"),
        (with_model(r'drop = ["seed", "a\u007f"]'), f"models[0].drop[1]: {UNPRINTABLE}"),
        (
            with_model("").replace('id = "m"', r'id = "m\n"'),
            "models[0].id: is empty or holds spaces; write one word, such as qwen3.6-plus",
        ),
        (
            with_upstream("") + r'[upstreams."a\nb"]' + '\nbase_url = "http://host/v1"\n',
            f"upstreams.'a\\nb': {UNPRINTABLE}",
        ),
        (
            f'[server]\nhost = "127.0.0.1\\r"\n{with_upstream("")}',
            f"server.host: {UNPRINTABLE}",
        ),
        (
            f'[store]\nurl = "sqlite:///a\\tb.db"\n{with_upstream("")}',
            f"store.url: {UNPRINTABLE}",
        ),
        # Values
        (
            with_model('thinking_modes = ["maybe"]'),
            "models[0].thinking_modes[0]: is not a known value; it must be one of 'on', 'off'",
        ),
        (
            with_model("thinking_modes = []"),
            "models[0].thinking_modes: is empty; write at least one value or leave the line out",
        ),
        (
            with_model('thinking_fallback = "ignore"'),
            "models[0].thinking_fallback: is not a known value; it must be one of 'error', 'drop'",
        ),
        (
            with_model('thinking = "enable_thinkin"'),
            (
                "models[0].thinking: is not a known value; it must be one of 'enable_thinking', 'directive', "
                "'thinking_object', 'native', 'chat_template_kwargs'"
            ),
        ),
        (
            with_model('upstream_stream = "sometimes"'),
            "models[0].upstream_stream: is not a known value; it must be one of 'auto', 'always', 'never'",
        ),
        (
            with_model('input_modalities = ["smell"]'),
            (
                "models[0].input_modalities[0]: is not a known value; "
                "it must be one of 'text', 'image', 'audio', 'video'"
            ),
        ),
        (
            with_model("input_modalities = []"),
            "models[0].input_modalities: is empty; write at least one value or leave the line out",
        ),
        (
            with_model("capabilities = { smell = true }"),
            (
                "models[0].capabilities.smell: is not a known value; "
                "it must be one of 'streaming', 'tools', 'vision', 'reasoning', 'json_mode'"
            ),
        ),
        (
            with_model('drop = ["seed", "messages"]'),
            "models[0].drop: no request works without 'messages'; name optional fields only",
        ),
        (
            with_model("").replace('id = "m"', 'id = "my model"'),
            "models[0].id: is empty or holds spaces; write one word, such as qwen3.6-plus",
        ),
        (
            with_upstream("idle_timeout_s = 0"),
            "upstreams.local.idle_timeout_s: is out of range; it must be greater than 0",
        ),
        (
            with_upstream("idle_timeout_s = inf"),
            "upstreams.local.idle_timeout_s: is out of range; it must be a finite number",
        ),
        (
            f"[server]\nport = 65536\n{with_upstream('')}",
            "server.port: is out of range; it must be less than or equal to 65535",
        ),
        # Limits
        (
            f"[server]\nmax_in_flight_requests = 0\n{with_upstream('')}",
            "server.max_in_flight_requests: is out of range; it must be greater than or equal to 1",
        ),
        (
            f"[server]\nmax_body_bytes = 1000\nmax_in_flight_bytes = 999\n{with_upstream('')}",
            (
                "server.max_in_flight_bytes: is less than max_body_bytes (1000), so that the largest bodies "
                "could never be taken; raise it, or lower max_body_bytes"
            ),
        ),
        (
            with_upstream("max_in_flight = 0"),
            "upstreams.local.max_in_flight: is out of range; it must be greater than or equal to 1",
        ),
        # Types
        (
            f"[server]\nworkers = true\n{with_upstream('')}",
            "server.workers: has the wrong type; it must be a whole number",
        ),
        (
            with_upstream('idle_timeout_s = "3s"'),
            "upstreams.local.idle_timeout_s: has the wrong type; it must be a number (of seconds)",
        ),
        (
            with_upstream("api_key = 5"),
            "upstreams.local.api_key: has the wrong type; it must be a string in quotes",
        ),
        (with_model('drop = "seed"'), "models[0].drop: has the wrong type; it must be a list in brackets"),
        (f"server = 3\n{with_upstream('')}", "server: has the wrong type; it must be a table"),
    ],
)
def test_one_fault(tmp_path: Path, text: str, expected: str) -> None:
    assert faults(tmp_path, text) == [expected]


def test_all_faults_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
extra = 1
[server]
port = "x"
[store]
url = "mysql://h"
[upstreams.a]
base_url = "gopher://h"
api_key = "env:NOT_SET"
[[models]]
upstream = "b"
[[models]]
id = "m"
upstream = "a"
thinking = "no"
"""
    assert [fault.partition(":")[0] for fault in faults(tmp_path, text)] == [
        "extra",
        "server.port",
        "store.url",
        "upstreams.a.api_key",
        "upstreams.a.base_url",
        "models[0].id",
        "models[0].upstream",
        "models[1].thinking",
    ]


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
    with pytest.raises(ConfigError, match=r"can't be read \(Is a directory\)"):
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
        ("workers", RUNNING.replace("= 2", "= 3"), ["server.workers"]),
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
