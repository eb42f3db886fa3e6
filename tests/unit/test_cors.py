"""Which origins a page may come from, and what of an answer's headers it may read."""

import re

import pytest

from llmgw.asgi.cors import EXPOSED, Cors
from llmgw.asgi.request import _READ_FIELDS, read_fields
from tests.support.processes import ROOT


def headers(origins: tuple[str, ...], *sent: str) -> dict[bytes, bytes]:
    given = [(b"origin", origin.encode()) for origin in sent]
    return dict(Cors(origins).headers(read_fields({"headers": given})))


@pytest.mark.parametrize(
    ("origins", "sent", "allowed"),
    [
        (("https://a.example",), ("https://a.example",), b"https://a.example"),
        (("https://b.example", "https://a.example"), ("https://a.example",), b"https://a.example"),
        (("*",), ("https://a.example",), b"*"),
        (("https://b.example", "*"), ("null",), b"*"),
        (("https://a.example",), ("https://b.example",), None),
        (("https://a.example",), ("https://a.example", "https://a.example"), None),
        (("https://a.example",), ("",), None),
        (("https://a.example",), (), None),
        (("*",), (), None),
    ],
)
def test_the_origin_that_is_allowed(
    origins: tuple[str, ...], sent: tuple[str, ...], allowed: bytes | None
) -> None:
    said = headers(origins, *sent)
    assert said.get(b"access-control-allow-origin") == allowed
    assert (b"access-control-expose-headers" in said) is (allowed is not None)
    assert said[b"vary"] == b"origin"


def test_nothing_is_said_where_nothing_is_allowed() -> None:
    assert headers((), "https://a.example") == {}


def test_a_page_may_read_each_header_that_the_gateway_makes() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "python" / "llmgw").rglob("*.py")]
    made = {name for text in sources for name in re.findall(r'"(x-llmgw-[a-z-]+)"', text)}
    read = {name.decode() for name in _READ_FIELDS} | {"x-llmgw-signature"}  # of webhooks
    assert made > read & made
    assert made - read <= set(EXPOSED)
