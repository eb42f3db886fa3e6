"""No secret in a line of the log, wherever in it one may stand."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from llmgw.config import Config
from llmgw.gateway import hide_secrets
from llmgw.observe import logs

SECRET = "upstream-key-2b6e"
CLIENT_KEY = "sk-gtw-AbCd0123456789_-efghijklmnopqrst"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a logger writes that has the formatter."""
    monkeypatch.setattr(logs, "_secrets", ())
    logs.hide([SECRET, "short"])
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("test-logs")
    logger.addHandler(handler)
    logger.propagate = False
    yield stream
    logger.removeHandler(handler)


def test_in_the_message_and_its_arguments(lines: io.StringIO) -> None:
    headers = {"authorization": f"Bearer {SECRET}"}
    logging.getLogger("test-logs").warning("got %s and %s", headers, CLIENT_KEY)
    assert lines.getvalue() == "WARNING got {'authorization': 'Bearer [redacted]'} and sk-gtw-AbCd…\n"


def test_in_an_exception_and_its_cause(lines: io.StringIO) -> None:
    error = RuntimeError(SECRET)
    error.__cause__ = ValueError(CLIENT_KEY)
    logging.getLogger("test-logs").error("a defect", exc_info=error)
    text = lines.getvalue()
    assert "RuntimeError: [redacted]" in text
    assert "ValueError: sk-gtw-AbCd…" in text
    assert SECRET not in text
    assert CLIENT_KEY not in text


def test_short_placeholders_hide_nothing(lines: io.StringIO) -> None:
    logging.getLogger("test-logs").warning("a short line")
    assert lines.getvalue() == "WARNING a short line\n"


def test_secrets_add_up(lines: io.StringIO) -> None:
    """After a reload the old key may still be in somebody's message."""
    logs.hide(["another-key-77aa"])
    logging.getLogger("test-logs").warning("%s another-key-77aa", SECRET)
    assert lines.getvalue() == "WARNING [redacted] [redacted]\n"


def test_all_secrets_of_the_config_are_hidden(lines: io.StringIO) -> None:
    """Keys of upstreams, the webhook's, passwords, and URLs that have some: clients of Redis tell either."""
    config = Config.model_validate(
        {
            "upstreams": {
                "a": {"base_url": "http://a", "api_key": SecretStr("first-key-1")},
                "b": {"base_url": "b"},
            },
            "models": [{"id": "m", "upstream": "a"}],
            "cache": {"url": SecretStr("redis://user:pass%2Fword1@host/0")},
            "alerts": {
                "url": SecretStr("https://me:hook-pass@hook/?token=1"),
                "secret": SecretStr("signing-1"),
            },
            "store": {"url": "postgresql+psycopg://me:data%40base@h1,h2/db?sslpassword=of-the-key"},
            "otel": {
                "endpoint": "http://c",
                "headers": SecretStr("authorization=Basic http://[abc,x=team-1"),
            },
        }
    )
    hide_secrets(config)
    logger = logging.getLogger("test-logs")
    logger.warning("%s | %s | %s", "first-key-1", "redis://user:pass%2Fword1@host/0", "pass/word1")
    logger.warning("%s | %s | %s", "https://me:hook-pass@hook/?token=1", "signing-1", "hook-pass")
    logger.warning("%s | %s | %s", "data@base", "of-the-key", "Basic http://[abc")
    assert lines.getvalue() == 3 * "WARNING [redacted] | [redacted] | [redacted]\n"


LIBRARIES = """
import logging
import subprocess
import sys
from granian.log import LogLevels, configure_logging
from llmgw.observe.logs import hide, log_config

hide(["upstream-key-2b6e"])
configure_logging(LogLevels.warning, log_config("info"))
for name in ("asyncio", "sqlalchemy.pool", "redis", "_granian", "llmgw"):
    logging.getLogger(name).error("refused: %s", ["upstream-key-2b6e"], exc_info=OSError("upstream-key-2b6e"))
    logging.getLogger(name).info("a word of %s", name)
"""


