"""The words for what is wrong with a config file, a row for each fault."""

import importlib.util
from pathlib import Path

import pytest

from llmgw.config import ConfigError, load_config, parse_config
from tests.support.configs import SECRET, faults, load, with_model, with_targets, with_upstream

NOT_A_URL = 'upstreams.local.base_url: is not an http or https URL; write it like "https://host/v1"'
NO_WEBHOOK = 'alerts.url: is not an http or https URL; write it like "https://host/hook", or "env:NAME"'
NOT_REDIS = (
    "cache.url: is not the URL of a Redis server; "
    'write it like "redis://127.0.0.1:6379/0" (rediss:// with TLS), or "env:NAME"'
)
NOT_SQLITE = (
    "store.url: is not the URL of a SQLite file; "
    'write "sqlite:///llmgw.db" (beside this file) or "sqlite:////absolute/path.db"'
)
OF_NEITHER = "the URL of neither a SQLite file nor a PostgreSQL server"
NO_DRIVER = (
    "store.url: does not name the driver; "
    'write "postgresql+psycopg://…": psycopg is the driver that llmgw[postgres] brings'
)
NOT_POSTGRESQL = (
    "store.url: is not the URL of a PostgreSQL server; "
    'write it like "postgresql+psycopg://user:password@host:5432/database", special characters as %XX, '
    'or "env:NAME"'
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
                "'max_body_bytes', 'max_in_flight_requests', 'max_in_flight_bytes', "
                "'http2', 'head_timeout_s', 'body_timeout_s', 'client_write_timeout_s', "
                "'heartbeat_s', 'stop_delay_s', 'drain_timeout_s', 'cors_origins', 'log_level'"
            ),
        ),
        # Durations
        (
            f"{with_upstream('')}[server]\nstop_delay_s = -1",
            "server.stop_delay_s: is out of range; it must be greater than or equal to 0",
        ),
        (
            f"{with_upstream('')}[server]\nstop_delay_s = 86401",
            "server.stop_delay_s: is out of range; it must be less than or equal to 86400",
        ),
        # Origins
        *(
            (
                f"{with_upstream('')}[server]\ncors_origins = ['*', '{origin}']",
                (
                    "server.cors_origins[1]: is no origin as a browser sends it; write scheme, host and an "
                    'unusual port, in lower case, like "https://app.example", or "*"'
                ),
            )
            for origin in (
                "",
                "app.example",
                "https://",
                "https://app.example/",
                "https://app.example/chat",
                "https://App.example",
                "https://app.example:443",
                "http://app.example:80",
                "https://*.example",
                "https://user@app.example",
                "https://bücher.example",
                "null",
                "https://app.example:0",
            )
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
            with_model('protocols = ["responses"]').replace(
                "[upstreams.local]", '[upstreams.local]\nresponses_url = "http://h/responses"'
            ),
            'models[0].protocols: lacks chat, to which the other APIs are converted; add "chat"',
        ),
        (
            with_targets('[{upstream = "local", protocols = ["chat", "responses"]}]'),
            (
                "models[0].targets[0].protocols: names responses, but upstreams.local has no responses_url; "
                "add responses_url there, or leave responses out"
            ),
        ),
        (
            with_model('protocols = ["chat", "grpc"]'),
            "models[0].protocols[1]: is not a known value; it must be one of 'chat', 'messages', 'responses'",
        ),
        (
            with_model("protocols = []"),
            "models[0].protocols: is empty; write at least one value or leave the line out",
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
            "models[0].targets: is set beside upstream; keep one of the two",
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
            with_upstream('base_url = "http://host"\nmessages_url = "ftp://host/v1/messages"'),
            (
                "upstreams.local.messages_url: is not an http or https URL; "
                'write it like "https://host/anthropic/v1/messages"'
            ),
        ),
        (
            with_upstream('base_url = "http://host"\nmessages_url = "https://host/anthropic"'),
            (
                "upstreams.local.messages_url: does not end with /messages, so it is no endpoint; "
                'write all of it, like "https://host/anthropic/v1/messages": nothing is added'
            ),
        ),
        (
            with_upstream(
                f'base_url = "http://host"\nresponses_url = "https://u:{SECRET}@host/v1/responses"'
            ),
            (
                "upstreams.local.responses_url: carries credentials; "
                'put the secret into api_key and write it like "https://host/v1/responses"'
            ),
        ),
        (
            with_upstream('base_url = "http://host"\nresponses_url = "https://host/v1/responses?x=1"'),
            'upstreams.local.responses_url: has a query or a fragment; write it like "https://host/v1/responses"',
        ),
        (
            with_upstream('base_url = "http://host/v1/chat/completions/"'),
            "upstreams.local.base_url: names an endpoint; leave out /chat/completions: the gateway adds it",
        ),
        (
            with_upstream('base_url = "http://host/v1/embeddings"'),
            "upstreams.local.base_url: names an endpoint; leave out /embeddings: the gateway adds it",
        ),
        (
            with_upstream('base_url = "http://host/v1"\nrerank_url = "host/v1/rerank"'),
            'upstreams.local.rerank_url: is not an http or https URL; write it like "https://host/v1/rerank"',
        ),
        (
            with_upstream('base_url = "http://host/v1"\nrerank_url = "http://host/v1/rerank?a=b"'),
            'upstreams.local.rerank_url: has a query or a fragment; write it like "https://host/v1/rerank"',
        ),
        (
            with_upstream('base_url = "http://host/v1"\nrerank_url = "http://other/v1/rerank"'),
            (
                "upstreams.local.rerank_url: is on another host than base_url; "
                "give it an upstream of its own: an upstream's connections all go to one host"
            ),
        ),
        (
            with_upstream('base_url = "http://host/v1"\nrerank_url = "https://host/v1/rerank"'),
            (
                "upstreams.local.rerank_url: is on another host than base_url; "
                "give it an upstream of its own: an upstream's connections all go to one host"
            ),
        ),
        (
            f'[store]\nurl = "mysql://user:geheim@host/db"\n{with_upstream("")}',
            (
                f"{NOT_SQLITE.replace('not the URL of a SQLite file', OF_NEITHER)}, or "
                '"postgresql+psycopg://user:password@host/database"'
            ),
        ),
        *(
            (
                f'[store]\nurl = "{scheme}://user:geheim@host/db"\n{with_upstream("")}',
                NO_DRIVER,
            )
            for scheme in ("postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg")
        ),
        *(
            (f'[store]\nurl = "postgresql+psycopg://{rest}"\n{with_upstream("")}', NOT_POSTGRESQL)
            for rest in ("user:geheim@[::1/db", "user:geheim@host:port/db?x=geheim", "user:%zz@host/db")
        ),
        (
            f'[store]\nurl = "env:LLMGW_TEST_NONE"\n{with_upstream("")}',
            "store.url: the environment variable 'LLMGW_TEST_NONE' is not set; set it before the start",
        ),
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
        # The alerts
        (f'[alerts]\nurl = "ftp://host"\n{with_upstream("")}', NO_WEBHOOK),
        (f'[alerts]\nurl = "https://"\n{with_upstream("")}', NO_WEBHOOK),
        (f'[alerts]\nurl = "https://host:99999"\n{with_upstream("")}', NO_WEBHOOK),
        (f'[alerts]\nurl = "https://ho st"\n{with_upstream("")}', NO_WEBHOOK),
        (
            f'[alerts]\nsecret = "env:NOT_SET"\n{with_upstream("")}',
            "alerts.secret: the environment variable 'NOT_SET' is not set; set it before the start",
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
            with_model('developer_role = "user"'),
            "models[0].developer_role: is not a known value; it must be one of 'keep', 'system'",
        ),
        (
            with_model('refuses = ["developer"]'),
            (
                "models[0].refuses[0]: is not a known value; it must be one of 'developer_role', "
                "'empty_text', 'nulls', 'max_completion_tokens', 'minimal_effort', "
                "'base64_embeddings'"
            ),
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
                "it must be one of 'text', 'image', 'audio', 'video', 'file'"
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
            with_model('kind = "embedding"\ndrop = ["input"]'),
            "models[0].drop: no request works without 'input'; name optional fields only",
        ),
        (
            with_model('kind = "embeddings"'),
            "models[0].kind: is not a known value; it must be one of 'chat', 'embedding', 'rerank'",
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
        (
            f"[limits]\nmachines = 2\n{with_upstream('')}",
            (
                "limits.machines: is 2, but there is no Redis in which the machines could share the limits; "
                'name one under [cache], such as url = "redis://127.0.0.1:6379/0", or write machines = 1'
            ),
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


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("${DASHSCOPE_API_KEY}", 'write "env:DASHSCOPE_API_KEY"'),
        ("$DASHSCOPE_API_KEY", 'write "env:DASHSCOPE_API_KEY"'),
        ("os.environ/KEY_2", 'write "env:KEY_2"'),
        ("ENV:KEY", 'write "env:KEY"'),
        ("Env:KEY", 'write "env:KEY"'),
    ],
)
def test_references_of_other_programs_are_no_keys(tmp_path: Path, written: str, remedy: str) -> None:
    found = faults(tmp_path, with_upstream(f'api_key = "{written}"'))
    assert found == [f"upstreams.local.api_key: is written as for another program; {remedy}"]


