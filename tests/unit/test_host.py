"""The Host header: RFC 9112 says when a request must be refused for it."""

import pytest

from llmgw.asgi import check_host
from llmgw.errors import ApiError


@pytest.mark.parametrize(
    ("version", "hosts", "good"),
    [
        ("1.1", [b"example.com"], True),
        ("1.1", [b"example.com:8000"], True),
        ("1.1", [b"example.com:"], True),
        ("1.1", [b"llmgw_1"], True),
        ("1.1", [b"127.0.0.1:1"], True),
        ("1.1", [b"[::1]"], True),
        ("1.1", [b"[::ffff:10.0.0.1]:65535"], True),
        ("1.1", [], False),
        ("1.1", [b""], False),
        ("1.1", [b":80"], False),
        ("1.1", [b"a", b"a"], False),
        ("1.1", [b"a, b"], False),
        ("1.1", [b"a/b"], False),
        ("1.1", [b"a b"], False),
        ("1.1", [b"a\tb"], False),
        ("1.1", [b"a?b"], False),
        ("1.1", [b"a#b"], False),
        ("1.1", [b"user@a"], False),
        ("1.1", [b"a:80x"], False),
        ("1.1", [b"a:123456"], False),
        ("1.1", [b"a\n"], False),
        ("1.1", [b"[::1"], False),
        ("1.1", [b"[x]"], False),
        ("1.1", ["é".encode()], False),
        ("1", [], True),
        ("1", [b""], True),
        ("2", [], True),
        ("2", [b"example.com"], True),
    ],
)
def test_host(version: str, hosts: list[bytes], *, good: bool) -> None:
    scope = {"http_version": version, "headers": [(b"x", b"y"), *((b"host", host) for host in hosts)]}
    if good:
        check_host(scope)
        return
    with pytest.raises(ApiError) as caught:
        check_host(scope)
    assert (caught.value.code, caught.value.status) == ("invalid_host", 400)