def test_lines_of_libraries_are_redacted_too() -> None:
    """In a process of its own, set up as granian does it in the gateway's."""
    command = [sys.executable, "-c", LIBRARIES]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert SECRET not in text
    for name in ("asyncio", "sqlalchemy.pool", "redis", "_granian", "llmgw"):
        assert text.count(f"ERROR {name}: refused: ['[redacted]']\nOSError: [redacted]\n") == 1
    # Libraries say what is wrong and no more; the level of the config is the gateway's own.
    assert [line.rpartition(" ")[2] for line in text.splitlines() if "a word of" in line] == ["llmgw"]


def test_a_line_that_anybody_may_cause_comes_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("llmgw.observe.logs.time.monotonic", lambda: now_s)
    limit = logs.OncePerSecond()
    record = {"name": "_granian.asgi", "msg": "failure %s", "args": ("x",), "levelname": "ERROR"}
    passed = [limit.filter(logging.makeLogRecord(record)) for _ in range(5)]
    assert limit.filter(logging.makeLogRecord(record | {"lineno": 7})), "another place in the source"
    now_s += 1.0
    last = logging.makeLogRecord(record)
    assert (passed, limit.filter(last)) == ([True, False, False, False, False], True)
    assert last.getMessage() == "failure x (4 more like it since the last)"


@pytest.mark.parametrize("name", ["llmgw.pipeline.account", "llmgw.ledger.writer", "llmgw.application"])
def test_other_lines_all_come(name: str) -> None:
    limit = logs.OncePerSecond()
    assert all(limit.filter(logging.makeLogRecord({"name": name, "msg": "x"})) for _ in range(5))


def test_old_secrets_are_bounded(lines: io.StringIO) -> None:
    """Each reload may bring another key; a line must not cost more for each that ever was."""
    for number in range(3 * logs.MAX_OLD_SECRETS):
        logs.hide(["always-the-same", f"rotated-{number:04}"])
    assert len(logs._secrets) <= logs.MAX_OLD_SECRETS + 2
    last = 3 * logs.MAX_OLD_SECRETS - 1
    logging.getLogger("test-logs").warning("always-the-same rotated-%04d rotated-%04d", last, last - 100)
    assert lines.getvalue() == "WARNING [redacted] [redacted] [redacted]\n"


def test_a_secret_that_is_part_of_another(lines: io.StringIO) -> None:
    logs.hide(["0123456789", "0123456789-and-more"])
    logging.getLogger("test-logs").warning("got 0123456789-and-more")
    assert lines.getvalue() == "WARNING got [redacted]\n"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("a\x1b[31mred\x1b[0m", "a\\x1b[31mred\\x1b[0m"),
        ("bell\x07, erase\x08, csi\x9b2J, delete\x7f", "bell\\x07, erase\\x08, csi\\x9b2J, delete\\x7f"),
        ("a\r2026-11-26 ERROR forged", "a\\r2026-11-26 ERROR forged"),
        ("a\n2026-11-26 ERROR forged", "a\n  2026-11-26 ERROR forged"),
        ("a\u2028b\u202ec", "a\\u2028b\\u202ec"),
        ("表格\tü", "表格\\tü"),
    ],
)
def test_nothing_in_a_line_steers_a_terminal_or_looks_like_another(
    lines: io.StringIO, said: str, written: str
) -> None:
    logging.getLogger("test-logs").warning("%s", said)
    assert lines.getvalue() == f"WARNING {written}\n"


def test_an_exception_can_forge_no_line_either(lines: io.StringIO) -> None:
    error = ValueError("x\n2026-11-26 ERROR forged\x1b[2J")
    logging.getLogger("test-logs").error("a defect", exc_info=error)
    text = lines.getvalue()
    assert "\n  2026-11-26 ERROR forged" in text
    assert "\x1b" not in text
    assert "ValueError: x" in text
