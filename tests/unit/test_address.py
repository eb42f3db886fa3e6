"""Addresses as URLs, and where a server that listens on one is found."""

import pytest

from llmgw.config.address import local_host, url_of


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("gateway.internal", "http://gateway.internal:80"),
    ],
)
def test_url_of(host: str, expected: str) -> None:
    assert url_of(host, 80) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("a", "a")],
)
def test_local_host(host: str, expected: str) -> None:
    assert local_host(host) == expected