@pytest.mark.parametrize("key", ["sk-$X", "a$b", "${X}y", "environment"])
def test_a_key_may_look_odd(tmp_path: Path, key: str) -> None:
    upstream = load(tmp_path, with_upstream(f"api_key = '{key}'")).upstreams["local"]
    assert upstream.api_key is not None
    assert upstream.api_key.get_secret_value() == key


MODEL = 'id = "m"\nupstream = "local"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f'[upstreams.local]\nbase_url = "http://h/v1"\n[models]\n{MODEL}',
            "models: has the wrong type; write [[models]], in two brackets, once for each model",
        ),
        (
            f'[[upstreams]]\nbase_url = "http://h/v1"\n[[models]]\n{MODEL}',
            (
                "upstreams: has the wrong type; write [upstreams.NAME], in one pair of brackets, once for "
                "each upstream"
            ),
        ),
    ],
)
def test_brackets(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in faults(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("base_url = \u201chttp://h/v1\u201d", "line 2 has \u201c, where TOML has plain signs"),
        ('base_url \uff1d "http://h/v1"', "line 2 has \uff1d, where"),
        ('base_url = "http://h/v1', "correct the syntax there"),
    ],
)
def test_signs_of_another_keyboard(tmp_path: Path, line: str, remedy: str) -> None:
    file = tmp_path / "llmgw.toml"
    file.write_text(f"[upstreams.local] # \u201cquoted\u201d\n{line}\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert remedy in caught.value.faults[0].remedy


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "llmgw.toml"
    file.write_text(f'[upstreams.local]\nbase_url = "http://h/v1"\n[[models]]\n{MODEL}', "utf-8-sig")
    assert [model.id for model in load_config(file, {}).models] == ["m"]


def test_a_fault_of_a_model_tells_its_id() -> None:
    data = {
        "upstreams": {"local": {"base_url": "http://h"}},
        "models": [{"id": "m", "upstream": "lokal"}, {}],
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(data, Path("llmgw.toml"), {})
    lines = str(caught.value).splitlines()[1:]
    assert lines[0].strip().startswith("models[0].upstream ('m'): there is no upstream 'lokal'")
    assert any(line.strip().startswith("models[1].id: is missing") for line in lines)


def test_the_admin_api_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"[admin]\nenabled = true\n{with_upstream('')}"
    assert load(tmp_path, text).admin.enabled
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "fastapi" else find_spec(name)
    )
    assert faults(tmp_path, text) == [
        "admin.enabled: the package fastapi is not installed; install llmgw[admin], or leave the line out"
    ]
    assert not load(tmp_path, text.replace("true", "false")).admin.enabled
