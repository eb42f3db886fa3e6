"""The Host header: not more than one, and a well-formed one (RFC 9112, 3.2; RFC 9110, 7.2)."""

import pytest

from llmgw.asgi.request import check_host, read_fields
from llmgw.errors import ApiError


@pytest.mark.parametrize(
    ("hosts", "good"),
    [
        ([b":80"], True),
        ([b"example.com"], True),
        ([b"example.com:8000"], True),
        ([b"example.com:"], True),
        ([b"llmgw_1"], True),
        ([b"127.0.0.1:1"], True),
        ([b"[::1]"], True),
        ([b"[::ffff:10.0.0.1]:65535"], True),
        ([], False),
        ([b""], False),
        ([b"a", b"a"], False),
        ([b"a, b"], False),
        ([b"a/b"], False),
        ([b"a b"], False),
        ([b"a\tb"], False),
        ([b"a?b"], False),
        ([b"a#b"], False),
        ([b"user@a"], False),
        ([b"a:80x"], False),
        ([b"a:123456"], False),
        ([b"a\n"], False),
        ([b"[::1"], False),
        ([b"[x]"], False),
        (["é".encode()], False),
    ],
)
def test_host(hosts: list[bytes], *, good: bool) -> None:
    scope = {"http_version": "1.1", "headers": [(b"x", b"y"), *((b"host", host) for host in hosts)]}
    fields = read_fields(scope)
    assert fields.get(b"host", []) == hosts
    if good:
        check_host(fields, "1.1")
        return
    with pytest.raises(ApiError) as caught:
        check_host(fields, "1.1")
    assert (caught.value.code, caught.value.status) == ("invalid_host", 400)


def test_versions_that_may_do_without() -> None:
    for version in ("1.0", "2"):
        check_host({}, version)
