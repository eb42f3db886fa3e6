"""Who is behind a key: the body says so, or, of a key that trusts it, a header."""

import hashlib
import json
from typing import NamedTuple

import pytest

from llmgw._core import ChatRequest
from llmgw.asgi.request import Fields, read_fields
from llmgw.limits.user import USER_HEADERS, name_of, user_of


class Key(NamedTuple):
    """What must be known of one."""

    trusts_user_header: bool


TRUSTED, OTHER = Key(trusts_user_header=True), Key(trusts_user_header=False)
LONG = "名" * 43


@pytest.mark.parametrize(
    ("key", "fields", "named", "expected"),
    [
        (OTHER, {b"x-llmgw-user": [b"anna"]}, None, None),
        (OTHER, {b"x-llmgw-user": [b"anna"]}, "bert", "bert"),
        (TRUSTED, {b"x-llmgw-user": [b"anna"]}, "bert", "anna"),
        (TRUSTED, {}, "bert", "bert"),
        (TRUSTED, {b"x-llmgw-user": [b" "]}, "bert", "bert"),
        (TRUSTED, {b"x-llmgw-user": [b"", b"anna"]}, None, "anna"),
        (TRUSTED, {b"x-openwebui-user-id": [b"id"], b"x-openwebui-user-email": [b"e"]}, None, "id"),
        (TRUSTED, {b"x-openwebui-user-email": [b"e"]}, None, "e"),
        (TRUSTED, {b"x-openwebui-user-id": [b"id"], b"x-llmgw-user": [b"anna"]}, None, "anna"),
    ],
)
def test_a_header_wins_where_the_key_trusts_it(
    key: Key, fields: Fields, named: str | None, expected: str | None
) -> None:
    assert user_of(key, fields, named) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"anna@example.com", "anna@example.com"),
        ("王小明".encode(), "王小明"),
        (b"\xe9ric", "éric"),
        (b" \tanna ", "anna"),
        (b"anna\x1b[31m", "anna?[31m"),
        (b"", None),
        (b" ", None),
        (b"x" * 128, "x" * 128),
        (LONG.encode(), f"sha256:{hashlib.sha256(LONG.encode()).hexdigest()[:32]}"),
    ],
)
def test_a_name_that_can_stand_anywhere(value: bytes, expected: str | None) -> None:
    assert name_of(value) == expected


@pytest.mark.parametrize("name", ["anna", " anna ", "王小明", "a\u202eb", "x" * 128, LONG, "x" * 4000])
def test_a_header_and_a_body_make_the_same_name(name: str) -> None:
    message = {"role": "user", "content": "Hi"}
    body = ChatRequest(json.dumps({"model": "m", "messages": [message], "user": name}).encode())
    assert name_of(name.encode()) == body.facts.user


def test_the_headers_are_read() -> None:
    scope = {"headers": [(name, b"anna") for name in USER_HEADERS]}
    assert set(read_fields(scope)) == set(USER_HEADERS)
