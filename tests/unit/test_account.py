"""What the response headers say of a request."""

import re

import pytest

from llmgw.pipeline.account import MAX_DROPPED_CHARS, dropped_header


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["tools.web_search_20250305"], b"tools.web_search_20250305"),
        (["tools.web_search", "input.item-of_tomorrow"], b"tools.web_search, input.item-of_tomorrow"),
        (["a\r\nset-cookie: x", "\u7f51", "b c,d"], b"a__set-cookie__x, _, b_c_d"),
        (["x" * 1019], b"x" * 1019),
        (["x" * 1020], b"..."),
        (["x" * 1000, "y" * 17], b"x" * 1000 + b", " + b"y" * 17),
        (["x" * 1000, "y" * 18, "z"], b"x" * 1000 + b", ..."),
    ],
)
def test_what_was_left_out(names: list[str], expected: bytes) -> None:
    assert dropped_header(names) == expected


def test_any_number_of_names_fits() -> None:
    said = dropped_header([f"input.kind_{number}" for number in range(100_000)])
    assert len(said) <= MAX_DROPPED_CHARS
    *names, more = said.decode().split(", ")
    assert more == "..."
    assert all(re.fullmatch(r"input\.kind_\d+", name) for name in names)
