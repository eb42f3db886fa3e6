"""URLs of Redis: what they mean, and what is wrong with them."""

import re
from pathlib import Path

import pytest

from llmgw.config import ConfigError
from llmgw.config.redis_url import Address, RedisUrl, RedisUrlError, Tls, with_files
from tests.support.configs import load, with_upstream

SECRET = "hunter2"
RIGHT = 'write it like "redis://127.0.0.1:6379/0" (rediss:// with TLS), or "env:NAME"'
NOT_ONE = "is not the URL of a Redis server"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://host", RedisUrl("single", (Address("host", 6379),))),
        ("redis://host:1/2", RedisUrl("single", (Address("host", 1),), db=2)),
        ("redis://[::1]:6380", RedisUrl("single", (Address("::1", 6380),))),
        ("redis://:p%40ss@host/0", RedisUrl("single", (Address("host", 6379),), password="p@ss")),
        (
            "redis://ann:p:w@host",
            RedisUrl("single", (Address("host", 6379),), username="ann", password="p:w"),
        ),
        ("rediss://host", RedisUrl("single", (Address("host", 6379),), tls=Tls())),
        (
            "rediss://host?ssl_ca_certs=/a/ca.pem&ssl_certfile=c.pem&ssl_keyfile=k.pem",
            RedisUrl("single", (Address("host", 6379),), tls=Tls("/a/ca.pem", "c.pem", "k.pem")),
        ),
        (
            "rediss://host?ssl_check_hostname=False",
            RedisUrl("single", (Address("host", 6379),), tls=Tls(checks_hostname=False)),
        ),
        (
            "rediss://host?ssl_cert_reqs=none",
            RedisUrl(
                "single", (Address("host", 6379),), tls=Tls(checks_certificate=False, checks_hostname=False)
            ),
        ),
        (
            "redis+sentinel://u:p@a,b:1,[::2]:2/my%2Fmaster/3?sentinel_password=s%26&sentinel_username=w",
            RedisUrl(
                "sentinel",
                (Address("a", 26379), Address("b", 1), Address("::2", 2)),
                "my/master",
                3,
                "u",
                "p",
                "w",
                "s&",
            ),
        ),
        ("rediss+sentinel://a/m", RedisUrl("sentinel", (Address("a", 26379),), "m", tls=Tls())),
        ("redis+cluster://a,b:7000/", RedisUrl("cluster", (Address("a", 6379), Address("b", 7000)))),
        ("rediss+cluster://a/0", RedisUrl("cluster", (Address("a", 6379),), tls=Tls())),
    ],
)
def test_what_a_url_means(text: str, expected: RedisUrl) -> None:
    assert RedisUrl.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("http://host", NOT_ONE, RIGHT),
        ("redis-sentinel://host/m", NOT_ONE, RIGHT),
        ("redis://", NOT_ONE, RIGHT),
        ("redis://:6379", NOT_ONE, RIGHT),
        ("redis://host:0", NOT_ONE, RIGHT),
        ("redis://host:99999", NOT_ONE, RIGHT),
        ("redis://[::1", NOT_ONE, RIGHT),
        ("redis://host/0#x", NOT_ONE, RIGHT),
        ("redis://hößt", NOT_ONE, RIGHT),
        ("redis+cluster://a,,b", NOT_ONE, RIGHT),
        ("redis://a,b", "names several hosts", "redis+sentinel:// or redis+cluster://"),
        ("redis+cluster://" + "a," * 64 + "a", "names more than 64 hosts", "a few"),
        ("redis://host/mine", "names a database that is not a number", RIGHT),
        ("redis://host/0/1", "names a database that is not a number", RIGHT),
        ("redis://host/99999999999", "names a database that is not a number", RIGHT),
        ("redis+sentinel://host", "names no master, which the sentinels are asked for", "/MASTER/0"),
        ("redis+sentinel://host/m/x", "names a database that is not a number", "/MASTER/0"),
        ("redis+cluster://host/1", "names a database, and a cluster has only one", "redis+cluster://host1"),
        ("redis://host?db=1", "has something behind its ? that is no option", "the options are ssl_ca_certs"),
        ("redis://:a?b@host", "has something behind its ? that is no option", "write ? as %3F"),
        ("rediss://host?ssl_ca_certs=", "has something behind its ? that is no option", "each once"),
        ("redis://host?ssl_ca_certs=x", "has options of TLS, but is one without TLS", "write rediss://,"),
        (
            "redis+cluster://host?ssl_ca_certs=x",
            "has options of TLS, but is one without TLS",
            "write rediss+cluster://",
        ),
        ("rediss://host?ssl_check_hostname=no", "has an option with a value that is not known", "=true or"),
        ("rediss://host?ssl_cert_reqs=maybe", "has an option with a value that is not known", "or none"),
        ("rediss://host?ssl_keyfile=x", "has a key without a certificate", "add ssl_certfile"),
        ("rediss://host?sentinel_password=x", "has something behind its ? that is no option", "ssl_ca_certs"),
    ],
)
def test_what_is_wrong_with_it(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(RedisUrlError) as caught:
        RedisUrl.parse(text)
    assert caught.value.problem == problem
    assert remedy in caught.value.remedy


def test_nothing_of_a_password_is_shown() -> None:
    url = RedisUrl.parse(f"redis+sentinel://u:{SECRET}@a/m?sentinel_password={SECRET}2")
    assert SECRET not in repr(url)
    assert list(url.secrets) == [SECRET, f"{SECRET}2"]
    for broken in (f"redis://:{SECRET}?x@host", f"redis://:{SECRET}@h/x", f"redis://:{SECRET}/y@host"):
        with pytest.raises(RedisUrlError) as caught:
            RedisUrl.parse(broken)
        assert SECRET not in str(caught.value)


def test_files_are_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x", "utf-8")
    text = '[cache]\nurl = "rediss://:a%26b@host/1?ssl_ca_certs=ca.pem&ssl_check_hostname=false"\n'
    found = load(tmp_path, text + with_upstream("")).cache.url
    assert found is not None
    url = RedisUrl.parse(found.get_secret_value())
    assert url.tls == Tls(str(tmp_path / "ca.pem"), checks_hostname=False)
    assert (url.password, url.db) == ("a&b", 1)
    (tmp_path / "ca.pem").unlink()
    expected = "cache.url: the file 'ca.pem' of ssl_ca_certs can't be read (No such file or directory)"
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load(tmp_path, text + with_upstream(""))


def test_other_files_are_the_only_difference() -> None:
    text = "rediss+sentinel://u:p%2F@a:1,b/m/2?sentinel_password=%26&ssl_ca_certs=x"
    moved = with_files(text, {"ssl_ca_certs": "/y z"})
    assert RedisUrl.parse(moved).tls == Tls("/y z")
    assert RedisUrl.parse(with_files(moved, {"ssl_ca_certs": "x"})) == RedisUrl.parse(text)
